"""What detectors of toll fraud ask of a call: who answers for it, where it goes, whether that is dear, or abroad.

In one place, so that all of them mean the same. Questions without effect, but for `Ongoing`, which is bounded.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, TypeAlias

from sipguard.call import Call, Called, CallOrigin, Direction, NumberClass, Rate
from sipguard.constraint import Amount, Between, Described
from sipguard.model import Account, Instant
from sipguard.numbering.highrisk import risk
from sipguard.track.hints import digits_of

DearRate: TypeAlias = Annotated[
    int, Amount(1_000_000_000_000), Described("What costs more a minute is dear, unless it is an ordinary home number")
]
DearRisk: TypeAlias = Annotated[
    int, Between(1, 10), Described("What the list of risky destinations gives so many points, or more, is dear")
]

_DEAR = frozenset({NumberClass.PREMIUM, NumberClass.SATELLITE, NumberClass.GLOBAL})
_ORDINARY = frozenset({NumberClass.GEOGRAPHIC, NumberClass.MOBILE, NumberClass.FIXED_OR_MOBILE, NumberClass.TOLL_FREE})
_EMERGENCY, _OUTBOUND = NumberClass.EMERGENCY, Direction.OUTBOUND
_FORWARDED = CallOrigin.FORWARDED
_UNKNOWN_TIME = -1
_LONG_ENOUGH = 3  # digits behind the country code
_SHOWN = 24
# ITU-T E.164 assigned country codes that have two digits; +1 and +7 have one, all others three.
_TWO = frozenset(
    map(str, (20, 27, *range(30, 35), 36, 39, 40, 41, *range(43, 50), *range(51, 59), *range(60, 67), 81, 82, 84, 86))
) | frozenset(map(str, (*range(90, 96), 98)))


class House:
    """What is known of the place: the countries that are not abroad, and the clock on its wall.

    `minute` gives the minute of the day there (0 to 1439), or -1 where nobody knows. Where no home country is named,
    nothing is known to be abroad. `zone` names the time zone, for `like`.
    """

    __slots__ = ("home", "minute", "zone")

    def __init__(
        self, home: Sequence[str] = (), minute: Callable[[Instant], int] = lambda _: _UNKNOWN_TIME, zone: str = ""
    ) -> None:
        self.home = frozenset(home)
        self.minute = minute
        self.zone = zone

    def like(self, other: House) -> bool:
        """Tell whether what was counted in the other place is right in this one too."""
        return (self.home, self.zone) == (other.home, other.zone)

    def abroad(self, called: Called) -> bool:
        """Tell whether a number is one of another country, or of none (satellites, global networks)."""
        return called.is_abroad(self.home)


SOMEWHERE = House()


class Dear:
    """From when on a destination is dear: by its price a minute (micros, 0: whatever it costs), or by its risk.

    Premium, satellite and global numbers are always; an ordinary number at home never is, whatever it costs.
    """

    __slots__ = ("_house", "_rate", "_risk")

    def __init__(self, house: House, rate: int, score: int) -> None:
        self._house = house
        self._rate = rate
        self._risk = score

    def __call__(self, called: Called, rate: Rate | None) -> bool:
        """Tell whether a number is dear; `rate` is what calls to it cost, as far as it is known."""
        if called.kind in _DEAR:
            return True
        if called.kind is _EMERGENCY or not called.e164:
            return False
        if called.country and called.country in self._house.home and called.kind in _ORDINARY:
            return False
        return risk(called.e164) >= self._risk or (rate is not None and 0 < self._rate < rate.per_minute)

    def or_abroad(self, called: Called, rate: Rate | None) -> bool:
        """Tell whether a number is dear, or abroad."""
        return self._house.abroad(called) or self(called, rate)


def spends(call: Call) -> bool:
    """Tell whether a call may cost money: it leaves the house, and is none for help."""
    return call.direction is _OUTBOUND and call.called.kind is not _EMERGENCY


def payer_of(call: Call) -> Account:
    """Give who answers for a call: the account that authenticated for it, else the trunk, by its name alone.

    A name without a realm is only ever reported. An account that calls are forwarded for stands without its realm too:
    whoever calls it causes them. BOB and bob@example.net are bob, as elsewhere.
    """
    account = call.account
    if account is None or call.ambiguous:
        return trunk_of(call)
    realm = "" if call.origin is _FORWARDED else account.realm.casefold()
    return Account(account.username.casefold().partition("@")[0], realm)


def trunk_of(call: Call) -> Account:
    """Give the trunk that a call goes over, as it is reported."""
    return Account(call.trunk or "trunk", "")


def payers_of(call: Call) -> Sequence[tuple[bool, Account]]:
    """Give who answers for a call, and the trunk it goes over (True), once where both are the same."""
    payer, trunk = payer_of(call), trunk_of(call)
    return ((True, trunk),) if payer == trunk else ((False, payer), (True, trunk))


def prefix_of(called: Called, rate: Rate | None) -> str:
    """Give the digits that a destination is known by: country code and three more, or the deck's prefix if shorter.

    A finer deck would let a burst to one country pass for single calls to many destinations. "" where there is no
    number.
    """
    digits = called.e164[1:]
    code = 1 if digits[:1] in ("1", "7") else 2 if digits[:2] in _TWO else 3
    if rate is not None and 0 < len(rate.prefix) < code + _LONG_ENOUGH:
        return rate.prefix
    return digits[: code + _LONG_ENOUGH]


def shown(called: Called) -> str:
    """Write a number as a report shows it; who dials chooses it, so it is cut."""
    return (called.e164 or called.dialled)[:_SHOWN]


def tail_of(text: str) -> str:
    """Give the last nine digits of a number, which all ways of writing it have in common; "" for fewer than seven."""
    digits = digits_of(Called(text, NumberClass.OTHER))
    return digits[-9:] if digits.isdigit() and len(digits) >= 7 else ""


class Ongoing:
    """Which calls go on, by what they are counted under; at most `most` of them, and `each` under one key.

    Past `each` the oldest under that key goes, so that no key can push out another's calls before `most` keys are full.
    `evicted` counts those that had to go.
    """

    __slots__ = ("_calls", "_each", "_keys", "_most", "evicted")

    def __init__(self, most: int, each: int) -> None:
        self._most = most
        self._each = each
        self._calls: dict[str, tuple[object, ...]] = {}  # what each call is counted under
        self._keys: dict[object, dict[str, Call]] = {}
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._calls)

    def enter(self, call: Call, keys: Sequence[object]) -> None:
        """Count a call under these keys, and no others."""
        self.leave(call)
        if len(self._calls) >= self._most:
            self.evicted += 1
            self._leave(next(iter(self._calls)))
        for key in keys:
            held = self._keys.setdefault(key, {})
            if len(held) >= self._each:
                del held[next(iter(held))]
            held[call.key] = call
        self._calls[call.key] = tuple(keys)

    def leave(self, call: Call) -> None:
        """Count a call no longer; no effect when it is not counted."""
        if call.key in self._calls:
            self._leave(call.key)

    def _leave(self, name: str) -> None:
        for key in self._calls.pop(name):
            held = self._keys.get(key)
            if held is not None:
                held.pop(name, None)
                if not held:
                    del self._keys[key]

    def of(self, key: object) -> Sequence[Call]:
        """Give the calls counted under a key, the oldest first."""
        return tuple(self._keys.get(key, {}).values())

    def count(self, key: object) -> int:
        """Count them."""
        return len(self._keys.get(key, ()))


class Waiting:
    """Calls that wait until they have gone on for long enough; at most `most`, the oldest goes. `evicted` as above.

    Nobody calls at the instant itself: what is due is found when something happens to any call.
    """

    __slots__ = ("_calls", "_due", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._calls = Ongoing(most, most)
        self._due: list[tuple[Instant, str]] = []  # may name calls that have ended; swept when twice the cap

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def evicted(self) -> int:
        """How many had to go."""
        return self._calls.evicted

    def enter(self, call: Call, until: Instant) -> None:
        """Have a call wait."""
        self._calls.enter(call, (call.key,))
        heapq.heappush(self._due, (until, call.key))
        if len(self._due) > 2 * self._most:
            self._due = [each for each in self._due if self._calls.count(each[1])]
            heapq.heapify(self._due)

    def leave(self, call: Call) -> None:
        """Let it go; no effect when it does not wait."""
        self._calls.leave(call)

    def due(self, now: Instant) -> Iterator[Call]:
        """Take out, one after the other, what has waited long enough by now."""
        while self._due and self._due[0][0] <= now:
            for call in self._calls.of(heapq.heappop(self._due)[1]):
                self._calls.leave(call)
                yield call
