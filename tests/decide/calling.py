"""Calls for the tests of rules and limits: few words for a call, and a world of groups, sites and a home country."""

from __future__ import annotations

from itertools import count

from sipguard.address import Address, parse_address
from sipguard.call import MICROS, Call, Called, CallState, Direction, NumberClass, Rate
from sipguard.decide.limits import Limits, Tripped
from sipguard.decide.parties import Group, Parties
from sipguard.errors import PolicyError
from sipguard.model import SECOND, Account, Instant, Span
from sipguard.policy.load import load
from sipguard.policy.schema import Policy

PHONE = parse_address("192.0.2.10")
ELSEWHERE = parse_address("198.51.100.10")
SOMALIA = Rate("+252", "Somalia", MICROS, 0, 60, 60)
HOME = Rate("+49", "Germany", 10_000, 0, 1, 1)
SECONDS = Rate("+252", "Somalia by the second", 6 * MICROS, 0, 1, 1)  # 0.10 a second
_numbers = count(1)


def site_of(source: Address) -> str:
    return "Office" if source[:3] == PHONE[:3] else ""


def parties(policy: Policy | None = None) -> Parties:
    groups = (policy.groups if policy is not None else ()) or (Group("Sales", ("1001", "1002")),)
    return Parties(groups, site_of, ("DE",))


def number(e164: str, country: str = "", kind: NumberClass = NumberClass.GEOGRAPHIC) -> Called:
    return Called(e164.replace("+", "00"), kind, e164, country)


SOMALI = number("+25261123456", "SO", NumberClass.MOBILE)
GERMAN = number("+493012345678", "DE")


def call(
    called: Called = SOMALI, account: str | None = "1001", rate: Rate | None = SOMALIA, key: str = "", trunk: str = ""
) -> Call:
    made = Call(key or f"call {next(_numbers)}", 0, Direction.OUTBOUND, called)
    made.account = Account(account, "pbx") if account is not None else None
    made.source = PHONE if account is not None else None
    made.carrier = ELSEWHERE
    made.rate = rate
    made.trunk = trunk
    return made


_KINDS = "calls total concurrent expensive_concurrent same_number same_prefix expensive_numbers minutes duration"
_EMPTY = "".join(f"{kind} = {{}}\n" for kind in (*_KINDS.split(), "spend_call", "spend_hour", "spend_day"))


def only(scope: str, **kinds: str) -> Limits:
    """Make limits of one scope, all others empty."""
    said = dict.fromkeys((*_KINDS.split(), "spend_call", "spend_hour", "spend_day"), "{}") | kinds
    table = "".join(f"{name} = {value}\n" for name, value in said.items())
    others = "".join(f"[limits.{each}]\n{_EMPTY}" for each in ("account", "trunk", "number") if each != scope)
    return whole(f"{others}[limits.{scope}]\n{table}")


def whole(text: str) -> Limits:
    try:
        policy = load(text)
    except PolicyError as error:
        raise AssertionError(str(error)) from None
    return Limits(policy.limits, policy.carriers(), parties(policy))


class World:
    """Calls as a PBX would make them that obeys: what is refused does not begin, what is to be hung up ends then."""

    def __init__(self, counted: Limits, *, late: Span = 0) -> None:
        self.limits = counted
        self.late = late
        self.now: Instant = SECOND
        self.running: dict[str, Call] = {}
        self.over: list[Call] = []
        self.tripped: list[Tripped] = []
        self.refused: list[str] = []

    def dial(self, made: Call, *, answer: bool = True) -> bool:
        refusal = self.limits.refusal(self.now, made)
        if refusal is not None:
            self.refused.append(refusal.rule)
            return False
        made.began = self.now
        self.running[made.key] = made
        self._heed(self.limits.began(self.now, made))
        if answer:
            self.answer(made)
        return True

    def answer(self, made: Call) -> None:
        made.answered = self.now
        self._heed(self.limits.answered(self.now, made))

    def hang_up(self, made: Call) -> None:
        made.ended = self.now
        self.over.append(self.running.pop(made.key))
        self._heed(self.limits.ended(self.now, made))

    def wait(self, span: int) -> None:
        """Let time pass; deadlines fire when they are due, or so much late, as a live loop's do."""
        end = self.now + span
        while (due := self.limits.next_deadline()) is not None and due <= end:
            self.now = max(self.now, due + self.late)
            self._heed(self.limits.advance(self.now))
        self.now = max(self.now, end)
        self._heed(self.limits.advance(self.now))

    def spent(self) -> int:
        return sum(each.cost(self.now) for each in (*self.over, *self.running.values()))

    def states(self) -> list[CallState]:
        return [state(each) for each in (*self.over, *self.running.values())]

    def _heed(self, tripped: list[Tripped]) -> None:
        self.tripped += tripped
        for each in tripped:
            if each.hang_up and each.call.key in self.running:
                self.hang_up(self.running[each.call.key])


def state(made: Call) -> CallState:
    return CallState(
        made.key,
        made.began,
        made.answered,
        made.ended,
        made.account,
        made.caller,
        made.source,
        made.origin,
        made.trunk,
        made.called.dialled,
        made.called.e164,
        made.called.kind,
        made.called.country,
        made.rate,
    )
