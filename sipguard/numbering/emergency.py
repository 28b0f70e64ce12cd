"""Which dialled strings are calls for help: exactly the number, after at most one outside-line prefix; never raises.

What only begins with such a number is none, nor is what hides behind an escape. The numbers are those of the country,
112 and 911 and the policy's own; an outside line is a 0, a 9, or what the plan says, also where the plan says nothing:
a wrong plan must not cost a life, and all that it opens are a few strings of three to eight digits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sipguard.numbering.helplines import BY_COUNTRY, EVERYWHERE, UNKNOWN_COUNTRY
from sipguard.numbering.plan import NONE, DialPlan
from sipguard.numbering.target import Target, target_of

_OUTSIDE: Final = ("", "0", "9")
_CONTEXT_DIGITS = 3  # a country code has no more


class Emergency:
    """Knows the numbers for help under some plans; `also` are those that the policy adds to the countries'."""

    __slots__ = ("_numbers",)

    def __init__(self, plans: Iterable[DialPlan], also: Iterable[str] = ()) -> None:
        added = tuple(also)
        known: set[bytes] = set()
        for plan in plans:
            country = (*EVERYWHERE, *BY_COUNTRY.get(plan.country, ())) if plan.country != NONE else UNKNOWN_COUNTRY
            outside = (*_OUTSIDE, *plan.outside)
            known.update((before + number).encode("ascii") for number in (*country, *added) for before in outside)
        self._numbers = frozenset(known)

    def is_emergency(self, uri: bytes) -> bool:
        """Tell whether a call to this URI is for help."""
        return self.is_meant(target_of(uri))

    def is_meant(self, target: Target) -> bool:
        """Tell it of a URI that has been taken apart.

        A routing number (RFC 4694) would send the call elsewhere, and so would a phone-context that is more than a
        country code, where a PBX puts the two together: neither is for help.
        """
        if target.help:
            return True
        if target.fault or target.routing or target.number not in self._numbers:
            return False
        context = target.context
        if not context.startswith(b"+"):
            return True
        return len(context) <= 1 + _CONTEXT_DIGITS and context[1:].isdigit()
