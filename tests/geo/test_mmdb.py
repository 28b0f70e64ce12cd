"""What the writer writes, the library's own readers read: every network, every size of record, whatever the order."""

from __future__ import annotations

import io
import ipaddress
import random
from collections.abc import Sequence

import maxminddb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.address import Network, parse_network
from sipguard.geo import mmdb
from sipguard.geo.mmdb import Record
from sipguard.geo.places import country_of

Said = Sequence[tuple[Network, Record]]


def written(networks: Said) -> bytes:
    return mmdb.write(networks, kind="test", description="for a test", built=1_700_000_000)


def reader(content: bytes) -> maxminddb.Reader:
    return maxminddb.open_database(io.BytesIO(content), maxminddb.MODE_FD)


def nets(*texts: str) -> Said:
    return [(parse_network(text), {"country": {"iso_code": country}}) for text, _, country in map(_split, texts)]


def _split(text: str) -> tuple[str, str, str]:
    return text.partition(" ")


def country(found: maxminddb.Reader, address: str) -> str:
    return country_of(found.get(address))


def test_addresses_are_found_up_to_the_last_of_their_network_and_not_beyond() -> None:
    found = reader(written(nets("192.0.2.0/25 DE", "198.51.100.7 FR", "2001:db8::/32 SO")))
    expected = {
        "192.0.2.0": "DE",
        "192.0.2.127": "DE",
        "192.0.2.128": "",
        "191.255.255.255": "",
        "198.51.100.7": "FR",
        "198.51.100.6": "",
        "2001:db8::": "SO",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff": "SO",
        "2001:db9::": "",
    }
    assert {address: country(found, address) for address in expected} == expected


def test_the_smaller_network_speaks_in_whatever_order_they_come() -> None:
    said = list(
        nets("0.0.0.0/0 AA", "192.0.0.0/8 DE", "192.0.2.0/24 FR", "192.0.2.9 SO", "::/0 ZA", "2001:db8::/32 US")
    )
    first = written(said)
    for _ in range(10):
        random.shuffle(said)
        assert written(said) == first
    found = reader(first)
    asked = {"192.0.2.9": "SO", "192.0.2.8": "FR", "192.1.1.1": "DE", "9.9.9.9": "AA", "2001:db8::1": "US", "9::": "ZA"}
    assert {address: country(found, address) for address in asked} == asked


def test_metadata_is_what_was_said() -> None:
    told = reader(written(nets("192.0.2.0/24 DE"))).metadata()
    assert (told.database_type, told.build_epoch, told.ip_version, told.record_size) == ("test", 1_700_000_000, 6, 24)
    assert told.description == {"en": "for a test"}


def test_an_empty_database_and_one_that_says_the_same_of_all_can_be_read() -> None:
    assert reader(written([])).get("192.0.2.1") is None
    assert country(reader(written(nets("::/0 DE"))), "192.0.2.1") == "DE"


@pytest.mark.parametrize("size", [28, 32])
def test_larger_records_are_written_when_the_data_needs_them(size: int) -> None:
    kids_of = mmdb._tree((96 + 24, network, number * 20) for number, (network, _) in enumerate(nets("192.0.2.0/24 A")))
    packed = mmdb._packed(kids_of, len(kids_of) // 2, size)
    assert len(packed) == len(kids_of) // 2 * size // 4
    nodes = len(kids_of) // 2
    value = mmdb._value({"country": {"iso_code": "DE"}})
    metadata = {"node_count": nodes, "record_size": size, "ip_version": 6, "database_type": "x", "build_epoch": 1}
    more = {"binary_format_major_version": 2, "binary_format_minor_version": 0, "description": {"en": "x"}}
    told = {**metadata, **more}
    text = mmdb._head(7, len(told) + 1) + mmdb._value("languages") + mmdb._head(11, 0)
    text += b"".join(mmdb._value(key) + mmdb._value(told[key]) for key in told)  # type: ignore[arg-type]
    found = reader(packed + bytes(16) + value + mmdb.MARKER + text)
    assert country(found, "192.0.2.255") == "DE"
    assert country(found, "192.0.3.0") == ""


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 32), st.sampled_from(["DE", "FR", "SO"])), max_size=12))
def test_a_database_says_what_its_networks_say(lines: list[tuple[int, int, str]]) -> None:
    said = {}
    for byte, prefix, name in lines:
        number = byte << 24 | byte << 12 | byte
        address = (number >> (32 - prefix) << (32 - prefix)).to_bytes(4)
        said[Network(address, prefix)] = name
    found = reader(written([(network, {"country": {"iso_code": name}}) for network, name in said.items()]))
    for byte in range(0, 256, 7):
        asked = (byte << 24 | byte << 12 | byte).to_bytes(4)
        around = [network for network in said if network.covers(asked)]
        expected = said[max(around, key=lambda network: network.prefix)] if around else ""
        assert country(found, str(ipaddress.ip_address(asked))) == expected


RECORDS = st.recursive(
    st.text(max_size=40) | st.integers(0, (1 << 64) - 1),
    lambda inner: st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=8), RECORDS, max_size=6))
def test_any_record_is_read_back(record: dict[str, Record]) -> None:
    assert reader(written([(parse_network("192.0.2.0/24"), record)])).get("192.0.2.1") == record


@pytest.mark.parametrize("length", [0, 28, 29, 284, 285, 65_820, 65_821, 70_000])
def test_texts_of_every_length_are_read_back(length: int) -> None:
    record: Record = {"x": "a" * length}
    assert reader(written([(parse_network("192.0.2.0/24"), record)])).get("192.0.2.1") == record


@pytest.mark.parametrize("number", [-1, 1 << 64])
def test_a_number_that_the_format_cannot_hold_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="unsigned"):
        written([(parse_network("192.0.2.0/24"), {"x": number})])


def test_the_places_of_the_recorded_cases_are_what_their_script_writes() -> None:
    from pcaps import places  # noqa: PLC0415 - a script, read for this test alone

    assert (places.HERE / "places.mmdb").read_bytes() == places.database()
