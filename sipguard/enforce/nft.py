"""The nftables enforcer: the skeleton by `nft`, every element by our own netlink messages.

Keeps what the kernel holds: nothing here ever flushes a set. Every element that takes something away from an address
carries a timeout, so that a dead daemon lets go by itself. No decision is taken here.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

from sipguard.address import Network
from sipguard.enforce import elements, loader, tools
from sipguard.enforce.base import Counters, Layout, Plan, Tally
from sipguard.enforce.hosts import ENDLESS, HOPELESS, OVER, Hosts
from sipguard.enforce.intervals import Intervals
from sipguard.enforce.netlink import Netlink, words
from sipguard.enforce.reconcile import HARMFUL, is_host, plan
from sipguard.enforce.ruletext import TABLE
from sipguard.enforce.sides import FEW, InForce, Sides, remaining
from sipguard.enforce.skeleton import remade, removal, render
from sipguard.errors import AdapterError
from sipguard.model import Enforced, Held, Instant, SetName
from sipguard.netfilter import sets
from sipguard.netset import NetSet, is_network, plain

PROTECTED = "it holds a protected address"
LARGE = 50_000
"""Elements above which a set of hosts is counted, not read: reading goes by the square of it."""
ALLOWED_FEW = 200
"""Allowed networks that are taken out one by one; for more, the set is made anew (see `sides.py`)."""


class Nft:
    """One table `inet sipguard` in the network namespace that the object was made in.

    `now` gives the present Instant. Raises AdapterError where no netlink socket is to be had.
    """

    def __init__(self, layout: Layout, now: Callable[[], Instant], run: loader.Runner = tools.run_nft) -> None:
        self._layout = layout
        self._now = now
        self._run = run
        self._netlink = Netlink()
        self._hosts = Hosts(self._netlink, now)
        self._intervals = Intervals(self._netlink, now)
        self.sides = Sides(self._intervals, self.count, self._make_anew)
        self._never = NetSet()
        self.reshaped = False
        """Whether we have made sets of ours anew since somebody has set this to False."""

    def close(self) -> None:
        """Close the socket; rules and elements stay."""
        self._netlink.close()

    def install(self) -> None:
        """Load the skeleton; what is held stays. Raises AdapterError.

        A table of an older shape, which cannot be changed in place, is replaced in one transaction that carries over
        what was held.
        """
        text = render(self._layout)
        try:
            self._run(text)
        except AdapterError:
            self._run(removal() + text + elements.as_text(self.held(), self._now()))
            self.sides.begin(anew=False)

    def install_anew(self, first: Iterable[Held]) -> None:
        """Load the skeleton where there is none, with some elements in the same transaction. Raises AdapterError.

        So no rule is there before those that it must spare.
        """
        self._run(render(self._layout) + elements.as_text(first, self._now()))
        self.sides.begin(anew=True)

    def uninstall(self) -> None:
        """Remove our table; nothing is wrong when there is none. Raises AdapterError."""
        loader.open_all(self._run)
        self.sides.begin(anew=False)

    @property
    def port(self) -> int:
        """By this number the kernel tells others that a change was ours; programs that we run have others."""
        return self._netlink.port

    def shape(self) -> bytes:
        """Give a digest of our rules, chains and sets as the kernel has them; empty without. Raises AdapterError."""
        found = []
        for kind in sets.SHAPE:
            sequence = self._netlink.next_sequence()
            answers, _code = self._netlink.ask(sets.dump_shape(kind, TABLE, sequence), sequence)
            found += [sets.shape(answer, TABLE) for answer in answers]
        said = b"".join(found)
        return hashlib.sha256(said).digest() if said else b""

    def count(self, kernel_name: str) -> int | None:
        """Tell how many elements a set has, in no time; None where this kernel does not say. Raises AdapterError."""
        sequence = self._netlink.next_sequence()
        answers, _code = self._netlink.ask(sets.dump_shape(sets.SHAPE[-1], TABLE, sequence), sequence)
        found = (sets.count(answer, TABLE, kernel_name) for answer in answers)
        return next((number for number in found if number is not None), None)

    def forget(self) -> None:
        """Take nothing for granted about what the kernel holds: somebody else may have changed it."""
        self._intervals.forget()

    def known(self, kernel_name: str) -> Mapping[Network, Instant] | None:
        """Give what an interval set should hold, as far as we wrote it; None where that is not known."""
        return self._intervals.known(kernel_name)

    def protect(self, never: Iterable[Network]) -> None:
        """Name the addresses that no ban or throttle may hold. Replaces what was named before."""
        self._never = NetSet(never)

    # --- reading ------------------------------------------------------------------------------------------------------

    def held(self, names: Container[SetName] = frozenset(SetName)) -> frozenset[Held]:
        """Read all sets, or those named, from the kernel; empty where there is no table. Raises AdapterError."""
        found: dict[tuple[SetName, Network], Instant] = {}
        for kernel_name in elements.HASHED:
            name = elements.known_as(kernel_name)
            for at, element in self._intervals.dump(kernel_name) if name in names else ():
                found[name, elements.host_of(element.key)] = elements.end_of(element, at)
        for kernel_name in elements.INTERVALS:
            name = elements.known_as(kernel_name)
            if name not in names:
                continue
            for network, (until, _element) in self._intervals.read(kernel_name).items():
                found[name, network] = max(until, found.get((name, network), until))
        return frozenset(Held(*key, until) for key, until in found.items())

    def found(self) -> tuple[frozenset[Held], frozenset[SetName]]:
        """Read what a guard before us left, but for sets of hosts so large that it would take minutes: these are named.

        Raises AdapterError.
        """
        large = {elements.known_as(name) for name in elements.HASHED if (self.count(name) or 0) > LARGE}
        nets = self._banned_networks() if SetName.BLOCKED in large else frozenset()
        return self.held(frozenset(SetName) - large) | nets, frozenset(large)

    def _banned_networks(self) -> frozenset[Held]:
        read = [self._intervals.read(name) for sides in elements.SIDES.values() for name in sides]
        return frozenset(Held(SetName.BLOCKED, net, until) for one in read for net, (until, _) in one.items())

    def find(self, host: Network) -> Held | None:
        """Look one banned host up; None where it is not banned, or no host. Raises AdapterError."""
        if not is_host(host) or not is_network(host):
            return None
        sequence = self._netlink.next_sequence()
        name = f"blocked{host.version}"
        answers, _code = self._netlink.ask(sets.lookup(TABLE, name, host.address, sequence), sequence)
        read: list[sets.Element] = []
        for answer in answers:
            sets.elements(answer.body, read)
        return Held(SetName.BLOCKED, host, elements.end_of(read[0], self._now())) if read else None

    def counters(self) -> Counters:
        """Read the named counters and one for each banned network. Raises AdapterError."""
        sequence = self._netlink.next_sequence()
        answers, _code = self._netlink.ask(sets.dump_counters(TABLE, sequence), sequence)
        named = [Tally(*read) for answer in answers if (read := sets.counter(answer.body)) is not None]
        blocked: list[Tally] = []
        for version in (4, 6):
            hosts = self._intervals.dump(f"blocked{version}", counted=True)
            blocked += [Tally(str(elements.host_of(one.key)), one.packets, one.octets) for _at, one in hosts]
            for name in elements.SIDES[version]:
                networks = self._intervals.read(name, counted=True)
                blocked += [Tally(str(where), one.packets, one.octets) for where, (_until, one) in networks.items()]
        return Counters(tuple(named), tuple(blocked))

    def fastest(self) -> str:
        """Name the sender that was dropped most often for coming too fast in the last minute. Raises AdapterError."""
        found = [one for version in (4, 6) for _at, one in self._intervals.dump(f"flooders{version}", counted=True)]
        most = max(found, key=lambda one: one.packets, default=None)
        return "" if most is None else str(elements.host_of(most.key))

    # --- one element --------------------------------------------------------------------------------------------------

    def hold(self, held: Held) -> Enforced:
        """Put one element in, or move its end: microseconds for a host or /64. Never raises.

        A blocked network around a protected address is put in without it; a host that touches one is refused.
        """
        try:
            why = self._hold(held.set, plain(held.network), held.until)
        except AdapterError as error:
            why = error.what
        return Enforced(held, ok=not why, why=why)

    def _hold(self, name: SetName, network: Network, until: Instant) -> str:
        if name in HARMFUL and self._never.overlaps(network):
            return self._hold_around(name, network, until)
        if name is not SetName.ALLOWED and is_host(network) and is_network(network):
            return self._hosts.hold(name, network, until)
        return self._change(Held(name, network, until), put=True)

    def _hold_around(self, name: SetName, network: Network, until: Instant) -> str:
        """Put in what of a network is not protected; a part may be as small as a host."""
        parts = [] if is_host(network) else self._never.subtract_from(network)
        whys = [self._hold(name, part, until) for part in parts] or [PROTECTED]
        return next((why for why in whys if why), "")

    def release(self, held: Held) -> Enforced:
        """Take one element out, or cut a network out of those that cover it; absent is no failure. Never raises."""
        name, network = held.set, plain(held.network)
        try:
            if name is SetName.ALLOWED or not is_host(network) or not is_network(network):
                why = self._change(Held(name, network), put=False)
            else:
                code = self._hosts.release(name, network)
                why = words(code) if code not in {0, errno.ENOENT} else ""
        except AdapterError as error:
            why = error.what
        return Enforced(held, ok=not why, why=why)

    def _change(self, held: Held, *, put: bool) -> str:
        """Put one network into its interval set, or cut it out; say what is wrong, or nothing."""
        try:
            kernel_name = elements.kernel_set(held)
        except ValueError as error:
            return str(error)
        if put and (why := self._unfit(held)):
            return why
        wish = elements.Wish(put=(held,)) if put else elements.Wish(cut=(held.network,))
        if held.set is SetName.BLOCKED:
            code = self.sides.change(held.network.version, wish)
        else:
            code = self._intervals.change(kernel_name, wish)
        return words(code) if code else ""

    def _unfit(self, held: Held) -> str:
        if held.set is SetName.ALLOWED or held.until > self._now():
            return ""
        return OVER if held.until else ENDLESS

    # --- many ---------------------------------------------------------------------------------------------------------

    def put(self, holds: Iterable[Held], *, absent: bool = False) -> list[Enforced]:
        """Put many elements in, cut around what is protected; gives those that the kernel refused. Raises AdapterError.

        `absent`: none of them is there yet, as in a table that was just made.
        """
        parts = self._parts(holds)
        change = Plan(add=tuple(parts)) if absent else Plan(refresh=tuple(parts))
        return [answer for answer in self.apply(change) if not answer.ok]

    def _parts(self, holds: Iterable[Held]) -> list[Held]:
        """Cut around what is protected."""
        parts: list[Held] = []
        for held in holds:
            if held.set not in HARMFUL or not self._never.overlaps(held.network):
                parts.append(held)
            elif not is_host(held.network):
                parts += [Held(held.set, left, held.until) for left in self._never.subtract_from(held.network)]
        return parts

    def hold_all(self, bans: Sequence[Held]) -> list[Enforced]:
        """Put many bans of networks in, in one transaction. Never raises: failures are in the answers.

        Of very many, what another ban stands in the way of is left to a renewal: it is banned as it was till then.
        """
        try:
            fit = bans if len(bans) <= FEW else self.sides.around(bans, self._now())
            refused = {answer.hold: answer.why for answer in self.put(fit)}
        except AdapterError as error:
            return [Enforced(held, ok=False, why=error.what) for held in bans]
        return [Enforced(held, ok=held not in refused, why=refused.get(held, "")) for held in bans]

    def release_all(self, bans: Sequence[Held], wanted: InForce) -> list[Enforced]:
        """Cut some bans of networks out, but for what else is decided of them. Never raises: failures are told.

        Many are left to a renewal, within a second or so, and so is what the kernel refuses: nobody stays banned.
        """
        if len(bans) > FEW:
            self.sides.overdue = self._now()
            return [Enforced(held, ok=True) for held in bans]
        why = ""
        try:
            left = self._parts(remaining(wanted, [held.network for held in bans]))
            for version in (4, 6):
                cut = tuple(held.network for held in bans if held.network.version == version)
                put = tuple(held for held in left if held.network.version == version and held.until > self._now())
                code = self.sides.change(version, elements.Wish(put=put, cut=cut)) if cut else 0
                why = why or (words(code) if code else "")
        except AdapterError as error:
            why = error.what
        if why:
            self.sides.overdue = self._now()
        return [Enforced(held, ok=not why, why=why) for held in bans]

    def renew(self, wanted: InForce) -> Iterator[None]:
        """Make the banned networks what is decided, in slices; who is banned before and after is so throughout."""
        yield from self.sides.renew(wanted, self._parts)

    def allow(self, networks: Iterable[Network]) -> int:
        """Make the allowlist these networks, in one transaction; gives how much was otherwise. Raises AdapterError."""
        listed = [Held(SetName.ALLOWED, network) for network in networks]
        change = plan(listed, self.held({SetName.ALLOWED}), NetSet())
        if len(change.remove) > ALLOWED_FEW:
            names = [name for name in elements.INTERVALS if elements.known_as(name) is SetName.ALLOWED]
            self._make_anew(names, elements.as_text(plan(listed, (), NetSet()).add, self._now()))
        elif change:
            self.apply(change)
        return len(change.add) + len(change.remove)

    def _make_anew(self, names: Sequence[str], text: str = "") -> None:
        """Make sets anew, with some elements, in one transaction."""
        self._run(remade(self._layout, names, text))
        self.reshaped = True

    def cut(self, kernel_name: str, networks: Iterable[Network]) -> None:
        """Clear addresses out of an interval set, whatever stands there. Raises AdapterError."""
        self._intervals.change(kernel_name, elements.Wish(cut=tuple(networks)))

    def apply(self, plan: Plan) -> Sequence[Enforced]:
        """Make the change and answer for each element in the plan's order. Raises AdapterError."""
        answers: dict[Held, Enforced] = {}
        taken, moved = elements.by_set(plan.remove, answers), elements.by_set(plan.refresh, answers)
        new = elements.by_set(plan.add, answers)
        for kernel_name in elements.HASHED:
            done, absent = self._hosts.take(kernel_name, taken.pop(kernel_name, []))
            # A piece of a cut network can be as small as a host: then it stands among the networks.
            if absent and (wider := kernel_name.replace("blocked", "blocked_nets")) in elements.INTERVALS:
                taken.setdefault(wider, []).extend(absent)
            done += self._hosts.put(kernel_name, moved.pop(kernel_name, []))
            done += self._hosts.put(kernel_name, new.pop(kernel_name, []), absent=True)
            answers.update((one.hold, one) for one in done)
        for kernel_name in elements.NETWORKS:
            put = moved.get(kernel_name, []) + new.get(kernel_name, [])
            self._apply_intervals(kernel_name, taken.get(kernel_name, []), put, answers)
        return [answers[held] for held in (*plan.remove, *plan.refresh, *plan.add)]

    def _apply_intervals(
        self, kernel_name: str, taken: Sequence[Held], put: Sequence[Held], answers: dict[Held, Enforced]
    ) -> None:
        """Change one interval set in one batch; when it is refused, in halves, so that the good part lands."""
        fit = []
        for held in put:
            why = self._unfit(held)
            answers[held] = Enforced(held, ok=not why, why=why)
            fit += [held] * (not why)
        count = len(taken) + len(fit)
        if not count:
            return
        wish = elements.Wish(tuple(fit), tuple(held.network for held in taken))
        if kernel_name.startswith("blocked"):
            code = self.sides.change(int(kernel_name[-1]), wish)
        else:
            code = self._intervals.change(kernel_name, wish)
        if code and code not in HOPELESS and count > 1:
            half = count // 2
            self._apply_intervals(kernel_name, taken[:half], fit[: max(0, half - len(taken))], answers)
            self._apply_intervals(kernel_name, taken[half:], fit[max(0, half - len(taken)) :], answers)
            return
        for held in (*taken, *fit):
            answers[held] = Enforced(held, ok=not code, why=words(code) if code else "")
