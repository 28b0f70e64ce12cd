"""A writer of MaxMind DB files (MaxMind-DB-spec 2.0): networks and what is said of them, to bytes.

Pure: no file and no clock in here. What comes out depends on the networks and records alone, not on their order. It
writes what is needed: a tree for IPv4 and IPv6 in one (IPv4 lies below ::/96), maps, texts and unsigned numbers.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from sipguard.address import Network

Record: TypeAlias = "Mapping[str, Record] | str | int"

MARKER = b"\xab\xcd\xefMaxMind.com"
_GAP = bytes(16)  # "Data Section Separator"
_EMPTY = -1
_ABOVE_IPV4 = 96


def write(networks: Iterable[tuple[Network, Record]], *, kind: str, description: str, built: int) -> bytes:
    """Give the file; `built` in seconds since 1970. Of networks inside each other the smaller one speaks.

    Raises ValueError for what the format cannot hold: a number below 0 or beyond 64 bits, a text beyond 16 MiB.
    """
    said = [(_depth(network), network, _value(record)) for network, record in networks]
    data, places = bytearray(), dict[bytes, int]()
    for value in sorted({value for _, _, value in said}):
        places[value] = len(data)
        data += value
    kids = _numbered(*_merged(_tree((depth, network, places[value]) for depth, network, value in sorted(said))))
    nodes = len(kids) // 2
    size = next((bits for bits in (24, 28, 32) if nodes + len(_GAP) + len(data) < 1 << bits), 0)
    if not size:
        raise ValueError("too many networks for one file")
    metadata: dict[str, bytes] = {
        "binary_format_major_version": _number(5, 2),
        "binary_format_minor_version": _number(5, 0),
        "build_epoch": _number(9, built),
        "database_type": _value(kind),
        "description": _value({"en": description}),
        "ip_version": _number(5, 6),
        "languages": _head(11, 1) + _value("en"),
        "node_count": _number(6, nodes),
        "record_size": _number(5, size),
    }
    told = _head(7, len(metadata)) + b"".join(_value(key) + value for key, value in metadata.items())
    return b"".join((_packed(kids, nodes, size), _GAP, bytes(data), MARKER, told))


# --- The tree ---------------------------------------------------------------------------------------------------------


def _depth(network: Network) -> int:
    return network.prefix if len(network.address) == 16 else _ABOVE_IPV4 + network.prefix


def _tree(leaves: Iterable[tuple[int, Network, int]]) -> array[int]:
    """Make the tree: two numbers for each node, the index of the node below, or `_EMPTY`, or -2 minus a data offset.

    Networks come with the larger first, so that one inside another finds its place and cuts it.
    """
    kids = array("q", (_EMPTY, _EMPTY))
    ipv4 = 0  # the node of ::/96, once there is something below it
    for depth, network, offset in leaves:
        leaf = -2 - offset
        if depth == 0:  # ::/0 is both halves of the top
            kids[0] = kids[1] = leaf
            continue
        bits, top = int.from_bytes(network.address) << (128 - 8 * len(network.address)), 0
        if len(network.address) == 4:
            if depth > _ABOVE_IPV4:
                ipv4 = top = ipv4 or _descend(kids, 0, 0, _ABOVE_IPV4)
                depth -= _ABOVE_IPV4  # noqa: PLW2901 - counted from the top that it is put below
            else:
                bits = 0
        node = _descend(kids, top, bits, depth - 1)
        kids[2 * node + (bits >> (128 - depth) & 1)] = leaf
    return kids


def _descend(kids: array[int], node: int, bits: int, steps: int) -> int:
    """Go so many steps down by the highest bits of 128, cutting leaves that are in the way; gives the node there."""
    for depth in range(steps):
        slot = 2 * node + (bits >> (127 - depth) & 1)
        below = kids[slot]
        if below < 0:
            kids[slot] = len(kids) // 2
            kids.extend((below, below))
            below = kids[slot]
        node = below
    return node


def _merged(kids: array[int]) -> tuple[array[int], array[int]]:
    """Make one of halves that say the same; gives the tree, and for each node what it has become (its own index).

    A node is made after the one above it, so the way from the last to the first goes upwards.
    """
    became = array("q", range(len(kids) // 2))
    for node in range(len(kids) // 2 - 1, -1, -1):
        for slot in (2 * node, 2 * node + 1):
            if kids[slot] >= 0:
                kids[slot] = became[kids[slot]]
        if node and kids[2 * node] < 0 and kids[2 * node] == kids[2 * node + 1]:
            became[node] = kids[2 * node]
    return kids, became


def _numbered(kids: array[int], became: array[int]) -> array[int]:
    """Leave out the nodes that have become leaves."""
    number = array("q", bytes(8 * len(became)))
    count = 0
    for node, what in enumerate(became):
        if what == node:
            number[node] = count
            count += 1
    left = array("q")
    for node, what in enumerate(became):
        if what == node:
            left.extend(kid if kid < 0 else number[kid] for kid in kids[2 * node : 2 * node + 2])
    return left


def _packed(kids: array[int], nodes: int, size: int) -> bytes:
    """Write the nodes with records of 24, 28 or 32 bits ("Node Layout")."""
    written = bytearray()
    for at in range(0, len(kids), 2):
        left, right = (_pointer(kid, nodes) for kid in kids[at : at + 2])
        if size == 28:
            written += (left & 0xFFFFFF).to_bytes(3)
            written.append(left >> 24 << 4 | right >> 24)
            written += (right & 0xFFFFFF).to_bytes(3)
        else:
            written += left.to_bytes(size // 8) + right.to_bytes(size // 8)
    return bytes(written)


def _pointer(kid: int, nodes: int) -> int:
    if kid >= 0:
        return kid
    return nodes if kid == _EMPTY else nodes + len(_GAP) + (-2 - kid)


# --- Values -----------------------------------------------------------------------------------------------------------


def _value(value: Record) -> bytes:
    """Write a value ("Output Data Section"); numbers as 32 bits, or 64 where they need them."""
    if isinstance(value, str):
        text = value.encode()
        return _head(2, len(text)) + text
    if isinstance(value, int):
        return _number(6 if value < 1 << 32 else 9, value)
    return _head(7, len(value)) + b"".join(_value(key) + _value(value[key]) for key in sorted(value))


def _number(kind: int, value: int) -> bytes:
    if not 0 <= value < 1 << 64:
        raise ValueError(f"{value} is no unsigned number of 64 bits")
    raw = struct.pack(">Q", value).lstrip(b"\0")
    return _head(kind, len(raw)) + raw


def _head(kind: int, size: int) -> bytes:
    """Write the control byte of a value, with what follows it: the kind where it is above 7, the size from 29 on."""
    more = b""
    if size >= 65_821:
        if size >= 65_821 + (1 << 24):
            raise ValueError("a value is longer than 16 MiB")
        more, size = (size - 65_821).to_bytes(3), 31
    elif size >= 285:
        more, size = (size - 285).to_bytes(2), 30
    elif size >= 29:
        more, size = (size - 29).to_bytes(1), 29
    first = bytes((kind << 5 | size,)) if kind < 8 else bytes((size, kind - 7))
    return first + more
