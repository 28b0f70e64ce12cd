"""Account takeover: an account is used from a country, a network or by a kind of device that is new for it.

What it sees
    Registrations with the right password, per account: the countries and autonomous systems they come from (with a
    database, `[geoip]`; private addresses are a country of their own) and what kind of device the User-Agent names,
    without its version. Something new is told once a day until it has been there for `settles`; then it is the
    account's own. During its first `learning` an account is only learned. Told at once, also then, and once a day: a
    registration from another country less than `travel` after the last (impossible travel), and an account that stands
    registered from `networks` networks at a time (systems where known, else /24 and /48). Answered calls of proven
    senders who never register count as use from their place. Only what is proven is learned: nobody can spoof himself
    into an account's history.

Why it matters
    Who has the password passes every other check. The thief seldom sits in the owner's network, or buys his phone.

Known false alarms
    Travellers, VPNs, a softphone beside the desk phone, a new phone. Mobile phones change their networks all day.
    What was learned outlives restarts and changes of the policy; but not the time of the last registration, by which
    travel is told.

Ways around it
    Taking the account over during its first days, or from the owner's own country and system under his device's name.
    Patience: what has been told of for `settles` is the account's own from then on.

Options
    enabled, countries, systems, devices, learning, settles, travel, networks, accounts, then

References
    RFC 3261 sections 10 (registrations) and 20.41 (User-Agent).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar

from sipguard.address import Address, parse_network, subject_of
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import AuthSucceeded, Event, Recalled, Registered, Unregistered
from sipguard.lesson import About, Notes, somewhere
from sipguard.model import DAY, HOUR, MINUTE, Account, Consequence, Finding, Instant, Lookups, Pair, Span
from sipguard.netset import NetSet
from sipguard.table import Table, neighbourhood
from sipguard.track.habits import Habits, habits_of

NAME = "takeover"
_NOTHING: tuple[Finding, ...] = ()
_HERE = "private"
_LONGEST = 64
_PRIVATE = NetSet(
    parse_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "fc00::/7",
        "fe80::/10",
    )
)
"""RFC 1918, RFC 6598, RFC 4193: addresses that are in no country, but near."""


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.takeover]`."""

    enabled: Annotated[bool, Described("Whether accounts in new hands are looked for")] = True
    countries: Annotated[bool, Described("Whether a new country is told of")] = True
    systems: Annotated[bool, Described("Whether a new autonomous system is told of")] = True
    devices: Annotated[bool, Described("Whether a new kind of device is told of")] = True
    learning: Annotated[
        Span, DurationBetween(MINUTE, 90 * DAY), Described("How long an account that was never seen is only learned")
    ] = DAY
    settles: Annotated[
        Span, DurationBetween(MINUTE, 365 * DAY), Described("How long something new is told of, once a day")
    ] = 7 * DAY
    travel: Annotated[Span, DurationBetween(MINUTE, 7 * DAY), Described("No owner gets to another country in less")] = (
        HOUR
    )
    networks: Annotated[
        int, Between(2, 60), Described("Networks at a time from which no single owner is registered")
    ] = 5
    accounts: Annotated[int, Between(100, 1_000_000), Described("The most accounts remembered at once")] = 20_000
    then: Annotated[Consequence, Described("What becomes of the account, or of it as used from there")] = (
        Consequence.REPORT
    )


