"""Whom a request URI calls, taken apart: `sip:`, `sips:`, `tel:`, `urn:`, or a bare dialled string. Never raises.

Parameters of the user are split off before escapes are undone, so that an escaped semicolon ends no number
(RFC 3261 section 19.1.1, RFC 3966 section 3). Says nothing of what a number means.
"""

from __future__ import annotations

import re
from typing import Final

from sipguard.call import Hidden

LONGEST: Final = 2048
"""Bytes of a user before its parameters; of a longer one, or one with more parameters, nobody can say whom it calls."""

_MOST_PARAMETERS = 16  # of a user; all that are registered do not make so many
_PERCENT: Final = 0x25
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]{0,31}:")
_SEPARATORS = b"-.() "  # RFC 3966 section 5.1.1, and the blank that people write
_SOS = re.compile(r"service:sos(?:\.[a-z0-9-]{1,63}){0,8}")  # RFC 5031 section 4


class Reason:
    """Why a string has no number of its own; `Called.why` is one of these."""

    EMERGENCY: Final = "a number for help"
    EXTENSION: Final = "an extension"
    FEATURE: Final = "a code for the PBX, with no number after it"
    SHORT: Final = "a short code of the country"
    COUNTRY_UNKNOWN: Final = "the plan names no country"
    EMPTY: Final = "nobody is named"
    LONG: Final = Hidden.LONG
    NAME: Final = "a name, not a number"
    NO_FORM: Final = "fits no form of the plan"
    NO_HOST: Final = Hidden.NO_HOST
    NO_LETTERS: Final = "its letters make no number"
    PLUS: Final = "a plus that does not stand first"
    SCHEME: Final = Hidden.SCHEME
    SHORT_OF: Final = "too short for an international number"
    SIGNS: Final = "* or # within a number"
    STRANGE: Final = "signs that no number has"
    TWO_HOSTS: Final = Hidden.TWO_HOSTS
    ZERO: Final = "no country code begins with 0"


class Target:
    """Whom a URI calls. `number` is the user without separators, unescaped; `help` is set for `urn:service:sos`.

    `context` is the phone-context, `routing` the rn (RFC 4694): where the call is really sent. `fault` names why nobody
    is called, and is empty where somebody is.
    """

    __slots__ = ("context", "fault", "help", "number", "routing")

    def __init__(self, number: bytes, fault: str = "", context: bytes = b"", routing: bytes = b"") -> None:
        self.number = number
        self.fault = fault
        self.context = context
        self.routing = routing
        self.help = False


def target_of(uri: bytes) -> Target:
    """Take a URI apart; a string without a scheme is a dialled one, with or without a host behind an @."""
    uri = uri.strip()
    if uri[:1] == b"<" and uri[-1:] == b">":
        uri = uri[1:-1].strip()
    scheme = _SCHEME.match(uri)
    if scheme is None:
        return _of_user(uri.partition(b"@")[0], uri.count(b"@"))
    kind, rest = scheme[0].lower(), uri[scheme.end() :]
    if kind in {b"sip:", b"sips:"}:
        user, at, host = rest.partition(b"@")
        if not at:
            return Target(b"", Reason.EMPTY)
        if not host:  # who reads on all the same finds whom it calls
            number = _number(user.partition(b";")[0].partition(b":")[0])
            return Target(number, Reason.NO_HOST if user else Reason.EMPTY)
        return _of_user(user.partition(b":")[0], 1 + host.partition(b"?")[0].count(b"@"))
    if kind == b"tel:":
        return _of_user(rest, 0)
    if kind == b"urn:":
        return _of_urn(rest)
    return Target(b"", Reason.SCHEME)


def _of_urn(rest: bytes) -> Target:
    service = rest.decode("latin-1").lower()
    if _SOS.fullmatch(service) is None:
        return Target(b"", Reason.SCHEME)
    found = Target(b"urn:" + service.encode("latin-1"))
    found.help = True
    return found


def _of_user(user: bytes, hosts: int) -> Target:
    raw, semicolon, tail = user.partition(b";")
    number = _number(raw)
    if hosts > 1:
        return Target(number, Reason.TWO_HOSTS)
    if len(raw) > LONGEST or tail.count(b";") >= _MOST_PARAMETERS:  # what is hidden there may lead elsewhere
        return Target(number, Reason.LONG)
    if not number:
        return Target(b"", Reason.EMPTY)
    found = Target(number)
    if semicolon:
        for item in tail.split(b";"):
            name, _, value = item.partition(b"=")
            name = unescaped(name).strip().lower()
            if name == b"phone-context" and not found.context:
                found.context = unescaped(value).translate(None, _SEPARATORS)
            elif name == b"rn" and not found.routing:
                found.routing = unescaped(value).translate(None, _SEPARATORS) or b"?"
    return found


def _number(user: bytes) -> bytes:
    return unescaped(user[:LONGEST]).translate(None, _SEPARATORS)


def unescaped(text: bytes) -> bytes:
    """Undo `%HH` once; a percent sign that begins none stays."""
    if _PERCENT not in text:
        return text
    return _ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()), text)
