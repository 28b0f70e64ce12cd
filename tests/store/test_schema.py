"""A database of any earlier release: what it holds is in force after the update, and it takes all that is new."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sipguard.address import parse_network
from sipguard.model import HOUR, Account, Held, SetName, Trust
from sipguard.report import lean
from sipguard.store import schema
from tests.store.test_calls import NOW, OFFSET, Open, call
from tests.store.test_lessons import lesson

HOST = parse_network("192.0.2.1")
UNTIL = OFFSET + NOW + HOUR


@pytest.mark.parametrize("version", range(1, len(schema.MIGRATIONS)))
def test_a_database_of_an_earlier_release_keeps_what_it_has_and_takes_what_is_new(
    tmp_path: Path, opened: Open, version: int
) -> None:
    path, whose = tmp_path / "a.db", (*HOST, b"1001", b"pbx")
    with closing(sqlite3.connect(path)) as old:
        old.executescript(f"{';'.join(schema.MIGRATIONS[:version])}; PRAGMA user_version = {version};")
        old.execute("INSERT INTO meta VALUES ('mode', 'enforce')")
        old.execute("INSERT INTO trust (address, prefix, username, realm, until) VALUES (?,?,?,?,?)", (*whose, UNTIL))
        ban = (*HOST, b"", b"", "block", OFFSET + NOW, UNTIL, '["credentials"]', "ban.first", "", 1)
        old.execute("INSERT INTO bans VALUES (?,?,?,?,?,?,?,?,?,?,?)", ban)
        old.commit()
    store = opened(path)
    assert store.meta("mode") == "enforce"
    store.apply([call(), lesson()], OFFSET)
    found = store.state(OFFSET, NOW)
    assert [lean(each) for each in found.decisions] == [Held(SetName.BLOCKED, HOST, NOW + HOUR)]
    assert found.trust == [Trust(HOST, Account("1001", "pbx"), NOW + HOUR)], "nobody has shown it, as far as is known"
    assert (len(found.calls), len(found.lessons or ())) == (1, 1)
