"""What the guard knows of an address, a network or an account, as plain JSON values: the answer to `sipguard why`.

Promises: asking changes nothing; every list is bounded, and whatever is asked about, it takes no longer than a look
through the registrations; texts are as they came, to be escaped by whoever shows them, but messages hold nothing secret
any more. What was found and decided in the past is the store's to tell; what it all means, the command's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from sipguard.address import Address, Network, subject_of
from sipguard.call import Call
from sipguard.callsheet import Tolls, sheet
from sipguard.decide.exempt import Exempt
from sipguard.decide.feeds import Feeds
from sipguard.decide.force import Force
from sipguard.decide.judge import Judge
from sipguard.decide.ledger import is_host
from sipguard.decide.limits import Limits
from sipguard.detect.catalogue import Detector
from sipguard.model import EVERY_OTHER, SECOND, Account, Instant, Pair, SetName, Sheet, Span
from sipguard.report import seconds
from sipguard.sip.redact import redact
from sipguard.track.journal import Entry, Journal
from sipguard.track.tracker import Tracker

Json: TypeAlias = dict[str, Any]
Counts: TypeAlias = Sequence[tuple[str, int, int]]
"""The option of the policy that is the limit, what was counted, and the limit as it stands for this one."""

MOST = 20
"""Entries of a list in the answer."""

_AS = {
    SetName.BLOCKED: "block",
    SetName.THROTTLED: "throttle",
    SetName.WATCHED: "watch",
    SetName.TRUSTED: "trust",
    SetName.CHARGED: "charge",
    SetName.ALLOWED: "allow",
}


@runtime_checkable
class CountsSources(Protocol):
    """A detector that counts by source, or by its network."""

    def explain(self, at: Instant, source: Address) -> Counts:
        """Say what it has counted of a source by now."""


@runtime_checkable
class CountsAccounts(Protocol):
    """A detector that counts by account; `name` is one of `Account.called`."""

    def explain_account(self, at: Instant, name: str) -> Counts:
        """Say what it has counted of the accounts of a name by now."""


class Parts(NamedTuple):
    """What the engine is made of, as far as it is asked. `base` is taken from every instant that is told.

    `calls` are the running ones, `currency` that of their prices, "" where it is not known.
    """

    judge: Judge
    exempt: Exempt
    force: Force
    feeds: Feeds
    tracker: Tracker
    journal: Journal
    detectors: Sequence[Detector]
    base: Instant
    calls: Iterable[Call] = ()
    limits: Limits | None = None
    currency: str = ""


def why(subject: Network | str | Sheet, at: Instant, parts: Parts) -> Json:
    """Say what is known of an address (of any in its /64), a network, the accounts of a name, or calls, at `at`."""
    if isinstance(subject, Sheet):
        tolls = parts.calls, parts.limits, parts.force.wards, parts.tracker.registrations()
        return sheet(subject, at, Tolls(*tolls, parts.base, parts.currency))
    return _account(subject.casefold(), at, parts) if isinstance(subject, str) else _network(subject, at, parts)


# --- Addresses and networks -------------------------------------------------------------------------------------------


def _network(asked: Network, at: Instant, parts: Parts) -> Json:
    network = subject_of(asked.address) if asked.version == 6 and asked.prefix > 64 else asked
    one = is_host(network)
    count, until, span = parts.force.ladder.ahead(at, network)
    here = (each for each in parts.tracker.registrations() if _meets(network, each[1]))
    return {
        "kind": "address" if one else "network",
        "subject": str(network),
        "at": seconds(at, parts.base),
        "spared": parts.judge.spared(network),
        "lists": [{"role": str(role), "name": name} for role, name in parts.exempt.lists(network)][:MOST],
        "feeds": parts.feeds.lists(network)[:MOST] if one else [],
        "proven": one and parts.tracker.held(at, network.address),
        "in_force": list(islice(chain(_held(network, parts), _wards_at(network, parts)), MOST)),
        "ladder": {"offences": count, "until": _until(until, parts.base), "next_seconds": span // SECOND},
        "registrations": [_registration(each, parts.base) for each in islice(here, MOST)],
        "counters": _of_source(network.address, at, parts) if one else [],
        "senders": parts.journal.sources(network),
        "messages": _messages(parts.journal.of(network), parts.base),
    }


def _held(network: Network, parts: Parts) -> Iterator[Json]:
    """Give what is in the kernel's sets for a network as a whole; of what is within a wide one, the store knows."""
    for name, told in _AS.items():
        for each in covering(network):
            until = parts.force.ledger.until(name, each)
            if until is not None:
                yield {"what": told, "subject": str(each), "until": _until(until, parts.base)}


