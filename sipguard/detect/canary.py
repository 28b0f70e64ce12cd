"""Canaries: extensions and numbers that nobody has; who asks for one is feeling his way.

What it sees
    Requests of strangers for a user that nobody has. Named in the policy: any request is a finding. Chosen by the guard
    (`automatic` of them): when `learned` extensions are known and it has watched for `watched`, it takes numbers that
    look like extensions, lie near the used ones but at least `distance` from any, and were never dialled by a device.
    For those a REGISTER alone is no finding, for it may be a new phone: the second one asked for by the same stranger
    is, and so is a credential that the PBX rejects; anything else is one at once. A canary sings no more once the PBX
    has answered for it, that is when a call to it rings or is answered, or somebody registers it. Registered devices
    and exempt addresses may ask for what they like.

Why it matters
    A scan that is slow enough slips under every counter. It cannot slip past numbers that have no other visitor.

Known false alarms
    A person at home who mistypes the extension when setting up a phone, and types a canary's. A number named in the
    policy that is given to somebody after all, until it is first answered for.

Ways around it
    Asking only for what is known to exist; a list from elsewhere. On a PBX that answers strangers' calls to any number,
    whoever rings a canary silences it, at the price of one finding.

Options
    enabled, numbers, automatic, learned, watched, distance, sources, then

References
    RFC 3261 section 10.3 (what a registrar does with names that it does not know).
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from sipguard.address import sender_key, subject_of
from sipguard.constraint import Between, Count, Described, DurationBetween, Matching
from sipguard.event import Answered, Asked, AuthFailed, Event, Rang, Recalled, Registered, Standing
from sipguard.lesson import SITE, About, Notes, hexed, rows_of, written
from sipguard.model import DAY, HOUR, MINUTE, Account, Consequence, Excuse, Finding, Instant, Span
from sipguard.sip.message import SipRequest, SipResponse
from sipguard.table import Table, neighbourhood

NAME = "canary"
_NOTHING: tuple[Finding, ...] = ()
_STRANGER = Standing.STRANGER
_IN_USE = "used"
_LONGEST = 128
_EXTENSIONS = 10_000
_LOOKED_AT = 20
_NEAR = 100
_SPREAD = 200
_NOBODY = b"\0\0\0\0"
_PARTS = frozenset({"ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO"})  # of something asked before


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.canary]`."""

    enabled: Annotated[bool, Described("Whether canaries are looked for")] = True
    numbers: Annotated[
        tuple[Annotated[str, Matching(r"[!-~]{1,64}", "an extension or a number, as it is dialled")], ...],
        Count(0, 1000),
        Described("Extensions and numbers that nobody has, and that nobody honest asks for"),
    ] = ()
    automatic: Annotated[int, Between(0, 100), Described("As many more are chosen by the guard itself")] = 5
    learned: Annotated[int, Between(1, 10_000), Described("Extensions that must be known before any is chosen")] = 5
    watched: Annotated[
        Span, DurationBetween(MINUTE, 30 * DAY), Described("How long the guard watches before it chooses any")
    ] = 12 * HOUR
    distance: Annotated[int, Between(1, 1000), Described("A chosen number differs by so much from every used one")] = 10
    sources: Annotated[int, Between(100, 1_000_000), Described("The most sources remembered at once")] = 10_000
    then: Annotated[Consequence, Described("What becomes of a source that is found")] = Consequence.BLOCK


