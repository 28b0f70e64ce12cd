"""What an agent of the laboratory says in the same words every time."""

from __future__ import annotations

REASONS = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    302: "Moved Temporarily",
}


def in_uri(address: str) -> str:
    """Return an address as it stands in a URI (RFC 3261 section 25.1, IPv6reference)."""
    return f"[{address}]" if ":" in address else address


def described(address: str, port: int, version: int) -> str:
    """Return a session description: audio to an address and port (RFC 4566)."""
    where = f"IN {'IP6' if ':' in address else 'IP4'} {address}"
    return (
        f"v=0\r\no=- {version} 1 {where}\r\ns=-\r\nc={where}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
    )
