"""What no list may do, whoever keeps it."""

from __future__ import annotations

import pytest

from sipguard.address import Network, parse_network
from sipguard.feeds import limits
from sipguard.feeds.formats import ListError
from sipguard.feeds.limits import check


def nets(*texts: str) -> list[Network]:
    return [parse_network(text) for text in texts]


def hosts(count: int) -> list[Network]:
    return [Network(bytes([45, *number.to_bytes(3)]), 32) for number in range(count)]


def test_networks_that_are_too_wide_are_left_out_and_counted() -> None:
    found = check(nets("0.0.0.0/0", "45.0.0.0/8", "::/0", "2001::/16", "45.95.0.0/16", "2a00:1::/32"))
    assert [str(each) for each in found.networks] == ["45.95.0.0/16", "2a00:1::/32"]
    assert found.left_out == {"too wide": 4}


def test_private_shared_local_multicast_and_translators_addresses_are_left_out() -> None:
    bad = nets(
        "10.1.2.3", "100.64.1.1", "127.0.0.1", "169.254.1.1", "172.16.5.0/24", "192.168.1.0/24", "198.18.0.1",
        "224.0.0.1", "255.255.255.255", "0.0.0.1", "::1", "fc00:1::1", "fd00::/48", "fe80::1", "ff02::1",
        "64:ff9b::/96", "64:ff9b:1::/48",
    )  # fmt: skip
    found = check([*bad, *nets("45.95.1.7")])
    assert [str(each) for each in found.networks] == ["45.95.1.7"]
    assert found.left_out == {"reserved": len(bad)}


def test_an_ipv4_address_written_as_ipv6_is_the_ipv4_address() -> None:
    assert [str(each) for each in check(nets("::ffff:45.95.1.7", "45.95.1.8")).networks] == ["45.95.1.7", "45.95.1.8"]


def test_an_ipv6_address_stands_for_its_64_and_doubles_and_what_lies_inside_are_one() -> None:
    found = check(nets("2001:db8:1::5", "2001:db8:1::6", "45.95.1.7", "45.95.1.0/24", "45.95.1.7", "45.95.2.1"))
    assert [str(each) for each in found.networks] == ["45.95.1.0/24", "45.95.2.1", "2001:db8:1::/64"]


def test_an_empty_list_and_one_of_which_nothing_is_left_are_refused() -> None:
    for networks in ([], nets("10.0.0.0/8", "0.0.0.0/0")):
        with pytest.raises(ListError, match="no usable entry"):
            check(networks)


def test_a_list_may_lose_half_and_not_one_more() -> None:
    assert len(check(hosts(50), before=100).networks) == 50
    with pytest.raises(ListError, match="shrunk from 100 entries to 49"):
        check(hosts(49), before=100)
    assert len(check(hosts(1), before=limits.FEW - 1).networks) == 1


def test_a_list_that_covers_too_much_is_refused_whole() -> None:
    sixteens = [Network(bytes([first, second, 0, 0]), 16) for first in range(40, 60) for second in range(256)]
    assert check(sixteens[:1024]).networks
    with pytest.raises(ListError, match="IPv4"):
        check(sixteens[:1025])
    providers = [
        Network(bytes([0x2A, first, second, 0]) + bytes(12), 32) for first in range(32) for second in range(256)
    ]
    with pytest.raises(ListError, match="IPv6"):
        check(providers[:4097])


def test_a_list_that_is_too_long_is_refused_whole() -> None:
    with pytest.raises(ListError, match="100,000"):
        check(hosts(limits.MOST + 1))
    wide = [Network(bytes([45, *(2 * number).to_bytes(2), 0]), 24) for number in range(limits.MOST_NETWORKS + 1)]
    with pytest.raises(ListError, match="whole networks"):
        check(wide)
