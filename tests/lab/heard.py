"""A SIP message as an agent of the laboratory hears it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.lab.client import Challenge, Reply


@dataclass(frozen=True, slots=True)
class Message:
    """What came: a request or a response, its headers as they stand."""

    start: str
    head: str
    body: str = ""

    @property
    def code(self) -> int:
        """The status, 0 for a request."""
        return int(self.start.split(" ")[1]) if self.start.startswith("SIP/2.0") else 0

    @property
    def method(self) -> str:
        """The method of a request, or of the request that this answers."""
        return self.header("CSeq").split()[-1] if self.code else self.start.split(" ")[0]

    @property
    def number(self) -> str:
        """The user part of a request's URI."""
        found = re.match(r"\S+ sips?:([^@;\s]+)@", self.start)
        return found.group(1) if found else ""

    @property
    def cseq(self) -> int:
        """The number in CSeq."""
        return int(self.header("CSeq").split()[0])

    @property
    def key(self) -> tuple[str, ...]:
        """What a retransmission has in common with what it repeats."""
        return self.start, self.header("Via"), self.header("CSeq"), self.header("Call-ID"), self.header("To")

    def header(self, name: str) -> str:
        """Return the first value of a header by its long name, or nothing."""
        return next(iter(self.headers(name)), "")

    def headers(self, name: str) -> list[str]:
        """Return all values of a header by its long name."""
        return re.findall(rf"^{name}[ \t]*:[ \t]*(.*?)\r?$", self.head, re.IGNORECASE | re.MULTILINE)

    @property
    def challenge(self) -> Challenge:
        """The challenge in it. Raises LabError when there is none."""
        return Reply(self.code, self.head).challenge

    def lines(self, *names: str) -> str:
        """Return headers as lines, to be sent back."""
        return "".join(f"{name}: {value}\r\n" for name in names for value in self.headers(name))


def parse(text: str) -> Message:
    """Read one message."""
    head, _, body = text.partition("\r\n\r\n")
    start, _, rest = head.partition("\r\n")
    return Message(start, rest, body)


def routed(values: list[str]) -> str:
    """Return a route set as lines of a request."""
    return "".join(f"Route: {value}\r\n" for value in values)


def uri_in(value: str) -> str:
    """Return the URI of a header's value, with or without brackets."""
    found = re.search(r"<([^>]*)>", value)
    return found.group(1) if found else value


def tag_in(value: str) -> str:
    """Return the tag of a From or To, empty where it has none."""
    found = re.search(r";tag=([^;\s]+)", value)
    return found.group(1) if found else ""
