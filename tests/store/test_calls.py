"""Calls and resets on disk: exact, in any order of their copies, a month long, newest first; and what they came to."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from sipguard.call import MICROS, CallLegs, CallOrigin, CallState, LimitReset, NumberClass, Rate
from sipguard.model import DAY, HOUR, MINUTE, SECOND, Account
from sipguard.store import bills, callrows, schema
from sipguard.store.database import Store

Open: TypeAlias = Callable[..., Store]

OFFSET = 1_700_000_000 * SECOND
NOW = 100 * DAY
WILD = Account("[/x]\x00\x1b[2J\udcff'; DROP TABLE calls", "é\n")
SOMALIA = Rate("+252", "Somalia \udc80;", MICROS, 0, 60, 60)


def call(key: str = "c0ffee", *, ago: int = HOUR, account: Account | None = WILD) -> CallState:
    began = NOW - ago
    return CallState(
        key,
        began,
        0,
        0,
        account,
        "[/x]\x1b",
        b"\xc0\0\2\1",
        CallOrigin.FORWARDED,
        "carrier",
        "0025261",
        "+25261",
        NumberClass.MOBILE,
        "SO",
        SOMALIA,
        "leg",
    )


def over(begun: CallState, lasted: int = 90 * SECOND) -> CallState:
    answered = begun.began + 5 * SECOND
    return replace(begun, answered=answered, ended=answered + lasted)


def test_calls_and_resets_come_back_exactly_also_after_a_reboot(tmp_path: Path, opened: Open) -> None:
    nouns = [call("a"), over(call("b")), replace(call("c"), account=None, source=None, rate=None)]
    resets = [LimitReset(NOW - HOUR, "account", "1001\udcff@pbx"), LimitReset(NOW - MINUTE, "trunk", "")]
    store = opened(tmp_path / "a.db")
    store.apply([*nouns, *resets], OFFSET)
    store.close()
    state = opened(tmp_path / "a.db").state(OFFSET, NOW)
    assert sorted(state.calls, key=lambda each: each.key) == nouns
    assert sorted(state.resets, key=lambda each: each.at) == resets
    booted = opened(tmp_path / "a.db").state(OFFSET + 50 * DAY, 50 * DAY)
    assert {each.began for each in booted.calls} == {each.began - 50 * DAY for each in nouns}
    assert {each.answered for each in booted.calls if each.key == "a"} == {0}


def test_in_whatever_order_copies_come_what_has_ended_has_ended(tmp_path: Path, opened: Open) -> None:
    begun = call()
    states = [begun, replace(begun, answered=begun.began + 5 * SECOND), over(begun)]
    for number, order in enumerate(itertools.permutations(states)):
        store = opened(tmp_path / f"{number}.db")
        for each in order:
            store.apply([each], OFFSET)
        assert store.state(OFFSET, NOW).calls == [states[-1]]


def test_the_latest_reset_of_a_subject_counts(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / "a.db")
    first, last = LimitReset(NOW - HOUR, "account", "1001"), LimitReset(NOW, "account", "1001")
    store.apply([first, last, first], OFFSET)
    assert store.state(OFFSET, NOW).resets == [last]


def test_what_a_start_is_given_is_what_runs_or_counts_newest_first(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / "a.db")
    store.apply(
        [call("running", ago=3 * DAY), over(call("counts", ago=20 * HOUR)), over(call("older", ago=3 * DAY))], OFFSET
    )
    given = [each for page in store.pages(OFFSET, NOW, 1, DAY) for each in page]
    assert [each.key for each in given if isinstance(each, CallState)] == ["counts", "running"]


def test_a_start_is_given_no_more_than_it_can_take(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callrows, "BACK", 10)
    store = opened(tmp_path / "a.db")
    store.apply([call(f"{number:02}", ago=HOUR - number) for number in range(25)], OFFSET)
    store.apply([LimitReset(NOW - number, "account", str(number)) for number in range(25)], OFFSET)
    given = [each for page in store.pages(OFFSET, NOW, 3, DAY) for each in page]
    assert [each.key for each in given if isinstance(each, CallState)] == [f"{n:02}" for n in range(24, 14, -1)]
    assert [each.subject for each in given if isinstance(each, LimitReset)] == [str(number) for number in range(10)]


def test_calls_go_after_a_month_and_the_oldest_of_too_many(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / "a.db", calls=5)
    store.apply([call("lost", ago=32 * DAY), over(call("old", ago=32 * DAY)), over(call("kept", ago=30 * DAY))], OFFSET)
    store.apply([LimitReset(NOW - 32 * DAY, "account", "1001")], OFFSET)
    assert store.expire(OFFSET + NOW) == 3
    assert [each.key for each in store.state(OFFSET, NOW).calls] == ["kept"]
    store.apply([call(str(number), ago=HOUR - number) for number in range(8)], OFFSET)
    store.expire(OFFSET + NOW)
    assert [each.key for each in store.state(OFFSET, NOW).calls] == ["7", "6", "5", "4", "3"]


def test_how_to_reach_a_call_is_kept_until_it_has_ended_in_whatever_order_copies_come(
    tmp_path: Path, opened: Open
) -> None:
    begun = call()
    first, last = CallLegs(NOW - MINUTE, begun.key, "MQ=="), CallLegs(NOW, begun.key, "Mg==")
    nouns: list[CallState | CallLegs] = [begun, first, last]
    for number, order in enumerate(itertools.permutations(nouns)):
        store = opened(tmp_path / f"{number}.db")
        store.apply([*order], OFFSET)
        assert store.state(OFFSET, NOW).legs == [last]
        assert store.state(OFFSET + DAY, NOW - DAY).legs[0].at == NOW - DAY
        store.apply([over(begun), first], OFFSET)
        assert store.state(OFFSET, NOW).legs == []
        assert store.ask("SELECT * FROM legs") == []


def test_legs_that_no_call_has_are_forgotten_and_a_start_is_given_so_many(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callrows, "BACK", 12)
    store = opened(tmp_path / "a.db", calls=20)
    store.apply([call(f"{number:02}", ago=HOUR - number) for number in range(25)], OFFSET)
    store.apply([CallLegs(NOW, f"{number:02}", "MQ==") for number in range(30)], OFFSET)
    assert [len(page) for page in store.pages(OFFSET, NOW, 50, DAY)] == [12, 5, 5, 2]
    store.expire(OFFSET + NOW)
    assert store.ask("SELECT count(*) FROM legs") == [(20,)]


def test_calls_from_a_release_that_kept_no_legs_are_still_read(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(f"{schema.MIGRATIONS[0]}; {schema.MIGRATIONS[1]}; PRAGMA user_version = 2;")
        statement, values = next(callrows.fold(call(), OFFSET))
        old.execute(statement, values)
        old.commit()
    state = opened(path).state(OFFSET, NOW)
    assert (state.calls, state.legs) == ([call()], [])


def test_bills_are_of_the_time_and_of_the_account_asked_for(tmp_path: Path, opened: Open) -> None:
    bob, other = Account("Bob", "pbx"), Account("Bobby", "pbx")
    store = opened(tmp_path / "a.db")
    calls = [over(call("a", account=bob)), over(call("b", account=bob, ago=2 * DAY)), call("c", account=bob)]
    store.apply([*calls, over(call("d", account=other)), over(call("e", account=None))], OFFSET)
    since = OFFSET + NOW - DAY
    found = bills.ended(store, since, 2)
    assert (found["total"], found["cost"], found["seconds"], len(found["calls"])) == (3, 6 * MICROS, 270, 2)
    assert bills.since(store, since) == [
        {"account": "Bob@pbx", "calls": 2, "seconds": 90, "cost": 2 * MICROS},
        {"account": "Bobby@pbx", "calls": 1, "seconds": 90, "cost": 2 * MICROS},
    ]
    for name in ("bob", "BOB@pbx"):
        mine = bills.of_account(store, name, since - 2 * DAY, 10)
        assert ([each["id"] for each in mine["calls"]], mine["cost"]) == (["a", "c", "b"], 4 * MICROS)
    assert bills.of_account(store, "%", since, 10)["total"] == 0


def test_what_was_never_answered_cost_nothing(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / "a.db")
    begun = call()
    store.apply([replace(begun, ended=begun.began + MINUTE)], OFFSET)
    found = bills.ended(store, 0, 1)
    assert (found["cost"], found["seconds"], found["calls"][0]["answered"]) == (0, 0, 0)