class Detector:
    """Keeps a history for each account, of proven registrations only; the account longest idle goes first."""

    __slots__ = ("_accounts", "_config", "_look", "_notes", "handlers")

    learns: ClassVar[str] = NAME

    def __init__(self, config: Config, look: Lookups, notes: Notes | None = None) -> None:
        self._config = config
        self._look = look
        self._notes = Notes() if notes is None else notes
        self._accounts: Table[Account, Habits] = Table(config.accounts, config.accounts // 2)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            Registered: self._registered,
            Unregistered: self._unregistered,
            AuthSucceeded: self._succeeded,
            Recalled: self._recalled,
        }

    # --- What happens -------------------------------------------------------------------------------------------------

    def _registered(self, event: Registered) -> Sequence[Finding]:
        at, account = event.at, event.account
        key = _key(account)
        history = self._accounts.get(key)
        if not event.proven:
            return () if history is None else self._doubtful(event, history)
        if history is None:
            history = Habits(at)
        self._accounts.renew(key, history, event.source)
        found: list[Finding] = []
        country = self._country(event.source)
        if self._travelled(at, country, history) and history.once(at, "travel"):
            found.append(self._finding(event, account, "travel", 9, ()))
        new = self._meet(at, event.source, country, history, family(event.agent))
        if found and "country" in new:
            new.remove("country")
        if new:
            found.append(self._novel(event, new, event.agent, proven=True))
        count = history.stand(at, self._network(event.source), event.until)
        if count >= self._config.networks and history.once(at, "networks"):
            found.append(self._finding(event, account, "networks", 8, (("networks", count),)))
        if country and country != _HERE:
            history.last = (at, country)
        self._note(at, key, history)
        return found

    def _doubtful(self, event: Registered, history: Habits) -> Sequence[Finding]:
        """Tell of an unproven registration what a proven one would have told, and learn nothing from it."""
        country = self._country(event.source)
        if self._travelled(event.at, country, history):
            return (self._finding(event, event.account, "travel", 9, (), proven=False),)
        if history.learning(event.at, self._config.learning):
            return _NOTHING
        strange = (
            ("country", country, history.countries, self._config.countries),
            ("system", self._look.asn(event.source), history.systems, self._config.systems),
            ("device", family(event.agent), history.devices, self._config.devices),
        )
        new = [name for name, value, met, wanted in strange if wanted and value and len(met) and not met.owns(value)]
        return (self._novel(event, new, event.agent, proven=False),) if new else _NOTHING

    def _succeeded(self, event: AuthSucceeded) -> Sequence[Finding]:
        """Look at calls of those who never register; a registration is told of by its own event."""
        if event.method == "REGISTER" or not event.proven:
            return _NOTHING
        key = _key(event.account)
        history = self._accounts.get(key)
        if history is None:
            return _NOTHING
        new = self._meet(event.at, event.source, self._country(event.source), history, None)
        self._note(event.at, key, history)
        return (self._novel(event, new, b"", proven=True),) if new else _NOTHING

    def _unregistered(self, event: Unregistered) -> Sequence[Finding]:
        history = self._accounts.get(_key(event.account))
        if history is not None:
            history.places.pop(self._network(event.source), None)
        return _NOTHING

    def _recalled(self, event: Recalled) -> Sequence[Finding]:
        if event.until <= event.at:  # it stands no longer: not by this is an account known
            return _NOTHING
        key = _key(event.account)
        history = self._accounts.get(key) or Habits(None)
        self._accounts.renew(key, history, event.source)
        history.stand(event.at, self._network(event.source), event.until)
        if history.restored:  # what it does not know for its own is a stranger's place, though he stands registered
            return _NOTHING
        for value, met in (
            (self._country(event.source), history.countries),
            (self._look.asn(event.source), history.systems),
        ):
            if value:
                met.own(event.at, value)
        self._note(event.at, key, history)
        return _NOTHING

    # --- What it means ------------------------------------------------------------------------------------------------

    def _meet(self, at: Instant, source: Address, country: str, history: Habits, device: bytes | None) -> list[str]:
        """Note what a place and a device are; gives the kinds of which something is new, and to be told."""
        config = self._config
        learning = history.learning(at, config.learning)
        new: list[str] = []
        for name, value, met, wanted in (
            ("country", country or None, history.countries, config.countries),
            ("system", self._look.asn(source) or None, history.systems, config.systems),
            ("device", device, history.devices, config.devices),
        ):
            if value is None or met.is_all(value):
                continue
            if learning:
                met.own(at, value)
            elif met.meet(at, value, config.settles) and wanted:
                new.append(name)
        return new

    def _travelled(self, at: Instant, country: str, history: Habits) -> bool:
        """Tell whether nobody can have got here since the last registration; between two homes one need not travel."""
        last = history.last
        if last is None or not country or country in (_HERE, last[1]) or at - last[0] >= self._config.travel:
            return False
        return not (history.countries.owns(country) and history.countries.owns(last[1]))

    def _country(self, source: Address) -> str:
        return self._look.country(source) or (_HERE if _PRIVATE.covers(source) else "")

    def _network(self, source: Address) -> Hashable:
        return self._look.asn(source) or neighbourhood(source)

    # --- What is said -------------------------------------------------------------------------------------------------

    def _novel(self, event: Registered | AuthSucceeded, new: list[str], agent: bytes, *, proven: bool) -> Finding:
        pair = Pair(subject_of(event.source), event.account)
        severity = 7 if len(new) > 1 else 5 if new == ["country"] else 4
        more: tuple[tuple[str, str | int], ...] = (("new", ", ".join(new)),)
        if "device" in new:
            more = (*more, ("agent", agent.decode("utf-8", "replace")))
        return self._finding(event, pair, "new", severity, more, proven=proven)

    def _finding(
        self,
        event: Registered | AuthSucceeded,
        subject: Account | Pair,
        identifier: str,
        severity: int,
        more: tuple[tuple[str, str | int], ...],
        *,
        proven: bool = True,
    ) -> Finding:
        evidence: tuple[tuple[str, str | int], ...] = (
            ("from", str(subject_of(event.source))),
            ("country", self._country(event.source)),
            ("system", self._look.asn(event.source)),
            *more,
        )
        return Finding(event.at, NAME, subject, identifier, severity, proven, evidence, (event.account,))

    # --- What is kept -------------------------------------------------------------------------------------------------

    def _note(self, at: Instant, account: Account, history: Habits) -> None:
        if history.has_news(at):
            self._notes.note(NAME, account)

    def known(self) -> Iterator[About]:
        """Go through the accounts, the longest idle first."""
        return ((account, "") for account in self._accounts)

    def taught(self, at: Instant, account: Account, topic: str) -> str:
        """Write what is known of an account."""
        history = self._accounts.get(account)
        return "" if history is None or topic else history.text(at)

    def learn(self, at: Instant, account: Account, topic: str, text: str) -> None:
        """Take up what `taught` wrote. Raises ValueError, IndexError."""
        if topic:
            raise ValueError(f"{topic!r} is nothing that is known")
        self._accounts.renew(account, habits_of(at, text), somewhere(account))

    def explain_account(self, at: Instant, name: str) -> Sequence[tuple[str, int, int]]:
        """Give the option that counts, the networks that accounts of that name are registered from, and how many do."""
        histories = [self._accounts.get(account) for account in self._accounts if name in account.called()]
        return [
            ("networks", sum(until > at for until in history.places.values()), self._config.networks)
            for history in histories
            if history is not None
        ]

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"takeover_accounts": len(self._accounts), "takeover_accounts_evicted": self._accounts.evicted}


@lru_cache(maxsize=4096)
def _key(account: Account) -> Account:
    """Give one key for all the ways in which a PBX may let an account be written."""
    return Account(account.called()[2], account.realm.casefold())


@lru_cache(maxsize=512)
def family(agent: bytes) -> bytes:
    """Cut a User-Agent down to the kind of device: `Yealink SIP-T46S 66.85.0.5` and a later one are both `yealink`."""
    words = agent.lower().replace(b"/", b" ").replace(b"_", b" ").replace(b"(", b" ").split()
    if not words:
        return b""
    name = words[0][:_LONGEST]
    letters = name.rstrip(b"0123456789.")
    return letters.rstrip(b"-") or name
