"""What the first bytes of a datagram tell to rules that can look at nothing else: the kernel's, and their rehearsal."""

from __future__ import annotations

HARMLESS = b"REGI", b"ACK ", b"BYE ", b"CANC", b"PRAC", b"OPTI", b"SUBS", b"NOTI", b"PUBL", b"INFO", b"UPDA", b"SIP/"
"""How a known source may begin without being held. No PBX takes a request that begins so for another, whatever stands
before the method in others (a tab, a line end, a NUL)."""

ANSWER = b"SIP/"
LEAVING = (b"INVI", b"ACK ")
"""How a PBX writes the beginning of a call, and of an acknowledgement that may be of a refusal of ours."""

SHORT = 20
"""Bytes; no request is shorter (RFC 3261 section 25.1: a method, a URI and a version on a line)."""
