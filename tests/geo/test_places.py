"""Look-ups never fail, whatever became of the file; and a file that is cut short while it is used kills nobody."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from sipguard.address import parse_address, parse_network
from sipguard.errors import AdapterError
from sipguard.geo import mmdb, places
from sipguard.geo.mmdb import Record
from sipguard.geo.places import Database, Places, asn_of, country_of

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "country.mmdb"


def database(path: Path, *said: tuple[str, Record]) -> Path:
    networks = [(parse_network(text), record) for text, record in said]
    path.write_bytes(mmdb.write(networks, kind="test", description="", built=1))
    return path


@pytest.fixture
def german(tmp_path: Path) -> Path:
    return database(
        tmp_path / "country.mmdb",
        ("192.0.2.0/24", {"country": {"iso_code": "DE"}}),
        ("2001:db8::/32", {"country": {"iso_code": "FR"}}),
    )


@pytest.fixture
def systems(tmp_path: Path) -> Path:
    return database(tmp_path / "asn.mmdb", ("192.0.2.0/25", {"autonomous_system_number": 64500}))


def test_two_databases_together_say_what_each_knows(german: Path, systems: Path) -> None:
    told: list[str] = []
    found = Places(told.append)
    found.load((str(german), str(systems)))
    for _ in range(2):  # found, then remembered
        assert [found.country(parse_address(text)) for text in ("192.0.2.1", "2001:db8::1", "::1")] == ["DE", "FR", ""]
        assert [found.asn(parse_address(text)) for text in ("192.0.2.1", "192.0.2.200")] == [64500, 0]
    assert told == []


def test_without_a_database_nothing_is_known() -> None:
    found = Places(print)
    assert (found.country(b"\1\2\3\4"), found.asn(b"\1" * 16)) == ("", 0)


@pytest.mark.parametrize(
    "content", [b"", b"no database", mmdb.MARKER, b"\0" * 100 + mmdb.MARKER + b"\xe0", b"\xff" * 5000]
)
def test_a_damaged_file_is_an_adapter_error_and_the_others_go_on(content: bytes, german: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mmdb"
    bad.write_bytes(content)
    with pytest.raises(AdapterError):
        Database(bad)
    told: list[str] = []
    found = Places(told.append)
    found.load((str(bad), str(tmp_path / "missing.mmdb"), str(tmp_path), str(german)))
    assert len(told) == 3
    assert found.country(parse_address("192.0.2.1")) == "DE"


def test_a_pipe_that_nobody_writes_to_hangs_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AdapterError):
        Database(tmp_path / "pipe")


def test_a_file_cut_short_where_it_lies_changes_nothing_until_it_is_loaded_again(german: Path) -> None:
    told: list[str] = []
    found = Places(told.append)
    found.load((str(german),))
    os.truncate(german, 0)
    assert found.country(parse_address("192.0.2.77")) == "DE"
    found.load((str(german),))
    assert found.country(parse_address("192.0.2.77")) == ""
    assert len(told) == 1


def test_a_new_database_takes_the_place_of_the_old_at_the_next_load(german: Path) -> None:
    found = Places(print)
    found.load((str(german),))
    assert found.country(parse_address("192.0.2.1")) == "DE"
    database(german, ("192.0.2.0/24", {"country": {"iso_code": "SO"}}))
    assert found.country(parse_address("192.0.2.1")) == "DE"
    found.load((str(german),))
    assert found.country(parse_address("192.0.2.1")) == "SO"


def test_no_bytes_that_are_wrong_in_a_database_raise_from_a_look_up(german: Path, tmp_path: Path) -> None:
    whole = german.read_bytes()
    dice = random.Random(1)
    answered = 0
    for _ in range(400):
        broken = bytearray(whole)
        for _ in range(dice.randrange(1, 30)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        path = tmp_path / "broken.mmdb"
        path.write_bytes(broken[: dice.randrange(1, len(broken) + 1)] if dice.random() < 0.2 else broken)
        found = Places(lambda _: None)
        found.load((str(path),))
        for address in (b"\xc0\0\2\1", parse_address("2001:db8::1"), dice.randbytes(4), dice.randbytes(16)):
            assert isinstance(found.country(address), str)
            assert 0 <= found.asn(address) < 1 << 32
            answered += 1
    assert answered == 1600


def test_what_is_remembered_is_bounded(german: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "REMEMBERED", 100)
    found = Places(print)
    found.load((str(german),))
    for number in range(5000):
        found.country(number.to_bytes(4))
    assert found.counters()["remembered"] <= 200


@pytest.mark.parametrize(
    ("record", "country"),
    [
        ({"country": {"iso_code": "DE", "names": {}}}, "DE"),
        ({"registered_country": {"iso_code": "US"}}, "US"),
        ({"country_code": "fr"}, "FR"),
        ({"country": "GB"}, "GB"),
        ({"country": {}}, ""),
        ({"country": 7}, ""),
        ({"country": {"iso_code": "GERMANY"}}, ""),
        ({"country": {"iso_code": "\u0130I"}}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_countries_are_read_in_the_forms_that_are_about(record: object, country: str) -> None:
    assert country_of(record) == country


@pytest.mark.parametrize(
    ("record", "number"),
    [
        ({"autonomous_system_number": 64500}, 64500),
        ({"asn": "AS64500"}, 64500),
        ({"asn": "64500"}, 64500),
        ({"asn": "AS"}, 0),
        ({"asn": "AS99999999999"}, 0),
        ({"asn": -1}, 0),
        ({"asn": 1 << 32}, 0),
        ({}, 0),
        ("AS1", 0),
    ],
)
def test_systems_are_read_in_the_forms_that_are_about(record: object, number: int) -> None:
    assert asn_of(record) == number


@pytest.mark.skipif(not SHARED.exists(), reason="the country database for tests is not beside the project")
def test_a_database_of_the_whole_world_knows_well_known_addresses() -> None:
    found = Places(print)
    found.load((str(SHARED),))
    known = {text: found.country(parse_address(text)) for text in ("8.8.8.8", "193.0.6.139", "2001:4860:4860::8888")}
    assert known == {"8.8.8.8": "US", "193.0.6.139": "NL", "2001:4860:4860::8888": "US"}
