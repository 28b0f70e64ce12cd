"""Calls as the tracker tells of them, for the detectors of toll fraud: one world, one detector, one clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sipguard.address import parse_address
from sipguard.call import Call, Called, CallOrigin, Direction, NumberClass, Rate
from sipguard.event import (
    CallAnswered,
    CallAttempted,
    CallConfirmed,
    CallDiverted,
    CallEnded,
    CallEvent,
    CallUnconfirmed,
    Event,
)
from sipguard.model import SECOND, Account, Finding, Instant
from sipguard.track.spending import House

PHONE, OTHER, CARRIER = (parse_address(each) for each in ("198.51.100.20", "192.0.2.200", "203.0.113.10"))
ALICE, BOB = Account("1001", "pbx"), Account("1002", "pbx")
TRUNK = Account("Carrier", "")
GERMAN = House(("DE",))


def number(digits: str, country: str, kind: NumberClass = NumberClass.MOBILE) -> Called:
    """Make a number that was read."""
    return Called(digits, kind, f"+{digits}", country)


def somali(last: int = 0) -> Called:
    return number(f"2526112{last:05d}", "SO")


def french(last: int = 0) -> Called:
    return number(f"33140{last:06d}", "FR", NumberClass.GEOGRAPHIC)


def german(last: int = 0) -> Called:
    return number(f"493012{last:05d}", "DE", NumberClass.GEOGRAPHIC)


HELP = Called("112", NumberClass.EMERGENCY, "", "DE")
DEAR_HOME = number("499001234567", "DE", NumberClass.PREMIUM)


class Heard(Protocol):
    """A detector, as far as calls know it."""

    handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]]

    def counters(self) -> dict[str, int]: ...


class Calling:
    """Tells one detector of calls, and keeps what it finds."""

    def __init__(self, detector: Heard) -> None:
        self.detector = detector
        self.now: Instant = 1_000 * SECOND
        self.found: list[Finding] = []
        self._serial = 0

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)

    def tell(self, event: CallEvent) -> list[Finding]:
        handle = self.detector.handlers.get(type(event))
        found = [] if handle is None else list(handle(event))
        self.found += found
        return found

    def made(self, called: Called, **facts: Any) -> Call:
        """Make a call: Alice's over the trunk, unless it is said otherwise."""
        self._serial += 1
        call = Call(f"call{self._serial}", self.now, facts.pop("direction", Direction.OUTBOUND), called)
        call.origin, call.account, call.source = CallOrigin.EXTENSION, ALICE, PHONE
        call.trunk, call.carrier = "Carrier", CARRIER
        for name, value in facts.items():
            setattr(call, name, value)
        return call

    def begin(self, called: Called, **facts: Any) -> Call:
        call = self.made(called, **facts)
        self.tell(CallAttempted(self.now, call.source or CARRIER, call))
        return call

    def answer(self, call: Call) -> Call:
        call.answered = self.now
        self.tell(CallAnswered(self.now, call.source or CARRIER, call))
        return call

    def talk(self, called: Called, **facts: Any) -> Call:
        return self.answer(self.begin(called, **facts))

    def end(self, call: Call, code: int = 0) -> Call:
        call.ended, call.code = self.now, code
        self.tell(CallEnded(self.now, call.source or CARRIER, call))
        return call

    def call(self, called: Called, seconds: float, **facts: Any) -> Call:
        """Make a whole call, answered at once."""
        call = self.talk(called, **facts)
        self.wait(seconds)
        return self.end(call)

    def doubt(self, call: Call) -> None:
        call.confirmed = False
        self.tell(CallUnconfirmed(self.now, PHONE, call))

    def confirm(self, call: Call) -> None:
        call.confirmed = True
        self.tell(CallConfirmed(self.now, PHONE, call))

    def refer(self, call: Call, target: Called, *, by_phone: bool = True) -> None:
        self.tell(CallDiverted(self.now, PHONE if by_phone else CARRIER, call, target, referred=True))

    def rings(self, caller: str, seconds: float = 1, called: Called | None = None) -> Call:
        """Let the carrier call, and give up."""
        call = self.comes(caller, called or german())
        self.wait(seconds)
        return self.end(call, 487)

    def comes(self, caller: str, called: Called, trunk: str = "Carrier") -> Call:
        return self.begin(
            called, direction=Direction.INBOUND, account=None, source=None, caller=caller, trunk=trunk,
            origin=CallOrigin.ORPHAN,
        )  # fmt: skip

    def kinds(self) -> list[tuple[str, str]]:
        """List what was found: of whom, and as what."""
        return [(str(each.subject), each.identifier) for each in self.found]


def priced(units: int) -> Rate:
    """Make a rate of so many hundredths a minute."""
    return Rate("33", "somewhere", units * 10_000, 0, 60, 60)
