"""Sets of the kernel's ipset: requests written, answers read. Reading never raises.

Pure bytes; `enforce/ipsets.py` holds the socket. Numbers are from linux/netfilter/ipset/ip_set.h; timeouts are whole
seconds, and a timeout of 0 would mean "for ever" and is never written. An element that is there takes its new timeout
(the kernel's "exist" flag, which stands for an absent NLM_F_EXCL).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sipguard.address import Address
from sipguard.netfilter import nfnetlink

_SUBSYSTEM = 6 << 8
_CREATE, _DESTROY, _FLUSH, _SWAP, _LIST, _ADD, _DELETE = (_SUBSYSTEM | number for number in (2, 3, 4, 6, 7, 9, 10))
_PROTOCOL, _NAME, _TYPE, _REVISION, _FAMILY, _DATA, _ELEMENTS, _LINE = 1, 2, 3, 4, 5, 7, 8, 9
_IP, _CIDR, _TIMEOUT, _FLAGS, _MOST, _NETMASK, _OCTETS, _PACKETS = 1, 3, 6, 8, 19, 20, 24, 25
_EXCLUSIVE = 0x200  # NLM_F_EXCL
_BIG = 0x4000  # NLA_F_NET_BYTEORDER
_VERSION = nfnetlink.attribute(_PROTOCOL, b"\6")
_WITH_COUNTERS = (8).to_bytes(4, "big")
_SENT = nfnetlink.REQUEST | nfnetlink.ACKNOWLEDGE
_FAMILIES = {4: 2, 6: 10}

LONGEST_SECONDS = 2_147_483
"""Some 24 days: more overflows the kernel's milliseconds (IPSET_MAX_TIMEOUT)."""

FULL = 4352
"""IPSET_ERR_HASH_FULL."""


class Element(NamedTuple):
    """One element as the kernel tells it; `timeout` in seconds, 0 where it has none."""

    address: Address
    prefix: int
    timeout: int = 0
    packets: int = 0
    octets: int = 0


def create(name: str, version: int, sequence: int, *, nets: bool, timeout: bool, most: int) -> bytes:
    """Ask for a set of hosts (IPv6: of /64) or of networks; the kernel answers EEXIST where there is one."""
    data = nfnetlink.attribute(_MOST | _BIG, most.to_bytes(4, "big"))
    data += nfnetlink.attribute(_FLAGS | _BIG, _WITH_COUNTERS)
    if timeout:
        data += nfnetlink.attribute(_TIMEOUT | _BIG, bytes(4))
    if version == 6 and not nets:
        data += nfnetlink.attribute(_NETMASK, b"\x40")
    body = _head(name) + nfnetlink.attribute(_TYPE, b"hash:net\0" if nets else b"hash:ip\0")
    body += nfnetlink.attribute(_REVISION, b"\4")
    body += nfnetlink.attribute(_FAMILY, bytes((_FAMILIES[version],))) + nfnetlink.nested(_DATA, data)
    return nfnetlink.message(_CREATE, _SENT | nfnetlink.CREATE | _EXCLUSIVE, sequence, body)


def destroy(name: str, sequence: int) -> bytes:
    """Ask for the end of a set; it must be in no rule."""
    return nfnetlink.message(_DESTROY, _SENT, sequence, _head(name))


def flush(name: str, sequence: int) -> bytes:
    """Ask for a set to be emptied."""
    return nfnetlink.message(_FLUSH, _SENT, sequence, _head(name))


def swap(name: str, other: str, sequence: int) -> bytes:
    """Ask for two sets of one type to change names, at once: rules go on with the other's elements."""
    return nfnetlink.message(_SWAP, _SENT, sequence, _head(name) + nfnetlink.text(_TYPE, other))


def add(name: str, elements: Sequence[bytes], sequence: int) -> bytes:
    """Put written elements in, up to some 1,000 at a time; the first that is refused ends it."""
    return nfnetlink.message(_ADD, _SENT, sequence, _head(name) + _many(elements))


def delete(name: str, elements: Sequence[bytes], sequence: int) -> bytes:
    """Take written elements out; one that is not there is no failure."""
    return nfnetlink.message(_DELETE, _SENT, sequence, _head(name) + _many(elements))


def single(address: Address, timeout: int = 0, prefix: int = 0) -> bytes:
    """Write one element with its timeout in seconds (0: the set has none); `prefix` for a set of networks."""
    data = nfnetlink.nested(_IP, nfnetlink.attribute((1 if len(address) == 4 else 2) | _BIG, address))
    if prefix:
        data += nfnetlink.attribute(_CIDR, bytes((prefix,)))
    if timeout:
        data += nfnetlink.attribute(_TIMEOUT | _BIG, min(timeout, LONGEST_SECONDS).to_bytes(4, "big"))
    return data


def dump(name: str, sequence: int) -> bytes:
    """Ask for all elements of a set."""
    return nfnetlink.message(_LIST, nfnetlink.REQUEST | nfnetlink.DUMP, sequence, _head(name))


def elements(body: bytes, host_prefix: int) -> list[Element]:
    """Read the elements of one answer; what is broken is left out. Never raises."""
    outer, _faults = nfnetlink.attributes(body, 4)
    listed, _faults = nfnetlink.attribute_list(outer.get(_ELEMENTS, b""))
    found = []
    for _kind, payload in listed:
        read, _faults = nfnetlink.attributes(payload)
        inner, _faults = nfnetlink.attributes(read.get(_IP, b""))
        address = inner.get(1) or inner.get(2) or b""
        prefix = nfnetlink.number(read.get(_CIDR)) or host_prefix
        if len(address) in {4, 16} and prefix <= len(address) * 8:
            numbers = (nfnetlink.number(read.get(kind)) for kind in (_TIMEOUT, _PACKETS, _OCTETS))
            found.append(Element(address, prefix, *numbers))
    return found


def _head(name: str) -> bytes:
    return nfnetlink.generic(2) + _VERSION + nfnetlink.text(_NAME, name)


def _many(written: Iterable[bytes]) -> bytes:
    data = b"".join(nfnetlink.nested(_DATA, element) for element in written)
    return nfnetlink.attribute(_LINE | _BIG, bytes(4)) + nfnetlink.nested(_ELEMENTS, data)
