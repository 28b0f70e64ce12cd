"""Hangs up running calls: what is tried, in which order, how long it is waited for, and what came of it. Pure.

First the PBX is told as from whoever called through it, for then it closes the leg to the carrier itself, with its own
route and credentials; and that caller is told as from the PBX. Where that cannot be, or nothing comes of it within two
seconds, the PBX is asked by its manager interface or event socket; then the carrier is told as from the PBX, and the
PBX as from the carrier. Over TCP the manager comes first: what is put into a connection makes it useless to both its
ends, so it is reset afterwards, and never used for this while another dialog goes over it.

Promises: a call for help is never hung up; no call is hung up twice at once; everything ends, at the latest
after `LONGEST`; and what cannot be done is told. The engine calls `begin`, `heard` for every `CallEnded`, and `advance`
by `next_deadline`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import TypeAlias

from sipguard.call import Call, NumberClass
from sipguard.event import CallEnded
from sipguard.model import MILLISECOND, SECOND, Action, Alert, HangUp, Injection, Instant, Span
from sipguard.sip.hangup import COOKIE
from sipguard.track.leg import Leg, LegState
from sipguard.track.parting import Words, can, resets, sent, words

WAIT: Span = 2 * SECOND
"""For so long the PBX's own BYE is waited for, or the carrier's answer to ours."""
REPEATS: tuple[Span, ...] = (0, 500 * MILLISECOND, 1500 * MILLISECOND)
"""When it is said again: T1, and twice as much after it (RFC 3261 section 17.1.2.2)."""
LONGEST: Span = 34 * SECOND
"""64 times T1, for which the PBX repeats a BYE of its own, and what came before it."""
MOST = 1_000

Legs: TypeAlias = tuple[Leg | None, Leg | None]
"""A call's leg to the carrier, and the one that it came from."""

_EMERGENCY = NumberClass.EMERGENCY
_FAILED = LegState.FAILED
_NOTHING: tuple[Action, ...] = ()


class _Way(IntEnum):
    CALLER = 0  # the PBX as from the caller's side, and the caller's side as from the PBX
    MANAGED = 1
    CARRIER = 2  # the carrier as from the PBX, and the PBX as from the carrier
    PARTING = 3  # the PBX as from the carrier, while there is time to hear that it knows of no such call


_CALLER, _MANAGED, _CARRIER, _PARTING = _Way
_WORDS = {
    _CALLER: "as from the caller",
    _MANAGED: "by the PBX's own management",
    _CARRIER: "as from the PBX to the carrier",
    _PARTING: "as from the carrier",
}


class _Ending:
    """One call on its way out. `since`: when `ways[0]` was begun; `turn`: which of `REPEATS` comes next."""

    __slots__ = (
        "began",
        "call",
        "due",
        "injected",
        "inside",
        "last_words",
        "outside",
        "over",
        "said_bye",
        "since",
        "to_caller",
        "tried",
        "turn",
        "ways",
        "why",
    )

    def __init__(self, at: Instant, call: Call, outside: Leg, inside: Leg | None, why: str) -> None:
        self.call = call
        self.outside = outside
        self.inside = inside
        self.why = why
        self.began = self.since = self.due = at
        self.ways: list[_Way] = []
        self.tried: list[_Way] = []
        self.turn = 0
        self.over: Instant = 0
        self.to_caller: Words | None = None  # as from the PBX, the same each time
        self.last_words: Words | None = None  # to the PBX as from the carrier, when nothing else is left to be done
        self.injected: dict[Leg, list[Injection]] = {}  # into which connections something was put
        self.said_bye = outside.byes


