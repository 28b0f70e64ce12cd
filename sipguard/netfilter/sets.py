"""Elements of nf_tables sets and named counters: requests written, answers read. Reading never raises.

Pure bytes; `enforce/` holds the socket. Numbers are from linux/netfilter/nf_tables.h; timeouts are milliseconds, 64
bits, big-endian; a timeout of 0 would mean "for ever" to the kernel and is never written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sipguard.netfilter import nfnetlink

INET = 1  # NFPROTO_INET

_SUBSYSTEM = nfnetlink.SUBSYSTEM_TABLES << 8
NEW_ELEMENT = _SUBSYSTEM | 12
GET_ELEMENT = _SUBSYSTEM | 13
DELETE_ELEMENT = _SUBSYSTEM | 14
_NEW_SET = _SUBSYSTEM | 9
SHAPE = (_SUBSYSTEM | 4, _SUBSYSTEM | 7, _SUBSYSTEM | 10)
"""NFT_MSG_GETCHAIN, GETRULE, GETSET: what makes the shape of a table."""
NEW_GENERATION = _SUBSYSTEM | 15
GET_GENERATION = _SUBSYSTEM | 16
NEW_OBJECT = _SUBSYSTEM | 18
GET_OBJECT = _SUBSYSTEM | 19

_TABLE, _SET, _ELEMENTS = 1, 2, 3  # NFTA_SET_ELEM_LIST_*
_SET_HANDLE, _SET_COUNT = 16, 20  # NFTA_SET_*
_ELEMENT = 1  # NFTA_LIST_ELEM
_KEY, _TIMEOUT, _EXPIRATION, _EXPRESSION, _LAST_KEY, _EXPRESSIONS = 1, 4, 5, 7, 10, 11
_VALUE = 1  # NFTA_DATA_VALUE
_NAME, _DATA = 1, 2  # NFTA_EXPR_*
_OCTETS, _PACKETS = 1, 2  # NFTA_COUNTER_*
_OBJECT_NAME, _OBJECT_TYPE, _OBJECT_DATA, _OBJECT_COUNTER = 2, 3, 4, 1

_CREATE = nfnetlink.REQUEST | nfnetlink.CREATE
_CREATE_LAST = _CREATE | nfnetlink.ACKNOWLEDGE
_LAST = nfnetlink.REQUEST | nfnetlink.ACKNOWLEDGE

LONGEST_MILLISECONDS = 250 * 366 * 86_400_000
"""Above every sensible ban and below what the kernel takes (2^64 ns; more is ERANGE)."""


class Element(NamedTuple):
    """One element as the kernel tells it. `timeout` and `expires` in milliseconds, 0 where it has none.

    `last` is the last key of an interval, empty for an element of a hash set.
    """

    key: bytes
    last: bytes = b""
    timeout: int = 0
    expires: int = 0
    packets: int = 0
    octets: int = 0


def single(key: bytes, timeout: int = 0, last: bytes = b"") -> bytes:
    """Write one element with its timeout in milliseconds (0: the set has none).

    With `last` it is the interval from `key` to `last`, of a set whose keys are concatenations.
    """
    limit = nfnetlink.attribute(_TIMEOUT, min(timeout, LONGEST_MILLISECONDS).to_bytes(8, "big")) if timeout else b""
    behind = nfnetlink.nested(_LAST_KEY, nfnetlink.attribute(_VALUE, last)) if last else b""
    return nfnetlink.nested(_ELEMENT, _key(key), behind, limit)


def _key(key: bytes) -> bytes:
    return nfnetlink.nested(_KEY, nfnetlink.attribute(_VALUE, key))


def change(
    kind: int,
    table: str,
    name: str,
    elements: Sequence[bytes],
    sequence: int,
    *,
    acknowledge: bool,
) -> bytes:
    """Write NEW_ELEMENT or DELETE_ELEMENT messages for written elements, as many to a message as fit.

    Only the last message asks for an acknowledgement, so that a batch has one answer when all went well.
    """
    flags = nfnetlink.REQUEST | (nfnetlink.CREATE if kind == NEW_ELEMENT else 0)
    head = nfnetlink.generic(INET) + nfnetlink.text(_TABLE, table) + nfnetlink.text(_SET, name)
    groups = list(_fitting(elements))
    out = []
    for index, group in enumerate(groups):
        last = acknowledge and index == len(groups) - 1
        body = head + nfnetlink.nested(_ELEMENTS, group)
        out.append(nfnetlink.message(kind, flags | (nfnetlink.ACKNOWLEDGE if last else 0), sequence, body))
    return b"".join(out)


def _fitting(elements: Iterable[bytes], most: int = 60_000) -> Iterable[bytes]:
    """Gather elements to groups below what one attribute can hold (65,535 bytes)."""
    group: list[bytes] = []
    size = 0
    for element in elements:
        if size + len(element) > most:
            yield b"".join(group)
            group, size = [], 0
        group.append(element)
        size += len(element)
    if group:
        yield b"".join(group)


class Stencil:
    """One hash set's single-element batches, cut in advance: only sequence, key and timeout are filled in.

    A refresh is NEW, DELETE, NEW in one batch: it holds whether the element is present, absent or just expired, where a
    plain NEW leaves the old timeout on kernels before 6.12. Keys are 4, 8, 12 or 16 bytes, always the same length.
    """

    __slots__ = ("_before_key", "_before_timeout", "_begin", "_delete_before_key", "_element", "_end")

    def __init__(self, table: str, name: str, key_length: int) -> None:
        head = nfnetlink.generic(INET) + nfnetlink.text(_TABLE, table) + nfnetlink.text(_SET, name)
        key = bytes(key_length)
        new = head + nfnetlink.nested(_ELEMENTS, single(key, timeout=1))
        delete = head + nfnetlink.nested(_ELEMENTS, single(key))
        self._before_key = new[: -12 - key_length]
        self._before_timeout = new[-12:-8]
        self._element = single(key, timeout=1)[: -12 - key_length]
        self._delete_before_key = delete[:-key_length]
        self._begin = self._end = nfnetlink.generic(0, nfnetlink.SUBSYSTEM_TABLES)

    def refresh(self, key: bytes, timeout: int, sequence: int) -> bytes:
        """Write the batch that puts a key in with a timeout of 1 to LONGEST_MILLISECONDS, or changes its timeout."""
        new = self._before_key + key + self._before_timeout + timeout.to_bytes(8, "big")
        delete = self._delete_before_key + key
        pack = nfnetlink.HEADER.pack
        return b"".join(
            (
                pack(20, nfnetlink.BATCH_BEGIN, 1, sequence, 0),
                self._begin,
                pack(16 + len(new), NEW_ELEMENT, _CREATE, sequence, 0),
                new,
                pack(16 + len(delete), DELETE_ELEMENT, 1, sequence, 0),
                delete,
                pack(16 + len(new), NEW_ELEMENT, _CREATE_LAST, sequence, 0),
                new,
                pack(20, nfnetlink.BATCH_END, 1, sequence, 0),
                self._end,
            )
        )

    def element(self, key: bytes, timeout: int) -> bytes:
        """Write one element for `change`, as `single` does in four times the time; `timeout` 1 to the longest."""
        return self._element + key + self._before_timeout + timeout.to_bytes(8, "big")

    def remove(self, key: bytes, sequence: int) -> bytes:
        """Write the batch that takes a key out; the kernel answers ENOENT when it is not there."""
        delete = self._delete_before_key + key
        written = nfnetlink.HEADER.pack(16 + len(delete), DELETE_ELEMENT, _LAST, sequence, 0) + delete
        return nfnetlink.batch(written, sequence)


def dump(table: str, name: str, sequence: int) -> bytes:
    """Ask for all elements of a set."""
    body = nfnetlink.generic(INET) + nfnetlink.text(_TABLE, table) + nfnetlink.text(_SET, name)
    return nfnetlink.message(GET_ELEMENT, nfnetlink.REQUEST | nfnetlink.DUMP, sequence, body)


def lookup(table: str, name: str, key: bytes, sequence: int) -> bytes:
    """Ask for one element; the kernel answers with it, or ENOENT."""
    body = nfnetlink.generic(INET) + nfnetlink.text(_TABLE, table) + nfnetlink.text(_SET, name)
    body += nfnetlink.nested(_ELEMENTS, single(key))
    return nfnetlink.message(GET_ELEMENT, nfnetlink.REQUEST, sequence, body)


def elements(body: bytes, found: list[Element], *, counted: bool = False) -> int:
    """Append the elements of one answer to `found` and return how many pieces were unreadable. Never raises.

    Counters are read only where asked for: at a million elements it makes a difference of seconds.
    """
    outer, faults = nfnetlink.attributes(body, 4)
    listed, broken = nfnetlink.attribute_list(outer.get(_ELEMENTS, b""))
    faults += broken
    for _kind, payload in listed:
        element = _element(payload, counted=counted)
        if element is None:
            faults += 1
        else:
            found.append(element)
    return faults


def _element(data: bytes, *, counted: bool) -> Element | None:
    """Read one element; None when it is broken or has no key."""
    key, last, timeout, expires, packets, octets = b"", b"", 0, 0, 0, 0
    offset, end = 0, len(data)
    while end - offset >= 4:
        length, kind = nfnetlink.ATTRIBUTE.unpack_from(data, offset)
        if length < 4 or length > end - offset:
            return None
        kind &= nfnetlink.KIND_MASK
        if kind == _KEY:
            key = _value(data, offset, length)
        elif kind == _LAST_KEY:
            last = _value(data, offset, length)
        elif kind == _TIMEOUT:
            timeout = int.from_bytes(data[offset + 4 : offset + length], "big")
        elif kind == _EXPIRATION:
            expires = int.from_bytes(data[offset + 4 : offset + length], "big")
        elif counted and kind in {_EXPRESSION, _EXPRESSIONS}:
            packets, octets = _tally(kind, data[offset + 4 : offset + length])
        offset += (length + 3) & ~3
    return Element(key, last, timeout, expires, packets, octets) if key else None


def _value(data: bytes, offset: int, length: int) -> bytes:
    """Read the value inside a key: its own header is skipped, its kind looked at; empty when it is something else."""
    return data[offset + 8 : offset + length] if length > 8 and data[offset + 6] == _VALUE else b""


def _tally(kind: int, expression: bytes) -> tuple[int, int]:
    """Read packets and octets of an element's counter; 0 where it has none (other expressions are passed over)."""
    if kind == _EXPRESSIONS:
        listed, _broken = nfnetlink.attribute_list(expression)
        expression = next((payload for _kind, payload in listed if b"counter\0" in payload), b"")
    read, _broken = nfnetlink.attributes(expression)
    if read.get(_NAME) != b"counter\0":
        return 0, 0
    counts, _broken = nfnetlink.attributes(read.get(_DATA, b""))
    return nfnetlink.number(counts.get(_PACKETS)), nfnetlink.number(counts.get(_OCTETS))


