"""What a call's headers say of who began it, and whether two dialled strings mean one number. Never raises.

Believed only of what the PBX itself sends. A phone can write all of it as well, and some PBXs pass that on: so it is
noted of a phone's own INVITE that it bore such headers (`Leg.hinted`), and what it said is then worth nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from sipguard.address import Address
from sipguard.call import Called, NumberClass
from sipguard.sip.grammar import split_list
from sipguard.sip.message import SipMessage, SipRequest
from sipguard.sip.uri import Uri, address_of, parse_uri, unescape, user_in, user_of

_TAIL = 7
"""Digits from the end that make one number: a subscriber's number nearly everywhere (ITU-T E.164)."""
_PREFIX = 3  # digits that a PBX takes away from a short number, or puts before it
_SHORTEST = 3
_LONGEST = 64
_ENTRIES = 8  # of one header that are looked at
_DIVERTING = ("diversion", "history-info")
_ASSERTED = ("p-asserted-identity", "remote-party-id")
_HINTS = (*_DIVERTING, "referred-by")


class Hints:
    """What a leaving INVITE says: who sent the call on, who transferred it, and whose call it is (users, b"": no word).

    `identities` are those it names as its caller, the best first, each once.
    """

    __slots__ = ("diverting", "identities", "referred")

    def __init__(self, diverting: bytes, referred: bytes, identities: tuple[bytes, ...]) -> None:
        self.diverting = diverting
        self.referred = referred
        self.identities = identities


def read_hints(request: SipRequest) -> Hints:
    """Read Diversion (RFC 5806), History-Info (RFC 7044), Referred-By (RFC 3892), P-Asserted-Identity and From."""
    found = [user for name in _ASSERTED for value in request.headers(name)[:_ENTRIES] if (user := user_in(value))]
    return Hints(
        _diverting(request) if request.header("diversion") or request.header("history-info") else b"",
        _user(request.header("referred-by")),
        tuple(dict.fromkeys((*found, request.from_user))),
    )


def is_hinted(message: SipMessage) -> bool:
    """Tell whether a message claims to be a call that was sent on or transferred."""
    return any(message.header(name) is not None for name in _HINTS)


def _user(value: bytes | None) -> bytes:
    return b"" if value is None else user_in(value)


def _diverting(request: SipRequest) -> bytes:
    first = split_list(request.header("diversion") or b"")
    if first:
        return user_in(first[0]) or b"?"
    # In History-Info the last entry is where the call goes now; who stands before it sent it on.
    entries = [each for value in request.headers("history-info")[:_ENTRIES] for each in split_list(value)]
    users = [user for each in entries if (user := user_in(each))]
    return next((user for user in reversed(users[:-1]) if user != users[-1]), b"")


class Replaced:
    """The dialog that an INVITE or a Refer-To wants replaced (RFC 3891): Call-ID and its two tags."""

    __slots__ = ("call_id", "from_tag", "to_tag")

    def __init__(self, call_id: bytes, to_tag: bytes, from_tag: bytes) -> None:
        self.call_id = call_id
        self.to_tag = to_tag
        self.from_tag = from_tag


def read_replaces(value: bytes) -> Replaced | None:
    """Read a Replaces value; None when it names no Call-ID."""
    call_id, *more = value.split(b";", _ENTRIES)
    tags = {name.strip().lower(): tag.strip() for name, _, tag in (each.partition(b"=") for each in more)}
    call_id = call_id.strip()
    return Replaced(call_id, tags.get(b"to-tag", b""), tags.get(b"from-tag", b"")) if call_id else None


def refer_to(request: SipRequest) -> tuple[bytes, Replaced | None]:
    """Give the URI that a REFER points to (b"": none), and the dialog it wants replaced there."""
    uri = address_of(request.header("refer-to") or b"")[1]
    read: Uri | None = parse_uri(uri)
    if read is None or not read.headers:
        return uri, None
    for each in read.headers.split(b"&", _ENTRIES):
        name, _, value = each.partition(b"=")
        if name.strip().lower() == b"replaces":
            return uri.partition(b"?")[0], read_replaces(unescape(value))
    return uri.partition(b"?")[0], None


# --- Numbers ----------------------------------------------------------------------------------------------------------


def plain_called(uri: bytes, _far: Address) -> Called:
    """Read whom a URI names without any dial plan: what is dialled, as it stands."""
    text = printable(user_of(uri))
    return Called(text, NumberClass.OTHER, text if text[:1] == "+" and text[1:].isdigit() else "")


def printable(text: bytes) -> str:
    """Give a name as printable ASCII of at most 64 characters, "?" in the place of all else."""
    return "".join([chr(each) if 32 <= each < 127 else "?" for each in text[:_LONGEST]])


def digits_of(called: Called) -> str:
    """Give what numbers are compared by: the digits, or the whole name where there are none."""
    text = called.e164 or called.dialled
    digits = text[1:] if text[:1] == "+" else text
    return digits if digits.isdigit() else "".join([each for each in digits if each.isdigit()]) or text


def bucket_of(digits: str) -> str:
    """Give what all spellings of one number have in common, by which they are found."""
    return digits[1 - _TAIL :] if len(digits) >= _TAIL else digits[-_SHORTEST:]


def same_number(one: str, other: str) -> bool:
    """Tell whether two of `digits_of` mean one number: a PBX adds and takes away what stands before it."""
    if one == other:
        return bool(one)
    shorter, longer = (one, other) if len(one) <= len(other) else (other, one)
    if len(shorter) >= _TAIL:
        return shorter[-_TAIL:] == longer[-_TAIL:]
    return len(shorter) >= _SHORTEST and len(longer) - len(shorter) <= _PREFIX and longer.endswith(shorter)


def differ(one: Called, other: Called) -> bool:
    """Tell whether two are surely not one number, however alike they end: both are read, and to different ones."""
    return bool(one.e164 and other.e164) and one.e164 != other.e164


def closest(digits: str, others: Sequence[str]) -> list[int]:
    """Give which of several numbers are the same as one: those equal to it, else those that only seem to be."""
    equal = [at for at, each in enumerate(others) if each == digits and digits]
    return equal or [at for at, each in enumerate(others) if same_number(digits, each)]
