"""What puts decisions in force and takes them out again: bans, throttles, quarantines, shields. It judges nothing.

Every method gives the actions that tell the shell and the store; each decision is recorded before what it orders.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from sipguard.address import Network
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.decide import ladder
from sipguard.decide.aggregate import Aggregate
from sipguard.decide.ledger import Ledger, is_host
from sipguard.decide.wards import Ward, Wards
from sipguard.model import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Account,
    Action,
    Alert,
    Decision,
    DecisionVerdict,
    Held,
    Hold,
    Instant,
    Pair,
    Record,
    Release,
    SetName,
    Span,
)
from sipguard.netset import NetSet
from sipguard.report import HOLDING

COLLATERAL = "collateral"
"""The reason of a quarantine in place of a ban: what fails there may be a mere mistake."""


@dataclass(frozen=True, slots=True)
class Wardship:
    """Settings of `[ward]`: how long accounts are kept from calling, or from strangers' guesses."""

    quarantine: Annotated[
        Span, DurationBetween(MINUTE, 365 * DAY), Described("How long an account stays under quarantine")
    ] = DAY
    shield: Annotated[
        Span, DurationBetween(MINUTE, 365 * DAY), Described("How long an account that is guessed at stays shielded")
    ] = HOUR
    most: Annotated[int, Between(100, 1_000_000), Described("The most accounts under either at once")] = 50_000


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Settings of `[neighbours]`: when many banned addresses of one network become a ban of the network."""

    enabled: Annotated[bool, Described("Whether whole /24 and /48 networks are banned")] = True
    senders: Annotated[
        int, Between(3, 256), Described("Different banned senders of one /24 or /48 that get it banned")
    ] = 16
    window: Annotated[Span, DurationBetween(10 * SECOND, 30 * DAY), Described("How long a ban counts for that")] = DAY


@dataclass(frozen=True, slots=True)
class Config:
    """What decisions are made of."""

    ban: ladder.Config = field(default_factory=ladder.Config)
    ward: Wardship = field(default_factory=Wardship)
    neighbours: Neighbours = field(default_factory=Neighbours)


class Force:
    """Keeps the ladder, the ledger, the wards, and the count of banned neighbours."""

    __slots__ = ("_aggregate", "config", "ladder", "ledger", "wards")

    def __init__(self, config: Config, most: int) -> None:
        self.config = config
        self.ladder = ladder.Ladder(config.ban)
        self.ledger = Ledger(most)
        self.wards = Wards(config.ward.most)
        self._aggregate = Aggregate()

    def restore(self, decision: Decision | Held) -> None:
        """Put in force again what was before a restart."""
        if isinstance(decision, Held):
            self.ledger.hold(decision)
        elif isinstance(decision.subject, Network):
            if decision.verdict in HOLDING:
                self.ledger.hold(Held(HOLDING[decision.verdict], decision.subject, decision.until))
        elif decision.verdict is DecisionVerdict.QUARANTINE:
            self.wards.quarantine(decision.subject, decision.until, doubted=decision.reason != COLLATERAL)
        elif decision.verdict is DecisionVerdict.SHIELD and isinstance(decision.subject, Account):
            self.wards.shield(decision.subject, decision.until)

    def adopt(self, config: Config) -> None:
        """Go by these settings from now on; what is in force stays as it was decided."""
        self.config = config
        self.ladder.adopt(config.ban)

    # --- Networks -----------------------------------------------------------------------------------------------------

    def ban(
        self, at: Instant, network: Network, because: tuple[str, ...], rule: str, *, span: Span = 0, reason: str = ""
    ) -> list[Action]:
        """Ban a network by the ladder, or for `span`."""
        offence, until = self.ladder.climb(at, network)
        if span:
            until = at + span
        decision = Decision(at, DecisionVerdict.BLOCK, network, until, because, rule, reason, offence.count)
        told: list[Action] = [Record(at, decision), Record(at, offence)]
        told += self.hold(at, Held(SetName.BLOCKED, network, until), because)
        return told

    def neighbourhood(self, at: Instant, network: Network) -> Network | None:
        """Count a proven sender's ban; gives its /24 or /48 when that is now due to be banned as a whole.

        Nobody who is trusted lives in what is given; whether it is exempt is for the caller to ask.
        """
        config = self.config.neighbours
        if not config.enabled or not is_host(network):
            return None
        found = self._aggregate.banned(at, network, config.senders, config.window)
        if found is None or self.ledger.overlapping(SetName.TRUSTED, found):
            return None
        return found

    def throttle(self, at: Instant, network: Network, because: tuple[str, ...], rule: str, reason: str) -> list[Action]:
        """Throttle a network for a while."""
        until = at + self.config.ban.throttle
        decision = Decision(at, DecisionVerdict.THROTTLE, network, until, because, rule, reason)
        return [Record(at, decision), *self.hold(at, Held(SetName.THROTTLED, network, until), because)]

    def hold(self, at: Instant, held: Held, because: tuple[str, ...]) -> list[Action]:
        """Put an element in force."""
        gone = self.ledger.hold(held)
        told: list[Action] = [Release(at, each, ("full",)) for each in gone]
        told.append(Hold(at, held, because))
        return told

    def release(self, at: Instant, name: SetName, network: Network, because: tuple[str, ...]) -> list[Action]:
        """Take an element out of force; empty when it was not in it."""
        until = self.ledger.until(name, network)
        if until is None:
            return []
        self.ledger.release(name, network)
        return [Release(at, Held(name, network, until), because)]

    def touched(self, networks: Sequence[Network]) -> list[Network]:
        """Give those of some networks that a ban or throttle touches: asked together, as bans are many."""
        if not networks:
            return []
        near = NetSet(networks)
        banned = (each for name in (SetName.BLOCKED, SetName.THROTTLED) for each in self.ledger.held(name))
        hit = NetSet(each for each in banned if near.overlaps(each))
        return [network for network in networks if hit.overlaps(network)]

    def lift(self, at: Instant, network: Network, because: str, keep: Collection[Network] = ()) -> list[Action]:
        """Lift every ban and throttle that touches a network, but those to keep: it has become exempt."""
        told: list[Action] = []
        for name in (SetName.BLOCKED, SetName.THROTTLED):
            for held in [each for each in self.ledger.overlapping(name, network) if each not in keep]:
                told += self.release(at, name, held, (because,))
                decision = Decision(at, DecisionVerdict.RELEASE, held, 0, (because,), because)
                told.append(Record(at, decision))
        return told

    def unban(self, at: Instant, network: Network, reason: str) -> list[Action]:
        """Lift and forgive what was decided on a network; empty when there was nothing."""
        told: list[Action] = []
        for name in (SetName.BLOCKED, SetName.THROTTLED, SetName.WATCHED):
            told += self.release(at, name, network, ("order",))
        forgiven = self.ladder.forgive(network)
        if forgiven is not None:
            told.append(Record(at, forgiven))
        if told:
            told.insert(0, Record(at, Decision(at, DecisionVerdict.RELEASE, network, 0, ("order",), "order", reason)))
        return told

    # --- Accounts -----------------------------------------------------------------------------------------------------

    def quarantine(
        self, at: Instant, ward: Ward, because: tuple[str, ...], rule: str, *, span: Span = 0, reason: str = ""
    ) -> list[Action]:
        """Put an account, or an account of one place, under quarantine, and tell the operator."""
        until = at + (span or self.config.ward.quarantine)
        self.wards.quarantine(ward, until, doubted=reason != COLLATERAL)
        decision = Decision(at, DecisionVerdict.QUARANTINE, ward, until, because, rule, reason)
        kind = "wrong-password" if isinstance(ward, Pair) and reason == COLLATERAL else "quarantine"
        text = f"{ward}: may not place calls; {reason or 'found by ' + ', '.join(because)}"
        if kind == "wrong-password":
            text = f"{ward} keeps failing; other devices there are fine, so the place is not banned"
        told: list[Action] = [Record(at, decision), Alert(at, kind, str(ward), text)]
        if isinstance(ward, Pair):
            told += self.hold(at, Held(SetName.WATCHED, ward.network, until), because)
        return told

    def shield(self, at: Instant, account: Account, because: tuple[str, ...], rule: str) -> list[Action]:
        """Shield an account that others guess at, and tell the operator."""
        until = at + self.config.ward.shield
        self.wards.shield(account, until)
        decision = Decision(at, DecisionVerdict.SHIELD, account, until, because, rule)
        text = f"{account} is being guessed at; only addresses that it has registered from may try it"
        return [Record(at, decision), Alert(at, "shield", str(account), text)]

    def free(self, at: Instant, ward: Ward, reason: str) -> list[Action]:
        """End every quarantine and shield of a subject, and the watch on its place; empty when there was none."""
        if not self.wards.release(ward):
            return []
        told: list[Action] = [Record(at, Decision(at, DecisionVerdict.RELEASE, ward, 0, ("order",), "order", reason))]
        if isinstance(ward, Pair) and not self.wards.of(ward.network):
            told += self.release(at, SetName.WATCHED, ward.network, ("order",))
        return told

    def next_deadline(self) -> Instant | None:
        """Give the next instant at which something may end."""
        ledger, wards = self.ledger.next_deadline(), self.wards.next_deadline()
        if ledger is None or wards is None:
            return wards if ledger is None else ledger
        return min(ledger, wards)

    def advance(self, now: Instant) -> None:
        """Let end what has run out."""
        self.ledger.advance(now)
        self.wards.advance(now)

    def counters(self) -> dict[str, int]:
        """Give how much is in force."""
        return {
            **self.ledger.counters(),
            **self.ladder.counters(),
            **self.wards.counters(),
            **self._aggregate.counters(),
        }