class Endings:
    """The calls that are being hung up, at most `most`.

    `managed`: the PBX can be asked by a manager interface or event socket. `shares`: do other dialogs go over this
    leg's connection?
    """

    __slots__ = ("_counts", "_due", "_endings", "_managed", "_most", "_serial", "_shares")

    def __init__(self, shares: Callable[[Leg], bool], *, managed: bool = False, most: int = MOST) -> None:
        self._shares = shares
        self._managed = managed
        self._most = most
        self._endings: dict[str, _Ending] = {}
        self._due: list[tuple[Instant, int, str]] = []
        self._serial = 0
        self._counts = dict.fromkeys(("begun", "done", "failed", "refused", "emergency"), 0)

    def __len__(self) -> int:
        return len(self._endings)

    def __contains__(self, key: str) -> bool:
        return key in self._endings

    def adopt(self, *, managed: bool, acting: bool = True) -> None:
        """Ask the PBX itself from now on, or no longer; what was begun goes on as it was, unless nothing may be done.

        Then nobody is told to end anything any more; connections into which something was put are reset all the same.
        """
        self._managed = managed
        for ending in self._endings.values() if not acting else ():
            ending.ways.clear()
            ending.to_caller = ending.last_words = None
            ending.why += "; the guard has been told to observe"

    def counters(self) -> dict[str, int]:
        """Give how many are on their way, and how it went with the others."""
        return {"hangups": len(self._endings), **{f"hangups_{name}": count for name, count in self._counts.items()}}

    # --- The three calls of the engine --------------------------------------------------------------------------------

    def begin(self, at: Instant, call: Call, legs: Legs, why: str) -> Sequence[Action]:
        """Hang up a call, for a reason in one line. It is never one for help; such a one is told, and goes on."""
        outside, inside = legs
        if _calls_for_help(call, legs):
            self._counts["emergency"] += 1
            text = f"{_name(call)} is a call for help: not hung up, whatever the reason ({why})"
            return (Alert(at, "emergency-not-hung-up", _subject(call), text),)
        if call.key in self._endings or call.ended:
            return _NOTHING
        if outside is None or outside.state >= _FAILED:
            self._counts["failed"] += 1
            return (_failed(at, call, why, "none of its legs has been heard of since the guard began"),)
        if len(self._endings) >= self._most:
            self._counts["refused"] += 1
            return (_failed(at, call, why, f"{self._most} other calls are being hung up"),)
        self._counts["begun"] += 1
        ending = _Ending(at, call, outside, inside, why)
        ending.ways = [*self._ways(inside), *((_PARTING,) if outside.kept else ())]
        self._endings[call.key] = ending
        return self._go_on(at, ending)

    def heard(self, event: CallEnded) -> Sequence[Action]:
        """Learn that a call is over."""
        ending = self._endings.get(event.call.key)
        return _NOTHING if ending is None else self._go_on(event.at, ending)

    def advance(self, now: Instant) -> Sequence[Action]:
        """Do what is due up to `now`."""
        actions: list[Action] = []
        while self._due and self._due[0][0] <= now:
            due, _, key = heapq.heappop(self._due)
            ending = self._endings.get(key)
            if ending is not None and ending.due == due:
                actions += self._go_on(due, ending)
        return actions

    def next_deadline(self) -> Instant | None:
        """Give the next instant at which something is due; None when no call is being hung up."""
        return self._due[0][0] if self._due else None

    # ------------------------------------------------------------------------------------------------------------------

    def _ways(self, inside: Leg | None) -> list[_Way]:
        managed = [_MANAGED] if self._managed else []
        if inside is None or not can(inside, by_pbx=False):
            return [*managed, _CARRIER]
        return [_CALLER, *managed, _CARRIER] if inside.flow is None else [*managed, _CALLER, _CARRIER]

    def _go_on(self, at: Instant, ending: _Ending) -> Sequence[Action]:
        actions: list[Action] = []
        if not ending.over and ending.call.ended:
            self._counts["done"] += 1
            ending.over, ending.since, ending.turn = at, at, 0
            actions.append(_done(at, ending))
        if ending.over:
            due = self._farewell(at, ending, actions)
        elif at - ending.began >= LONGEST:
            due = self._give_up(at, ending, actions, "the carrier has not agreed, or it left by another way")
        elif _closes(ending):
            due = min(at + REPEATS[1], ending.began + LONGEST)  # the PBX repeats its own BYE itself
        else:
            due = self._say(at, ending, actions)
        if due is None:
            del self._endings[ending.call.key]
            return actions
        ending.due = due
        self._serial += 1
        heapq.heappush(self._due, (due, self._serial, ending.call.key))
        return actions

    def _say(self, at: Instant, ending: _Ending, actions: list[Action]) -> Instant | None:
        """Say what is due of the first way, or go over to the next one."""
        while ending.ways:
            way = ending.ways[0]
            passed = at - ending.since
            if passed >= WAIT:
                ending.ways.pop(0)
                ending.since, ending.turn = at, 0
                continue
            if ending.turn < len(REPEATS) and passed >= REPEATS[ending.turn]:
                turn, ending.turn = ending.turn, ending.turn + 1
                if not self._try(at, ending, way, turn, actions) and not turn:
                    ending.ways.pop(0)  # it cannot even be begun
                    ending.turn = 0
                    continue
            return ending.since + (REPEATS[ending.turn] if ending.turn < len(REPEATS) else WAIT)
        why = "what was sent changed nothing" if ending.tried else "nothing could be sent that would"
        return self._give_up(at, ending, actions, why)

    def _try(self, at: Instant, ending: _Ending, way: _Way, turn: int, actions: list[Action]) -> bool:
        """Send what a way sends at a turn; False when there is nothing to send."""
        if way is _MANAGED:
            asked = _managed(ending) if not turn else ()
            if asked:
                self._order(at, ending, way, actions, (), asked)
            return bool(asked)
        said: tuple[Injection, ...] = () if way is not _PARTING or turn else _last_words(ending)
        leg = ending.inside if way is _CALLER else ending.outside
        if leg is not None and way is not _PARTING:
            said = self._tell(ending, leg, turn, by_pbx=way is _CARRIER)
        if said and not turn:
            self._prepare(ending, way)
        if said and ending.inside is not None and ending.inside.flow is None:
            said += _to_caller(ending)
        if said:
            self._order(at, ending, way, actions, said)
        return bool(said)

    def _tell(self, ending: _Ending, leg: Leg, turn: int, *, by_pbx: bool) -> tuple[Injection, ...]:
        """Say it by a datagram; from the second time on in the leg's connection, where it has one."""
        datagram = () if turn and leg.flow is not None else _now(words(leg, by_pbx=by_pbx, stream=False))
        return datagram or self._in_stream(ending, leg, words(leg, by_pbx=by_pbx, stream=True))

    def _prepare(self, ending: _Ending, way: _Way) -> None:
        """Write what is said later, while the legs can still be asked how."""
        inside = ending.inside
        if way is _CARRIER:
            ending.last_words = words(ending.outside, by_pbx=False, stream=False)
        elif inside is not None and ending.to_caller is None:
            ending.to_caller = words(inside, by_pbx=True, stream=inside.flow is not None)

    def _order(
        self,
        at: Instant,
        ending: _Ending,
        way: _Way,
        actions: list[Action],
        said: tuple[Injection, ...],
        managed: tuple[str, ...] = (),
    ) -> None:
        first = way not in ending.tried
        if first:
            ending.tried.append(way)
        text = f"{_name(ending.call)} is hung up {_WORDS[way]} ({ending.why})" if first else ""
        actions.append(HangUp(at, ending.call.key, text, said, managed))

    def _in_stream(self, ending: _Ending, leg: Leg, said: Words | None) -> tuple[Injection, ...]:
        """Say something in a leg's connection: in each direction once, and never in one that others use."""
        before = ending.injected.get(leg, [])
        if said is None or any(each.target == said.target[0] for each in before) or self._shares(leg):
            return ()
        now = sent(said, before[-1] if before else None)
        if now:
            ending.injected.setdefault(leg, []).extend(now)
        return now

    # --- It is over ---------------------------------------------------------------------------------------------------

    def _farewell(self, at: Instant, ending: _Ending, actions: list[Action]) -> Instant | None:
        """Tell whoever has not been told yet; gives when to go on, None when there is nothing left to do."""
        turn, ending.turn = ending.turn, ending.turn + 1
        inside = ending.inside
        said: tuple[Injection, ...] = ()
        if not turn:
            said = _last_words(ending)
            if inside is not None and inside.flow is not None and not inside.parted:
                said += self._in_stream(ending, inside, ending.to_caller)
        else:
            said = _resets(ending) + _to_caller(ending)
        if said:
            actions.append(HangUp(at, ending.call.key, "", said))
        waits = ending.injected or _waits_for_caller(ending)
        return ending.over + REPEATS[ending.turn] if waits and ending.turn < len(REPEATS) else None

    def _give_up(self, at: Instant, ending: _Ending, actions: list[Action], why: str) -> Instant | None:
        """Tell that a call goes on; the PBX at least is told to send nothing more of it."""
        self._counts["failed"] += 1
        said = _last_words(ending) + _resets(ending)
        if said:
            actions.append(HangUp(at, ending.call.key, "", said))
        actions.append(_failed(at, ending.call, ending.why, why))
        return None


