"""Time zones of this host as plain tables: from which second on, so many seconds east of UTC.

The core reads no files, so a zone is turned into a table here when a policy is read. "local" is /etc/localtime.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from pathlib import Path

from sipguard.errors import AdapterError

LOCAL = "local"
_LOCALTIME = Path("/etc/localtime")
_YEARS = 10


def is_zone(name: str) -> bool:
    """Tell whether this host knows a time zone of that name."""
    return _find(name) is not None


def offsets(name: str) -> tuple[tuple[int, int], ...]:
    """Give the offsets of a zone from 1999 to 2049; none, which is UTC, for one that this host does not know."""
    try:
        return zone_table(name, 2000, 50)
    except AdapterError:
        return ()


def zone_table(name: str, year: int, years: int = _YEARS) -> tuple[tuple[int, int], ...]:
    """Give the offsets of a zone from the year before `year` on, each with its first second since 1970.

    Raises AdapterError for a zone that this host does not know.
    """
    zone = _find(name)
    if zone is None:
        raise AdapterError("zones", f"this host knows no time zone {name}: is the package tzdata installed?")
    begin = int(dt.datetime(year - 1, 1, 1, tzinfo=dt.UTC).timestamp())
    end = int(dt.datetime(year - 1 + years, 1, 1, tzinfo=dt.UTC).timestamp())
    table = [(begin, _offset(zone, begin))]
    for day in range(begin + 86_400, end, 86_400):
        offset = _offset(zone, day)
        if offset != table[-1][1]:
            table.append((_change(zone, day - 86_400, day), offset))
    return tuple(table)


def _find(name: str) -> dt.tzinfo | None:
    try:
        if name == LOCAL:
            if not _LOCALTIME.exists():
                return dt.UTC
            with _LOCALTIME.open("rb") as file:
                return zoneinfo.ZoneInfo.from_file(file)
        return zoneinfo.ZoneInfo(name)
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        return None


def _offset(zone: dt.tzinfo, second: int) -> int:
    offset = dt.datetime.fromtimestamp(second, zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _change(zone: dt.tzinfo, before: int, after: int) -> int:
    """Find the second at which the offset changes between two."""
    earlier = _offset(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(zone, middle) == earlier:
            before = middle
        else:
            after = middle
    return after
