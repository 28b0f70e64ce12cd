"""Lists of addresses that others keep: what is on one is banned, or only reported, without a packet of theirs.

Not a detector: nothing was seen. A list is *watched* first: whoever comes from an address on it is reported, as is a
device of our own there. A list that *blocks* is held in the kernel like bans, but for what is exempt, and for networks
with registered devices in them, which are counted and told. Only differences are put in force, so many in a step that
packets do not wait; what a new list has comes before what only the old one had goes, so that whoever is on both is
banned throughout. An element ends by itself two days after its list was last said, and is renewed when it is said
again. A ban by anybody else stays his; what the operator unbans stays unbanned for as long as it is on the list.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from sipguard.address import Address, Network, subject_of
from sipguard.decide.force import Force
from sipguard.decide.ledger import is_host
from sipguard.event import Asked, Standing
from sipguard.model import (
    DAY,
    MILLISECOND,
    Action,
    Alert,
    Decision,
    DecisionVerdict,
    Feed,
    Finding,
    Held,
    Instant,
    Record,
    SetName,
    Span,
)
from sipguard.netset import NetSet
from sipguard.table import Table

NAME = "feed"
HOLD: Span = 2 * DAY
RENEW: Span = DAY
STEP = 400
PAUSE: Span = 50 * MILLISECOND
MOST = 200_000
"""Networks of all lists together; what is beyond is counted and left out."""
LISTS = 16
_TOLD_MOST = 20_000
_SHOWN = 5


class _List:
    """One list, what of it we hold ourselves, and what of it is still to be looked at."""

    __slots__ = (
        "added",
        "before",
        "block",
        "cursor",
        "exact",
        "held",
        "hits",
        "leaving",
        "name",
        "nets",
        "networks",
        "overlaps",
        "removed",
        "spared",
    )

    def __init__(self, feed: Feed, networks: tuple[Network, ...], earlier: _List | None) -> None:
        self.name = feed.name
        self.block = feed.block
        self.networks = networks
        self.exact = frozenset(networks)
        self.nets = NetSet(network for network in networks if not is_host(network))
        self.held: dict[Network, Instant] = {} if earlier is None else earlier.held
        self.hits: int = 0 if earlier is None else earlier.hits
        self.before: tuple[int, int] = (0, 0) if earlier is None else (earlier.spared, earlier.overlaps)
        self.leaving = deque(network for network in self.held if not feed.block or network not in self.exact)
        self.cursor = 0  # up to where the networks have been looked at
        self.spared: int = 0
        self.overlaps: int = 0
        self.added = self.removed = 0

    @property
    def busy(self) -> bool:
        return bool(self.leaving) or self.cursor < len(self.networks)

    def covers(self, address: Address) -> bool:
        return subject_of(address) in self.exact or self.nets.covers(address)

    def holds(self, network: Network) -> bool:
        """Tell whether a network, as the kernel has it, is there because of this list."""
        return self.block and (network in self.exact or not self.nets.subtract_from(network))


class Feeds:
    """All lists. `spared` says who may not be banned, in a word."""

    __slots__ = ("_due", "_force", "_left_out", "_quiet", "_spared", "_told", "named")

    def __init__(self, force: Force, spared: Callable[[Network], str]) -> None:
        self._force = force
        self._spared = spared
        self.named: dict[str, _List] = {}
        self._told: Table[tuple[str, str, Network], Instant] = Table(_TOLD_MOST, _TOLD_MOST // 8)
        self._due: Instant | None = None
        self._quiet = False  # the next work is what was in force before a restart: the shell asks for it as a whole
        self._left_out = 0

    def __len__(self) -> int:
        return len(self.named)

    def say(self, at: Instant, feed: Feed) -> list[Action]:
        """Take a list in place of what it was; what follows from that is done step by step in `advance`."""
        earlier = self.named.get(feed.name)
        if earlier is None and (not feed.networks or len(self.named) >= LISTS):
            return []
        room = MOST - sum(len(each.networks) for each in self.named.values() if each is not earlier)
        taken = feed.networks[: max(room, 0)]
        self._left_out += len(feed.networks) - len(taken)
        self.named[feed.name] = _List(feed, taken, earlier)
        self._due = at
        return []

    def restore(self, feeds: Sequence[Feed]) -> None:
        """Take up the lists as they were last said; what they ban is in force with the first `advance`."""
        for feed in feeds:
            self.say(0, feed)
        self._quiet = bool(self.named)

    def holds(self, network: Network) -> bool:
        """Tell whether a network is banned by a list, as far as lists were said."""
        return any(each.holds(network) for each in self.named.values())

    def lists(self, network: Network) -> list[str]:
        """Name the lists that a sender is on."""
        return [each.name for each in self.named.values() if each.covers(network.address)]

    # --- Whoever comes ------------------------------------------------------------------------------------------------

    def asked(self, event: Asked) -> list[Action]:
        """Report a sender that is on a list; each once a day."""
        if event.standing is Standing.EXEMPT:
            return []
        for each in self.named.values():
            if each.covers(event.source):
                each.hits += 1
                return self._report(event, each)
        return []

    def met(self, source: Address) -> None:
        """Count a packet of somebody who is banned, if a list has him."""
        for each in self.named.values():
            if each.block and each.covers(source):
                each.hits += 1
                return

    def _report(self, event: Asked, each: _List) -> list[Action]:
        at, subject = event.at, subject_of(event.source)
        if event.standing is Standing.TRUSTED:
            return self._overlap(at, each, subject)
        if each.block or self._said_lately(at, (NAME, each.name, subject)):
            return []
        evidence: tuple[tuple[str, str | int], ...] = (("list", each.name), ("method", event.request.method))
        finding = Finding(at, NAME, subject, each.name, 3, event.proven, evidence)
        reason = f"is on the list {each.name}, which is only watched"
        decision = Decision(at, DecisionVerdict.REPORT, subject, 0, (NAME, each.name), "feed.mode", reason)
        return [Record(at, finding), Record(at, decision)]

    # --- Work ---------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> Instant | None:
        """Give when the next step is due."""
        return self._due

    def advance(self, now: Instant) -> list[Action]:
        """Do one step when it is due."""
        if self._due is None or now < self._due:
            return []
        actions: list[Action] = []
        trusted = NetSet(self._force.ledger.held(SetName.TRUSTED))
        left = 2 * (MOST + LISTS) if self._quiet else STEP
        for each in list(self.named.values()):
            left = self._come(now, each, trusted, left, actions)
        for each in list(self.named.values()):
            left = self._go(now, each, left, actions)
            if not each.busy and not each.networks:
                del self.named[each.name]
        if self._quiet:
            actions = [action for action in actions if isinstance(action, Alert)]
            self._quiet = False
        self._due = now + PAUSE if any(each.busy for each in self.named.values()) else None
        return actions

    def _come(self, now: Instant, each: _List, trusted: NetSet, left: int, actions: list[Action]) -> int:
        """Look at some of what is on a list; gives what is left of the step."""
        busy = each.busy
        while left > 0 and each.cursor < len(each.networks):
            network = each.networks[each.cursor]
            each.cursor += 1
            done = self._look(now, each, network, trusted)
            actions += done
            left -= 1
        if busy and not each.busy:
            actions += self._summary(now, each)
        return left

    def _go(self, now: Instant, each: _List, left: int, actions: list[Action]) -> int:
        """Let some of what is no longer on a list go, once all lists are in force; gives what is left of the step."""
        busy = each.busy
        while each.leaving and left > 0:
            actions += self._let_go(now, each, each.leaving.popleft())
            left -= 1
        if busy and not each.busy:
            actions += self._summary(now, each)
        return left

    def _look(self, now: Instant, each: _List, network: Network, trusted: NetSet) -> list[Action]:
        """See to one network: put in force, renewed, left to somebody else, or spared."""
        if self._spared(network):
            each.spared += 1
            return self._let_go(now, each, network)
        if trusted.overlaps(network):
            each.overlaps += 1
            told = [] if each.overlaps > _SHOWN else self._overlap(now, each, network)
            return [*told, *self._let_go(now, each, network)]
        if not each.block:
            return []
        until, ours = self._force.ledger.until(SetName.BLOCKED, network), each.held.get(network)
        if until is None:
            if ours is not None and ours > now:
                return []  # unbanned by the operator
            each.added += 1
        elif until != ours or until - now > RENEW:
            return []
        each.held[network] = now + HOLD
        return self._force.hold(now, Held(SetName.BLOCKED, network, now + HOLD), (NAME, each.name))

    def _let_go(self, now: Instant, each: _List, network: Network) -> list[Action]:
        """Take a network out of force, unless somebody else wants it banned too."""
        ours = each.held.pop(network, None)
        if ours is None or self._force.ledger.until(SetName.BLOCKED, network) != ours:
            return []
        each.removed += 1
        for other in self.named.values():
            if other is not each and other.block and network in other.exact and not self._spared(network):
                other.held[network] = ours
                return []
        return self._force.release(now, SetName.BLOCKED, network, (NAME, each.name))

    def _summary(self, now: Instant, each: _List) -> list[Action]:
        if not (each.added or each.removed) and (each.spared, each.overlaps) == each.before:
            return []
        text = (
            f"the list {each.name}: {each.added} banned, {each.removed} no longer; "
            f"spared: {each.spared} own, allowed or trunks, {each.overlaps} with registered devices"
        )
        return [Alert(now, "feed", each.name, text)]

    def _overlap(self, at: Instant, each: _List, network: Network) -> list[Action]:
        if self._said_lately(at, ("overlap", each.name, network)):
            return []
        text = f"{network} is on the list {each.name}, and a device of yours is registered from there; it is not banned"
        return [Alert(at, "feed-overlap", str(network), text)]

    def _said_lately(self, at: Instant, key: tuple[str, str, Network]) -> bool:
        told = self._told.get(key)
        if told is not None and at - told < DAY:
            return True
        self._told.renew(key, at, key[2].address)
        return False

    def counters(self) -> dict[str, int]:
        """Give for each list what it holds and what it met."""
        found = {"feeds_left_out": self._left_out}
        for each in self.named.values():
            numbers = {
                "entries": len(each.networks),
                "held": len(each.held),
                "hits": each.hits,
                "overlap": each.overlaps,
                "spared": each.spared,
            }
            found |= {f"feed {key} {each.name}": value for key, value in numbers.items()}
        return found
