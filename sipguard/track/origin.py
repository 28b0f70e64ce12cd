"""Where a leg that leaves for the telephone network comes from. A question without effect: `resolve` changes nothing.

In this order, the surest first: the PBX sent on the very call (Call-ID); somebody had it transferred or sent elsewhere
(REFER, 3xx) to this number; a leg that the PBX had just taken up asks for this number; the PBX says by a header that it
was sent on or transferred, or whose call it is. What several could have begun, and no header tells apart, is nobody's:
rather an orphan than an innocent blamed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from enum import IntEnum

from sipguard.address import Address
from sipguard.call import Called, CallOrigin
from sipguard.model import MINUTE, SECOND, Account, Instant, Span
from sipguard.sip.message import SipRequest
from sipguard.table import Table
from sipguard.track.hints import Hints, differ, digits_of, printable, read_hints, same_number
from sipguard.track.leg import Leg, LegState, Running, short
from sipguard.track.legs import Legs

MOMENT: Span = 8 * SECOND
"""How long after it was asked a PBX may take to dial: look-ups of the number, of the carrier, an announcement."""
INSTANT: Span = SECOND
"""Within this, several ways out are tried at once."""
RINGING: Span = 2 * MINUTE
"""How long an extension may ring before its calls are sent on."""
SETTLE: Span = 4 * SECOND
"""How long after a way out failed the PBX may try another."""
_EXPECTED = 30 * SECOND
_MOST_EXPECTED = 1_000
_MOST_FAILING = 256
_MOST_FORWARDS = 4_096
_BEGUN, _TRIED, _EARLY, _ANSWERED, _FAILED, _OVER = LegState
_EXTENSION, _FORWARDED = CallOrigin.EXTENSION, CallOrigin.FORWARDED


class Kind(IntEnum):
    """Who asked for a leg."""

    DEVICE = 0  # one of ours: registered, or its credential was accepted
    TRUNK = 1
    UNKNOWN = 2  # somebody else whom the PBX let in: a carrier that is not listed, or a hole


class Expected:
    """Somebody had a call sent to `called`: a leg to it is his doing."""

    __slots__ = ("account", "at", "caller", "digits", "inside", "origin", "source")

    def __init__(self, at: Instant, called: Called, origin: CallOrigin, source: Address, caller: str) -> None:
        self.at = at
        self.digits = digits_of(called)
        self.origin = origin
        self.source = source
        self.caller = caller
        self.account: Account | None = None
        self.inside: Leg | None = None


class Match:
    """What was found: the call that a leg is part of (`running`), or what a new one is to say of itself."""

    __slots__ = ("account", "ambiguous", "by_call_id", "caller", "expected", "inside", "origin", "running", "source")

    def __init__(self, origin: CallOrigin, inside: Leg | None = None, running: Running | None = None) -> None:
        self.origin = origin
        self.inside = inside
        self.running = running
        self.account: Account | None = None
        self.source: Address | None = None
        self.caller = ""
        self.ambiguous = False
        self.by_call_id = False
        self.expected: Expected | None = None


class Origins:
    """Finds origins among the legs; remembers who sent calls where, and which calls look for another way out."""

    __slots__ = ("_failing", "_forwards", "_legs", "_named", "expected")

    def __init__(self, legs: Legs, named: Callable[[str], Account | None]) -> None:
        self._legs = legs
        self._named = named
        self.expected: deque[Expected] = deque(maxlen=_MOST_EXPECTED)
        self._failing: deque[Running] = deque(maxlen=_MOST_FAILING)
        self._forwards: Table[tuple[str, str], None] = Table(_MOST_FORWARDS)

    def failing(self, running: Running) -> None:
        """Let another way out of a call be recognised for a while."""
        self._failing.append(running)

    def forwarded(self, inside: Leg, called: Called) -> None:
        """Remember that calls to one number are sent on to another."""
        self._forwards.renew((inside.digits, digits_of(called)), None, inside.far)

    def resolve(self, at: Instant, request: SipRequest, called: Called) -> Match:
        """Find the origin of a leg that leaves with this INVITE, which belongs to no leg known."""
        hints = read_hints(request)
        found = self._found(at, request, called, hints)
        if found.running is not None and differ(called, found.running.call.called):
            found.running = None  # another call from there
        if not found.caller:
            named = hints.referred or hints.diverting
            found.caller = printable(named if named and named != b"?" else next(iter(hints.identities), b""))
        return found

    def _found(self, at: Instant, request: SipRequest, called: Called, hints: Hints) -> Match:
        digits = digits_of(called)
        same = self._of_one_call_id(request)
        if same is not None:
            hinted = bool(hints.diverting) and not same.hinted and not same_number(same.digits, digits)
            match = _from_leg(same, forwarded=hinted)
            match.by_call_id = True
            if same.led is not None and _open(at, same.led, digits, parallel=True):
                match.running = same.led
            return match
        expected = self._told_before(at, digits)
        if expected is not None:
            return _as_expected(expected)
        dialled = self._dialled(at, digits)
        if dialled and (not hints.diverting or any(leg.hinted for leg in dialled)):
            return _one_of(dialled, hints)
        again = self._another_way(at, digits)
        if again is not None:
            match = Match(again.call.origin, again.inside, again)
            match.account, match.source = again.call.account, again.call.source
            return match
        return self._by_hints(at, hints, digits, dialled)

    def _of_one_call_id(self, request: SipRequest) -> Leg | None:
        """Find the leg that a proxy sends on: it goes by the same Call-ID and tag, and stands below in Via."""
        tag = short(request.from_tag)
        found = [leg for leg in self._legs.of(request.call_id) if not leg.outgoing and leg.tag == tag]
        if len(found) > 1:
            below = {short(via.branch) for via in request.vias[1:3] if via is not None}
            found = [leg for leg in found if any(branch in below for branch, _ in leg.seen)]
        live = [leg for leg in found if leg.state < _FAILED or (leg.led is not None and leg.led.failed)]
        return live[0] if len(live) == 1 else None

    def _told_before(self, at: Instant, digits: str) -> Expected | None:
        for each in reversed(self.expected):
            if at - each.at > _EXPECTED:
                return None
            if same_number(each.digits, digits):
                return each
        return None

    def _dialled(self, at: Instant, digits: str) -> list[Leg]:
        """List the legs that the PBX has taken up lately, that ask for this number, and that have no call of it yet."""
        found = []
        for leg in self._legs.for_number(digits):
            if leg.state >= _FAILED or leg.state is _BEGUN:
                continue
            if leg.led is None:
                if at - leg.began <= MOMENT:
                    found.append(leg)
            elif _open(at, leg.led, digits, parallel=False):
                found.append(leg)
        return found

    def _another_way(self, at: Instant, digits: str) -> Running | None:
        while self._failing and at - self._failing[0].failed > SETTLE:
            self._failing.popleft()
        found = [
            each
            for each in self._failing
            if each.failed and each.inside is None and not each.call.ended and same_number(each.digits, digits)
        ]
        return found[0] if found else None

    # --- What headers say ---------------------------------------------------------------------------------------------

    def _by_hints(self, at: Instant, hints: Hints, digits: str, dialled: Sequence[Leg]) -> Match:
        waiting = [leg for leg in self._legs.recent if _waits(at, leg)]
        if hints.diverting:
            parent = _diverted(waiting, hints)
            if parent is not None or not dialled:
                match = Match(_FORWARDED, parent)
                match.source = None if parent is None else parent.far
                match.caller = printable(hints.diverting) if hints.diverting != b"?" else ""
                if parent is not None and not any(leg.hinted for leg in waiting):  # else a caller may have written it
                    match.account = self._named(match.caller)
                return match
            return _one_of(dialled, hints)
        if hints.referred:
            return Match(CallOrigin.TRANSFERRED)
        outside = [leg for leg in waiting if kind_of(leg) is not Kind.DEVICE]
        known = [leg for leg in outside if any(_is_called(leg.from_user, who) for who in hints.identities)]
        if len(known) == 1:
            return _from_leg(known[0])
        lately = [leg for leg in waiting if at - leg.began <= MOMENT]
        if len(lately) == 1 and kind_of(lately[0]) is Kind.DEVICE and _is_his(lately[0], hints):
            return _from_leg(lately[0])  # a short cut, or a feature code: dialled was something else
        usual = [leg for leg in outside if (leg.digits, digits) in self._forwards]
        fresh = usual or [leg for leg in outside if at - leg.began <= MOMENT]
        if len(fresh) == 1 and (usual or len(lately) == 1):
            return _from_leg(fresh[0])
        match = Match(CallOrigin.ORPHAN)
        match.ambiguous = bool(fresh or known)
        return match


def kind_of(leg: Leg) -> Kind:
    """Say who asked for a leg."""
    if leg.account is not None:
        return Kind.DEVICE
    return Kind.DEVICE if leg.trunk is None else Kind.TRUNK if leg.trunk else Kind.UNKNOWN


def _open(at: Instant, running: Running, digits: str, *, parallel: bool) -> bool:
    """Tell whether a call may still leave by another way: none has got anywhere, or all are tried at once."""
    if running.call.ended or not same_number(running.digits, digits):
        return False
    if running.failed:
        return True
    if any(leg.state is _ANSWERED for leg in running.legs):
        return False
    return parallel or at - running.legs[-1].began <= INSTANT or all(leg.state <= _TRIED for leg in running.legs)


def _waits(at: Instant, leg: Leg) -> bool:
    """Tell whether a leg was taken up, waits for somebody, and has led to no call that left."""
    return not leg.outgoing and leg.led is None and _BEGUN < leg.state < _ANSWERED and at - leg.began <= RINGING


def _one_of(legs: Sequence[Leg], hints: Hints) -> Match:
    """Choose among legs that asked for the very number: a sure one, else the one that the PBX names."""
    strong = [leg for leg in legs if kind_of(leg) is not Kind.UNKNOWN] or legs
    fresh = [leg for leg in strong if leg.led is None or leg.led.failed] or strong
    if len(fresh) > 1:
        named = [leg for leg in fresh if _is_his(leg, hints)]
        fresh = named or fresh
    if len(fresh) == 1 or (fresh[0].account is not None and all(leg.account == fresh[0].account for leg in fresh)):
        chosen = fresh[0]
        match = _from_leg(chosen)
        match.running = chosen.led  # it is open to another way, or would not be among them
        return match
    match = Match(CallOrigin.ORPHAN)
    match.ambiguous = True
    return match


def _from_leg(leg: Leg, *, forwarded: bool = False) -> Match:
    kind = kind_of(leg)
    match = Match(_EXTENSION if kind is Kind.DEVICE and not forwarded else _FORWARDED, leg)
    match.source = leg.far
    match.account = None if forwarded else leg.account
    return match


def _as_expected(expected: Expected) -> Match:
    match = Match(expected.origin, expected.inside)
    match.account, match.source, match.caller = expected.account, expected.source, expected.caller
    match.expected = expected
    return match


def _diverted(waiting: Sequence[Leg], hints: Hints) -> Leg | None:
    """Find the call that was sent on: one to whoever sent it on, else one of the caller whom the PBX names."""
    named = printable(hints.diverting)
    to_him = [leg for leg in waiting if leg.called.dialled == named or same_number(leg.digits, named)]
    of_him = [leg for leg in waiting if any(_is_called(leg.from_user, who) for who in hints.identities)]
    for found in (to_him, of_him, [leg for leg in waiting if kind_of(leg) is not Kind.DEVICE]):
        if len(found) == 1:
            return found[0]
    return None


def _is_his(leg: Leg, hints: Hints) -> bool:
    """Tell whether the PBX names the account of a leg, or, where nobody authenticated, what it calls itself."""
    name = leg.from_user if leg.account is None else leg.account.username.encode()
    return any(_is_called(name, who) for who in hints.identities)


def _is_called(name: bytes, who: bytes) -> bool:
    if name == who:
        return bool(name)
    one, other = name.removeprefix(b"+"), who.removeprefix(b"+")
    return one.isdigit() and other.isdigit() and min(len(one), len(other)) >= 6 and one[-7:] == other[-7:]