def _now(said: Words | None) -> tuple[Injection, ...]:
    return () if said is None else sent(said)


def _waits_for_caller(ending: _Ending) -> bool:
    """Tell whether a caller who is told by datagrams has not agreed yet."""
    inside = ending.inside
    return ending.to_caller is not None and inside is not None and inside.flow is None and not inside.parted


def _to_caller(ending: _Ending) -> tuple[Injection, ...]:
    """Say BYE to the caller's side as from the PBX, each time the same, until it agrees."""
    return _now(ending.to_caller) if _waits_for_caller(ending) else ()


def _last_words(ending: _Ending) -> tuple[Injection, ...]:
    """Tell the PBX as from the carrier: it then ends what else belongs to the call, by itself. Once."""
    said, ending.last_words = ending.last_words, None
    return _now(said)


def _resets(ending: _Ending) -> tuple[Injection, ...]:
    """Reset the connections into which something was put. Once."""
    injected, ending.injected = ending.injected, {}
    return tuple(each for leg, said in injected.items() for each in resets(leg, said))


def _closes(ending: _Ending) -> bool:
    """Tell whether the PBX itself has said BYE to the carrier since, or no leg stands that it could say it on."""
    leg = ending.outside
    if leg.state >= _FAILED:
        return True
    new = [each for each in leg.byes if each not in ending.said_bye]
    return leg.ending and any(by_pbx and not branch.startswith(COOKIE) for by_pbx, branch, _ in new)


