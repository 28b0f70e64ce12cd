"""The host's own addresses and gateways, and word of their change; in namespaces."""

from __future__ import annotations

import pytest

from sipguard.address import parse_network
from sipguard.capture.host import Host
from tests.enforce.spaces import cable, inside, run, space, wait_for

pytestmark = pytest.mark.root


def test_own_addresses_of_both_families_on_all_interfaces_are_told() -> None:
    with cable() as joined, inside(joined.pbx):
        host = Host()
        addresses = host.addresses()
        host.close()
    assert {parse_network(one) for one in ("127.0.0.1", "::1", "192.0.2.1", "2001:db8::1")} <= set(addresses)
    assert parse_network("192.0.2.2") not in addresses


def test_gateways_of_all_routes_are_told() -> None:
    with cable() as joined, inside(joined.pbx):
        run("ip", "route", "add", "default", "via", "192.0.2.2")
        run("ip", "route", "add", "10.0.0.0/8", "nexthop", "via", "192.0.2.3", "nexthop", "via", "192.0.2.4")
        run("ip", "route", "add", "10.0.0.0/9", "via", "inet6", "2001:db8::2")
        run("ip", "-6", "route", "add", "default", "via", "2001:db8::9", "dev", "v0")
        host = Host()
        gateways = host.gateways()
        host.close()
    assert [str(one) for one in gateways] == ["192.0.2.2", "192.0.2.3", "192.0.2.4", "2001:db8::2", "2001:db8::9"]


def test_a_change_is_told_once() -> None:
    with space() as name, inside(name):
        host = Host()
        assert not host.changed()
        run("ip", "addr", "add", "192.0.2.77", "dev", "lo")
        assert wait_for(host.changed)
        assert not host.changed()
        assert parse_network("192.0.2.77") in host.addresses()
        for last in range(2, 250):
            run("ip", "addr", "add", f"198.51.100.{last}", "dev", "lo")
        assert host.changed()
        assert len(host.addresses()) == 251
        host.close()
