"""The packet process's side of the keeper: it is there or will be, what it has kept is asked for, and it is told.

Promises: nothing here blocks (but `leave`, for seconds at most) or raises for what the keeper does, says or does not
say. What has no room in the pair is dropped and counted there. What is decided is none of this module's business.
"""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sipguard import report
from sipguard.address import Network
from sipguard.call import CallLegs, CallState, LimitReset
from sipguard.control import decks
from sipguard.control.child import Child
from sipguard.control.kept import Kept
from sipguard.control.lists import Gathering
from sipguard.control.meanwhile import Meanwhile
from sipguard.control.orders import names_of
from sipguard.control.pair import Message, Pair
from sipguard.errors import AdapterError
from sipguard.model import (
    MILLISECOND,
    MINUTE,
    Action,
    Alert,
    Decision,
    Feed,
    Finding,
    HangUp,
    Held,
    Hold,
    Instant,
    Lesson,
    Names,
    Offence,
    Rates,
    Record,
    Release,
    Role,
    Span,
    State,
    Trust,
)
from sipguard.netset import NetSet

ALERT_MOST = 1000
"""The most characters of an alert's text."""

DRIFT: Span = 10 * MILLISECOND
STUCK: Span = MINUTE

ALERTS_KEPT = 100
"""The most alerts that wait for a keeper, and that are known when they come again; the oldest go first."""
AGAIN: Span = MINUTE
"""What is tried again and fails each second is told of once in so long: it would drown all other events."""

_LEAVE_SECONDS = 2.0
_END_SECONDS = 5.0


