"""What the numbers of the world are: class and country of an E.164 number, by phonenumberslite's metadata and `ranges`.

Evaluates the metadata itself, in phonenumberslite's order: that library compiles its patterns through a cache of 512
which a few dozen countries overflow, so that whoever dials round the world would make every reading cost milliseconds.
Here each pattern is compiled once, when first asked for or in `warm`, and there are about 1400. Metadata is loaded when
a `World` is made; nothing is read after that. Total over any string of digits.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, SUPPORTED_REGIONS, PhoneMetadata, PhoneNumberDesc

from sipguard.call import NumberClass
from sipguard.numbering.ranges import (
    DIRECTORY,
    FIRST_DIGITS,
    LENGTHS,
    NANP_PREMIUM_EXCHANGE,
    NATIONAL,
    NATIONAL_LENGTHS,
    RANGES,
)

_CUTS: Final = 3
"""So many lengths are tried for a number with digits too many, longest first."""


_NOTHING: Final = PhoneNumberDesc(national_number_pattern="$.")  # matches nowhere


def countries() -> frozenset[str]:
    """Give the countries whose numbers are known, as two capital letters."""
    return frozenset(SUPPORTED_REGIONS)


class Shape:
    """What numbers of one kind look like: their lengths and a pattern; compiled when it is first needed."""

    __slots__ = ("_compiled", "_pattern", "lengths")

    def __init__(self, desc: PhoneNumberDesc) -> None:
        self.lengths = frozenset(desc.possible_length)
        self._pattern = desc.national_number_pattern or ""
        self._compiled: re.Pattern[str] | None = None

    def has(self, number: str) -> bool:
        """Tell whether a national number is of this kind."""
        if self.lengths and len(number) not in self.lengths:
            return False
        return self.pattern().fullmatch(number) is not None

    def pattern(self) -> re.Pattern[str]:
        """Give the pattern, compiled."""
        if self._compiled is None:
            self._compiled = re.compile(self._pattern)
        return self._compiled


class Region:
    """One country's numbers. `trunk` is what people dial before an area code."""

    __slots__ = ("_fixed", "_general", "_kinds", "_leading", "_mobile", "_rule", "_same", "_start", "code", "country")

    def __init__(self, metadata: PhoneMetadata) -> None:
        self.country = "" if metadata.id == "001" else str(metadata.id)
        self.code = str(metadata.country_code)
        self._general = _shape(metadata.general_desc) or Shape(_NOTHING)
        self._leading = re.compile(metadata.leading_digits) if metadata.leading_digits else None
        self._start = re.compile(metadata.national_prefix_for_parsing or "$.")  # "$." matches nowhere
        self._rule = metadata.national_prefix_transform_rule or ""
        self._same = bool(metadata.same_mobile_and_fixed_line_pattern)
        described = (  # in the order of phonenumberslite: the first that fits is it
            (NumberClass.PREMIUM, metadata.premium_rate),
            (NumberClass.TOLL_FREE, metadata.toll_free),
            (NumberClass.SHARED_COST, metadata.shared_cost),
            (NumberClass.OTHER, metadata.voip),
            (NumberClass.PERSONAL, metadata.personal_number),
            (NumberClass.OTHER, metadata.pager),
            (NumberClass.OTHER, metadata.uan),
            (NumberClass.OTHER, metadata.voicemail),
        )
        self._kinds = [(kind, shape) for kind, desc in described if (shape := _shape(desc)) is not None]
        self._fixed = _shape(metadata.fixed_line)
        self._mobile = _shape(metadata.mobile)

    def kind(self, number: str) -> NumberClass:
        """Give the class of a national number, UNALLOCATED where nobody is known to have such."""
        if not self._general.has(number):
            return NumberClass.UNALLOCATED
        for kind, shape in self._kinds:
            if shape.has(number):
                return kind
        fixed = self._fixed is not None and self._fixed.has(number)
        if fixed and self._same:
            return NumberClass.FIXED_OR_MOBILE
        mobile = self._mobile is not None and self._mobile.has(number)
        if fixed:
            return NumberClass.FIXED_OR_MOBILE if mobile else NumberClass.GEOGRAPHIC
        return NumberClass.MOBILE if mobile else NumberClass.UNALLOCATED

    def owns(self, number: str) -> bool | None:
        """Tell whether the first digits say that a number is this country's; None where they say nothing."""
        return None if self._leading is None else self._leading.match(number) is not None

    def possible(self, length: int) -> bool:
        """Tell whether a national number may have so many digits."""
        return length in self._general.lengths

    def shorter(self, length: int) -> list[int]:
        """Give the longest lengths below this one that a national number may have."""
        return sorted((known for known in self._general.lengths if known < length), reverse=True)[:_CUTS]

    def without_trunk(self, number: str) -> str:
        """Take off what is dialled before the area code, and an operator's code; "" where nothing is to be taken off.

        As phonenumberslite: a number that is whole as dialled stays, if it would not be afterwards.
        """
        found = self._start.match(number)
        if found is None or not found.end():
            return ""
        last = found.re.groups
        if self._rule and last and found[last] is not None:
            rest = found.expand(self._rule) + number[found.end() :]
        else:
            rest = number[found.end() :]
        general = self._general.pattern()
        if general.fullmatch(number) is not None and general.fullmatch(rest) is None:
            return ""
        return rest

    def warm(self) -> None:
        """Compile all patterns."""
        for shape in (self._general, self._fixed, self._mobile, *(shape for _, shape in self._kinds)):
            if shape is not None:
                shape.pattern()


