"""The answer to `why` in sentences, and what would change it. Pure: values in, text out, nothing is read or written.

Promises: a sentence holds no control character, whatever an attacker called himself; what is advised is a command that
exists, or a key of the policy.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from sipguard.address import Network
from sipguard.control.lines import when
from sipguard.control.text import clean
from sipguard.model import EVERY_OTHER, Pair

Json: TypeAlias = Mapping[str, Any]
Place: TypeAlias = Callable[[str], str]
"""Says where a key of the policy stands: a file and a line, or that it has its default."""


class Change(NamedTuple):
    """What would change something: a command, or a key of the policy with its place, and what that does."""

    command: str
    key: str
    does: str


_SPARED = {
    "own": "an address of this host or of the PBX",
    "pbx": "the PBX's address",
    "allowed": "on the allowlist",
    "trunk": "a trunk's",
    "reserved": "no single sender's: loopback, link-local, multicast or unspecified",
}

_FOUND = {
    # what a detector saw, in terms of its evidence; any other finding is told as it stands
    "accounts": "{failures} passwords failed for it, from {sources} addresses, within {within_seconds} s",
    "canary": "it asked for {asked_for}, which nobody has",
    "credentials": "{failures} passwords failed within {within_seconds} s",
    "dialplan": "it tried {tried} prefixes of the number {number}",
    "enumeration": "it looked for accounts: {accounts} names within {within_seconds} s",
    "fingerprint": "it writes like {tool}",
    "flood": "it sent more {method} than {budget} within {within_seconds} s",
    "ghostcall": "it called extensions {attempts} times within {within_seconds} s without a password",
    "malformed": "its messages are wrong on purpose: {faults}",
    "networks": "{failures} passwords failed in {shared_by} within {within_seconds} s",
    "passwordfound": "a password was found by guessing, from {source}",
    "spam": "it sent {messages} messages to {recipients} users within {within_seconds} s",
    "sweep": "it asked in vain for {users} users at {places} places within {within_seconds} s",
}


def duration(seconds: float) -> str:
    """Write a length of time as people do, in its two largest units."""
    left = max(0, round(seconds))
    told: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if left >= size or (unit == "s" and not told):
            told.append(f"{left // size} {unit}")
            left %= size
    return " ".join(told[:2])


# --- Sentences --------------------------------------------------------------------------------------------------------


def paragraph(found: Json, place: Place) -> str:
    """Say first what matters: what is in force, why, until when, and by which line of the policy."""
    told = list(_account(found, place) if found["kind"] == "account" else _address(found, place))
    return " ".join(told)


def _address(found: Json, place: Place) -> Iterator[str]:
    subject = clean(found["subject"])
    if found["spared"]:
        yield f"{subject} is never banned: it is {_SPARED.get(found['spared'], clean(found['spared']))}{_lists(found)}."
    holds = list(found["in_force"])
    banned = any(hold["what"] == "block" for hold in holds)
    for hold in holds:
        if hold["what"] in _HOLDS and not (banned and hold["what"] == "watch"):
            yield _hold(found, hold, place)
    if not found["spared"] and not any(hold["what"] in ("block", "throttle") for hold in holds):
        yield f"{subject} is not banned.{_nearest(found)}"
    offences = found["ladder"]["offences"]
    if offences:
        span = duration(found["ladder"]["next_seconds"])
        yield f"It has been banned {offences} time{'s' if offences > 1 else ''}; the next ban would last {span}."
    if found["kind"] == "network" and found["past"].get("banned"):
        yield f"{found['past']['banned']} bans of it, or of addresses in it, are in force."


def _account(found: Json, place: Place) -> Iterator[str]:
    subject = clean(found["subject"])
    for hold in found["in_force"]:
        yield _hold(found, hold, place)
    if not found["in_force"]:
        yield f"Nothing is in force against {subject}.{_nearest(found)}"
    count = len(found["registrations"])
    yield f"It is registered from {count} network{'s' if count != 1 else ''}." if count else "It is not registered."


_HOLDS = {
    "block": "is banned",
    "throttle": "is slowed down",
    "watch": "is watched closely",
    "trust": "is trusted, as devices are registered from there,",
    "charge": "is where calls may cost money, so each is looked at,",
    "quarantine": "may not place calls",
    "shield": "may only be used from where it has been registered",
}


_WOULD = {
    "block": "would be banned",
    "throttle": "would be slowed down",
    "quarantine": "might not place calls",
    "shield": "might only be used from where it has been registered",
}


def _hold(found: Json, hold: Json, place: Place) -> str:
    doing = _HOLDS.get(hold["what"], clean(hold["what"]))
    if found.get("mode") == "observe":
        doing = _WOULD.get(hold["what"], doing)
    until = "for good" if not hold["until"] else f"until {when(hold['until'])}"
    left = f" ({duration(hold['until'] - found['at'])} more)" if hold["until"] else ""
    return f"{clean(hold['subject'])} {doing} {until}{left}{_because(found, hold, place)}."


def decision_on(found: Json, hold: Json) -> Json | None:
    """Give the decision that put something in force, as far as it is kept."""
    if hold["what"] not in ("block", "throttle", "quarantine", "shield"):
        return None
    made = (each for each in found["past"].get("decisions", ()) if each["subject"] == hold["subject"])
    return next((each for each in made if each["verdict"] == hold["what"]), None)


def _because(found: Json, hold: Json, place: Place) -> str:
    if hold["what"] == "watch":
        return ", since a password failed there"
    decision = decision_on(found, hold)
    if decision is None:
        lists = ", ".join(map(clean, found.get("feeds", ())))
        return f": it is on the list {lists}" if lists and hold["what"] == "block" else ""
    if decision["rule"] == "order":
        said = f": {clean(decision['reason'])}" if decision["reason"] else ""
        return f", as somebody ordered{said}"
    where = f"{clean(decision['rule'])}, {place(decision['rule']).strip('()')}"
    return f", because {_cause(found, decision)} (policy: {where})"


def _cause(found: Json, decision: Json) -> str:
    """Tell what was seen: by the finding that the decision is about, else by who saw it."""
    names = list(map(str, decision["because"]))
    about = (each for each in found["past"].get("findings", ()) if each.get("detector") in names)
    finding = next((each for each in about if _led(each, decision)), None)
    unproven = ", by somebody who has not shown that the address is his" if decision["reason"] == "unproven" else ""
    if finding is None:
        return f"of {clean(', '.join(names))}{unproven}"
    return f"{saw(finding)}{unproven}"


def _led(finding: Json, decision: Json) -> bool:
    return abs(finding.get("at", 0) - decision["at"]) < 1 and finding.get("subject") in (
        decision["subject"],
        str(decision["subject"]).rpartition(" from ")[2],
    )


def saw(finding: Json) -> str:
    """Write what a finding says."""
    evidence = finding.get("evidence")
    values = {str(key): clean(value, 120) for key, value in evidence.items()} if isinstance(evidence, dict) else {}
    name = str(finding.get("detector"))
    try:
        return _FOUND[name].format_map(values)
    except (KeyError, IndexError, ValueError):
        details = ", ".join(f"{clean(key)} {value}" for key, value in values.items())
        return f"{clean(name)} found {details or 'it'}"


def _nearest(found: Json) -> str:
    if not found["counters"]:
        return ""
    nearest = max(found["counters"], key=lambda each: each["now"] / max(1, each["limit"]))
    what = f"detect.{clean(nearest['detector'])}.{clean(nearest['option'])}"
    return f" The nearest limit: {nearest['now']} of {nearest['limit']} ({what})."


def _lists(found: Json) -> str:
    lists = ", ".join(clean(each["name"]) for each in found["lists"] if each["name"] not in ("policy", "host"))
    return f" ({lists})" if lists else ""


# --- What would change it ---------------------------------------------------------------------------------------------


def changes(found: Json) -> list[Change]:
    """List what would change what is in force, the commands first; and what would keep it from coming back."""
    told = list(_of_holds(found))
    if found["kind"] != "account":
        subject = clean(found["subject"])
        if found["spared"] in ("allowed", "trunk"):
            told += [Change("", _list_key(each), "take it off, and it can be banned") for each in found["lists"]]
        elif not found["spared"]:
            if not any(hold["what"] == "block" for hold in found["in_force"]):
                told.append(Change(f"sipguard ban {subject}", "", "bans it now"))
            told.append(Change("", "allowed", f'with "{subject}" on it nothing from there is ever banned'))
    for each in () if any(hold["what"] in _WOULD for hold in found["in_force"]) else found["counters"][:5]:
        key = f"detect.{clean(each['detector'])}.{clean(each['option'])}"
        told.append(Change("", key, f"the limit that {each['now']} has been counted against"))
    unique = dict.fromkeys(told)
    return sorted(unique, key=lambda each: not each.command)


def _list_key(each: Json) -> str:
    name = str(each["name"])
    kind, _, label = name.partition(" ")
    if kind in ("site", "trunk") and label:
        return f"{kind} {clean(label)}"
    return "trunk" if each["role"] == "trunk" else "allowed"


def _of_holds(found: Json) -> Iterator[Change]:
    for hold in found["in_force"]:
        subject, what = clean(hold["subject"]), hold["what"]
        if what in ("block", "throttle"):
            yield Change(f"sipguard unban {subject}", "", "ends it now, and forgets the earlier bans")
        decision = decision_on(found, hold)
        if decision is not None and decision["rule"] != "order":
            yield from _of_rule(found, decision)
        elif decision is None and what == "block":
            for name in found.get("feeds", ()):
                yield Change("", "feed", f"the list {clean(name)}: only watched, or taken out")
        if what in ("quarantine", "shield"):
            yield Change(f"sipguard release {_released(str(hold['subject']))}", "", "ends it now")
            yield Change("", f"ward.{what}", "how long such a thing lasts")
        elif what == "throttle":
            yield Change("", "ban.throttle", "how long slowing down lasts")


_OTHERS = str(Pair(Network(bytes(4), 0), EVERY_OTHER)).rpartition(" from ")[0]


def _released(subject: str) -> str:
    """Say what to release, safe to paste into a shell: the account, or the place where it is all but the healthy."""
    who, _, place = subject.rpartition(" from ")
    name = clean(place if who == _OTHERS else who or subject)
    return ("-- " if name.startswith("-") else "") + shlex.quote(name)


def _of_rule(found: Json, decision: Json) -> Iterator[Change]:
    rule = str(decision["rule"])
    detector = rule.removeprefix("detect.").removesuffix(".then")
    if rule != f"detect.{detector}.then":
        yield Change("", clean(rule), "the rule by which it was decided")
        return
    yield Change("", clean(rule), '"report" instead, and it is only told of')
    about = (each for each in found["past"].get("findings", ()) if each.get("detector") == detector)
    finding = next((each for each in about if _led(each, decision)), None)
    evidence = finding.get("evidence") if finding is not None else None
    options = list(evidence) if isinstance(evidence, dict) else []
    slow = [f"slow_{option}" for option in options if finding is not None and finding.get("identifier") == "slow"]
    for option in _LIMITS.get(detector, slow or options):
        yield Change("", f"detect.{clean(detector)}.{clean(option)}", "the limit that was reached")


_LIMITS = {"dialplan": ["heads"], "flood": ["base"], "tlsprobe": ["handshakes", "churn"]}
"""What is counted by another name than it has in the evidence."""
