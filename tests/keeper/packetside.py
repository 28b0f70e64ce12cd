"""The packet process's part, played by a test: a real socket pair, a real keeper at its other end."""

from __future__ import annotations

import grp
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sipguard.address import Network, parse_network
from sipguard.control.pair import Message, Pair, open_pair
from sipguard.model import HOUR, Decision, DecisionVerdict, Delta, Subject
from sipguard.report import Json, pack

GROUP = grp.getgrgid(os.getgid()).gr_name
HOST = parse_network("203.0.113.9")


def boottime() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def ban(subject: Subject = HOST, *, verdict: DecisionVerdict = DecisionVerdict.BLOCK) -> Decision:
    now = boottime()
    return Decision(now, verdict, subject, now + HOUR, ("credentials",), "ban.first", "", 1)


def many(count: int) -> list[Decision]:
    return [ban(Network(bytes([10, *number.to_bytes(3)]), 32)) for number in range(count)]


class PacketSide:
    """Starts keepers and talks to them; answers every request with `answers[verb]`, None for silence."""

    def __init__(self, folder: Path, policy: str = "") -> None:
        self.folder = folder
        self.policy = folder / "policy.toml"
        self.socket = folder / "control.sock"
        self.db = folder / "state" / "sipguard.db"
        self.write_policy(policy)
        self.offset = time.time_ns() - boottime()
        self.pair = Pair()
        self.got: list[Message] = []
        self.answers: dict[str, Json | None] = {}
        self.process: subprocess.Popen[str] | None = None

    def write_policy(self, text: str) -> None:
        self.policy.write_text(
            f'{text}\n[store]\npath = "{self.db}"\n'
            f'[control]\nsocket = "{self.socket}"\ngroup = "{GROUP}"\n[log]\nformat = "json"\n'
        )

    def start(self, **hello: Any) -> None:
        """Start a keeper, also anew after one has died."""
        ours, theirs = open_pair()
        self.pair.attach(ours)
        os.set_inheritable(theirs.fileno(), True)
        self.log = (self.folder / "log").open("w+")
        argv = [sys.executable, "-m", "sipguard.keeper", "--fd", str(theirs.fileno()), "--policy", str(self.policy)]
        self.process = subprocess.Popen(argv, pass_fds=[theirs.fileno()], stderr=self.log, text=True)
        theirs.close()
        self.send({"t": "hello", "offset": self.offset, "mode": "observe", "pid": os.getpid(), **hello})

    def send(self, message: Message) -> None:
        self.pair.send(message)
        self.pair.flush()

    def delta(self, *nouns: Delta) -> None:
        for noun in nouns:
            self.pair.send({"t": "delta", "what": pack(noun), "offset": self.offset})
        self.pair.flush()

    def report(self, **line: Any) -> None:
        self.send({"t": "report", "line": {"at": time.time(), "kind": "finding", **line}})

    def turn(self, wait: float = 0.02) -> None:
        """Do what a packet loop does once: read, write, answer."""
        if self.pair.fileno() >= 0:
            select.select([self.pair.fileno()], [], [], wait)
        for message in self.pair.receive():
            self.got.append(message)
            if message["t"] == "request":
                answer = self.answers.get(message["verb"], {"ok": True, "body": {"did": message["verb"]}})
                if answer is not None:
                    self.pair.send({"t": "reply", "id": message["id"], **answer})
        self.pair.flush()

    def until(self, kind: str, deadline: float = 60) -> Message:
        """Take turns until a message of a kind has come; take it out."""
        end = time.monotonic() + deadline
        while True:
            for number, message in enumerate(self.got):
                if message["t"] == kind:
                    return self.got.pop(number)
            assert time.monotonic() < end, f"no {kind}; got {self.got[:5]}"
            assert self.pair.open, f"the keeper ended: {self.ended()}"
            self.turn()

    def settle(self, deadline: float = 60) -> None:
        """Take turns until everything is acknowledged."""
        end = time.monotonic() + deadline
        while self.pair.held:
            assert time.monotonic() < end, "not everything was acknowledged"
            self.turn()

    def state(self) -> tuple[list[Json], Message]:
        """Wait for the state; give its items and its end."""
        end = self.until("state-end")
        items = [item for message in self.got if message["t"] == "state" for item in message["items"]]
        self.got = [message for message in self.got if message["t"] != "state"]
        return items, end

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.ended()

    def ended(self) -> tuple[int, str]:
        """Wait for the keeper's end; give its exit code and log."""
        assert self.process is not None
        code = self.process.wait(timeout=60)
        self.log.close()
        return code, (self.folder / "log").read_text()

    def stop(self) -> tuple[int, str]:
        self.send({"t": "bye"})
        return self.ended()

    def close(self) -> None:
        self.pair.close()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.ended()