def dump_shape(kind: int, table: str, sequence: int) -> bytes:
    """Ask for the objects of one of the kinds in `SHAPE` that a table has, without elements."""
    body = nfnetlink.generic(INET) + nfnetlink.text(_TABLE, table)
    return nfnetlink.message(kind, nfnetlink.REQUEST | nfnetlink.DUMP, sequence, body)


def shape(answer: nfnetlink.Message, table: str) -> bytes:
    """Give what of an answer to `dump_shape` changes only when somebody changes the rules; empty for other tables'."""
    read, _faults = nfnetlink.attributes(answer.body, 4)
    if read.get(_TABLE) != table.encode("ascii") + b"\0":
        return b""
    # The first four bytes tell the generation of all rulesets. Of a set its name and number are enough: the rest would
    # tell of its elements.
    return answer.body[4:] if answer.kind != _NEW_SET else read.get(_SET, b"") + read.get(_SET_HANDLE, b"")


def count(answer: nfnetlink.Message, table: str, name: str) -> int | None:
    """Give how many elements a set has, from an answer to the last question of `SHAPE`; None where nobody says.

    Kernels of 2025 on tell it (NFTA_SET_COUNT); elements that ran out a moment ago may be among them.
    """
    read, _faults = nfnetlink.attributes(answer.body, 4)
    if (read.get(_TABLE), read.get(_SET)) != (table.encode("ascii") + b"\0", name.encode("ascii") + b"\0"):
        return None
    return nfnetlink.number(read[_SET_COUNT]) if _SET_COUNT in read else None