def _shape(desc: PhoneNumberDesc | None) -> Shape | None:
    if desc is None or not desc.national_number_pattern or desc.possible_length == (-1,):
        return None
    return Shape(desc)


class ShortCodes:
    """A country's numbers that only it knows. `network` are one operator's, and nearly all for messages."""

    __slots__ = ("all", "messages", "network", "premium")

    def __init__(self, metadata: PhoneMetadata) -> None:
        self.all = _shape(metadata.short_code) or Shape(_NOTHING)
        self.premium = _shape(metadata.premium_rate) or Shape(_NOTHING)
        self.messages = _shape(metadata.sms_services) or Shape(_NOTHING)
        self.network = _shape(metadata.carrier_specific) or Shape(_NOTHING)


class World:
    """The numbers of all countries; made once, as it takes 0.1 s, and shared by all plans."""

    __slots__ = ("_codes", "_home", "_short", "abroad")

    def __init__(self) -> None:
        PhoneMetadata.load_all()
        self._codes: dict[str, tuple[Region, ...]] = {}
        self._home: dict[str, Region] = {}
        self.abroad: dict[str, str] = {}
        self._short: dict[str, ShortCodes] = {}
        for code, names in COUNTRY_CODE_TO_REGION_CODE.items():
            regions = [_region(code, name) for name in names]
            self._codes[str(code)] = tuple(region for region in regions if region is not None)
            self._home.update((region.country, region) for region in regions if region is not None)
        for country in sorted(SUPPORTED_REGIONS):
            metadata = PhoneMetadata.metadata_for_region(country)
            short = PhoneMetadata.short_metadata_for_region(country)
            self.abroad[country] = (metadata.international_prefix if metadata else None) or "00"
            if short is not None:
                self._short[country] = ShortCodes(short)

    def home(self, country: str) -> Region | None:
        """Give a country's numbers, None where they are not known."""
        return self._home.get(country)

    def short(self, digits: str, country: str) -> NumberClass | None:
        """Give the class of a country's short code, PREMIUM or SHORT; None where it is none, or only for messages."""
        shapes = self._short.get(country)
        if shapes is None or shapes.messages.has(digits) or (len(digits) > 3 and shapes.network.has(digits)):
            return None
        if shapes.premium.has(digits):
            return NumberClass.PREMIUM
        if not shapes.all.has(digits):
            return None
        return NumberClass.PREMIUM if len(digits) > 3 and digits.startswith(DIRECTORY) else NumberClass.SHORT

    def warm(self) -> None:
        """Compile all patterns, in 0.3 s, so that no call waits for it (8 ms at most for one country)."""
        for regions in self._codes.values():
            for region in regions:
                region.warm()
        for codes in self._short.values():
            for shape in (codes.all, codes.premium, codes.messages, codes.network):
                shape.pattern()

    def canonical(self, digits: str) -> str:
        """Leave out a trunk prefix after the country code, as in +44 (0)20, where that makes a known number."""
        code, regions = self._regions(digits)
        if not regions:
            return digits
        number = digits[len(code) :]
        if self._kind(regions, number, "")[0] is not NumberClass.UNALLOCATED:
            return digits
        rest = regions[0].without_trunk(number)
        if rest and self._kind(regions, rest, "")[0] is not NumberClass.UNALLOCATED:
            return code + rest
        return digits

    def look(self, digits: str, home: str) -> tuple[NumberClass, str]:
        """Give class and country of an E.164 number's digits; `home` has it where a number is of several countries."""
        if digits[:1] in FIRST_DIGITS:
            kind = _range(digits, RANGES, LENGTHS)
            if kind is not None:
                return kind, ""
        code, regions = self._regions(digits)
        if not regions:
            return NumberClass.UNALLOCATED, ""
        kind, country = self._kind(regions, digits[len(code) :], home)
        return _range(digits, NATIONAL, NATIONAL_LENGTHS) or kind, country

    def overdialled(self, digits: str, home: str) -> tuple[NumberClass, str]:
        """As `look`, and an unknown number that begins with a known one is of its class.

        Exchanges do not wait for digits too many, so they must hide no class.
        """
        found = self.look(digits, home)
        if found[0] is NumberClass.UNALLOCATED:
            code, regions = self._regions(digits)
            for length in regions[0].shorter(len(digits) - len(code)) if regions else ():
                cut = self.look(digits[: len(code) + length], home)
                if cut[0] is not NumberClass.UNALLOCATED:
                    return cut
        return found

    def _regions(self, digits: str) -> tuple[str, tuple[Region, ...]]:
        for length in (1, 2, 3):  # no code is the beginning of another (ITU-T E.164 section 6.2)
            regions = self._codes.get(digits[:length])
            if regions is not None:
                return digits[:length], regions
        return "", ()

    def _kind(self, regions: tuple[Region, ...], number: str, home: str) -> tuple[NumberClass, str]:
        if len(regions) == 1:
            return regions[0].kind(number), regions[0].country
        found = NumberClass.UNALLOCATED
        country = regions[0].country
        for region in regions:
            owns = region.owns(number)
            if owns is False:
                continue
            kind = region.kind(number)
            if owns:
                found, country = kind, region.country
                break
            if kind is not NumberClass.UNALLOCATED and (found is NumberClass.UNALLOCATED or region.country == home):
                found, country = kind, region.country
        if regions[0].code == "1" and number[3:6] == NANP_PREMIUM_EXCHANGE and found is NumberClass.FIXED_OR_MOBILE:
            found = NumberClass.PREMIUM
        return found, country


def _region(code: int, name: str) -> Region | None:
    if name == "001":
        metadata = PhoneMetadata.metadata_for_nongeo_region(code, None)
    else:
        metadata = PhoneMetadata.metadata_for_region(name, None)
    return None if metadata is None else Region(metadata)


def _range(digits: str, ranges: dict[str, NumberClass], lengths: tuple[int, ...]) -> NumberClass | None:
    for length in lengths:
        kind = ranges.get(digits[:length])
        if kind is not None:
            return kind
    return None


@cache
def the_world() -> World:
    """Give the one that everybody shares: what is told of numbers is the same for all policies."""
    return World()