class Link:
    """Pair and child in one. `offset` is the wall clock minus CLOCK_BOOTTIME, kept right by the caller.

    `hello` makes the first message for each new keeper; `restored` becomes True when all of the state has come; `heard`
    counts messages.
    """

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        environment: Mapping[str, str],
        hello: Callable[[], Message],
        offset: Span,
    ) -> None:
        self.pair = Pair()
        self.offset = offset
        self.restored = False
        self._names: dict[tuple[Role, str], Names] = {}
        self._lists: dict[str, Feed] = {}
        self._gathering = Gathering()
        self._deck = decks.Gathering()
        self._rates: Rates | None = None
        self._taken = False  # the state was taken by an engine
        self.heard = 0
        self._child = Child(command, environment, self.pair)
        self._hello = hello
        self._inbox: deque[Message] = deque()
        self._kept = Kept()
        self._lessons = False  # all that there are have come
        self._meanwhile = Meanwhile()
        self._fluent: Instant = 0
        self._unsaid: deque[tuple[str, str, str]] = deque(maxlen=ALERTS_KEPT)
        self._now: Instant = 0
        self._told: dict[tuple[str, str, str], Instant] = {}

    # --- That there is one --------------------------------------------------------------------------------------------

    def mind(self, now: Instant) -> None:
        """See that there is a keeper, or that there will be one."""
        self._now = now
        if not self.pair.wanting:
            self._fluent = now
        elif now - self._fluent > STUCK:
            self.alert("keeper-stuck", "", "the keeper took nothing for a minute; it is ended")
            self._child.end()
        if self._child.lost(now):
            self.alert("keeper-lost", "", "the keeper ended; it is started again")
        if not self._child.due(now):
            return
        try:
            self._child.start(now)
        except AdapterError:  # too many processes, no memory: later, then
            self._child.failed(now)
            return
        self._kept = Kept()
        self._fluent = now
        self.pair.send({"t": "hello", "offset": self.offset, "state": not self.restored, **self._hello()})
        while self._unsaid:
            self._alert(self._unsaid.popleft())
        self.pair.flush()

    def stepped(self, offset: Span) -> bool:
        """Take a new offset; False when it differs from the last by no more than clocks drift."""
        if abs(offset - self.offset) <= DRIFT:
            return False
        self.offset = offset
        return True

    def leave(self) -> None:
        """Say goodbye and wait for the keeper to write out what it has."""
        self.pair.send({"t": "bye"})
        deadline = time.monotonic() + _LEAVE_SECONDS
        while self.pair.open and not self.pair.flush() and time.monotonic() < deadline:
            select.select([], [self.pair.fileno()], [], 0.1)
            self.pair.receive()
        self._child.stop(_END_SECONDS)
        self.pair.close()

    def counters(self) -> dict[str, int]:
        """Give what was lost between the two, and how often a keeper was started."""
        pair = self.pair
        lost = {"lost_reports": pair.lost_reports, "lost_deltas": pair.lost_deltas, "lost_others": pair.lost_others}
        return {
            **lost,
            "pair_faults": pair.faults,
            "pair_bytes": pair.held,
            "keeper_starts": self._child.starts,
            "meanwhile_evicted": self._meanwhile.evicted,
        }

    # --- What it says -------------------------------------------------------------------------------------------------

    def next(self) -> Message | None:
        """Give the next message, None when there is none now. Raises ValueError for a state that cannot be read.

        `state` messages are gathered here; the `state-end` is given when it is the last word on the state.
        """
        if not self._inbox:
            self._inbox.extend(self.pair.receive())
            self.heard += len(self._inbox)
        while self._inbox:
            message = self._inbox.popleft()
            if message["t"] != "state":
                self._lessons = self._lessons or (message["t"] == "state-end" and message.get("lessons") is True)
                return message
            for item in message.get("items", ()):
                self._kept.add(report.unpack(item))
        return None

    def named(self, message: Message) -> Names | Feed | Rates | None:
        """Take addresses of a name or a list, or a rate deck, and keep them. Raises ValueError, TypeError.

        None where a list is not yet whole, or where no engine is there that it could concern: `take_state` gives it.
        """
        if message["t"] == "rates":
            whole = self._deck.take(message)
            self._rates = self._rates if whole is None else whole
            return whole
        if message["t"] == "feed":
            return self._listed(message)
        names = names_of(message)
        self._names[(names.role, names.name)] = names
        return names

    def _listed(self, message: Message) -> Feed | None:
        feed = self._gathering.take(message)
        if feed is None:
            return None
        self._lists.pop(feed.name, None)
        if feed.networks:
            self._lists[feed.name] = feed
        return feed if self._taken else None

    def names(self) -> list[Names | Rates]:
        """List what every name stands for by now, and what calls cost."""
        return [*self._names.values(), *([] if self._rates is None else [self._rates])]

    def take_state(self, held: Iterable[Held]) -> State:
        """Give the state that was gathered, and with it what the kernel was found to hold that is no part of it.

        Where more of it is to come, it is all given again then, as it is after what was told meanwhile: the engine is
        made anew.
        """
        kept = self._meanwhile.over(self._kept)
        if self.restored:
            self._kept = Kept()
            self._meanwhile.clear()
        self._taken = True
        decisions = kept.decisions()
        return State(
            decisions,
            kept.of(Offence),
            kept.of(Trust),
            _beside(list(held), decisions),
            list(self._lists.values()),
            kept.of(CallState),
            kept.of(LimitReset),
            kept.of(CallLegs),
            kept.of(Lesson) if self._lessons else None,
        )

    # --- What it is told ----------------------------------------------------------------------------------------------

    def tell(self, action: Action) -> None:
        """Pass on what there is to keep and to show of one action; nothing is said of a verdict."""
        if isinstance(action, Alert):
            self._alert((action.kind, action.subject, action.text))
            return
        if isinstance(action, Hold | Release) and action.because[:1] == ("feed",):
            return  # a hundred thousand lines would drown the rest; an alert tells how many there were
        if isinstance(action, Record) and not isinstance(action.what, Finding):
            if self._taken and not self.restored:
                self._meanwhile.note(action.what)
            self.pair.send({"t": "delta", "what": report.pack(action.what), "offset": self.offset})
        if isinstance(action, HangUp) and action.managed:
            self.pair.send({"t": "manage", "call": action.call, "calls": list(action.managed)})
        line = report.line(action, -self.offset)
        if line is not None:
            self.pair.send({"t": "report", "line": line})

    def alert(self, kind: str, subject: str, text: str) -> None:
        """Tell the operator of something, but not the same twice in a minute.

        `kind` is a stable name, the text holds nothing secret.
        """
        said = kind, subject, text
        if self._now < self._told.get(said, -AGAIN) + AGAIN:
            return
        self._told.pop(said, None)
        self._told[said] = self._now
        if len(self._told) > ALERTS_KEPT:
            del self._told[next(iter(self._told))]
        self._alert(said)

    def _alert(self, said: tuple[str, str, str]) -> None:
        if not self.pair.open:  # there is nobody to tell now; the next keeper will be told
            self._unsaid.append(said)
            return
        kind, subject, text = said
        self.pair.send({"t": "alert", "kind": kind, "subject": subject, "text": text[:ALERT_MOST]})

    def reload(self) -> None:
        """Ask for the policy to be read again."""
        self.pair.send({"t": "reload"})


def _beside(held: list[Held], decisions: Iterable[Decision | Held]) -> list[Held]:
    """List what the kernel holds and no decision accounts for, in order. Of a million decisions few are near it."""
    near = NetSet(each.network for each in held)
    subjects = (_subject(noun) for noun in decisions if held)
    known = {subject for subject in subjects if isinstance(subject, Network) and near.overlaps(subject)}
    covered = NetSet(known)
    left = [each for each in held if each.network not in known and covered.subtract_from(each.network)]
    return sorted(left, key=lambda each: each[:2])


def _subject(noun: Decision | Held) -> Any:
    return noun.network if isinstance(noun, Held) else noun.subject
