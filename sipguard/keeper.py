"""The keeper: all that needs disk, names and people, apart from the packet process and without its privileges.

Promises: it holds no capability, or ends; what the packet process sends is on disk within a fraction of a second, and
acknowledged only then; when the packet process is gone, it writes out what it has and ends; nothing that a client, a
disk, a name server or the other process does ends it sooner. It decides nothing about packets: it passes on.

Started by the packet process as `python -m sipguard.keeper --fd N --policy PATH`; the messages are those of
`control/pair.py`. With SIPGUARD_SHOW in the environment, events go to standard output for people to read.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import structlog

from sipguard.control import journal, privilege
from sipguard.control.lines import event_text
from sipguard.control.lists import pieces
from sipguard.control.pair import Message, Pair
from sipguard.control.policyfile import read_policy
from sipguard.control.requests import Requests
from sipguard.control.server import RefusedError
from sipguard.errors import AdapterError, PolicyError
from sipguard.keeping import Parts
from sipguard.model import SECOND, Decision, Delta, Feed, Names
from sipguard.policy.load import load
from sipguard.policy.schema import Policy
from sipguard.policy.wants import calls_remembered, host_names
from sipguard.report import pack, subject_text, unpack
from sipguard.store.database import Store
from sipguard.store.writer import Writer

Json: TypeAlias = dict[str, Any]

EX_NOPERM = 77  # sysexits.h
ITEMS = 200
"""Items in one message of the state: the packet process reads them between two packets."""
AHEAD = 1024 * 1024
"""Bytes of state that may wait in the pair before the next page is read."""
LEAVE = 3.0
"""Seconds between SIGTERM and the end, for what the packet process still has to say."""
MOST_LEFT = 100
"""Reads of what the packet process left behind, 64 datagrams each: more than a socket holds."""
TIDY = 60.0
"""Seconds between two clean-ups of the store."""


class Keeper:
    """One life of the keeper: from the first `hello` to the last delta."""

    def __init__(self, sock: socket.socket, policy_path: Path, screen: journal.Patient | None = None) -> None:
        self._pair = Pair(sock)
        self._screen = screen  # for people: one line for each event, instead of the log
        self._policy_path = policy_path
        self._log = structlog.get_logger()
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests = Requests(self.send)
        self._faults = 0
        self._offset = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._roomy = asyncio.Event()
        self._parts: Parts | None = None
        self._takes: Mapping[str, Callable[[Message], None]] = {
            "hello": self._hello,
            "delta": self._delta,
            "report": self._report,
            "alert": self._alerted,
            "reply": self.requests.settle,
            "reload": lambda _: self._spawn(self._reload_logged()),
            "bye": lambda _: self._stop.set(),
            "manage": lambda said: self._spawn(self._managed([str(each) for each in said["calls"]], str(said["call"]))),
        }

    async def run(self) -> None:
        """Live until the packet process says `bye` or is gone, or a signal ends us; then write out everything."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, loop.call_later, LEAVE, self._stop.set)
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # a terminal's Ctrl-C: the packet process says bye
        loop.add_signal_handler(signal.SIGHUP, lambda: None)
        loop.add_reader(self._pair.fileno(), self._readable)
        await self._stop.wait()
        loop.remove_reader(self._pair.fileno())
        for _ in range(MOST_LEFT):
            self._take(self._pair.receive())
        if self._parts is not None:
            await self._parts.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._flush()
        loop.remove_writer(self._pair.fileno())
        self._pair.close()

    # --- The pair -----------------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        self._take(self._pair.receive())
        if not self._pair.open:
            self._stop.set()

    def _take(self, messages: Sequence[Message]) -> None:
        for message in messages:
            try:
                self._takes[message["t"]](message)
            except (KeyError, TypeError, ValueError) as error:
                self._faults += 1
                if self._faults < 10:  # enough to see what is wrong, too few to fill a disk
                    self._log.warning("message not understood", kind=message["t"], why=repr(error))

    def send(self, message: Message) -> None:
        """Send a message to the packet process."""
        self._pair.send(message)
        self._flush()

    def _flush(self) -> None:
        """Write what the pair takes; come back when it takes more."""
        loop = asyncio.get_running_loop()
        self._pair.flush()
        if self._pair.held < AHEAD:
            self._roomy.set()
        if self._pair.fileno() < 0:
            return
        if self._pair.wanting:
            loop.add_writer(self._pair.fileno(), self._flush)
        else:
            loop.remove_writer(self._pair.fileno())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """End with the task that failed: the packet process starts us anew, which is better than half a keeper."""
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._log.error("bug", why=repr(task.exception()), exc_info=task.exception())
            self._stop.set()

    # --- What the packet process says ---------------------------------------------------------------------------------

    def _hello(self, message: Message) -> None:
        self._offset = int(message["offset"])
        if self._parts is None:
            policy = self._first_policy(message.get("policy"))
            self.configure_log(policy)
            self._parts = Parts(self, policy)
            self._spawn(self._begin(self._parts, state=message.get("state", True) is not False))
        else:
            self._spawn(self._send_state(self._parts, state=message.get("state", True) is not False))

    def _first_policy(self, text: object) -> Policy:
        """Take the packet process's own text, else the file; with neither, the defaults, and say so."""
        try:
            return load(text if isinstance(text, str) else read_policy(self._policy_path))
        except PolicyError as error:
            self.alert("policy-unreadable", str(self._policy_path), f"{error}; the keeper goes by the defaults")
            return Policy()

    def _delta(self, message: Message) -> None:
        noun = unpack(message["what"])
        if not isinstance(noun, Delta) or self._parts is None:
            raise TypeError("no delta")
        self._offset = int(message["offset"])
        self._parts.writer.delta(int(message["n"]), noun, self._offset)
        if isinstance(noun, Decision):
            self._log.info(
                "decision",
                verdict=str(noun.verdict),
                subject=subject_text(noun.subject),
                until=(noun.until + self._offset) // SECOND if noun.until else 0,
                because=",".join(noun.because),
                rule=noun.rule,
                reason=noun.reason,
                offence=noun.offence,
            )

    def _report(self, message: Message) -> None:
        line = message["line"]
        if not isinstance(line, dict):
            raise TypeError("no line")
        self._publish(line)
        if line.get("action") == "alert":
            self._log.warning("alert", kind=line.get("alert"), subject=line.get("subject"), text=line.get("text"))

    def _alerted(self, message: Message) -> None:
        self.alert(str(message["kind"]), str(message["subject"]), str(message["text"]))

    def configure_log(self, policy: Policy) -> None:
        """Log as the policy says; with a screen only what no event tells."""
        journal.configure("error" if self._screen else policy.shell.log.level, policy.shell.log.format)

    # --- What we say --------------------------------------------------------------------------------------------------

    def alert(self, kind: str, subject: str, text: str) -> None:
        """Tell the operator: log, events, followers."""
        self._log.warning("alert", kind=kind, subject=subject, text=text)
        at = round(time.time(), 3)
        self._publish({"action": "alert", "alert": kind, "at": at, "kind": "action", "subject": subject, "text": text})

    def _publish(self, line: Json) -> None:
        if self._screen is not None:
            self._screen.write(event_text(line) + "\n")
        if self._parts is not None:
            text = json.dumps(line, separators=(",", ":"), sort_keys=True)
            self._parts.writer.line(text)
            self._parts.server.publish(text)

    def written(self, number: int) -> None:
        """Acknowledge what is on disk."""
        self.send({"t": "ack", "n": number})

    def about(self) -> Json:
        """Tell of ourselves, for `status`."""
        found: Json = {"pid": os.getpid(), "policy": str(self._policy_path), "faults": self._pair.faults + self._faults}
        return found | (self._parts.about() if self._parts else {})

    async def _begin(self, parts: Parts, *, state: bool) -> None:
        """Send names and state first: the packet process waits for them; then open the door, then look names up."""
        with suppress(AdapterError):
            await parts.look_at_clock()
        with suppress(AdapterError):
            parts.watch.remember(await parts.writer.ask(Store.names))
        parts.watch.want(host_names(parts.policy))  # before the state: a closed guard opens to its trunks at once
        await parts.feeds.want(parts.policy.feeds)
        await parts.price(parts.policy)
        await self._send_state(parts, state=state)
        with suppress(AdapterError):  # after the state: this alone waits for another program that holds the file
            await parts.keep_clock()
        works = (parts.writer.run(), parts.watch.run(), parts.household.run(), parts.feeds.run(), parts.decks.run())
        self._spawn(self._tidy(parts))
        for work in works:
            self._spawn(work)
        try:
            warning = await parts.server.start()
        except AdapterError as error:
            warning = f"{error.what}; no command can reach the guard"
        if warning:
            self.alert("control", str(parts.policy.shell.control.socket), warning)

    async def _send_state(self, parts: Parts, *, state: bool) -> None:
        count, complete, mode, lessons = 0, await parts.writer.flush(), None, False
        try:
            mode = await parts.shelf.kept_mode(str(parts.policy.mode))
            pages = await parts.writer.ask(lambda store: self._pages(parts, store)) if state else iter(())
            while page := await parts.writer.ask(lambda _, pages=pages: next(pages, None)):  # type: ignore[misc]
                count += len(page)
                self._roomy.clear()
                self.send({"t": "state", "items": [pack(noun) for noun in page]})
                await self._roomy.wait()
            lessons = True  # unless there was no reading them at all
            complete = complete and not await self._unread(parts)
        except AdapterError:
            complete = False
        parts.desk.mode = mode or parts.desk.policy_mode
        off = parts.shelf.marker.exists()
        parts.household.see()
        for noun in (*parts.watch.present(), *parts.household.present()):
            self.send({"t": "names", "what": pack(noun)})
        for feed in parts.feeds.present():
            self.feed_changed(feed)
        parts.decks.present()
        told = {"mode": mode, "off": off, "complete": complete, "count": count, "lessons": lessons}
        self.send({"t": "state-end", **told})

    def _pages(self, parts: Parts, store: Store) -> Iterator[list[Delta]]:
        offset, now = parts.writer.believed(self._offset), time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        return store.pages(offset, now, ITEMS, calls_remembered(parts.policy))

    async def _unread(self, parts: Parts) -> bool:
        """Tell whether there were rows that cannot be read, and say so. Raises AdapterError."""
        count, first = await parts.writer.ask(Store.unread)
        if count:
            what = f"{count} rows of {parts.writer.path} cannot be read and are not in force"
            kernel = "what the kernel holds stays there until it runs out"
            self.alert("store-unreadable", "", f"{what}, but left as they are; {kernel}; the first: {first}")
        return count > 0

    async def _tidy(self, parts: Parts) -> None:
        while True:
            await asyncio.sleep(TIDY)
            with suppress(AdapterError):
                await parts.tidy()

    # --- Reload -------------------------------------------------------------------------------------------------------

    async def reload(self) -> Json:
        """Read the policy again; pass it on when it is sound. Raises RefusedError with every problem, else."""
        if self._parts is None:
            raise RefusedError("the guard is starting", "busy")
        try:
            text = await asyncio.to_thread(read_policy, self._policy_path)
            policy = await asyncio.to_thread(load, text)
        except PolicyError as error:
            raise RefusedError("the policy is kept as it was: " + "; ".join(map(str, error.problems))) from None
        mode = await self._parts.adopt(policy)
        self._parts.desk.mode = mode or str(policy.mode)
        self.send({"t": "policy", "text": text, "mode": mode})
        self._log.info("policy reloaded", path=str(self._policy_path))
        return {"policy": str(self._policy_path)}

    async def _reload_logged(self) -> None:
        try:
            await self.reload()
        except RefusedError as refusal:
            self.alert("policy-refused", str(self._policy_path), str(refusal))

    def pass_on(self, noun: Names) -> None:
        """Pass addresses on."""
        self.send({"t": "names", "what": pack(noun)})

    def names_changed(self, noun: Names) -> None:
        """Pass new addresses on, and keep them for a start without a name server."""
        self.pass_on(noun)
        if self._parts is not None and noun.networks:
            self._spawn(self._keep_names(self._parts.writer, noun))

    async def _managed(self, call_ids: list[str], call: str) -> None:
        if self._parts is not None:
            for fault in await self._parts.hang_up(call_ids):
                self.alert("not-managed", call, fault)

    def feed_changed(self, noun: Feed) -> None:
        """Pass a list on, piece by piece."""
        for message in pieces(noun):
            self.send(message)

    @staticmethod
    async def _keep_names(writer: Writer, noun: Names) -> None:
        with suppress(AdapterError):
            await writer.ask(lambda store: store.keep_names(noun, time.time_ns()))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the keeper; give its exit code. 77: the capabilities could not be dropped, nothing was begun."""
    try:
        privilege.drop()
    except AdapterError as error:
        sys.stderr.write(f"sipguard keeper: {error.what}; it does not run with more rights than it needs\n")
        return EX_NOPERM
    parser = argparse.ArgumentParser(prog="sipguard.keeper")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--policy", type=Path, required=True)
    args = parser.parse_args(argv)
    journal.configure("info", "text")
    screen = journal.Patient(sys.stdout) if os.environ.get("SIPGUARD_SHOW") else None
    asyncio.run(_run(socket.socket(fileno=args.fd), args.policy, screen))
    return 0


async def _run(sock: socket.socket, policy: Path, screen: journal.Patient | None) -> None:
    await Keeper(sock, policy, screen).run()


if __name__ == "__main__":
    sys.exit(main())
