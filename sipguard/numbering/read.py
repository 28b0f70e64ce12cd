"""What a dialled string means under a dial plan: `Numbering.read`, total over any bytes, bounded in work and memory.

Where a string can be read in several ways, the first of these that makes a known number is it: a number for help; an
extension that the plan lists; what follows an outside-line prefix; an international prefix and a country code; a short
code; national with its trunk prefix; national without, where it is mobile, premium or toll-free and not geographic;
local, in the plan's area; 00 or 011 where neither is the plan's, or a country code without a plus (no destination is to
hide in a form that only the carrier understands); geographic without a trunk prefix; a known number with digits too
many. Of more than 40 signs the first 40 are read.

A code for the PBX before a number (`*67`, `*31#`, `*72`) and a technical prefix that nobody declared (`1234#`) do not
hide the number: it is read. A trailing # only ends it. A plus anywhere but at its start makes a string unreadable,
unless an outside-line prefix of the plan stands before it. An rn (RFC 4694) is read instead of the number it comes with
where it leads to another country.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

from sipguard.call import Called, NumberClass
from sipguard.numbering.emergency import Emergency
from sipguard.numbering.national import National, Reading, refused, unread
from sipguard.numbering.plan import DialPlan
from sipguard.numbering.target import Reason, Target, target_of
from sipguard.numbering.world import World

REMEMBERED: Final = 2048
"""Readings that are remembered for each plan, at most."""

_LONGEST_REMEMBERED: Final = 256  # bytes of a URI; so the memory of a plan stays below 2 MiB
_LONGEST: Final = 40
_LONGEST_SHOWN: Final = 64
_FEWEST_AFTER_CODE: Final = 7  # digits: fewer belong to the code

_DIALLED = re.compile(rb"[0-9+*#]+")
_VANITY = re.compile(r"\+?[0-9]{3,}[A-Za-z](?:[0-9]*[A-Za-z]){2}[0-9A-Za-z]*")
_ENDED_CODE = re.compile(r"[*#]{1,2}[0-9]{1,4}[*#]")
_CODE = re.compile(r"[*#]{1,2}")
_KEYPAD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")  # ITU-T E.161 section 4.2.1
_MEMO: TypeAlias = dict[bytes, Called]


class Numbering:
    """Reads dialled strings under one plan. `evicted` counts readings forgotten to make room; they are made anew.

    The memory is two dicts: what is read, or found in the old one, goes into the young one; when that is half of
    REMEMBERED, it takes the old one's place. So a flood of new numbers costs each of them its own reading and one dict
    every thousand, and a number that is dialled meanwhile stays.
    """

    __slots__ = ("_emergency", "_national", "_old", "_plan", "_tech", "_young", "evicted")

    def __init__(self, plan: DialPlan, world: World, also_emergency: Iterable[str] = ()) -> None:
        self._plan = plan
        self._emergency = Emergency((plan,), also_emergency)
        self._national = National(plan, world)
        self._tech = tuple(sorted(plan.tech, key=lambda prefix: (-len(prefix), prefix)))
        self._young: _MEMO = {}
        self._old: _MEMO = {}
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def is_emergency(self, uri: bytes) -> bool:
        """Tell whether a call to this URI is for help (DESIGN: exactly, after at most one outside-line prefix)."""
        return self.read(uri).kind is NumberClass.EMERGENCY

    def read(self, uri: bytes) -> Called:
        """Give what a request URI, or a bare dialled string, means; the same object again for the same bytes."""
        found = self._young.get(uri)
        if found is not None:
            return found
        found = self._old.pop(uri, None)
        if found is None:
            found = self._read(uri)
            if len(uri) > _LONGEST_REMEMBERED:
                return found
        if len(self._young) >= REMEMBERED // 2:
            self.evicted += len(self._old)
            self._old, self._young = self._young, {}
        self._young[uri] = found
        return found

    def _read(self, uri: bytes) -> Called:
        target = target_of(uri)
        shown = _shown(target.number)
        if self._emergency.is_meant(target):
            return Called(shown, NumberClass.EMERGENCY, why=Reason.EMERGENCY)
        kind, e164, country, why = self._target(target)
        return Called(shown, kind, e164, country, why)

    def _target(self, target: Target) -> Reading:
        if target.fault:
            return unread(target.fault)
        found = self._number(target.number, target.context)
        if target.routing:
            routed = self._number(target.routing, b"")
            if not routed[1] or routed[2] != found[2]:
                return routed
        return found

    def _number(self, number: bytes, context: bytes) -> Reading:
        if _DIALLED.fullmatch(number) is not None:
            text = number[:_LONGEST].decode("ascii")
            if context[:1] == b"+" and text[0] != "+":
                return self._in_context(text, context[1:])
            return self._behind_tech(text)
        if not number.isascii() or not number.decode("ascii").isprintable():
            return unread(Reason.STRANGE)
        return self._letters(number.decode("ascii"))

    def _letters(self, text: str) -> Reading:
        """Read a number with letters (1-800-FLOWERS), if it is a known one that way: most names are none."""
        if len(text) > _LONGEST or _VANITY.fullmatch(text) is None:
            return unread(Reason.NAME)
        found = self._dialled(text.upper().translate(_KEYPAD))
        if found[0] in {NumberClass.UNALLOCATED, NumberClass.UNREADABLE} or not found[1]:
            return unread(Reason.NO_LETTERS)
        return found

    def _in_context(self, text: str, context: bytes) -> Reading:
        """Put a local number behind its phone-context (RFC 3966 section 5.1.5), or as much of it as makes a number."""
        if context.isdigit() and text.isdigit():
            before = context[:_LONGEST].decode("ascii")
            for length in range(len(before), 0, -1):
                found = self._national.known(before[:length] + text)
                if not refused(found):
                    return found
            return self._national.abroad(before + text)
        return self._behind_tech(text)

    def _behind_tech(self, text: str) -> Reading:
        for prefix in self._tech:
            if text.startswith(prefix) and len(text) > len(prefix):
                found = self._dialled(text[len(prefix) :])
                if found[1]:
                    return found
        return self._dialled(text)

    def _dialled(self, text: str) -> Reading:
        """Read digits with a plus, stars and crosses."""
        if text[0] in "*#":
            return self._behind_code(text)
        whole = text
        text = text.rstrip("#")
        if "*" in text or "#" in text:
            before, _, after = text.replace("*", "#").partition("#")
            best = unread(Reason.SIGNS)
            for part in (after, before):
                if len(part) >= _FEWEST_AFTER_CODE and "#" not in part:
                    found = self._digits(part)
                    if not refused(found):
                        return found
                    if found[1] and not best[1]:
                        best = found
            return best
        return self._digits(text) if text else unread(Reason.FEATURE if whole else Reason.EMPTY)

    def _behind_code(self, text: str) -> Reading:
        ended = _ENDED_CODE.match(text)
        if ended is not None:
            starts = [ended.end()]
        else:
            code = _CODE.match(text)
            start = code.end() if code is not None else 1
            starts = [start + 2, start + 3]
        best: Reading = (NumberClass.SHORT, "", "", Reason.FEATURE)
        for start in starts:
            rest = text[start:].rstrip("#")
            if len(rest) < _FEWEST_AFTER_CODE or "*" in rest or "#" in rest:
                continue
            found = self._digits(rest)
            if not refused(found):
                return found
            if found[1] and not best[1]:
                best = found
        return best

    def _digits(self, text: str) -> Reading:
        plus = text.rfind("+")
        if plus < 0:
            return self._national.read(text)
        if plus == 0 or text[:plus] in self._plan.outside:
            return self._national.abroad(text[plus + 1 :])
        return unread(Reason.PLUS)


def _shown(number: bytes) -> str:
    text = number[:_LONGEST_SHOWN].decode("latin-1")
    return "".join(sign if " " < sign <= "~" else "?" for sign in text)
