"""The one noun that capture files yield. Nothing but it belongs here."""

from __future__ import annotations

from sipguard.model import Instant


class Captured:
    """One captured frame. `at` is in nanoseconds since 1970; `truncated` says that the capture cut the frame."""

    __slots__ = ("at", "data", "linktype", "truncated")

    def __init__(self, at: Instant, linktype: int, data: bytes, truncated: bool) -> None:  # noqa: FBT001 - hot path
        self.at = at
        self.linktype = linktype
        self.data = data
        self.truncated = truncated


class Faults:
    """What was found wrong in a file: the first 16 different remarks, so that a broken file cannot fill memory."""

    __slots__ = ("remarks",)

    LIMIT = 16

    def __init__(self) -> None:
        self.remarks: dict[str, None] = {}

    def add(self, remark: str) -> None:
        """Keep a remark unless it is known or there are too many."""
        if len(self.remarks) < self.LIMIT:
            self.remarks.setdefault(remark)