class Detector:
    """Learns which extensions are used, chooses some that are not, and listens who asks for them."""

    __slots__ = (
        "_calls",
        "_canaries",
        "_choose_at",
        "_config",
        "_dialled",
        "_notes",
        "_registering",
        "_used",
        "handlers",
        "withdrawn",
    )

    learns: ClassVar[str] = NAME

    def __init__(self, config: Config, notes: Notes | None = None) -> None:
        self._config = config
        self._notes = Notes() if notes is None else notes
        self._canaries: dict[bytes, bool] = {plain(name.encode()): True for name in config.numbers}  # True: named
        self._used: Table[bytes, Instant] = Table(_EXTENSIONS)  # when that was last noted
        self._dialled: Table[bytes, None] = Table(_EXTENSIONS)
        self._registering: Table[bytes, bytes] = Table(config.sources, config.sources // 8, neighbourhood)
        self._calls: Table[tuple[bytes, bytes], bytes] = Table(config.sources, config.sources // 8)
        self._choose_at: Instant | None = None
        self.withdrawn = 0
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            Asked: self._asked,
            Answered: self._answered,
            Rang: self._rang,
            Registered: self._registered,
            Recalled: self._recalled,
            AuthFailed: self._failed,
        }

    # --- Listening ----------------------------------------------------------------------------------------------------

    def _asked(self, event: Asked) -> Sequence[Finding]:
        request = event.request
        if event.standing is not _STRANGER:
            if request.method == "INVITE":
                number = request.uri_user
                if _is_extension(number):
                    self._dialled.put(number, None, _NOBODY)
            return _NOTHING
        canaries = self._canaries
        if not canaries or event.repeated or request.method in _PARTS:
            return _NOTHING
        user = _asked_for(request)
        named = canaries.get(user)
        if named is None:
            return _NOTHING
        if request.method == "INVITE":
            self._calls.put((sender_key(event.source), request.call_id[:_LONGEST]), user, event.source)
        elif request.method == "REGISTER" and not named:
            source = sender_key(event.source)
            earlier = self._registering.get(source)
            self._registering.put(source, user, event.source)
            if earlier is None or earlier == user:
                return _NOTHING
        return (self._finding(event, user, request.method, proven=event.shown),)

    def _failed(self, event: AuthFailed) -> Sequence[Finding]:
        if event.excuse is Excuse.STALE:
            return _NOTHING
        user = plain(event.account.username.encode())
        if user not in self._canaries or sender_key(event.source) not in self._registering:
            return _NOTHING
        return (self._finding(event, user, event.method, proven=event.proven),)

    @staticmethod
    def _finding(event: Asked | AuthFailed, user: bytes, method: str, *, proven: bool) -> Finding:
        evidence: tuple[tuple[str, str | int], ...] = (
            ("asked_for", user.decode("ascii", "backslashreplace")),
            ("method", method),
            ("transport", str(event.transport)),
        )
        return Finding(event.at, NAME, subject_of(event.source), "canary", 9, proven, evidence)

    # --- Learning -----------------------------------------------------------------------------------------------------

    def _registered(self, event: Registered) -> Sequence[Finding]:
        self._is_used(event.at, plain(event.account.username.encode()))
        return _NOTHING

    def _recalled(self, event: Recalled) -> Sequence[Finding]:
        self._use(event.at, plain(event.account.username.encode()))
        return _NOTHING

    def _rang(self, event: Rang) -> Sequence[Finding]:
        self._let_in(event, event.response)
        return _NOTHING

    def _answered(self, event: Answered) -> Sequence[Finding]:
        response = event.response
        if response.code < 300 and response.cseq_method == "INVITE":
            self._let_in(event, response)
        return _NOTHING

    def _let_in(self, event: Rang | Answered, response: SipResponse) -> None:
        """Learn from a call that was let in; a stranger says in To what he likes, so his own request is believed."""
        if event.standing is _STRANGER:
            user = self._calls.pop((sender_key(event.source), response.call_id[:_LONGEST]))
            if user is not None:
                self._is_used(event.at, user)
        else:
            self._is_used(event.at, plain(response.to_user.partition(b";")[0]))

    def _use(self, at: Instant, user: bytes) -> None:
        """Note that somebody has a number; it is no canary any more."""
        if self._canaries.pop(user, None) is not None:
            self.withdrawn += 1
            self._notes.note(NAME, SITE)
        if _is_extension(user):
            noted = self._used.get(user)
            if fresh := noted is None or at - noted >= DAY:
                self._notes.note(NAME, SITE, user.decode())
            self._used.renew(user, at if fresh or noted is None else noted, _NOBODY)

    def _is_used(self, at: Instant, user: bytes) -> None:
        self._use(at, user)
        if self._choose_at is None:
            self._choose_at = at + self._config.watched
            self._notes.note(NAME, SITE)
        if at < self._choose_at or len(self._used) < self._config.learned:
            return
        self._choose_at = at + HOUR  # it is some work, and may find nothing
        self._notes.note(NAME, SITE)
        missing = self._config.automatic - sum(not named for named in self._canaries.values())
        if missing > 0:
            taken = [*self._used, *self._canaries]
            for canary in chosen(taken, self._config.distance):
                if missing > 0 and canary not in self._dialled:
                    self._canaries[canary] = False
                    missing -= 1

    # --- What is kept -------------------------------------------------------------------------------------------------

    def known(self) -> Iterator[About]:
        """Go through the numbers in use, the longest unused first; "" is what was chosen."""
        yield from ((SITE, user.decode()) for user in self._used)
        yield SITE, ""

    def taught(self, at: Instant, account: Account, topic: str) -> str:
        """Write when it chooses next and what it has chosen, or that a number is in use."""
        if account != SITE:
            return ""
        if topic:
            return _IN_USE if topic.encode() in self._used else ""
        mine = [hexed(user) for user, named in self._canaries.items() if not named]
        return "" if self._choose_at is None else written([(str(self._choose_at - at), *mine)])

    def learn(self, at: Instant, account: Account, topic: str, text: str) -> None:
        """Take up what `taught` wrote. Raises ValueError."""
        if account != SITE or (topic and text != _IN_USE):
            raise ValueError(f"{text!r} of {account}")
        if topic:
            self._canaries.pop(topic.encode(), None)
            self._used.renew(topic.encode(), at, _NOBODY)
            return
        ((due, *mine),) = rows_of(text)
        self._choose_at = at + int(due)
        for canary in map(bytes.fromhex, mine[: self._config.automatic]):
            if _is_extension(canary) and canary not in self._used:
                self._canaries.setdefault(canary, False)

    def counters(self) -> dict[str, int]:
        """Give how many canaries there are, and how many were withdrawn; the fill and the evictions."""
        return {
            "canaries": len(self._canaries),
            "canaries_withdrawn": self.withdrawn,
            "canary_extensions": len(self._used),
            "canary_extensions_evicted": self._used.evicted + self._dialled.evicted,
            "canary_sources": len(self._registering),
            "canary_sources_evicted": self._registering.evicted,
        }


def chosen(taken: Sequence[bytes], distance: int) -> Sequence[bytes]:
    """Give numbers near the taken ones and at least `distance` from each, in an order that follows from all of them.

    Whoever does not know every extension cannot tell which numbers come first. Round ones are left out: people give
    them to groups and services.
    """
    used = sorted(int(number) for number in taken if _is_extension(number) and number[:1] != b"0")
    found: dict[int, None] = {}
    for number in used[:: 1 + len(used) // _LOOKED_AT]:
        for candidate in (*range(number - _NEAR, number - distance + 1), *range(number + distance, number + _NEAR + 1)):
            if candidate % 10 and len(str(candidate)) == len(str(number)) and _is_free(candidate, used, distance):
                found[candidate] = None
    seed = zlib.crc32(repr(used).encode())
    numbers = sorted(found, key=lambda number: zlib.crc32(b"%d" % number, seed))
    spread: list[int] = []
    for number in numbers:
        if all(abs(number - other) >= distance for other in spread):
            spread.append(number)
        if len(spread) >= _SPREAD:
            break
    return [b"%d" % number for number in spread]


def _is_free(candidate: int, used: Sequence[int], distance: int) -> bool:
    """Tell whether no used number lies within the distance; `used` is sorted."""
    place = bisect_left(used, candidate)
    before = place == 0 or candidate - used[place - 1] >= distance
    return before and (place == len(used) or used[place] - candidate >= distance)


def plain(user: bytes) -> bytes:
    """Give a user as canaries are compared: in lower case, without separators (RFC 3966) and a leading plus."""
    return user.translate(None, b"-.() ").lower().removeprefix(b"+")


def _asked_for(request: SipRequest) -> bytes:
    return plain(request.to_user.partition(b";")[0] if request.method == "REGISTER" else request.uri_user)


def _is_extension(user: bytes) -> bool:
    return 2 <= len(user) <= 6 and user.isdigit()
