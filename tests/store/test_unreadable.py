"""A row that no release of ours wrote keeps no other from coming back, and is counted and named."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sipguard.address import Network
from sipguard.call import CallLegs, LimitReset
from sipguard.model import DAY, HOUR, Account, Delta, Lesson, Names, Offence, Role, Trust
from sipguard.store import bills, questions
from sipguard.store.database import Store
from sipguard.store.past import past
from tests.store.test_calls import NOW, OFFSET, Open, call
from tests.store.test_database import ban

FIRST, SECOND, THIRD = (Network(bytes([192, 0, 2, last]), 32) for last in (1, 2, 3))
BAN = "address = x'c0000202'"
CALL = "key = 'b'"


def filled(store: Store) -> int:
    """Write three of everything; gives how many nouns that are."""
    nouns: list[Delta] = [
        *(replace(ban(net), at=NOW, until=NOW + HOUR) for net in (FIRST, SECOND, THIRD)),
        *(Offence(net, 1, NOW + HOUR) for net in (FIRST, SECOND, THIRD)),
        *(Trust(net, Account("1001", "pbx"), NOW + HOUR) for net in (FIRST, SECOND, THIRD)),
        *(call(key) for key in "abc"),
        *(CallLegs(NOW, key, "{}") for key in "abc"),
        *(LimitReset(NOW - HOUR, "account", name) for name in "abc"),
        *(Lesson(NOW, "detector", Account(name, "pbx"), "", "7") for name in "abc"),
    ]
    store.apply(nouns, OFFSET)
    return len(nouns)


@pytest.mark.parametrize(
    ("table", "change", "where"),
    [
        ("bans", "verdict = 'nonsense'", BAN),
        ("bans", "because = '['", BAN),
        ("bans", "at = 'soon'", BAN),
        ("offences", "until = until || 'x'", BAN),
        ("trust", "username = 'text'", BAN),
        ("calls", "rest = 'x'", CALL),
        ("calls", "rest = '{}'", CALL),
        ("calls", "rest = '[]'", CALL),
        ("calls", "answered = 'soon'", CALL),
        ("legs", "at = 'soon'", CALL),
        ("resets", "subject = x'ff'", "subject = x'62'"),
        ("lessons", "topic = x'ff'", "username = x'62'"),
        ("lessons", "username = 'text'", "username = x'62'"),
        ("lessons", "at = 'soon'", "username = x'62'"),
        ("lessons", "text = x'ff'", "username = x'62'"),
        ("lessons", "detector = x'ff'", "username = x'62'"),
    ],
)
def test_a_row_that_cannot_be_read_keeps_no_other_back(
    tmp_path: Path, opened: Open, table: str, change: str, where: str
) -> None:
    path = tmp_path / "a.db"
    store = opened(path)
    count = filled(store)
    assert sum(map(len, store.pages(OFFSET, NOW, 50, DAY))) == count
    assert store.unread() == (0, "")
    with closing(sqlite3.connect(path)) as other, other:
        assert other.execute(f"UPDATE {table} SET {change} WHERE {where}").rowcount == 1  # noqa: S608 - our own
    for size in (1, 50):
        pages = list(store.pages(OFFSET, NOW, size, DAY))
        assert all(pages), "an empty list would be taken for the end"
        assert sum(map(len, pages)) == count - 1
        unread, first = store.unread()
        assert unread == 1
        assert first.startswith(table)
        assert store.unread() == (0, ""), "told once"


def test_of_the_last_good_answers_only_the_unreadable_one_is_missing(tmp_path: Path, opened: Open) -> None:
    """Without them a guard that is closed to strangers is closed to its trunks until a name server answers."""
    path = tmp_path / "a.db"
    store = opened(path)
    for name in ("a.example", "b.example", "c.example"):
        store.keep_names(Names(Role.TRUNK, name, (FIRST,)), 1)
    with closing(sqlite3.connect(path)) as other, other:
        assert other.execute("UPDATE names SET networks = '[' WHERE name = 'b.example'").rowcount == 1
    assert [each.name for each in store.names()] == ["a.example", "c.example"]
    assert store.unread()[0] == 1


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ("UPDATE bans SET because = '[' WHERE address = x'c0000202'", "bans"),
        ("UPDATE bans SET at = 'soon' WHERE address = x'c0000202'", "bans"),
        ("UPDATE bans SET address = x'c00002' WHERE address = x'c0000202'", "bans hits"),
        ("UPDATE trust SET username = x'ff' WHERE address = x'c0000202'", "hits"),
        ("UPDATE decisions SET because = '[' WHERE address = x'c0000202'", "decisions"),
        ("UPDATE events SET line = '[' WHERE line LIKE '%192.0.2.2%'", "events findings"),
        ("UPDATE events SET line = '7' WHERE line LIKE '%192.0.2.2%'", "findings"),
        ("UPDATE calls SET rest = '[]' WHERE key = 'b'", "ended bill"),
        ("UPDATE calls SET username = x'ff' WHERE key = 'b'", "ended bill sums"),
    ],
)
def test_no_answer_fails_for_one_row_that_cannot_be_read(tmp_path: Path, opened: Open, change: str, lost: str) -> None:
    store = opened(tmp_path / "a.db")
    filled(store)
    store.apply([replace(call(key), account=Account(key, "pbx"), ended=NOW) for key in "abc"], OFFSET)
    store.write([], [f'{{"kind":"finding","subject":"{network}"}}' for network in (FIRST, SECOND, THIRD)])

    def answers() -> dict[str, int]:
        seen = past(store, Network(bytes([192, 0, 2, 0]), 24), NOW + OFFSET)
        return {
            "bans": len(questions.bans(store, NOW + OFFSET)["bans"]),
            "hits": len(questions.preview(store, NOW + OFFSET)["hit"]),
            "decisions": len(seen["decisions"]),
            "findings": len(seen["findings"]),
            "events": len(questions.events(store, 10)),
            "ended": len(bills.ended(store, 0, 10)["calls"]),
            "bill": len([key for key in "abc" if bills.of_account(store, key, 0, 10)["calls"]]),
            "sums": len(bills.since(store, 0)),
        }

    assert set(answers().values()) == {3}
    with closing(sqlite3.connect(tmp_path / "a.db")) as other, other:
        assert other.execute(change).rowcount == 1
    assert {name for name, count in answers().items() if count != 3} >= set(lost.split())
    assert set(answers().values()) <= {2, 3}
