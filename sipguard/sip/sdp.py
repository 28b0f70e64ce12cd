"""Session descriptions (RFC 8866) as far as a guard asks: who made it, what media, and where they are to be sent.

Never raises on any input; what cannot be read is b"" or 0. Only the first `MAX_LINES` lines and `MAX_MEDIA` media
are read.
"""

from __future__ import annotations

MAX_LINES = 1_024
MAX_MEDIA = 64
MAX_FIRST = 8
"""Media that are looked through for one that is not refused."""
_M_LINE, _C_LINE = 128, 96  # bytes of such lines in which all that is asked for must stand


class Media:
    """One m= line: `kind` ("audio"), `port` (0 to 65535; 0 means refused), `protocol`, `formats`, `address`.

    `address` is where it is to be sent: its own c= line, else the session's.
    """

    __slots__ = ("address", "formats", "kind", "port", "protocol")

    def __init__(self, kind: bytes, port: int, protocol: bytes, formats: tuple[bytes, ...], address: bytes) -> None:
        self.kind = kind
        self.port = port
        self.protocol = protocol
        self.formats = formats
        self.address = address


class Sdp:
    """One session description. `origin` is the o= line's user name, `origin_address` its address."""

    __slots__ = ("address", "media", "origin", "origin_address", "session_name")

    def __init__(self) -> None:
        self.origin = b""
        self.origin_address = b""
        self.session_name = b""
        self.address = b""
        self.media: list[Media] = []


def parse_sdp(body: bytes) -> Sdp:
    """Read a session description; anything that is none gives an empty one."""
    sdp = Sdp()
    for line in body.split(b"\n", MAX_LINES)[:MAX_LINES]:
        kind, value = line[:2], line[2:].strip()
        if kind == b"m=":
            if len(sdp.media) < MAX_MEDIA:
                sdp.media.append(_media(value, sdp.address))
        elif kind == b"c=":
            _connection(sdp, value)
        elif kind == b"s=" and not sdp.session_name:
            sdp.session_name = value
        elif kind == b"o=" and not sdp.origin:
            # o=<username> <sess-id> <sess-version> <nettype> <addrtype> <unicast-address>
            words = value.split()
            sdp.origin = words[0] if words else b""
            sdp.origin_address = words[5] if len(words) > 5 else b""
    return sdp


def first_media(body: bytes) -> tuple[bytes, int]:
    """Give where the first media of a body that is not refused are to go, as written; b"" and 0 where there are none.

    What `parse_sdp` gives of them, for a tenth of the work.
    """
    general, *rest = body.split(b"\nm=", MAX_FIRST + 1)
    for media in rest[:MAX_FIRST]:
        words = media[:_M_LINE].split(None, 2)
        number = words[1].partition(b"/")[0] if len(words) > 2 else b""
        port = int(number) if number.isdigit() and len(number) <= 5 else 0
        if 0 < port < 1 << 16:
            address = _named(media) or _named(general)
            return (address, port) if address else (b"", 0)
    return b"", 0


def _named(text: bytes) -> bytes:
    """Give the address of the first c= line of a part of a description, without what follows it (TTL)."""
    start = text.find(b"\nc=IN IP")
    words = text[start + 3 : start + 3 + _C_LINE].split(None, 3) if start >= 0 else []
    return words[2].partition(b"/")[0] if len(words) > 2 else b""


# c=<nettype> <addrtype> <connection-address>[/ttl[/number]]
def _connection(sdp: Sdp, value: bytes) -> None:
    words = value.split(None, 3)
    address = words[2].partition(b"/")[0] if len(words) > 2 else b""
    if sdp.media:
        sdp.media[-1].address = address
    else:
        sdp.address = address


# m=<media> <port>[/<number of ports>] <proto> <fmt> ...
def _media(value: bytes, address: bytes) -> Media:
    words = value.split()
    port = words[1].partition(b"/")[0] if len(words) > 1 else b""
    number = int(port) if port.isdigit() and len(port) < 6 else 0
    protocol = words[2] if len(words) > 2 else b""
    kind = words[0] if words else b""
    return Media(kind, number if number < 65_536 else 0, protocol, tuple(words[3:]), address)
