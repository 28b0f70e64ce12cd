"""A TCP stream in one direction to the messages in it (RFC 3261 section 7.5, 18.3).

What comes out depends on the bytes alone, never on how they were cut into segments. State is bounded: at most
`MAX_HEAD + MAX_BODY` bytes wait. Never raises on any input; works in time linear in the length of the stream, one
byte at a time too. No packets and no sequence numbers here: `wire/stream.py` puts them in order.
"""

from __future__ import annotations

import re

from sipguard.sip.grammar import MAX_HEAD, MAX_LINE

MAX_BODY = 65_536
"""Bytes of a body that are waited for. A message that announces more is given out without its body, at once."""

# What may begin a message: a status line, or a method, something, and a version. Anything else is garbage.
_START_LINE = re.compile(
    rb"[ \t\0]*+(?:SIP/[0-9.]++[ \t]++[0-9]|[^\s:]++[ \t]++[^ \t].*[ \t]SIP/[0-9.]++[ \t]*+$)", re.IGNORECASE
)

_LINE_END = re.compile(rb"[\r\n]")
_LINE_ENDS = re.compile(rb"[\r\n]*+")

# As `grammar.BLANK_LINE`, but a CR at the end of what has come yet may still become a CRLF.
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?=[^\n]))")

# A length where none belongs: on a line that goes on with the one before, or in garbage. Kamailio takes the first for
# one all the same; and PBXs read garbage up to an empty line, and pass over as many bytes as the length in it says.
_FOLDED_LENGTH = re.compile(rb"[\r\n][ \t]++(?:content-length|l)[ \t]*+:", re.IGNORECASE)
_STRAY_LENGTH = re.compile(rb"[ \t]*+(?:content-length|l)[ \t]*+:[ \t]*+(?!0*+[ \t]*+$)", re.IGNORECASE)

# Content-Length, in full or compact, folded or not; the first one counts, as in `SipMessage.content_length`.
_CONTENT_LENGTH = re.compile(
    rb"[\r\n](?:[cC][oO][nN][tT][eE][nN][tT]-[lL][eE][nN][gG][tT][hH]|[lL])[ \t]*+:"
    rb"((?:[^\r\n]++|\r\n[ \t]|\r[ \t]|\n[ \t])*)"
)


