"""Nouns as plain JSON values, in two forms, and nothing else: no I/O, no time of its own.

`line` is for people and programs that read results: one flat object, times in seconds from a base. `pack` and `unpack`
are exact (integer nanoseconds, nothing rounded) and are used between our own processes and in the database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from sipguard.address import Network, parse_address, parse_network, show
from sipguard.call import CallLegs, CallOrigin, CallState, LimitReset, NumberClass, Rate, money
from sipguard.model import (
    SECOND,
    Account,
    Action,
    Alert,
    Decision,
    DecisionVerdict,
    Delta,
    Finding,
    HangUp,
    Held,
    Hold,
    Instant,
    Lesson,
    Names,
    Offence,
    Order,
    OrderVerb,
    Pair,
    Record,
    Release,
    Role,
    SetName,
    Subject,
    Trust,
)

Json: TypeAlias = dict[str, Any]
Packable: TypeAlias = Delta | Held | Order | Names

_HELD_AS = {SetName.BLOCKED: "block", SetName.THROTTLED: "throttle"}
"""The sets whose elements are news. That a phone is trusted, or a network allowed, is not: it would drown the rest."""


HOLDING = {DecisionVerdict.BLOCK: SetName.BLOCKED, DecisionVerdict.THROTTLE: SetName.THROTTLED}
"""The sets that decisions on networks are held in."""


def seconds(at: Instant, base: Instant) -> float:
    """Give the time from `base` in seconds, to the microsecond."""
    return round((at - base) / SECOND, 6)


def subject_text(subject: Subject) -> str:
    """Write who is meant: `203.0.113.9`, `2001:db8::/64` or `1001@example.com`."""
    return str(subject)


def line(action: Action, base: Instant) -> Json | None:
    """Give the JSON line of an action; None for what is not reported (verdicts, trust, what only the store wants)."""
    make = _LINES.get(type(action))
    return None if make is None else make(action, base)


def _record_line(record: Record, base: Instant) -> Json | None:
    what = record.what
    if isinstance(what, CallState):
        return _call_line(what, record.at, base)
    if isinstance(what, LimitReset):
        return {"at": seconds(what.at, base), "kind": "reset", "scope": what.scope, "subject": what.subject}
    if isinstance(what, Finding):
        return {
            "at": seconds(what.at, base),
            "detector": what.detector,
            "evidence": dict(what.evidence),
            "identifier": what.identifier,
            "kind": "finding",
            "proven": what.proven,
            "severity": what.severity,
            "subject": subject_text(what.subject),
        }
    if isinstance(what, Decision):
        found: Json = {
            "at": seconds(what.at, base),
            "because": list(what.because),
            "kind": "decision",
            "rule": what.rule,
            "subject": subject_text(what.subject),
            "verdict": str(what.verdict),
        }
        if what.until:
            found["until"] = seconds(what.until, base)
        if what.reason:
            found["reason"] = what.reason
        if what.offence:
            found["offence"] = what.offence
        return found
    return None


def _call_line(call: CallState, at: Instant, base: Instant) -> Json:
    """Tell of a call's beginning, answer or end: which of them is the latest."""
    found: Json = {
        "at": seconds(at, base),
        "call": "ended" if call.ended else "answered" if call.answered else "begun",
        "class": str(call.kind),
        "country": call.country,
        "id": call.key,
        "kind": "call",
        "number": call.e164 or call.dialled,
        "origin": str(call.origin),
        "subject": str(call.account) if call.account is not None else call.caller,
        "trunk": call.trunk,
    }
    if call.source is not None:
        found["source"] = show(call.source)
    if call.answered and call.ended:
        found["seconds"] = seconds(call.ended, call.answered)
        if call.rate is not None:
            found["cost"] = money(call.cost)
    return found


def _hold_line(action: Hold, base: Instant) -> Json | None:
    if action.held.set not in _HELD_AS:
        return None
    found: Json = {
        "action": _HELD_AS[action.held.set],
        "at": seconds(action.at, base),
        "because": list(action.because),
        "kind": "action",
        "subject": str(action.held.network),
    }
    if action.held.until:
        found["until"] = seconds(action.held.until, base)
    return found


