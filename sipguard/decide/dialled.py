"""Where a call goes, as far as a refusal must know: to an emergency number, or to where no call may go. Pure, total."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from sipguard.constraint import Between, Count, Described, Matching
from sipguard.numbering.emergency import Emergency
from sipguard.numbering.plan import DialPlan
from sipguard.numbering.plans import at_home
from sipguard.sip.uri import parse_uri

Number = Annotated[str, Matching(r"\+?[0-9*#]{1,20}", "digits, with a plus before them or not")]

_SEPARATORS = re.compile(rb"[-.() ]")  # RFC 3966 section 5.1.1
_OUTSIDE = (b"", b"0", b"9")
_ABROAD = (b"+", b"00", b"011")


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[refuse]`: how calls are refused, and which are whoever makes them."""

    code: Annotated[int, Between(400, 699), Described("What a refused call is answered with")] = 403
    destinations: Annotated[
        tuple[Number, ...],
        Count(0, 10_000),
        Described('Where no call may go, by the beginning of the number: "+252" also means 00252 and 011252'),
    ] = ()
    emergency: Annotated[
        tuple[Number, ...],
        Count(0, 100),
        Described("Numbers that nobody is ever refused, as they are dialled, besides those of the country"),
    ] = ("112", "911", "999", "000")


class Dialled:
    """Looks at numbers under any of the plans; an outside line is reached by nothing, a 0, a 9, or what a plan says."""

    __slots__ = ("_closed", "_emergency")

    def __init__(self, config: Config, plan: DialPlan, others: Sequence[DialPlan] = ()) -> None:
        self._emergency = Emergency([plan, *(at_home(other, plan) for other in others)], config.emergency)
        self._closed = tuple(dict.fromkeys(head for number in config.destinations for head in _heads(number)))

    def is_emergency(self, uri: bytes) -> bool:
        """Tell whether a call to this URI is for help: the very number, never one that only begins with it."""
        return self._emergency.is_emergency(uri)

    def is_closed(self, uri: bytes) -> bool:
        """Tell whether the policy lets no call go there."""
        return bool(self._closed) and _number(uri).startswith(self._closed)


def _number(uri: bytes) -> bytes:
    read = parse_uri(uri)
    return b"" if read is None else _SEPARATORS.sub(b"", read.user.partition(b";")[0])


def _heads(number: str) -> Sequence[bytes]:
    digits = number.encode("ascii")
    forms = [abroad + digits[1:] for abroad in _ABROAD] if digits.startswith(b"+") else [digits]
    return [outside + form for outside in _OUTSIDE for form in forms]
