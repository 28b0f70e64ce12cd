"""Countries and autonomous systems of addresses, from maxminddb files that were read into memory.

Promises: a look-up never raises, never reads a disk and never blocks; what nobody knows is "" or 0. A file is read as a
whole, once, and only when `load` is called: what is done to it later (it is replaced, or cut short where it lies, which
kills a reader that has mapped it) changes nothing before the next `load`. A file that is missing or damaged costs its
own answers and no others. No time, no policy and no download in here.
"""

from __future__ import annotations

import io
import ipaddress
import os
import stat
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import maxminddb

from sipguard.address import Address
from sipguard.errors import AdapterError
from sipguard.geo.zones import offsets
from sipguard.model import Lookups

MOST_BYTES = 256 * 1024 * 1024
REMEMBERED = 20_000
"""Answers kept of each of two generations; one costs a look-up in a dictionary, a new one 30 to 60 µs."""

DAMAGED = (
    maxminddb.InvalidDatabaseError,
    ArithmeticError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What the library lets through when it decodes nonsense."""

_Place: TypeAlias = tuple[str, int]
_NOWHERE: _Place = ("", 0)


class Database:
    """One file, as it was when it was read. Raises AdapterError when it cannot be read, or is no database."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # a file object, so that the library reads it into memory by its own Python code, and maps nothing
            self._reader = maxminddb.open_database(io.BytesIO(_content(path)), maxminddb.MODE_FD)
            self._ipv6 = self._reader.metadata().ip_version == 6
            if self._reader.metadata().node_count < 1:
                raise ValueError("it has no tree")
            for probe in (b"\0\0\0\0", b"\x7f\0\0\1", b"\xff\xff\xff\xff", b"\x20\x01" + bytes(14), b"\xff" * 16):
                self.record(probe)
        except DAMAGED as error:
            raise AdapterError("geo", f"{path} is no readable maxminddb file ({type(error).__name__})") from None

    @property
    def kind(self) -> str:
        """Say what the file calls itself."""
        return str(self._reader.metadata().database_type)

    @property
    def built(self) -> int:
        """Give when it was built: seconds since 1970, 0 where it does not say."""
        epoch = self._reader.metadata().build_epoch
        return epoch if isinstance(epoch, int) else 0

    @property
    def nodes(self) -> int:
        """Give how many nodes its tree has."""
        return int(self._reader.metadata().node_count)

    @property
    def versions(self) -> str:
        """Say which addresses it knows."""
        return "IPv4 and IPv6" if self._ipv6 else "IPv4"

    def record(self, address: Address) -> Any:
        """Give what it says of an address, None when it says nothing. Raises one of many errors when it is damaged."""
        if len(address) == 16 and not self._ipv6:
            return None
        return self._reader.get(ipaddress.ip_address(address))


class Places:
    """Answers by the databases that were loaded last; `tell` is called with a line about each that is of no use.

    Of several databases each gives what those before it do not know; usually one holds countries, the other networks.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._databases: tuple[Database, ...] = ()
        self._young: dict[Address, _Place] = {}
        self._old: dict[Address, _Place] = {}
        self.damaged = 0
        self.look = Lookups(self.country, self.asn, offsets)

    def load(self, files: Sequence[str]) -> None:
        """Read these files in place of those before; one that cannot be read is told of, and gone without."""
        found: list[Database] = []
        for file in files:
            try:
                found.append(Database(Path(file)))
            except AdapterError as error:
                self._tell(f"{error.what}; the guard goes on without it")
        self._databases = tuple(found)
        self._young, self._old = {}, {}

    def country(self, address: Address) -> str:
        """Give the country of an address as two capital letters, "" when it is not known."""
        return self._place(address)[0]

    def asn(self, address: Address) -> int:
        """Give the number of the autonomous system of an address, 0 when it is not known."""
        return self._place(address)[1]

    def counters(self) -> dict[str, int]:
        """Give how many databases there are, how many answers are remembered, and how many could not be read."""
        known = len(self._young) + len(self._old)
        return {"databases": len(self._databases), "remembered": known, "damaged": self.damaged}

    def _place(self, address: Address) -> _Place:
        if not self._databases:
            return _NOWHERE
        key = address if len(address) == 4 else address[:8]  # nobody is delegated less than a /64
        known = self._young.get(key)
        if known is None:
            known = self._old.get(key) or self._find(address)
            if len(self._young) >= REMEMBERED:  # forget the generation before the last, whatever it holds
                self._old, self._young = self._young, {}
            self._young[key] = known
        return known

    def _find(self, address: Address) -> _Place:
        country, asn = _NOWHERE
        for database in self._databases:
            try:
                record = database.record(address)
            except DAMAGED as error:
                if not self.damaged:
                    self._tell(f"{database.path} is damaged: {error}; what it does not know is taken for unknown")
                self.damaged += 1
                continue
            country = country or country_of(record)
            asn = asn or asn_of(record)
        return country, asn


def country_of(record: Any) -> str:
    """Read the country out of a record, in the forms that are about: MaxMind's and DB-IP's, and flat ones."""
    if not isinstance(record, Mapping):
        return ""
    for key in ("country", "country_code", "registered_country"):
        value = record.get(key)
        code = value.get("iso_code") if isinstance(value, Mapping) else value
        if isinstance(code, str) and len(code) == 2 and code.isascii() and code.isalpha():
            return code.upper()
    return ""


def asn_of(record: Any) -> int:
    """Read the number of the autonomous system out of a record, written as 64500 or "AS64500"."""
    if not isinstance(record, Mapping):
        return 0
    for key in ("autonomous_system_number", "asn", "as_number"):
        value = record.get(key)
        if isinstance(value, str):
            digits = value.upper().removeprefix("AS")
            value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else 0
        if isinstance(value, int) and 0 < value < 1 << 32:
            return int(value)
    return 0


def _content(path: Path) -> bytes:
    """Read a file as a whole. Raises AdapterError."""
    try:
        # Not blocking: a pipe that nobody writes to must not hang the guard.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise AdapterError("geo", f"{path} is no regular file")
            content = opened.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        raise AdapterError("geo", f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > MOST_BYTES:
        raise AdapterError("geo", f"{path} is larger than {MOST_BYTES >> 20} MiB")
    return content