def _managed(ending: _Ending) -> tuple[str, ...]:
    """Give the Call-IDs of the legs that stand, the caller's first."""
    legs = (ending.inside, ending.outside)
    return tuple(
        dict.fromkeys(leg.call_id.decode() for leg in legs if leg is not None and leg.state < _FAILED and _plain(leg))
    )


def _plain(leg: Leg) -> bool:
    return leg.call_id.isascii() and leg.call_id.decode().isprintable() and leg.call_id != b""


def _calls_for_help(call: Call, legs: Legs) -> bool:
    """Tell whether any part of a call is one for help: the number that leaves may be another than was dialled."""
    return call.called.kind is _EMERGENCY or any(leg is not None and leg.called.kind is _EMERGENCY for leg in legs)


def _subject(call: Call) -> str:
    return str(call.account) if call.account is not None else call.caller or call.key


def _name(call: Call) -> str:
    return f"the call {call.key} to {call.called.e164 or call.called.dialled or 'nobody'}"


def _done(at: Instant, ending: _Ending) -> Alert:
    call = ending.call
    if call.ended < ending.began:
        text = f"{_name(call)} was over already, at the latest after {call.lasted(at) // SECOND} s ({ending.why})"
        return Alert(at, "call-was-over", _subject(call), text)
    how = " and ".join(_WORDS[way] for way in ending.tried) or "by somebody else"
    lasted = call.lasted(at) // SECOND
    text = f"{_name(call)} was hung up {how}, after {lasted} s: {ending.why}"
    return Alert(at, "call-hung-up", _subject(call), text)


def _failed(at: Instant, call: Call, why: str, what: str) -> Alert:
    text = f"{_name(call)} could not be hung up ({why}): {what}"
    return Alert(at, "call-not-hung-up", _subject(call), text)
