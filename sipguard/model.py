"""The nouns that flow, in the order they are made. Read this first.

    Frame ─wire,sip▶ SipMessage ─track▶ Event ─detect▶ Finding ─decide▶ Decision ─engine▶ Action

Only nouns live here: no parsing, no policy, no state. `SipRequest`, `SipResponse` and `Unparsable` stand in
`sip/message.py`, beside the code that looks things up in them; events in `event.py`. On the packet
path classes are plain and slotted, as a frozen dataclass costs five times as much; nobody writes to a noun that flows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple, TypeAlias

from sipguard.address import Address, Network
from sipguard.call import CallLegs, CallState, LimitReset, Media
from sipguard.call import HangUp as HangUp
from sipguard.call import Injection as Injection
from sipguard.lesson import Lesson as Lesson
from sipguard.terms import DAY as DAY
from sipguard.terms import EVERY_OTHER as EVERY_OTHER
from sipguard.terms import HOUR as HOUR
from sipguard.terms import MICROSECOND as MICROSECOND
from sipguard.terms import MILLISECOND as MILLISECOND
from sipguard.terms import MINUTE as MINUTE
from sipguard.terms import SECOND as SECOND
from sipguard.terms import Account as Account
from sipguard.terms import Instant as Instant
from sipguard.terms import Pair as Pair
from sipguard.terms import Span as Span
from sipguard.terms import Transport as Transport


class Hook(IntEnum):
    """Where in the kernel a frame was seen; the numbers are netfilter's (linux/netfilter.h, enum nf_inet_hooks)."""

    PREROUTING = 0
    INPUT = 1
    FORWARD = 2
    OUTPUT = 3
    POSTROUTING = 4
    UNKNOWN = 255  # a capture file does not tell


class Origin(IntEnum):
    """Who handed us a frame. A gate frame is answered with exactly one `Verdict`."""

    TAP = 0
    GATE = 1
    FILE = 2
    MIRROR = 3
    REHEARSAL = 4  # the tap, while the gate is only to say what it would have done


# --- Input: all that the engine is ever told --------------------------------------------------------------------------


class Frame:
    """One IP packet, from its version nibble on. `ticket` is the queue's packet id for gate frames, else 0."""

    __slots__ = ("hook", "origin", "packet", "ticket")

    def __init__(self, packet: bytes, hook: Hook = Hook.UNKNOWN, origin: Origin = Origin.FILE, ticket: int = 0) -> None:
        self.packet = packet
        self.hook = hook
        self.origin = origin
        self.ticket = ticket


class OrderVerb(StrEnum):
    """What an operator may order."""

    BAN = "ban"
    UNBAN = "unban"
    RELEASE = "release"  # from quarantines and shields
    QUARANTINE = "quarantine"  # whatever account is called so, also one that nobody has seen yet
    HANG_UP = "hang-up"  # a running call, by its key
    RESET = "reset"  # the counters of a subject of limits


@dataclass(frozen=True, slots=True)
class Order:
    """The operator's word. `span` 0: as the ladder says; `by`: who gave it; `force`: whomever it may lock out."""

    verb: OrderVerb
    subject: Network | str  # a name: of accounts, of a call, or of a subject of limits
    span: Span = 0
    reason: str = ""
    by: str = ""
    force: bool = False
    scope: str = ""  # what a reset is of: account, group, trunk, site, class, country or number


class Sheet(NamedTuple):
    """A question about calls, accounts, limits, or one account's incident (`about`); nothing is changed by it.

    `name` is whose, "" for all: an account's, the beginning of a call's key, a subject of `scope`; `most`: answers.
    """

    about: str
    name: str = ""
    scope: str = ""
    most: int = 100


class SensorKind(StrEnum):
    """What the machine noticed about itself."""

    TAP_LOST = "tap-lost"  # packets the kernel could not hand us (ENOBUFS, full buffers)
    TAP_MALFORMED = "tap-malformed"  # netlink messages that could not be read
    GATE_LOST = "gate-lost"  # packets passed unjudged: the gate's buffer was full, or a rule (`about`) took the mark
    GATE_MALFORMED = "gate-malformed"
    GAP = "gap"  # time during which nobody looked
    FILE_TRUNCATED = "file-truncated"
    FLOOD = "flood"  # packets that the kernel dropped because they came too fast


