"""The store: the fold of deltas, exact and bounded, over reboots, clock steps and damage."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipguard.address import Network, parse_network
from sipguard.errors import AdapterError
from sipguard.model import (
    HOUR,
    SECOND,
    Account,
    Decision,
    DecisionVerdict,
    Delta,
    Names,
    Offence,
    Pair,
    Role,
    Subject,
    Trust,
)
from sipguard.store import questions, rows, schema
from sipguard.store.database import Store
from sipguard.track.registration import LONGEST

Open: TypeAlias = Callable[..., Store]

OFFSET = 1_700_000_000 * SECOND
HOST = parse_network("203.0.113.9")
SIX = parse_network("2001:db8:1:2::/64")
WILD = Account("[/x]\x00\x1b[2J\udcff'; DROP TABLE bans", "é\n")


def ban(
    subject: Subject = HOST, at: int = SECOND, until: int = HOUR, verdict: DecisionVerdict = DecisionVerdict.BLOCK
) -> Decision:
    return Decision(at, verdict, subject, until, ("credentials",), "ban.first", "why", 1)


def test_what_is_in_force_comes_back_exactly(tmp_path: Path, opened: Open) -> None:
    nouns: list[Delta] = [
        ban(HOST),
        ban(SIX),
        ban(WILD),
        ban(parse_network("198.51.100.0/24"), verdict=DecisionVerdict.THROTTLE),
        ban(WILD, verdict=DecisionVerdict.QUARANTINE),
        ban(WILD, verdict=DecisionVerdict.SHIELD),
        ban(Pair(HOST, WILD), verdict=DecisionVerdict.QUARANTINE),
        Offence(HOST, 3, HOUR),
        Trust(SIX, WILD, HOUR),
    ]
    store = opened(tmp_path / "a.db")
    store.apply(nouns, OFFSET)
    store.close()
    state = opened(tmp_path / "a.db").state(OFFSET, 2 * SECOND)
    assert {*state.decisions, *state.offences, *state.trust} == set(nouns)


def test_a_reboot_moves_instants_but_not_the_end_of_a_ban(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / "a.db")
    store.apply([ban(at=5000 * SECOND, until=8600 * SECOND)], OFFSET)
    after = OFFSET + 6000 * SECOND  # booted 1000 s after the ban: BOOTTIME starts again
    (found,) = store.state(after, 0).decisions
    assert isinstance(found, Decision)
    assert (found.at, found.until) == (-1000 * SECOND, 2600 * SECOND)
    assert store.state(after, 2600 * SECOND).decisions == []


def test_only_what_is_in_force_is_given_back(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / "a.db")
    store.apply([ban(until=HOUR), Offence(HOST, 1, HOUR), Trust(HOST, WILD, HOUR)], OFFSET)
    assert store.state(OFFSET, HOUR) == store.state(OFFSET, 2 * HOUR)
    assert store.state(OFFSET, HOUR).decisions == []
    assert store.expire(OFFSET + HOUR) == 3
    assert questions.counts(store, 0) == {"bans": 0, "offences": 0, "trust": 0, "decisions": 1}


def test_release_takes_a_ban_back_and_a_late_copy_does_not_bring_it_again(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / "a.db")
    first = ban(at=SECOND)
    store.apply([first, ban(SIX), ban(at=2 * SECOND, until=0, verdict=DecisionVerdict.RELEASE)], OFFSET)
    assert [str(getattr(found, "subject", "")) for found in store.state(OFFSET, 3 * SECOND).decisions] == [str(SIX)]
    store.apply([ban(at=3 * SECOND, until=2 * HOUR)], OFFSET)
    store.apply([first], OFFSET)
    assert {found.until for found in store.state(OFFSET, 4 * SECOND).decisions} == {2 * HOUR, HOUR}


def test_a_clock_that_is_set_back_undoes_no_later_decision(tmp_path: Path, opened: Open) -> None:
    """As where the hardware clock shows local time, and is put right a minute after the start."""
    store = opened(tmp_path / "a.db")
    ahead, right = OFFSET + 2 * HOUR, OFFSET
    store.write([(ban(), ahead), (ban(SIX), ahead)], (), ahead + SECOND)
    release = ban(at=60 * SECOND, until=0, verdict=DecisionVerdict.RELEASE)
    longer = ban(SIX, at=60 * SECOND, until=5 * HOUR)
    store.write([(release, right), (longer, right)], (), right + 60 * SECOND)
    assert [(getattr(one, "subject", 0), one.until) for one in store.state(right, 61 * SECOND).decisions] == [
        (SIX, 5 * HOUR)
    ]


def test_a_ban_lasts_no_longer_than_decided_though_the_clock_was_set_back_since(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / "a.db")
    store.apply([ban(at=SECOND, until=HOUR + SECOND)], OFFSET)
    (found,) = store.state(OFFSET - 1000 * HOUR, 5 * SECOND).decisions  # it began with a clock of years ago
    assert found.until == 5 * SECOND + HOUR


def test_trust_lasts_no_longer_than_a_registration_though_a_clock_that_ran_ahead_wrote_it(
    tmp_path: Path, opened: Open
) -> None:
    store = opened(tmp_path / "a.db")
    trusts = [Trust(network, WILD, SECOND + HOUR, shown) for network, shown in ((HOST, 0), (SIX, SECOND + HOUR))]
    store.apply(trusts, OFFSET + 10_000 * HOUR)
    week = 5 * SECOND + LONGEST * SECOND
    found = store.state(OFFSET, 5 * SECOND).trust
    assert [(each.network, each.until, each.shown) for each in found] == [(SIX, week, week), (HOST, week, 0)]
    assert store.state(OFFSET + 10_000 * HOUR, 5 * SECOND).trust == trusts[::-1]
    store.expire(OFFSET + 5 * SECOND)
    assert store.state(OFFSET, HOUR).trust == found, "it does not begin anew at each start"


def test_release_of_an_account_ends_its_quarantine_and_its_shield_and_nobody_elses(
    tmp_path: Path, opened: Open
) -> None:
    store = opened(tmp_path / "a.db")
    verdicts = (DecisionVerdict.QUARANTINE, DecisionVerdict.SHIELD)
    other = ban(Pair(HOST, WILD), verdict=DecisionVerdict.QUARANTINE)
    store.apply([*(ban(WILD, verdict=verdict) for verdict in verdicts), other], OFFSET)
    store.apply([Decision(2 * SECOND, DecisionVerdict.RELEASE, WILD, 0, ("order",), "order")], OFFSET)
    assert store.state(OFFSET, 3 * SECOND).decisions == [other]


def test_applying_twice_is_applying_once(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / "a.db")
    batch: list[Delta] = [ban(), ban(WILD), Offence(HOST, 2, HOUR), Trust(HOST, WILD, HOUR), Trust(SIX, WILD, 0)]
    store.apply(batch, OFFSET)
    once = (store.state(OFFSET, SECOND), questions.counts(store, OFFSET))
    store.apply(batch, OFFSET)
    assert (store.state(OFFSET, SECOND), questions.counts(store, OFFSET)) == once


def test_trust_ends_when_it_is_taken_back(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / "a.db")
    store.apply([Trust(HOST, WILD, HOUR), Trust(HOST, Account("1001", "x"), HOUR), Trust(HOST, WILD, 0)], OFFSET)
    assert [found.account.username for found in store.state(OFFSET, 0).trust] == ["1001"]


def test_pages_give_every_row_once_while_others_write(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / "a.db")
    wanted = [Network(bytes([10, 0, low // 256, low % 256]), 32) for low in range(1000)]
    store.apply([ban(network) for network in wanted], OFFSET)
    seen: list[Subject] = []
    for number, page in enumerate(store.pages(OFFSET, SECOND, size=7)):
        assert len(page) <= 7
        seen += [found.subject for found in page if isinstance(found, Decision)]
        if number == 3:
            store.apply([ban(Network(bytes([9, 0, 0, 1]), 32))], OFFSET)
    assert seen == wanted


def test_rings_hold_what_they_should_and_no_more(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / "a.db", events=10, decisions=5, in_force=20)
    for number in range(50):
        store.write(
            [(ban(Network(bytes([10, 0, 0, number]), 32), at=SECOND + number, until=HOUR + number), OFFSET)],
            [f'{{"n":{number}}}'],
        )
    assert [event["n"] for event in questions.events(store, 100)] == list(range(40, 50))
    assert questions.counts(store, OFFSET)["decisions"] == 5
    store.expire(OFFSET)
    kept = store.state(OFFSET, SECOND).decisions
    assert [found.until - HOUR for found in kept] == list(range(30, 50))  # those that end first went


@pytest.mark.parametrize("harm", ["garbage", "truncated", "page", "header"])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path: Path, opened: Open, harm: str) -> None:
    path = tmp_path / "a.db"
    store = opened(path)
    store.apply([ban(Network(bytes([10, 0, low // 256, low % 256]), 32)) for low in range(2000)], OFFSET)
    store.close()
    whole = path.read_bytes()
    damaged = {
        "garbage": b"not a database at all" * 1000,
        "truncated": whole[: len(whole) // 2],
        "page": whole[:8192] + bytes(range(256)) * 64 + whole[8192 + 16384 :],
        "header": b"\0" * 100 + whole[100:],
    }[harm]
    path.write_bytes(damaged)
    again = opened(path)
    assert "damaged" in again.damage
    assert (tmp_path / "a.db.damaged-1").read_bytes()[-4096:] == damaged[-4096:]
    again.apply([ban()], OFFSET)
    again.close()
    path.write_bytes(damaged)
    assert opened(path).damage
    assert (tmp_path / "a.db.damaged-2").exists()


def test_damaged_files_do_not_fill_the_disk(tmp_path: Path, opened: Open) -> None:
    for _ in range(schema.ASIDE + 3):
        (tmp_path / "a.db").write_bytes(b"x" * 5000)
        opened(tmp_path / "a.db").close()
    assert len(list(tmp_path.glob("*.damaged-*"))) == schema.ASIDE


def test_a_newer_file_is_refused_and_left_as_it_is(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "a.db"
    opened(path).close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(AdapterError, match="newer sipguard"):
        opened(path)
    assert not list(tmp_path.glob("*.damaged-*"))


def test_what_the_machine_refuses_is_an_adapter_error(tmp_path: Path, opened: Open) -> None:
    with pytest.raises(AdapterError, match="cannot be opened"):
        opened(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(AdapterError, match="cannot be opened"):
        opened(tmp_path / "file" / "a.db")
    store = opened(tmp_path / "a.db")
    store.close()
    with pytest.raises(AdapterError):
        store.apply([ban()], OFFSET)


def test_a_failed_batch_changes_nothing(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / "a.db")
    store.ask("CREATE TRIGGER no BEFORE INSERT ON offences BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(AdapterError):
        store.apply([ban(), Offence(HOST, 1, HOUR)], OFFSET)
    assert store.state(OFFSET, 0).decisions == []
    store.apply([ban()], OFFSET)
    assert len(list(store.state(OFFSET, 0).decisions)) == 1


def test_settings_and_names_are_kept(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / "a.db")
    noun = Names(Role.TRUNK, "sip.example.net", (HOST, SIX))
    store.keep_names(noun, 5)
    store.set_meta("mode", "enforce")
    assert (store.names(), store.meta("mode"), store.meta("other")) == ([noun], "enforce", None)
    store.set_meta("mode", None)
    assert store.meta("mode") is None


def test_preview_says_whom_enforcing_would_hit(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / "a.db")
    store.apply([ban(HOST), ban(SIX), Trust(SIX, Account("1001", "pbx.example"), HOUR)], OFFSET)
    found = questions.preview(store, OFFSET + SECOND)
    assert (found["total"], found["seen"], found["hits"], found["rules"]) == (2, 2, 1, {"ban.first": 2})
    assert found["hit"] == [{"subject": str(SIX), "account": "1001@pbx.example", "rule": "ban.first"}]
    assert len(found["bans"]) == 2


subjects = st.one_of(
    st.builds(lambda raw: Network(raw, 32), st.binary(min_size=4, max_size=4)),
    st.builds(Account, st.text(st.characters(), max_size=20), st.text(st.characters(), max_size=20)),
)
instants = st.integers(-(2**62), 2**62)


@settings(max_examples=300)
@given(subject=subjects, at=instants, until=instants, because=st.lists(st.text(max_size=5)), offence=st.integers(0))
def test_any_decision_can_be_kept(subject: Subject, at: int, until: int, because: list[str], offence: int) -> None:
    noun = Decision(at, DecisionVerdict.BLOCK, subject, until, tuple(because), "rule", "\udc80", offence)
    row = rows.decision_row(noun, OFFSET)
    with closing(sqlite3.connect(":memory:")) as memory:
        back = rows.decision_of_row(memory.execute(f"SELECT {','.join('?' * len(row))}", row).fetchone(), OFFSET)
    assert (back.subject, back.because, back.verdict) == (noun.subject, noun.because, noun.verdict)


def test_trust_from_before_proofs_were_kept_comes_back_as_not_shown(tmp_path: Path, opened: Open) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as old:
        old.executescript("".join(schema.MIGRATIONS[:3]) + "PRAGMA user_version = 3;")
        old.execute("INSERT INTO trust VALUES (?,?,?,?,?)", (*HOST, b"1001", b"pbx", OFFSET + HOUR))
        old.commit()
    store = opened(tmp_path / "a.db")
    assert store.state(OFFSET, 0).trust == [Trust(HOST, Account("1001", "pbx"), HOUR, 0, "")]
    now = Trust(HOST, Account("1001", "pbx"), HOUR, HOUR, "sip:\xe9\0;x@192.0.2.1")
    store.apply([now], OFFSET)
    assert store.state(OFFSET, 0).trust == [now]
