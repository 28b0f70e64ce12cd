"""Digits to a number, under the settings of one plan: outside line, international and trunk prefix, area, short codes.

Every reading is tried against the `World`; the order is that of `read.py`. Total over any string of digits.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from sipguard.call import NumberClass
from sipguard.numbering.plan import NONE, USUAL, Bare, DialPlan
from sipguard.numbering.target import Reason
from sipguard.numbering.world import Region, World

Reading: TypeAlias = tuple[NumberClass, str, str, str]
"""Class, E.164, country, and why there is no E.164."""

FEWEST: Final = 5
MOST: Final = 15  # ITU-T E.164 section 6.2.1
_SHORT: Final = 6  # so many digits at most are an extension or a short code
_BARE: Final = 8  # fewer digits are no international number whose plus was left out
_LONG: Final = 11  # so many are one rather than a geographic number without its trunk prefix
_TRUNK_DIGITS: Final = 2  # of a trunk prefix that may stand after the country code
_ANYWHERE: Final = ("011", "00")


def unread(why: str) -> Reading:
    """Give the reading of what cannot be read."""
    return NumberClass.UNREADABLE, "", "", why


def refused(reading: Reading) -> bool:
    """Tell whether a reading made no number that anybody is known to have."""
    return reading[0] is NumberClass.UNALLOCATED or reading[0] is NumberClass.UNREADABLE


class National:
    """Reads digits under one plan."""

    __slots__ = ("_abroad", "_extensions", "_home", "_outside", "_plan", "_world")

    def __init__(self, plan: DialPlan, world: World) -> None:
        self._plan = plan
        self._world = world
        self._home = world.home(plan.country)
        prefixes = sorted(plan.international, key=len, reverse=True)
        usual = world.abroad.get(plan.country, "|".join(_ANYWHERE))
        self._abroad = re.compile("|".join(map(re.escape, prefixes)) or usual or "$.")
        self._outside = tuple(sorted(plan.outside, key=lambda prefix: (-len(prefix), prefix)))
        patterns = "|".join(re.escape(pattern).replace("X", "[0-9]") for pattern in plan.extensions)
        self._extensions = re.compile(patterns or "$.")

    def abroad(self, digits: str) -> Reading:
        """Read a number that begins with a country code; digits beyond the fifteenth are left out."""
        found = self.known(digits)
        if found[0] is not NumberClass.UNALLOCATED:
            return found
        kind, country = self._world.overdialled(found[1][1:], self._plan.country)
        return kind, found[1], country, ""

    def known(self, digits: str) -> Reading:
        """Read it likewise, but leave it unallocated if it has a digit too many."""
        if digits[:1] == "0":
            return unread(Reason.ZERO)
        if len(digits) < FEWEST:
            return unread(Reason.SHORT_OF)
        digits = self._world.canonical(digits[: MOST + _TRUNK_DIGITS])[:MOST]
        kind, country = self._world.look(digits, self._plan.country)
        return kind, f"+{digits}", country, ""

    def read(self, digits: str) -> Reading:
        """Read what was dialled."""
        if self._extensions.fullmatch(digits) is not None:
            return NumberClass.EXTENSION, "", "", Reason.EXTENSION
        for prefix in self._outside:
            if digits.startswith(prefix) and len(digits) > len(prefix):
                rest = digits[len(prefix) :]
                found = self._line(rest)
                known = not refused(found) and found[0] is not NumberClass.EXTENSION
                if known or (found[1] and self._abroad.match(rest) is not None):
                    return found
        return self._line(digits)

    def _line(self, digits: str) -> Reading:
        abroad = self._abroad.match(digits)
        if abroad is not None and abroad.end() and len(digits) - abroad.end() >= FEWEST:
            return self.abroad(digits[abroad.end() :])
        if self._plan.bare is Bare.INTERNATIONAL and len(digits) > _SHORT:
            found = self.known(digits)
            if not refused(found):
                return found
        if self._home is not None:
            return self._at_home(self._home, digits)
        if len(digits) <= _SHORT:
            return NumberClass.EXTENSION, "", "", Reason.EXTENSION
        return self.abroad(digits) if self._plan.bare is Bare.INTERNATIONAL else unread(Reason.COUNTRY_UNKNOWN)

    def _at_home(self, home: Region, digits: str) -> Reading:
        country = self._plan.country
        short = self._world.short(digits, country) if len(digits) <= _SHORT else None
        if short is not None:
            return short, "", country, Reason.SHORT
        rest = self._without_trunk(home, digits)
        found = self._own(home, rest) if rest else unread(Reason.NO_FORM)
        if not refused(found):
            return found
        own = self._own(home, digits) if len(digits) >= _SHORT else unread(Reason.NO_FORM)
        if not refused(own) and own[0] is not NumberClass.GEOGRAPHIC:
            return own
        if self._plan.area != NONE and len(digits) >= FEWEST:
            found = self._own(home, self._plan.area + digits)
            if not refused(found):
                return found
        found = self._unmarked(home, digits)
        if not refused(found):
            return found
        if len(digits) <= _SHORT:
            return NumberClass.EXTENSION, "", "", Reason.EXTENSION
        return self._nobodys(home, rest, digits) if refused(own) else own

    def _without_trunk(self, home: Region, digits: str) -> str:
        trunk = self._plan.trunk
        if trunk == USUAL:
            return home.without_trunk(digits)
        return digits[len(trunk) :] if digits.startswith(trunk) else ""

    def _own(self, home: Region, number: str) -> Reading:
        """Read a national number as it is, without its country's code."""
        whole = home.code + number
        if len(whole) > MOST:
            return unread(Reason.NO_FORM)
        kind, country = self._world.look(whole, self._plan.country)
        return kind, f"+{whole}", country, ""

    def _unmarked(self, home: Region, digits: str) -> Reading:
        """Read an international number whose plus or prefix is not this plan's, if the digits are none at home."""
        for prefix in _ANYWHERE:
            if digits.startswith(prefix):
                found = self.known(digits[len(prefix) :])
                if not refused(found):
                    return found
        if len(digits) >= _LONG or (len(digits) >= _BARE and not home.possible(len(digits))):
            return self.known(digits)
        return unread(Reason.NO_FORM)

    def _nobodys(self, home: Region, rest: str, digits: str) -> Reading:
        """Read what is no known number: one with digits too many, else one that nobody has, else none."""
        readings = [whole[:MOST] for whole in (rest and home.code + rest, home.code + digits) if whole]
        for whole in readings:
            kind, country = self._world.overdialled(whole, self._plan.country)
            if kind is not NumberClass.UNALLOCATED:
                return kind, f"+{whole}", country, ""
        for whole in readings:
            if home.possible(len(whole) - len(home.code)):
                return NumberClass.UNALLOCATED, f"+{whole}", self._plan.country, ""
        return unread(Reason.NO_FORM)