def ask_generation(sequence: int) -> bytes:
    """Ask for the number of the present ruleset, which every change by anybody moves."""
    return nfnetlink.message(GET_GENERATION, nfnetlink.REQUEST, sequence, nfnetlink.generic(0))


def generation(body: bytes) -> int | None:
    """Read the answer to `ask_generation`; None when it is broken."""
    read, _faults = nfnetlink.attributes(body, 4)
    value = read.get(1)
    return None if value is None else nfnetlink.number(value)


def dump_counters(table: str, sequence: int) -> bytes:
    """Ask for the named counters of a table."""
    body = nfnetlink.generic(INET) + nfnetlink.text(1, table)
    body += nfnetlink.attribute(_OBJECT_TYPE, _OBJECT_COUNTER.to_bytes(4, "big"))
    return nfnetlink.message(GET_OBJECT, nfnetlink.REQUEST | nfnetlink.DUMP, sequence, body)


def counter(body: bytes) -> tuple[str, int, int] | None:
    """Read name, packets and octets of one named counter; None for any other object, or a broken one."""
    read, _faults = nfnetlink.attributes(body, 4)
    name, data = read.get(_OBJECT_NAME), read.get(_OBJECT_DATA)
    if name is None or data is None or nfnetlink.number(read.get(_OBJECT_TYPE)) != _OBJECT_COUNTER:
        return None
    counts, _faults = nfnetlink.attributes(data)
    shown = name.rstrip(b"\0").decode("ascii", "replace")
    return shown, nfnetlink.number(counts.get(_PACKETS)), nfnetlink.number(counts.get(_OCTETS))
