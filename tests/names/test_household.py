"""Gateways, resolvers, NAT64 and logged-in people are read as they are written; what is broken is nobody."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.address import Network, parse_address, parse_network
from sipguard.model import Names, Role
from sipguard.names import household
from sipguard.names.lookup import Answer


def nets(*texts: str) -> list[Network]:
    return [parse_network(text) for text in texts]


ROUTE = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\t0000010A\t020200C0\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\tbroken\tzz\t
"""
NOWHERE = "0" * 32
ROUTE6 = "".join(
    f"{NOWHERE} 00 {NOWHERE} 00 {gateway} 400 1 0 3 eth0\n"
    for gateway in ("20010db8000000000000000000000001", "fe800000000000000000000000000001")
)


def test_gateways_are_read_but_link_local_ones_that_no_ban_can_hit() -> None:
    assert household.gateways(ROUTE, ROUTE6) == nets("192.0.2.1", "2001:db8::1")


def test_resolvers_are_read_but_the_one_on_this_host() -> None:
    text = "# x\nnameserver 127.0.0.53\nnameserver 192.0.2.53\nnameserver 2001:db8::53%eth0\nnameserver\nnameserver"
    assert household.resolvers(text) == nets("192.0.2.53", "2001:db8::53")


def test_a_session_from_elsewhere_is_an_operators_and_a_name_is_nobody() -> None:
    assert household.session("UID=0\nREMOTE=1\nREMOTE_HOST=198.51.100.4\nSTATE=active\n") == nets("198.51.100.4")
    assert household.session("REMOTE=1\nREMOTE_HOST=198.51.100.4\nSTATE=closing\n") == []
    assert household.session("REMOTE=1\nREMOTE_HOST=admin.example.net\nSTATE=active\n") == []
    assert household.session("REMOTE=0\nREMOTE_HOST=198.51.100.4\n") == []


def record(kind: int, address: str) -> bytes:
    packed = parse_address(address).ljust(16, b"\0")
    return (
        struct.pack("=h2xi32s4s32s256s2hi2i", kind, 1, b"pts/0", b"", b"root", b"x", 0, 0, 0, 0, 0) + packed + bytes(20)
    )


def test_login_records_give_their_addresses_of_both_families() -> None:
    data = record(7, "198.51.100.4") + record(8, "198.51.100.5") + record(7, "2001:db8::9") + b"cut"
    assert household.utmp(data) == nets("198.51.100.4", "2001:db8::9")


@pytest.mark.parametrize(
    ("address", "prefix"),
    [
        ("64:ff9b::192.0.0.170", "64:ff9b::/96"),
        ("2001:db8:1:2::192.0.0.171", "2001:db8:1:2::/96"),
        ("2001:db8:1:2:c0:0:aa00:0", "2001:db8:1:2::/64"),
        ("2001:db8:1:c000:0:aa00::", "2001:db8:1::/48"),
        ("2001:db8:c000:aa::", "2001:db8::/32"),
    ],
)
def test_the_prefix_of_a_nat64_is_found_in_the_answer(address: str, prefix: str) -> None:
    assert household.nat64(nets("192.0.0.170", address)) == nets(prefix)


@given(st.binary(max_size=900), st.text(max_size=300))
def test_whatever_stands_in_those_files_raises_nothing(data: bytes, text: str) -> None:
    household.utmp(data)
    household.resolvers(text)
    household.session(text)
    household.gateways(text, text)


async def no_answer(_name: str) -> Answer:
    return Answer((), 60.0, complete=True)


def test_each_change_is_told_once_and_who_logs_out_is_nobody(tmp_path: Path) -> None:
    told: list[Names] = []
    seen = household.Household(told.append, no_answer, tmp_path)
    seen.see()
    assert told == []
    sessions = tmp_path / "run/systemd/sessions"
    sessions.mkdir(parents=True)
    (sessions / "c1").write_text("REMOTE=1\nREMOTE_HOST=198.51.100.4\nSTATE=active\n")
    seen.see()
    seen.see()
    assert told == [Names(Role.OPERATOR, "logged in", tuple(nets("198.51.100.4")))]
    (sessions / "c1").unlink()
    seen.see()
    assert told[-1] == Names(Role.OPERATOR, "logged in", ())
    assert seen.present() == []
