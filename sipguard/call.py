"""The nouns of calls and money: what was dialled, what it costs, who calls. The third part of `model.py`, same rules.

Money is whole millionths of the currency that the rate deck names ("micros"), so that no sum is ever rounded twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from sipguard.address import Address
from sipguard.terms import MINUTE, SECOND, Account, Instant, Span, Transport

MICROS = 1_000_000
"""So many make one of the currency."""
_LONGEST_NAME = 64  # of a longer one nobody has seen the rest
_FEWEST_DIGITS = 5


def money(micros: int) -> str:
    """Write an amount with two decimals at least, and as many as it has."""
    whole, rest = divmod(micros, MICROS)
    return f"{whole}.{f'{rest:06d}'.rstrip('0'):0<2}"


class NumberClass(StrEnum):
    """What kind of number was dialled."""

    GEOGRAPHIC = "geographic"
    MOBILE = "mobile"
    FIXED_OR_MOBILE = "fixed-or-mobile"  # a country whose numbers do not tell (NANP)
    TOLL_FREE = "toll-free"
    PREMIUM = "premium"
    SHARED_COST = "shared-cost"
    PERSONAL = "personal"
    SATELLITE = "satellite"
    GLOBAL = "global"  # shared country codes that belong to no country: +882, +883, +878
    OTHER = "other"  # allocated, and none of the above: VoIP, company-wide numbers, pagers, voice mail
    UNALLOCATED = "unallocated"  # read as a number, but nobody is known to have such
    SHORT = "short-code"
    EXTENSION = "extension"
    EMERGENCY = "emergency"
    UNREADABLE = "unreadable"  # `Called.why` says why


class Hidden:
    """Why a string that names nobody may yet be read as somebody by the other side: not all of it is known."""

    LONG: Final = "longer than any number"
    NO_HOST: Final = "no host behind the @"
    SCHEME: Final = "a scheme that is not for telephones"
    TWO_HOSTS: Final = "two @ signs"


_HIDDEN = frozenset({Hidden.LONG, Hidden.NO_HOST, Hidden.SCHEME, Hidden.TWO_HOSTS})


class Called:
    """What a dialled string means under a dial plan.

    `dialled` is what was dialled, without separators, in printable ASCII; `e164` begins with "+", or is empty where
    there is none: then `why` names the reason. `country` is two capital letters (ISO 3166-1), empty for none or any.
    """

    __slots__ = ("country", "dialled", "e164", "kind", "why")

    def __init__(self, dialled: str, kind: NumberClass, e164: str = "", country: str = "", why: str = "") -> None:
        self.dialled = dialled
        self.kind = kind
        self.e164 = e164
        self.country = country
        self.why = why

    def is_name(self) -> bool:
        """Tell whether it is a mere name: a door's, an intercom's, a phone's, and no number.

        A name with as many digits as a number has may be one that only the other side can read, and so may what was
        not read to its end. Nobody at all is called by an intercom's address alone.
        """
        if self.kind is not NumberClass.UNREADABLE or len(self.dialled) >= _LONGEST_NAME or self.is_hidden():
            return False
        named = not self.dialled or any(sign.isalpha() for sign in self.dialled)
        return named and sum(sign.isdigit() for sign in self.dialled) < _FEWEST_DIGITS

    def is_hidden(self) -> bool:
        """Tell whether not all that was asked for is known, so that the other side may read a number in it."""
        return self.why in _HIDDEN

    def is_abroad(self, home: frozenset[str]) -> bool:
        """Tell whether it is read as a number of another country, or of none (satellites, global networks).

        Where no country is home, nothing is known to be abroad.
        """
        return bool(home and self.e164) and self.kind is not NumberClass.EMERGENCY and self.country not in home


class Rate(NamedTuple):
    """One row of a rate deck. `per_minute` and `connect` in micros, `first` and `step` in whole seconds, at least 1."""

    prefix: str
    destination: str
    per_minute: int
    connect: int
    first: int
    step: int

    def cost(self, answered: Span) -> int:
        """Give what a call answered for so long costs, in micros, its last increment begun and paid in full.

        A call that was never answered costs nothing; one answered for an instant costs its first increment.
        """
        billed = self.first * SECOND
        if answered > billed:
            step = self.step * SECOND
            billed += -(-(answered - billed) // step) * step
        return self.connect + -(-self.per_minute * billed // MINUTE)


class Direction(StrEnum):
    """Which way a call goes, as seen from the PBX."""

    OUTBOUND = "outbound"  # a leg leaves to where no device is registered: it may cost money
    INBOUND = "inbound"  # it came from a trunk, and no leg of it leaves
    INTERNAL = "internal"


class CallOrigin(StrEnum):
    """Why a leg leaves to the trunk."""

    EXTENSION = "extension"  # a device of ours dialled it
    FORWARDED = "forwarded"  # an inbound call was sent on
    TRANSFERRED = "transferred"  # somebody handed his call on (REFER)
    ORPHAN = "orphan"  # nobody on this PBX is known to have dialled it


class Call:
    """One call as it is known at a moment: tracked by `track/`, looked at by everybody else, written by nobody else.

    `key` is made of the leg that pays (else of the only one): the same after a restart, and in a replay. `account` is
    who authenticated for it, None when nobody is known to have; `caller` what its From or the hints of a forward or
    transfer say, as printable text. `source` is where the phone is, None when there is none. `trunk` names the listed
    trunk, empty for another; `carrier` is the address the paying leg goes to. `rate` is None where the deck knows none,
    or there is no deck. `answered` and `ended` are 0 while it is not so. `confirmed` is false while nobody has heard
    anything of it for long, and after a restart. `code` is the final answer that ended it, 0 when a BYE did.
    `ambiguous`: several could have been the origin, and none of them is blamed.
    """

    __slots__ = (
        "account",
        "ambiguous",
        "answered",
        "began",
        "called",
        "caller",
        "carrier",
        "code",
        "confirmed",
        "direction",
        "ended",
        "key",
        "origin",
        "rate",
        "source",
        "trunk",
    )

    def __init__(self, key: str, began: Instant, direction: Direction, called: Called) -> None:
        self.key = key
        self.began = began
        self.direction = direction
        self.called = called
        self.origin = CallOrigin.ORPHAN
        self.account: Account | None = None
        self.caller = ""
        self.source: Address | None = None
        self.trunk = ""
        self.carrier: Address | None = None
        self.rate: Rate | None = None
        self.answered: Instant = 0
        self.ended: Instant = 0
        self.confirmed = True
        self.code = 0
        self.ambiguous = False

    def over(self, trunk: str, carrier: Address) -> Call:
        """Give the call as it would be over another trunk; itself where that is its own."""
        if (trunk, carrier) == (self.trunk, self.carrier):
            return self
        other = Call(self.key, self.began, self.direction, self.called)
        other.origin, other.account, other.caller, other.source = self.origin, self.account, self.caller, self.source
        other.rate, other.answered, other.ended = self.rate, self.answered, self.ended
        other.confirmed, other.code, other.ambiguous = self.confirmed, self.code, self.ambiguous
        other.trunk, other.carrier = trunk, carrier
        return other

    def lasted(self, now: Instant) -> Span:
        """Give for how long it has been answered by `now`; 0 for one that was not."""
        return max(0, (self.ended or now) - self.answered) if self.answered else 0

    def cost(self, now: Instant) -> int:
        """Give what it has cost by `now`, in micros; 0 where no rate is known or nobody answered."""
        return self.rate.cost(self.lasted(now)) if self.rate is not None and self.answered else 0


@dataclass(frozen=True, slots=True)
class CallState:
    """State: an outbound call as it must survive a restart; a later one with the same `key` takes its place.

    Told when it begins, is answered, ends; `ended` 0: it was still going on. Instants as everywhere; the store turns
    them into the wall's time.
    """

    key: str
    began: Instant
    answered: Instant
    ended: Instant
    account: Account | None
    caller: str
    source: Address | None
    origin: CallOrigin
    trunk: str
    dialled: str
    e164: str
    kind: NumberClass
    country: str
    rate: Rate | None
    leg: str = ""  # names the dialog with the carrier, so that it is known again when it is heard of

    @property
    def cost(self) -> int:
        """What it came to, in micros; 0 while it is going on, where no rate is known and where nobody answered."""
        over = self.rate is not None and self.answered and self.ended
        return self.rate.cost(max(0, self.ended - self.answered)) if over and self.rate is not None else 0


@dataclass(frozen=True, slots=True)
class CallLegs:
    """State: how to reach both ends of the running call `key`, as of `at`; a later one with the same `key` replaces it.

    `text` is `track/kept.py`'s. It is of use until the call has ended.
    """

    at: Instant
    key: str
    text: str


class Doubt(NamedTuple):
    """A call that may be over, and between which ends its media would go: those of the PBX, and the carrier's.

    An end is an address and a port.
    """

    call: str
    near: tuple[tuple[Address, int], ...]
    far: tuple[Address, int]


@dataclass(frozen=True, slots=True)
class Media:
    """Input: until when the kernel remembers the media connections of calls in doubt, by the calls' keys."""

    expires: Mapping[str, Instant]


@dataclass(frozen=True, slots=True)
class LimitReset:
    """State: somebody set the counters of one subject to nothing at `at`; a later one of the same subject replaces it.

    `scope` is account, group, trunk, site, class, country or number; `subject` its name as the limits write it.
    """

    at: Instant
    scope: str
    subject: str


@dataclass(frozen=True, slots=True)
class Injection:
    """A message to be sent as from `source` to `target`, or the end of the connection between them.

    Over TCP it is the next bytes of that connection: `sequence` and `acknowledged` say how far it has got (RFC 9293
    section 3.4); with an empty payload it is a reset at `sequence`.
    """

    source: Address
    source_port: int
    target: Address
    target_port: int
    transport: Transport
    payload: bytes
    sequence: int = 0
    acknowledged: int = 0


@dataclass(frozen=True, slots=True)
class HangUp:
    """End a running call: send `injections`, in order. `call` is its key; `text` says why, empty for what goes on.

    `managed`: the Call-IDs of its legs, where the PBX itself is to be asked instead (manager interface, event socket).
    """

    at: Instant
    call: str
    text: str
    injections: tuple[Injection, ...] = ()
    managed: tuple[str, ...] = ()