@dataclass(frozen=True, slots=True)
class Sensor:
    """A count of something lost, unreadable or dropped since the last one of its kind; `about`: whose it was."""

    kind: SensorKind
    count: int
    about: str = ""


@dataclass(frozen=True, slots=True)
class Enforced:
    """What the kernel said of one hold: `ok`, or why not; `ok` with a word: it stood there before us."""

    hold: Held
    ok: bool
    why: str = ""


class Role(StrEnum):
    """What a resolved name, or an address list of the host, is to us."""

    OWN = "own"  # addresses of this host
    PBX = "pbx"  # addresses of a PBX behind this host, or in a capture
    ALLOWED = "allowed"
    TRUNK = "trunk"
    LIFELINE = "lifeline"  # gateways, resolvers, the NAT64 prefix: without them the host is cut off
    OPERATOR = "operator"  # where somebody is logged in from


@dataclass(frozen=True, slots=True)
class Names:
    """The present addresses of one name (or of this host). Replaces what was said of the same role and name before."""

    role: Role
    name: str
    networks: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class Clock:
    """The wall clock's offset: nanoseconds since 1970 minus `Instant`. For display and for what is kept on disk."""

    offset: Span


@dataclass(frozen=True, slots=True)
class Flow:
    """A TCP connection to a SIP port was opened or closed, by the kernel's own account; `received` from its client."""

    source: Address
    port: int
    opened: bool
    server_port: int = 5061
    received: int = 0


@dataclass(frozen=True, slots=True)
class Feed:
    """A list of addresses that others keep, all of it; empty: it is gone. `block`: ban them, else only report them."""

    name: str
    networks: tuple[Network, ...]
    block: bool = False


@dataclass(frozen=True, slots=True)
class Rates:
    """What calls cost from now on: a rate deck, packed by `numbering/rates.py`; nothing: there is none any more."""

    packed: bytes


Input: TypeAlias = Frame | Flow | Order | Sensor | Enforced | Names | Clock | Feed | Rates | Media  # and `Policy`

# --- Who and why ------------------------------------------------------------------------------------------------------


class Excuse(StrEnum):
    """Why a rejected credential says nothing of the password in it."""

    NONE = ""
    STALE = "stale"  # the PBX said stale=true (RFC 7616 section 3.3); Kamailio says so without judging the password
    AGED = "aged"  # the nonce was older than a minute
    ACCEPTED = "accepted"  # the nonce had been accepted before
    UNKNOWN = "unknown"  # we never saw the PBX send this nonce


# --- Finding and Decision ---------------------------------------------------------------------------------------------
Subject: TypeAlias = Network | Account | Pair


@dataclass(frozen=True, slots=True)
class Finding:
    """A detector's observation, with no consequence in it.

    `identifier` deduplicates: one finding per detector, subject and identifier while its cause lasts. `severity` runs
    from 1 (curious) to 10 (certain attack). `proven` tells whether the subject holds the address it is blamed for.
    `evidence` is what an operator wants to read; never a credential, a digest or a guess.
    """

    at: Instant
    detector: str
    subject: Subject
    identifier: str
    severity: int
    proven: bool
    evidence: tuple[tuple[str, str | int], ...] = ()
    accounts: tuple[Account, ...] = ()  # those that were tried, where that is what was found


class Consequence(StrEnum):
    """What the policy may attach to a detector's findings."""

    BLOCK = "block"  # a ban by the ladder for whoever is proven, a throttle for whoever is not
    THROTTLE = "throttle"
    QUARANTINE = "quarantine"  # the account may not place calls until it is released
    SHIELD = "shield"  # only addresses that the account has registered from may try it
    REPORT = "report"


