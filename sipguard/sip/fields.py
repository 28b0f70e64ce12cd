"""Readers of single header values: tags, branches, Via, CSeq, Contact.

Each has a short way for what phones and PBXs send, and a careful one for what an attacker sends; both give the same
answer where both apply. Where a parameter is given twice the last one counts, as Asterisk's and Kamailio's parsers
overwrite. Never raises on any input.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sipguard.sip.grammar import BACKSLASH, COMMA, DQUOTE, MAX_PARAMETERS, METHODS, VIA, number, parameters, split_list
from sipguard.sip.uri import Parameters, address_of, split_address

# What may stand in what follows ";tag=" only where that needs care: more parameters, quotes, brackets.
_NOT_IN_A_TAG = re.compile(rb'[;"<>]')


class Via:
    """One Via: `transport` in capitals, `host` as sent, `port` None when absent, the rest b"" when absent.

    `rport` is b"" both where the parameter is absent and where it is there without a value (RFC 3581 section 3);
    `params` tells which.
    """

    __slots__ = ("branch", "host", "params", "port", "received", "rport", "transport")

    def __init__(self, transport: str, host: bytes, port: int | None, params: Parameters) -> None:
        self.transport = transport
        self.host = host
        self.port = port
        self.params = params
        self.branch = _last(params, b"branch")
        self.received = _last(params, b"received")
        self.rport = _last(params, b"rport")


class Contact:
    """One Contact: the URI as sent, its own expiry in seconds, None when absent or no number, or a lone star."""

    __slots__ = ("expires", "star", "uri")

    def __init__(self, uri: bytes, expires: int | None, star: bool) -> None:  # noqa: FBT001 - three fields, as made below
        self.uri = uri
        self.expires = expires
        self.star = star


def _last(params: Sequence[tuple[bytes, bytes]], name: bytes) -> bytes:
    found = b""
    for key, value in params:
        if key == name:
            found = value
    return found


def read_tag(value: bytes) -> bytes:
    """Give the tag of a From or To value, b"" when there is none."""
    _, found, tag = value.rpartition(b";tag=")
    if not found:
        semicolon = value.find(b";")
        if semicolon < 0 or (value.find(b">") == len(value) - 1 and value.rfind(b'"') < value.find(b"<") < semicolon):
            return b""  # nothing follows the address, and what looks like a parameter is one of its URI's
    elif value.count(b";") <= MAX_PARAMETERS:  # of more, only the careful way knows which are read
        if tag.isalnum():
            return tag
        if _NOT_IN_A_TAG.search(tag) is None:
            return tag.strip()
    return _last(address_of(value)[2], b"tag")


def read_branch(value: bytes) -> bytes:
    """Give the branch of the first entry of a Via value, b"" when there is none."""
    if COMMA not in value and DQUOTE not in value and value.count(b";") <= MAX_PARAMETERS:
        before, found, after = value.partition(b";branch=")
        branch, _, more = after.partition(b";")
        if found and before and (not more or more == b"rport" or more.lower().find(b"branch") < 0):
            return branch.strip()
    entries = split_list(value)
    return _last(parameters(entries[0]), b"branch") if entries else b""


def read_via(value: bytes) -> Via | None:
    """Read one entry of a Via value, None when it is not `SIP/2.0/transport host[:port]`, roughly."""
    match = VIA.match(value)
    if match is None:
        return None
    port = match[5]
    return Via(
        match[3].decode("ascii").upper(),
        match[4],
        int(port) if port is not None else None,
        tuple(parameters(value[match.end() :])),
    )


def read_method(sent: bytes) -> str:
    """Give a method as a PBX takes it: a known one whatever its case, any other as sent (Latin-1)."""
    return METHODS.get(sent) or METHODS.get(sent.upper()) or sent.decode("latin-1")


def read_cseq(value: bytes) -> tuple[int, str]:
    """Give number and method of a CSeq value: -1 where the number is none or above 2^32 - 1, "" where no method is."""
    digits, _, sent = value.strip().partition(b" ")
    method = METHODS.get(sent)
    if method is not None and digits.isdigit() and len(digits) < 10:
        return int(digits), method
    words = value.split(None, 2)
    if not words:
        return -1, ""
    method = read_method(words[1]) if len(words) > 1 else ""
    digits = words[0].lstrip(b"0") or words[0][:1]
    if not digits.isdigit() or len(digits) > 10 or int(digits) > 0xFFFF_FFFF:
        return -1, method
    return int(digits), method


def read_contacts(value: bytes) -> list[Contact]:
    """Read every entry of one Contact value (RFC 3261 section 20.10)."""
    only = _plain_contact(value.strip())
    if only is not None:
        return [only]
    found = []
    for entry in split_list(value):
        if entry == b"*":
            found.append(Contact(b"*", None, True))
            continue
        _, uri, tail, _ = split_address(entry)
        expires = _last(parameters(tail), b"expires") if tail else b""
        found.append(Contact(uri, number(expires), False))
    return found


def _plain_contact(value: bytes) -> Contact | None:
    """Read a single `<uri>` with its parameters, as nearly all stacks write it; None when anything needs care."""
    uri, bracket, tail = value[1:].partition(b">")
    if value[:1] != b"<" or not bracket:
        return None
    if not tail:
        return Contact(uri.strip(), None, False)
    pieces = tail.split(b'"')
    if COMMA in tail and (b"<" in tail or BACKSLASH in tail or b"," in b"".join(pieces[::2]) or not len(pieces) & 1):
        return None
    before, found, after = tail.partition(b";expires=")
    if not found:
        return None if tail.lower().find(b"expires") >= 0 else Contact(uri.strip(), None, False)
    digits, _, more = after.partition(b";")
    if not digits.isdigit() or len(pieces) > 1 or (before + more).lower().find(b"expires") >= 0:
        return None
    return Contact(uri.strip(), number(digits), False)
