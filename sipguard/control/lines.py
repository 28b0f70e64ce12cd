"""Event lines for people: one line of text for each, in the order they happened. Pure but for the local time zone.

Promises: any JSON object gives one printable line; nothing in it can act on a terminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sipguard.control.text import clean

_QUIET = ("at", "kind", "detector", "verdict", "action", "subject", "until", "evidence", "identifier", "proven")
_LONGEST = 1000


def event_text(line: Mapping[str, Any]) -> str:
    """Write `14:03:22 decision block 203.0.113.9 until 15:03:22 because=credentials rule=ban.first`."""
    what = line.get("detector") or line.get("verdict") or line.get("action") or "-"
    words = [when(line.get("at")), f"{clean(line.get('kind', '-')):<8}", f"{clean(what):<12}"]
    words.append(f"{clean(line.get('subject', '-')):<22}")
    if "until" in line:
        words.append(f"until {when(line['until'])}")
    evidence = line.get("evidence")
    details = [*(evidence.items() if isinstance(evidence, Mapping) else ())]
    details += [(key, value) for key, value in line.items() if key not in _QUIET]
    words += [f"{clean(key)}={_value(value)}" for key, value in details if value not in ("", [], None)]
    return clean(" ".join(words), _LONGEST).rstrip()


def when(at: object) -> str:
    """Write seconds since 1970 as local time, with the date where it is not today's."""
    if not isinstance(at, int | float) or isinstance(at, bool):
        return "-"
    if at == 0:
        return "for good"
    try:
        moment = datetime.fromtimestamp(at).astimezone()
    except (OverflowError, ValueError, OSError):
        return "-"
    today = datetime.now().astimezone().date()
    return moment.strftime("%H:%M:%S" if moment.date() == today else "%Y-%m-%d %H:%M:%S")


def _value(value: object) -> str:
    return clean(",".join(map(str, value)) if isinstance(value, list) else value)
