"""Addresses and networks as they stand in packets: packed bytes, the cheapest thing that Python can compare and hash.

Pure; `model.py` builds on it. Text is read and written here only for policies and for display.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple, TypeAlias

Address: TypeAlias = bytes
"""An IP address as it stands in a packet: 4 bytes or 16. IPv4-mapped IPv6 (`::ffff:a.b.c.d`) is always the 4 bytes."""

_LONGEST = 45
"""Characters of an IPv6 address with an IPv4 one in it, the longest there is (without a zone)."""


class Network(NamedTuple):
    """An address prefix; `address` has no bits set beyond `prefix` (0 to 32, or 0 to 128)."""

    address: Address
    prefix: int

    def __str__(self) -> str:
        host = 32 if len(self.address) == 4 else 128
        return show(self.address) if self.prefix == host else f"{show(self.address)}/{self.prefix}"

    @property
    def version(self) -> int:
        """4 or 6."""
        return 4 if len(self.address) == 4 else 6

    def covers(self, address: Address) -> bool:
        """Tell whether an address of the same family lies inside; an address of the other family never does."""
        if len(address) != len(self.address):
            return False
        shift = len(address) * 8 - self.prefix
        return int.from_bytes(address) >> shift == int.from_bytes(self.address) >> shift


def show(address: Address) -> str:
    """Write an address as people do."""
    if len(address) == 4:
        return f"{address[0]}.{address[1]}.{address[2]}.{address[3]}"
    return str(ipaddress.ip_address(address))


def _plain_ipv4(text: str) -> Address | None:
    """Read `192.0.2.1` in a tenth of the library's time (a million bans are read at start); None for all else."""
    parts = text.split(".")
    if len(parts) != 4 or not text.isascii():
        return None
    try:
        address = bytes(map(int, parts))
    except ValueError:
        return None
    return address if show(address) == text else None


def parse_address(text: str) -> Address:
    """Read one address. Raises ValueError on anything else."""
    plain = _plain_ipv4(text)
    if plain is not None:
        return plain
    parsed = ipaddress.ip_address(text)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).packed


def packed(text: bytes) -> Address | None:
    """Read an address as a message has it; None for anything else, a name among it, and for no address at all (::)."""
    if len(text) > _LONGEST:
        return None
    try:
        address = parse_address(text.decode("ascii"))
    except ValueError:
        return None
    return address if any(address) else None


def parse_network(text: str) -> Network:
    """Read `192.0.2.0/24`, `2001:db8::/32` or one address. Raises ValueError, also where host bits are set."""
    plain = _plain_ipv4(text)
    if plain is not None:
        return Network(plain, 32)
    parsed = ipaddress.ip_network(text)
    if isinstance(parsed, ipaddress.IPv6Network) and parsed.prefixlen >= 96:
        mapped = parsed.network_address.ipv4_mapped
        if mapped is not None:
            return Network(mapped.packed, parsed.prefixlen - 96)
    return Network(parsed.network_address.packed, parsed.prefixlen)


def subject_of(address: Address) -> Network:
    """Give the network that stands for one sender: the address itself, or the /64 of an IPv6 address.

    A host has 2^64 addresses of its own in IPv6 (RFC 4291 section 2.5.4), so a single one blames and bans nothing.
    """
    if len(address) == 4:
        return Network(address, 32)
    return Network(address[:8] + b"\0\0\0\0\0\0\0\0", 64)


def sender_key(address: Address) -> bytes:
    """Give what stands for one sender in tables, as `subject_of` does, in as few bytes as can be: 4 or 8."""
    return address if len(address) == 4 else address[:8]