def covering(network: Network) -> Iterator[Network]:
    """Give every network that a network lies in, itself first."""
    bits = 8 * len(network.address)
    number = int.from_bytes(network.address)
    for prefix in range(network.prefix, -1, -1):
        shift = bits - prefix
        yield Network((number >> shift << shift).to_bytes(bits // 8), prefix)


def _wards_at(network: Network, parts: Parts) -> Iterator[Json]:
    for verdict, ward, until in parts.force.wards.all():
        if isinstance(ward, Pair) and _meets(network, ward.network):
            yield {"what": str(verdict), "subject": str(ward), "until": _until(until, parts.base)}


def _meets(one: Network, other: Network) -> bool:
    return one.covers(other.address) or other.covers(one.address)


def _messages(entries: Sequence[Entry], base: Instant) -> list[Json]:
    latest = sorted(entries, key=lambda entry: entry.at)[-MOST:]
    return [
        {
            "at": seconds(entry.at, base),
            "from": "pbx" if entry.sent else str(Network(entry.source, 8 * len(entry.source))),
            "port": entry.port,
            "transport": str(entry.transport),
            "length": entry.length,
            "lines": list(redact(entry.head)) if isinstance(entry.head, bytes) else entry.head.split("\n"),
        }
        for entry in latest
    ]


# --- Accounts ---------------------------------------------------------------------------------------------------------


def _account(name: str, at: Instant, parts: Parts) -> Json:
    standing = [each for each in parts.tracker.registrations() if name in each[0].called()]
    here = {place for _, place, _ in standing[:MOST]}
    return {
        "kind": "account",
        "subject": name,
        "at": seconds(at, parts.base),
        "accounts": list(dict.fromkeys(str(account) for account, _, _ in standing))[:MOST],
        "in_force": list(islice(_wards_of(name, here, parts), MOST)),
        "registrations": [_registration(each, parts.base) for each in standing[:MOST]],
        "counters": _of_account(name, at, parts),
    }


def _wards_of(name: str, here: set[Network], parts: Parts) -> Iterator[Json]:
    """Give the quarantines and shields of a name, and those of all but the healthy where it is registered."""
    for verdict, ward, until in parts.force.wards.all():
        account: Account = ward.account if isinstance(ward, Pair) else ward
        others = isinstance(ward, Pair) and account == EVERY_OTHER and ward.network in here
        if others or name in account.called() or (not account.realm and account.username == name.partition("@")[0]):
            yield {"what": str(verdict), "subject": str(ward), "until": _until(until, parts.base)}


def _registration(each: tuple[Account, Network, Instant], base: Instant) -> Json:
    account, place, until = each
    return {"account": str(account), "network": str(place), "until": _until(until, base)}


# --- Counters ---------------------------------------------------------------------------------------------------------


def _of_source(source: Address, at: Instant, parts: Parts) -> list[Json]:
    found = ((each, each.explain(at, source)) for each in parts.detectors if isinstance(each, CountsSources))
    return [told for detector, counts in found for told in _counters(detector, counts)[:MOST]]


def _of_account(name: str, at: Instant, parts: Parts) -> list[Json]:
    found = ((each, each.explain_account(at, name)) for each in parts.detectors if isinstance(each, CountsAccounts))
    return [told for detector, counts in found for told in _counters(detector, counts)[:MOST]]


def _counters(detector: object, counts: Counts) -> list[Json]:
    """Tell what is not nothing; a detector is named as its file is, which a test sees to."""
    name = type(detector).__module__.rpartition(".")[2]
    near = sorted(counts, key=lambda each: -each[1] / max(each[2], 1))
    return [{"detector": name, "option": option, "now": now, "limit": limit} for option, now, limit in near if now > 0]


def _until(until: Instant, base: Span) -> float:
    """Give the end in seconds, 0 for what has none."""
    return seconds(until, base) if until else 0
