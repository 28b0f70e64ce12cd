"""An incident told in order, and what to change now. Pure: values in, text out, nothing is read or written.

Promises: a line holds no control character, whatever an attacker called himself or dialled; what is advised as a
command can be pasted into a shell.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from sipguard.address import parse_network
from sipguard.call import money
from sipguard.control.text import clean

Json: TypeAlias = Mapping[str, Any]

MOST = 20
"""Lines of a story: a screen has little more."""
_NAMED = 6
"""Countries or addresses that are named in a line."""


class Step(NamedTuple):
    """One line of a story; `at` in seconds since 1970."""

    at: float
    what: str
    told: str


def steps(found: Json) -> list[Step]:
    """Tell what was found, decided and called, in order; calls that nothing came between are one line."""
    past, bill = found.get("past", {}), found.get("bill", {})
    told = [Step(each["at"], "found", _finding(each)) for each in past.get("findings", ())]
    told += [Step(each["at"], "decided", _decision(each)) for each in past.get("decisions", ())]
    marks = sorted(each.at for each in told)
    groups: dict[int, list[Json]] = {}
    for call in sorted(bill.get("calls", ()), key=lambda each: each["began"]):
        groups.setdefault(sum(1 for mark in marks if mark <= call["began"]), []).append(call)
    told += [Step(group[0]["began"], "called", _calls(group)) for group in groups.values()]
    return sorted(told, key=lambda step: step.at)


def _finding(line: Json) -> str:
    evidence = line.get("evidence")
    said = ", ".join(f"{clean(key)} {clean(value, 60)}" for key, value in evidence.items()) if evidence else ""
    return f"{clean(line.get('detector', '-'))}: {clean(line.get('subject', '-'))}" + f" ({said})" * bool(said)


def _decision(line: Json) -> str:
    why = ", ".join(map(str, line.get("because", ())))
    reason = f": {line['reason']}" if line.get("reason") else ""
    return clean(f"{line['verdict']} {line['subject']}, by {why}{reason}", 300)


def _calls(calls: Sequence[Json]) -> str:
    where = _names(each["country"] or each["class"] for each in calls)
    sources = _names(each["source"] for each in calls if each["source"])
    answered = sum(1 for each in calls if each["answered"])
    minutes = sum(each["seconds"] for each in calls) // 60
    told = f"{len(calls)} calls ({answered} answered) to {where}; {minutes} min, {money(_cost(calls))}"
    return told + f"; from {sources}" * bool(sources)


def _cost(calls: Sequence[Json]) -> int:
    return sum(int(each["cost"]) for each in calls)


def _names(values: Any) -> str:
    """Name the most frequent, and how many more there are."""
    counts: dict[str, int] = {}
    for value in values:
        counts[str(value)] = counts.get(str(value), 0) + 1
    first = sorted(counts, key=lambda name: (-counts[name], name))
    more = len(first) - _NAMED
    return ", ".join(clean(name, 60) for name in first[:_NAMED]) + f" and {more} more" * (more > 0)


def summary(found: Json) -> str:
    """Say first what matters: what is going on now, what was spent, and what is done about it."""
    name, bill = clean(found["account"]), found.get("bill", {})
    told = []
    if found["running_total"]:
        spent = money(_cost(found["running"]))
        told.append(f"{name} has {found['running_total']} calls going on, {spent} so far.")
    if bill.get("total"):
        minutes = bill["seconds"] // 60
        more = "" if bill.get("whole", True) else "at least "
        told.append(f"It called {more}{bill['total']} times: {minutes} min, {money(bill['cost'])}.")
    states = [state for row in found["accounts"] for state in row["state"]]
    told += [f"It is under {clean(kind)}." for kind in dict.fromkeys(str(each["what"]) for each in states)]
    return " ".join(told) or f"Nothing is known of {name}."


def addresses(found: Json) -> list[str]:
    """List the addresses that the account is registered from, called from, or was blamed at."""
    rows = [each["network"] for row in found["accounts"] for each in row["registered"]]
    calls = [*found["running"], *found.get("bill", {}).get("calls", ())]
    blamed = [each["subject"].rpartition(" from ")[2] for each in found.get("past", {}).get("decisions", ())]
    places = [*rows, *(each["source"] for each in calls if each["source"]), *blamed]
    return list(dict.fromkeys(each for each in places if _is_place(each)))


def _is_place(text: str) -> bool:
    """Tell addresses from names of accounts, which anybody may choose."""
    try:
        parse_network(text)
    except ValueError:
        return False
    return True


def advice(found: Json) -> Iterator[str]:
    """Say what to change now, the most urgent first."""
    name = shlex.quote(clean(found["account"]))
    name = f"-- {name}" if name.startswith("-") else name
    calls = [*found["running"], *found.get("bill", {}).get("calls", ())]
    quarantined = any(state["what"] == "quarantine" for row in found["accounts"] for state in row["state"])
    if not quarantined:
        yield f"Stop its calls: sipguard quarantine {name}"
    for call in found["running"][:3]:
        yield f"Hang up the call to {clean(call['number'])}: sipguard hangup {clean(str(call['id']))[:8]}"
    yield "Credentials: a new, long password for the account, on the PBX and its phones; look how the old one got out."
    origins = {each["origin"] for each in calls}
    if origins & {"forwarded", "transferred"}:
        yield "Forwards: calls of it were sent on. Take off its forwards, follow-me and call-through; see who set them."
    yield "Voicemail: a new PIN, and no calling out from the mailbox."
    if "orphan" in origins:
        yield "Some calls had no known origin: look at the PBX itself (dial plan, web interface, originate, AMI users)."
    countries = _names(each["country"] for each in calls if each["country"])
    where = f" and the countries called ({countries})" * bool(countries)
    yield f"Carrier: a spend limit and no international calls where not needed{where}; report the calls."
    if quarantined:
        yield f"When all that is done: sipguard release {name}"