def _release_line(action: Release, base: Instant) -> Json | None:
    if action.held.set not in _HELD_AS:
        return None
    return {
        "action": "un" + _HELD_AS[action.held.set],
        "at": seconds(action.at, base),
        "because": list(action.because),
        "kind": "action",
        "subject": str(action.held.network),
    }


def _alert_line(action: Alert, base: Instant) -> Json:
    return {
        "action": "alert",
        "alert": action.kind,
        "at": seconds(action.at, base),
        "kind": "action",
        "subject": action.subject,
        "text": action.text,
    }


def _hang_up_line(action: HangUp, base: Instant) -> Json | None:
    if not action.text:
        return None  # said before
    return {
        "action": "hang-up",
        "at": seconds(action.at, base),
        "kind": "action",
        "subject": action.call,
        "text": action.text,
        "way": "managed" if action.managed else "messages",
    }


_LINES: Mapping[type, Callable[[Any, Instant], Json | None]] = {
    Record: _record_line,
    Hold: _hold_line,
    Release: _release_line,
    Alert: _alert_line,
    HangUp: _hang_up_line,
}


# --- Exact forms ------------------------------------------------------------------------------------------------------


def _pack_subject(subject: Subject) -> str | list[str]:
    if isinstance(subject, Network):
        return str(subject)
    if isinstance(subject, Pair):
        return [subject.account.username, subject.account.realm, str(subject.network)]
    return [subject.username, subject.realm]


def _unpack_subject(value: Any) -> Subject:
    if isinstance(value, str):
        return parse_network(value)
    account = Account(str(value[0]), str(value[1]))
    return Pair(parse_network(value[2]), account) if len(value) > 2 else account


def _pack_decision(noun: Decision) -> Json:
    return {
        "at": noun.at,
        "verdict": str(noun.verdict),
        "subject": _pack_subject(noun.subject),
        "until": noun.until,
        "because": list(noun.because),
        "rule": noun.rule,
        "reason": noun.reason,
        "offence": noun.offence,
    }


def _unpack_decision(value: Json) -> Decision:
    return Decision(
        at=int(value["at"]),
        verdict=DecisionVerdict(value["verdict"]),
        subject=_unpack_subject(value["subject"]),
        until=int(value["until"]),
        because=tuple(map(str, value["because"])),
        rule=str(value["rule"]),
        reason=str(value["reason"]),
        offence=int(value["offence"]),
    )


def _pack_trust(noun: Trust) -> Json:
    more = {"shown": noun.shown, "contact": noun.contact}
    return {"network": str(noun.network), "account": list(noun.account), "until": noun.until, **more}


def _unpack_trust(value: Json) -> Trust:
    username, realm = value["account"]
    more = int(value.get("shown", 0)), str(value.get("contact", ""))
    return Trust(parse_network(value["network"]), Account(str(username), str(realm)), int(value["until"]), *more)


def _pack_order(noun: Order) -> Json:
    return {
        "verb": str(noun.verb),
        "account" if isinstance(noun.subject, str) else "network": str(noun.subject),
        "span": noun.span,
        "reason": noun.reason,
        "by": noun.by,
        "force": noun.force,
        "scope": noun.scope,
    }


def _unpack_order(value: Json) -> Order:
    return Order(
        OrderVerb(value["verb"]),
        str(value["account"]) if "account" in value else parse_network(value["network"]),
        int(value["span"]),
        str(value["reason"]),
        str(value["by"]),
        value.get("force") is True,
        str(value.get("scope", "")),
    )


def _pack_call(noun: CallState) -> Json:
    return {
        "key": noun.key,
        "began": noun.began,
        "answered": noun.answered,
        "ended": noun.ended,
        "account": None if noun.account is None else list(noun.account),
        "caller": noun.caller,
        "source": None if noun.source is None else show(noun.source),
        "origin": str(noun.origin),
        "trunk": noun.trunk,
        "dialled": noun.dialled,
        "e164": noun.e164,
        "class": str(noun.kind),
        "country": noun.country,
        "rate": None if noun.rate is None else list(noun.rate),
        "leg": noun.leg,
    }