class Framer:
    """Cuts one direction of one flow into messages.

    `faults` counts the places where a PBX may cut otherwise than we do: runs of garbage, lines and heads that are too
    long, an end of head that is not CRLF CRLF, a Content-Length that is missing, doubled, unreadable or too large, and
    gaps. A flow with faults is not to be trusted to have been read to the end. `doubts` counts those of them after
    which some PBX finds messages where we find none: all but what is merely garbage, a missing length and gaps.
    """

    __slots__ = (
        "_at",
        "_in_garbage",
        "_in_head",
        "_in_long_line",
        "_lost",
        "_need",
        "_scanned",
        "_text",
        "doubts",
        "faults",
    )

    def __init__(self) -> None:
        self._text: bytes | bytearray = b""
        self._at = 0  # where the present line or message begins; 0 between calls
        self._scanned = 0  # up to where no line end, or no end of the head, was found
        self._in_head = False  # a start line stands at `_at`
        self._need = 0  # length of the message at `_at` once its head is read, else 0
        self._in_garbage = False
        self._in_long_line = False  # its beginning is dropped already
        self._lost = False  # after a gap, up to the next start line
        self.faults = 0
        self.doubts = 0

    @property
    def pending(self) -> int:
        """Bytes that wait for more, at most `MAX_HEAD + MAX_BODY`."""
        return len(self._text)

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream, give the messages that they complete."""
        if self._text:
            # only here is a bytearray worth its cost: most segments hold whole messages
            if isinstance(self._text, bytes):
                self._text = bytearray(self._text)
            self._text += data
        else:
            self._text = data
        messages: list[bytes] = []
        while self._step(messages):
            pass
        self._drop(self._at)
        return messages

    def fork(self) -> Framer:
        """Give a second one that has read the same."""
        other = Framer()
        other._text = bytes(self._text)
        other._at, other._scanned, other._need = self._at, self._scanned, self._need
        other._in_head, other._in_garbage = self._in_head, self._in_garbage
        other._in_long_line, other._lost = self._in_long_line, self._lost
        other.faults, other.doubts = self.faults, self.doubts
        return other

    def gap(self) -> None:
        """Bytes of the stream were lost: drop what waits, and look for the next start line."""
        self._text = b""
        self._at = self._scanned = self._need = 0
        self._in_head = self._in_garbage = self._in_long_line = False
        self._lost = True
        self.faults += 1

    def _drop(self, count: int) -> None:
        if count == len(self._text):
            self._text = b""
        elif isinstance(self._text, bytearray):
            del self._text[:count]
        else:
            self._text = self._text[count:]
        self._scanned = max(0, self._scanned - count)
        self._at = 0

    def _step(self, messages: list[bytes]) -> bool:
        """Do one thing: take a line, a head or a message. False when more bytes are needed for it."""
        if self._need:
            return self._take(messages)
        if self._in_head:
            return self._head()
        return self._line()

    def _line(self) -> bool:
        text = self._text
        if not self._in_long_line:
            match = _LINE_ENDS.match(text, self._at)  # keep-alives, and what ended the line before
            self._at = match.end() if match is not None else self._at
        end = _LINE_END.search(text, max(self._at, self._scanned))
        length = (len(text) if end is None else end.start()) - self._at
        if length > MAX_LINE:
            self._garbage()
            self.doubts += not (self._in_long_line or self._lost)
            self._in_long_line = True
        if end is None:
            if self._in_long_line:
                self._at = len(text)
            self._scanned = len(text)
            return False
        if self._in_long_line:
            self._in_long_line = False
        elif _START_LINE.match(text, self._at, end.start()) is not None:
            self._in_head = True
            self._lost = self._in_garbage = False
            self._scanned = end.start()
            return True
        else:
            self._garbage()
            self.doubts += not self._lost and _STRAY_LENGTH.match(text, self._at, end.start()) is not None
        self._at = self._scanned = end.start()
        return True

    def _garbage(self) -> None:
        if not self._in_garbage:
            self.faults += 1
        self._in_garbage = True

    def _head(self) -> bool:
        text, at = self._text, self._at
        limit = at + MAX_HEAD
        # an end of the head takes four bytes at most, three of which may have been scanned already
        start = max(at, self._scanned - 3)
        end = text.find(b"\r\n\r\n", start, limit)
        if end < 0 or not _is_regular(text[at : end + 4]):
            match = _BLANK_LINE.search(text, start, limit)
            if match is None:
                self._scanned = min(len(text), limit)
                if len(text) < limit:
                    return False
                self._need = MAX_HEAD
                self.faults += 1
                self.doubts += 1
                return True
            if match[0] != b"\r\n\r\n":
                self.faults += 1
                self.doubts += 1
            end = match.end() - 4
        self._need = end + 4 - at + self._body_length(end + 4)
        return True

    def _body_length(self, end: int) -> int:
        values = _CONTENT_LENGTH.findall(self._text, self._at, end)
        length = bytes(values[0]).strip() if values else b""
        folded = _FOLDED_LENGTH.search(self._text, self._at, end) is not None
        if (
            folded
            or len(length) > 10
            or any(not value.strip().isdigit() or value.strip() != length for value in values)
        ):
            self.doubts += 1
        if len(values) != 1 or not length.isdigit() or len(length) > 10:
            self.faults += 1
        if not length.isdigit() or len(length) > 10:
            return 0
        if int(length) > MAX_BODY:
            self.faults += 1
            self.doubts += 1
            return 0
        return int(length)

    def _take(self, messages: list[bytes]) -> bool:
        end = self._at + self._need
        if len(self._text) < end:
            return False
        messages.append(bytes(self._text[self._at : end]))
        self._at = self._scanned = end
        self._need = 0
        self._in_head = False
        return True


def _is_regular(head: bytes | bytearray) -> bool:
    """Tell whether every line ends with CRLF, so that the first CRLF CRLF is the first empty line."""
    pairs = head.count(b"\r\n")
    return head.count(b"\n") == pairs and head.count(b"\r") == pairs
