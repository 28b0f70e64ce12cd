"""The bounded table: who goes first when it is full, and that one network cannot push out the others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sipguard.address import Network, parse_address, subject_of
from sipguard.table import Table, neighbourhood, neighbourhood_of


def address(number: int) -> bytes:
    return number.to_bytes(4)


def test_it_never_holds_more_than_its_cap_and_counts_what_had_to_go() -> None:
    table: Table[int, int] = Table(100)
    for number in range(1000):
        table.put(number, number, address(number << 8))
    assert len(table) == 100
    assert table.evicted == 900
    assert table.get(999) == 999
    assert 0 not in table


def test_kept_entries_survive_a_flood_of_common_ones() -> None:
    table: Table[int, str] = Table(100)
    for number in range(50):
        table.put(number, "proven", address(number << 8))
        table.keep(number)
    for number in range(1000, 100_000):
        table.put(number, "spoofed", address(number << 8))
    assert all(table.get(number) == "proven" for number in range(50))
    assert len(table) == 100


def test_a_full_house_of_kept_entries_lets_the_oldest_kept_go() -> None:
    table: Table[int, int] = Table(10)
    for number in range(20):
        table.put(number, number, address(number << 8))
        table.keep(number)
    assert len(table) == 10
    assert list(table) == list(range(10, 20))


def test_one_network_evicts_its_own_and_nobody_elses() -> None:
    table: Table[bytes, int] = Table(100, share=10)
    stranger = parse_address("198.51.100.7")
    table.put(stranger, 1, stranger)
    for host in range(200):
        crowd = parse_address(f"203.0.113.{host}")
        table.put(crowd, host, crowd)
        table.keep(crowd)
    assert len(table) == 11
    assert table.crowded == 190
    assert stranger in table


def test_one_v6_48_evicts_its_own() -> None:
    table: Table[bytes, int] = Table(100, share=10)
    for net in range(200):
        one = parse_address(f"2001:db8:1:{net:x}::1")
        table.put(one, net, one)
    assert len(table) == 10


def test_touching_makes_an_entry_the_last_to_go() -> None:
    table: Table[int, int] = Table(3)
    for number in range(3):
        table.put(number, number, address(number << 8))
    table.touch(0)
    table.put(3, 3, address(3 << 8))
    assert list(table) == [2, 0, 3]


def test_what_is_taken_out_frees_its_networks_share() -> None:
    table: Table[int, int] = Table(10, share=1)
    table.put(1, 1, address(1))
    assert table.pop(1) == 1
    assert table.pop(1) is None
    table.put(2, 2, address(2))
    assert table.crowded == 0
    table.put(2, 3, address(2))
    assert table.get(2) == 3
    assert list(table.values()) == [3]


def test_renewing_replaces_and_makes_youngest_whatever_the_kind() -> None:
    table: Table[int, int] = Table(3, share=3)
    for number in range(3):
        table.put(number, number, address(number))
    table.keep(1)
    table.renew(0, 10, address(0))
    table.renew(1, 11, address(1))
    table.renew(3, 13, address(3))
    assert list(table) == [1, 0, 3]
    assert list(table.values()) == [11, 10, 13]
    table.renew(4, 14, address(4))  # the network's own eldest goes: it has its share
    assert list(table) == [1, 3, 4]


SOURCES = [bytes([198, 51, net, host]) for net in range(3) for host in range(5)] + [
    parse_address(f"2001:db8:{net}:{host}::1") for net in range(1, 3) for host in range(4)
]
DOING = ("put", "put", "put", "renew", "keep", "touch", "pop")


@given(st.lists(st.tuples(st.sampled_from(DOING), st.sampled_from(SOURCES)), max_size=120))
def test_a_home_read_from_the_key_is_the_one_that_would_have_been_noted(done: list[tuple[str, bytes]]) -> None:
    noted: Table[bytes, int] = Table(10, 4)
    read: Table[bytes, int] = Table(10, 4, neighbourhood)
    networks: Table[Network, int] = Table(10, 4, neighbourhood_of)
    for number, (what, source) in enumerate(done):
        for table, key in ((noted, source), (read, source), (networks, subject_of(source))):
            if what in {"put", "renew"}:
                getattr(table, what)(key, number, source)
            else:
                getattr(table, what)(key)
        assert list(noted) == list(read)
        assert [subject_of(key) for key in noted] == list(networks)
        assert list(noted.values()) == list(read.values()) == list(networks.values())
        assert noted.crowded == read.crowded == networks.crowded
        for home in {neighbourhood(key) for key in noted}:
            assert sum(neighbourhood(key) == home for key in noted) <= 4
    assert len(noted) <= 10


def test_without_a_share_nothing_is_counted_and_a_key_may_stand_for_nothing_but_itself() -> None:
    table: Table[str, None] = Table(3)
    for name in "abcd":
        table.put(name, None, b"")
    table.keep("b")
    table.renew("b", None, b"")
    assert list(table) == ["b", "c", "d"]
    assert table.pop("c") is None
    assert "c" not in table
    assert (table.evicted, table.crowded) == (1, 0)