class DecisionVerdict(StrEnum):
    """What policy makes of a finding or an order."""

    BLOCK = "block"
    THROTTLE = "throttle"
    QUARANTINE = "quarantine"  # an account, or an account from one place
    SHIELD = "shield"
    REPORT = "report"  # the policy wants to know, and no more
    EXEMPT = "exempt"  # would have been blocked, but for an allowed, own or trunk address
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is stored, explained and undone. `rule` is a key path in the policy, `because` detectors or `order`."""

    at: Instant
    verdict: DecisionVerdict
    subject: Subject
    until: Instant  # 0: at once, or for ever (report, exempt, release)
    because: tuple[str, ...]
    rule: str
    reason: str = ""
    offence: int = 0  # which ban of this subject it is within the ladder's memory, from 1


# --- Action: what the shell is told to do -----------------------------------------------------------------------------


class SetName(StrEnum):
    """The sets in the kernel."""

    ALLOWED = "allowed"
    CHARGED = "charged"  # trusted, but a call that is sent there may cost money; before those, wherever all are written
    TRUSTED = "trusted"
    WATCHED = "watched"
    BLOCKED = "blocked"
    THROTTLED = "throttled"


class Held(NamedTuple):
    """One element that should be in a kernel set. `until` 0 means: for as long as the policy says so (allowed)."""

    set: SetName
    network: Network
    until: Instant = 0


class VerdictKind(StrEnum):
    """What becomes of a packet that the gate holds."""

    ACCEPT = "accept"
    DROP = "drop"
    REFUSE = "refuse"
    MASK = "mask"
    DEFER = "defer"


class Verdict:
    """The answer to one gate frame. `packet` goes on in its place; `code`: what a refusal is answered with."""

    __slots__ = ("code", "kind", "packet")

    def __init__(self, kind: VerdictKind, code: int = 0, packet: bytes | None = None) -> None:
        self.kind = kind
        self.code = code
        self.packet = packet


@dataclass(frozen=True, slots=True)
class Hold:
    """Put an element into a kernel set, or move its end to `held.until`."""

    at: Instant
    held: Held
    because: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Release:
    """Take an element out of a kernel set; that it is already gone is no error."""

    at: Instant
    held: Held
    because: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Alert:
    """Tell the operator. `kind` is a stable name, `text` one line without anything secret."""

    at: Instant
    kind: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Offence:
    """State: how often a subject has been banned, and until when that is remembered."""

    network: Network
    count: int
    until: Instant


@dataclass(frozen=True, slots=True)
class Trust:
    """State: a registration behind an address, which makes the address trusted until `until` (0: no longer)."""

    network: Network
    account: Account
    until: Instant
    shown: Instant = 0  # until when only who holds the address can have made it; 0 for never
    contact: str = ""  # where the PBX calls it, as latin-1; empty where that is not known


Delta: TypeAlias = Decision | Offence | Trust | CallState | CallLegs | LimitReset | Lesson


@dataclass(frozen=True, slots=True)
class Record:
    """Something to report and to keep. The fold of all `Delta` records is the state a new engine starts from."""

    at: Instant
    what: Finding | Delta


Action: TypeAlias = Verdict | Hold | Release | Alert | HangUp | Record


@dataclass(frozen=True, slots=True)
class State:
    """What survives: the fold of earlier deltas, and what the kernel was found to hold."""

    decisions: Iterable[Decision | Held] = ()  # of a ban that is like most nothing is needed but what it holds
    offences: Sequence[Offence] = ()
    trust: Sequence[Trust] = ()
    adopted: Sequence[Held] = ()
    feeds: Sequence[Feed] = ()
    calls: Sequence[CallState] = ()
    resets: Sequence[LimitReset] = ()
    legs: Sequence[CallLegs] = ()
    lessons: Sequence[Lesson] | None = ()  # the least recent first; None: nobody could read whether there are any


@dataclass(frozen=True, slots=True)
class Lookups:
    """Where an address is, as far as anybody knows; functions that the shell hands in, and that never raise.

    `country` gives two capital letters (ISO 3166-1) or "", `asn` the number of the autonomous system or 0, `zone` a
    time zone as the seconds since 1970 from which each offset east of UTC, in seconds, holds: nothing for UTC.
    """

    country: Callable[[Address], str]
    asn: Callable[[Address], int]
    zone: Callable[[str], Sequence[tuple[int, int]]] = lambda _: ()


NOWHERE = Lookups(lambda _: "", lambda _: 0)  # what is known of addresses without a database
ACCEPTED = Verdict(VerdictKind.ACCEPT)