def _unpack_rate(value: Sequence[Any]) -> Rate:
    rate = Rate(str(value[0]), str(value[1]), *map(int, value[2:6]))
    if min(rate.per_minute, rate.connect) < 0 or min(rate.first, rate.step) < 1:
        raise ValueError(f"{list(rate)} is no rate")
    return rate


def _unpack_call(value: Json) -> CallState:
    account, source, rate = value["account"], value["source"], value["rate"]
    return CallState(
        key=str(value["key"]),
        began=int(value["began"]),
        answered=int(value["answered"]),
        ended=int(value["ended"]),
        account=None if account is None else Account(str(account[0]), str(account[1])),
        caller=str(value["caller"]),
        source=None if source is None else parse_address(source),
        origin=CallOrigin(value["origin"]),
        trunk=str(value["trunk"]),
        dialled=str(value["dialled"]),
        e164=str(value["e164"]),
        kind=NumberClass(value["class"]),
        country=str(value["country"]),
        rate=None if rate is None else _unpack_rate(rate),
        leg=str(value["leg"]),
    )


def _pack_lesson(noun: Lesson) -> Json:
    account = list(noun.account)
    return {"at": noun.at, "detector": noun.detector, "account": account, "topic": noun.topic, "text": noun.text}


def _unpack_lesson(value: Json) -> Lesson:
    username, realm = value["account"]
    account = Account(str(username), str(realm))
    return Lesson(int(value["at"]), str(value["detector"]), account, str(value["topic"]), str(value["text"]))


_PACK: Mapping[type, tuple[str, Callable[[Any], Json]]] = {
    Decision: ("decision", _pack_decision),
    Offence: ("offence", lambda noun: {"network": str(noun.network), "count": noun.count, "until": noun.until}),
    Trust: ("trust", _pack_trust),
    Held: ("held", lambda noun: {"set": str(noun.set), "network": str(noun.network), "until": noun.until}),
    CallState: ("call", _pack_call),
    CallLegs: ("legs", lambda noun: {"at": noun.at, "key": noun.key, "text": noun.text}),
    LimitReset: ("reset", lambda noun: {"at": noun.at, "scope": noun.scope, "subject": noun.subject}),
    Lesson: ("lesson", _pack_lesson),
    Order: ("order", _pack_order),
    Names: (
        "names",
        lambda noun: {"role": str(noun.role), "name": noun.name, "networks": [str(net) for net in noun.networks]},
    ),
}

_UNPACK: Mapping[str, Callable[[Json], Any]] = {
    "decision": _unpack_decision,
    "offence": lambda value: Offence(parse_network(value["network"]), int(value["count"]), int(value["until"])),
    "trust": _unpack_trust,
    "held": lambda value: Held(SetName(value["set"]), parse_network(value["network"]), int(value["until"])),
    "call": _unpack_call,
    "legs": lambda value: CallLegs(int(value["at"]), str(value["key"]), str(value["text"])),
    "reset": lambda value: LimitReset(int(value["at"]), str(value["scope"]), str(value["subject"])),
    "lesson": _unpack_lesson,
    "order": _unpack_order,
    "names": lambda value: Names(
        Role(value["role"]), str(value["name"]), tuple(parse_network(net) for net in value["networks"])
    ),
}


def pack(noun: Packable) -> Json:
    """Give the exact JSON form of a noun; `unpack` gives the same noun back. Raises KeyError for any other type."""
    name, make = _PACK[type(noun)]
    return {"noun": name, **make(noun)}


def unpack(value: Json) -> Packable:
    """Give the noun of an exact form. Raises ValueError for anything that `pack` did not make."""
    try:
        noun: Packable = _UNPACK[value["noun"]](value)
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"not a packed noun: {error!r}") from None
    return noun


def lean(noun: Packable) -> Packable:
    """Give what is needed of a noun after a restart: of a ban, of which there may be a million, what it holds.

    What the operator ordered is kept whole.
    """
    if type(noun) is not Decision or not isinstance(noun.subject, Network) or noun.rule.startswith("order"):
        return noun
    name = HOLDING.get(noun.verdict)
    return noun if name is None else Held(name, noun.subject, noun.until)
