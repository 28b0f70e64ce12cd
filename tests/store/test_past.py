"""What is kept about somebody is found again by whoever asks about him, and nothing of anybody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sipguard.address import parse_network
from sipguard.model import HOUR, Account, Decision, DecisionVerdict, Instant, Pair, Subject
from sipguard.report import Json
from sipguard.store.database import Store
from sipguard.store.past import MOST, past

BAD = parse_network("203.0.113.9")
NOW: Instant = 1_000 * HOUR


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "sipguard.db")
    yield made
    made.close()


def decide(subject: Subject, at: Instant = NOW, verdict: DecisionVerdict = DecisionVerdict.BLOCK) -> Decision:
    return Decision(at, verdict, subject, at + HOUR, ("credentials",), "detect.credentials.then", "", 1)


def finding(subject: str, **more: object) -> str:
    return json.dumps({"kind": "finding", "subject": subject, **more}, separators=(",", ":"), sort_keys=True)


def subjects(found: Json) -> list[str]:
    return [each["subject"] for each in found["decisions"]]


def test_an_address_is_found_by_itself_its_networks_and_the_accounts_used_from_it(store: Store) -> None:
    wanted: list[Subject] = [
        BAD,
        parse_network("203.0.113.0/24"),
        parse_network("203.0.0.0/16"),
        Pair(BAD, Account("1001", "pbx")),
    ]
    others: list[Subject] = [
        parse_network("203.0.113.8"),
        parse_network("203.0.113.128/25"),
        Pair(parse_network("203.0.113.10"), Account("1001", "pbx")),
        Account("203.0.113.9", ""),
        parse_network("2001:db8::/64"),
    ]
    store.apply([decide(each) for each in [*wanted, *others]], 0)
    assert sorted(subjects(past(store, BAD, NOW))) == sorted(map(str, wanted))


def test_a_network_is_found_with_all_that_is_in_it_and_what_is_in_force_there(store: Store) -> None:
    hosts = [parse_network(f"203.0.113.{number}") for number in range(40)]
    store.apply([decide(each, NOW + number) for number, each in enumerate(hosts)], 0)
    store.apply([decide(parse_network("203.0.114.1")), decide(parse_network("2001:db8::/64"))], 0)
    there = Pair(BAD, Account("1001", "pbx"))
    store.apply([decide(there, NOW - HOUR // 4, DecisionVerdict.QUARANTINE)], 0)  # an account's: no ban of the place
    found = past(store, parse_network("203.0.113.0/24"), NOW + HOUR // 2)
    assert (len(found["decisions"]), len(found["bans"]), found["banned"]) == (MOST, MOST, 40)
    assert found["decisions"][1]["subject"] == "203.0.113.39"
    assert past(store, parse_network("203.0.113.0/24"), NOW + 2 * HOUR)["banned"] == 0


def test_any_address_of_a_64_finds_it(store: Store) -> None:
    store.apply([decide(parse_network("2001:db8:0:1::/64"))], 0)
    assert subjects(past(store, parse_network("2001:db8:0:1::77"), NOW)) == ["2001:db8:0:1::/64"]
    assert subjects(past(store, parse_network("2001:db8::/32"), NOW)) == ["2001:db8:0:1::/64"]
    assert not subjects(past(store, parse_network("2001:db8:0:2::77"), NOW))


def test_an_account_is_found_by_the_ways_a_list_may_call_it(store: Store) -> None:
    accounts: list[Subject] = [
        Account("Bob", "PBX"),
        Account("bob@example.net", "x"),
        Pair(BAD, Account("bob", "pbx")),
        Account("bobby", "pbx"),
        Account("*", ""),
        Account("Ünal", "pbx"),
        BAD,
    ]
    store.apply([decide(each, verdict=DecisionVerdict.QUARANTINE) for each in accounts], 0)
    assert len(subjects(past(store, "bob", NOW))) == 3
    assert sorted(subjects(past(store, "BOB@pbx", NOW))) == ["Bob@PBX", f"bob@pbx from {'203.0.113.9'}"]
    assert subjects(past(store, "ünal", NOW)) == ["Ünal@pbx"]
    assert not subjects(past(store, "203.0.113.9", NOW))


def test_findings_come_with_the_decisions_and_nobody_writes_himself_in(store: Store) -> None:
    other = 'x","subject":"203.0.113.9'
    store.write(
        [(decide(BAD), 0), (decide(Pair(BAD, Account("1001", "pbx"))), 0)],
        [
            finding("203.0.113.9", n=1),
            finding("203.0.113.90", n=2),
            finding("1001@pbx from 203.0.113.9", n=3),
            finding("1002@pbx from 203.0.113.9", n=4),
            finding(other, n=5),
            finding("198.51.100.1", evidence={"subject": "203.0.113.9"}),
            json.dumps({"kind": "action", "subject": "203.0.113.9"}, separators=(",", ":")),
        ],
    )
    assert [each["n"] for each in past(store, BAD, NOW)["findings"]] == [3, 1]


@pytest.mark.parametrize("name", ["'; DROP TABLE decisions; --", "%", "_", "\x00", "\ud800", '"', "x" * 300, "*"])
def test_hostile_names_are_names(store: Store, name: str) -> None:
    store.apply([decide(Account(name, "r"), verdict=DecisionVerdict.SHIELD), decide(Account("1001", "r"))], 0)
    assert [each["verdict"] for each in past(store, name, NOW)["decisions"]] == ["shield"]


def test_nothing_is_kept_of_nobody(store: Store) -> None:
    empty = {"decisions": [], "findings": [], "bans": [], "banned": 0}
    assert past(store, BAD, NOW) == empty
    assert past(store, "1001", NOW) == empty
