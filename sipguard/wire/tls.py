"""Tells TLS from SIP at the beginning of a TCP connection, without reading any of it. Raises nothing.

Both sides must speak TLS before a connection is taken for it: on a port where the PBX reads plain SIP, two bytes at
the front would else hide all that follows. What the client says is kept until the server has answered.
"""

from __future__ import annotations

PATIENCE = 4096
"""The most client bytes kept before the server's first; a ClientHello is 200 to 2000 (RFC 8446 section 4.1.2)."""

_HANDSHAKE, _ALERT = 0x16, 0x15  # RFC 8446 section 5.1
_MAJOR = b"\x03"
_SIP = b"sip/2.0"  # in no ClientHello, where a protocol is named "sip/2"; a PBX that bears garbage reads on to it


def begins(data: bytes) -> bool:
    """Tell whether a client that begins so may speak TLS; a single byte of it is enough to think so."""
    return data[:1] == b"\x16" and data[1:2] in (b"", _MAJOR)


def answers(data: bytes) -> bool:
    """Tell whether a server that begins so speaks TLS, be it to refuse."""
    return len(data) > 0 and data[0] in (_HANDSHAKE, _ALERT) and data[1:2] in (b"", _MAJOR)


class Sealed:
    """What the client of one connection has said that may be TLS; nothing is kept once it is `sure`."""

    __slots__ = ("held", "sure")

    def __init__(self) -> None:
        self.held = b""
        self.sure = False

    def takes(self, data: bytes) -> bool:
        """Take more from the client; False when it is no TLS after all: all of it is then in `held`, to be read."""
        if self.sure:
            return True
        self.held += data
        return len(self.held) <= PATIENCE and begins(self.held) and _SIP not in self.held.lower()

    def answered(self, data: bytes) -> bool:
        """Take the server's first bytes; False when they are no TLS: what the client said is in `held`, to be read."""
        self.sure = answers(data)
        if self.sure:
            self.held = b""
        return self.sure
