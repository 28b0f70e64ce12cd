"""The iptables and ipset enforcer, for hosts without nftables: a second back end behind the same contract.

Elements go by our own netlink messages, rules by `iptables-restore --noflush` and `ip6tables-restore`. Sets of ipset
take overlapping networks; they are kept disjoint all the same, as the contract says. An end further off than ipset can
hold (24 days) is held for so long, and moved on by the next reconcile. Decides nothing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from sipguard.address import Network
from sipguard.enforce import elements
from sipguard.enforce.alive import HALVES
from sipguard.enforce.base import Counters, Layout, Plan, Tally
from sipguard.enforce.hanging import Rules
from sipguard.enforce.hosts import ENDLESS, OVER
from sipguard.enforce.mirror import Mirror
from sipguard.enforce.netlink import Netlink
from sipguard.enforce.nft import PROTECTED
from sipguard.enforce.programs import Programs
from sipguard.enforce.reconcile import HARMFUL, is_host, plan
from sipguard.enforce.ruleparts import PREFIX
from sipguard.enforce.sides import FEW, SLICE, InForce, remaining
from sipguard.enforce.skeleton import BLOCKED_SIZE, FLOODERS_SIZE, HOSTS_SIZE, NETS_SIZE
from sipguard.errors import AdapterError
from sipguard.model import SECOND, Enforced, Held, Instant, SetName
from sipguard.netfilter import ipset
from sipguard.netset import NetSet, is_network, plain

_CHUNK = 500
_ACTING = ("acting4", "acting6")  # hold every address while bans are in force, where rules cannot be changed
ALIVE = ("alive4", "alive6")  # hold every address, a second at a time, while somebody judges (`alive.py`)
_FLOODERS = ("flooders4", "flooders6")  # filled by rules
_EVERYTHING = {4: Network(bytes(4), 0), 6: Network(bytes(16), 0)}


class Ipsets:
    """Our sets and chains in the network namespace that the object was made in."""

    def __init__(self, layout: Layout, now: Callable[[], Instant], programs: Programs | None = None) -> None:
        """Open a netlink socket. Raises AdapterError."""
        self._layout = layout
        self._now = now
        self._rules = Rules(layout, Programs() if programs is None else programs)
        self._netlink = Netlink()
        self.never = NetSet()
        self._mirrors: dict[str, Mirror] = {}  # what was written; it is read anew whenever all is compared
        self._filling = False
        self.overdue: Instant = 0
        """When the latest change came that left something to a renewal; 0 when there is nothing."""

    def close(self) -> None:
        """Close the socket; rules and elements stay."""
        self._netlink.close()

    def install(self) -> None:
        """Make the sets, then the rules that name them; what is held stays. Raises AdapterError."""
        self.lay()
        if self._rules.static:
            self._act(on=not self._layout.observe)

    def lay(self) -> None:
        """Make sets and rules, and leave it to whoever comes whether they act, where rules are static.

        Raises AdapterError, also where rules must be there already, and are not.
        """
        for name in (*elements.HASHED, *elements.NETWORKS, *_ACTING, *ALIVE, *_FLOODERS):
            self._make(name)
        self._rules.lay()

    def legacy(self) -> bool:
        """Tell whether these rules are no nf_tables ones, of whose changes nobody is told. Raises AdapterError."""
        return self._rules.static

    def hung(self) -> bool:
        """Tell whether the kernel's chains begin with ours, and ours have their rules. Raises AdapterError."""
        return self._rules.hung()

    def uninstall(self) -> None:
        """Remove our rules, then our sets; nothing is wrong when there are none. Raises AdapterError.

        Rules that are not ours to remove stay, and do nothing: all their sets are empty.
        """
        self._mirrors.clear()
        gone = self._rules.take_out()
        for name in (*ALIVE, *_ACTING, *_FLOODERS, *elements.HASHED, *elements.INTERVALS):
            if gone:
                self._destroy(name)
            else:
                sequence = self._netlink.next_sequence()
                self._netlink.change(ipset.flush(PREFIX + name, sequence), sequence)

    def _act(self, *, on: bool) -> None:
        for name in _ACTING:
            written = [ipset.single(half.address, 0, 1) for half in HALVES[int(name[-1])]]
            if why := self._send(ipset.add if on else ipset.delete, name, written, absent_is_fine=True):
                raise AdapterError("ipset", f"set {name}: {why}")

    def protect(self, never: Iterable[Network]) -> None:
        """Name the addresses that no ban or throttle may hold. Replaces what was named before."""
        self.never = NetSet(never)

    def held(self) -> frozenset[Held]:
        """Read all sets from the kernel; empty where there are none. Raises AdapterError."""
        found: dict[tuple[SetName, Network], Instant] = {}
        for name in (*elements.HASHED, *elements.NETWORKS):
            read = self._read(name)
            if name.startswith("blocked_nets"):
                self._mirrors[name] = Mirror(read)
            for network, until in read.items():
                key = elements.known_as(name), network
                found[key] = max(until, found.get(key, until))
        return frozenset(Held(*key, until) for key, until in found.items())

    def hold(self, held: Held) -> Enforced:
        """Put one element in, or move its end. Never raises."""
        try:
            whys = [self._hold(part) for part in self._parts(held)] or [PROTECTED]
        except AdapterError as error:
            whys = [error.what]
        why = next((why for why in whys if why), "")
        return Enforced(held, ok=not why, why=why)

    def release(self, held: Held) -> Enforced:
        """Take one element out, or cut a network out of those that cover it; absent is no failure. Never raises."""
        name, network = held.set, plain(held.network)
        try:
            kernel_name = elements.kernel_set(Held(name, network))
            if kernel_name in elements.HASHED:
                why = self._send(ipset.delete, kernel_name, [self._element(kernel_name, network)], absent_is_fine=True)
            else:
                why = self._change(kernel_name, elements.Wish(cut=(network,)))
        except (AdapterError, ValueError) as error:
            why = error.what if isinstance(error, AdapterError) else str(error)
        return Enforced(held, ok=not why, why=why)

    def apply(self, plan: Plan) -> Sequence[Enforced]:
        """Make the change and answer for each element in the plan's order. Raises AdapterError."""
        answers: dict[Held, Enforced] = {}
        taken, put = elements.by_set(plan.remove, answers), elements.by_set((*plan.refresh, *plan.add), answers)
        for name in elements.HASHED:
            self._each(ipset.delete, name, taken.get(name, []), answers)
            self._each(ipset.add, name, self._fit(put.get(name, []), answers), answers)
            wider = name.replace("blocked", "blocked_nets")
            if wider in elements.NETWORKS:  # a piece of a cut network can be as small as a host
                taken.setdefault(wider, []).extend(taken.get(name, []))
        for name in elements.NETWORKS:
            gone, fit = taken.get(name, []), self._fit(put.get(name, []), answers)
            if gone or fit:
                why = self._change(name, elements.Wish(tuple(fit), tuple(held.network for held in gone)))
                answers.update((held, Enforced(held, ok=not why, why=why)) for held in (*gone, *fit))
        return [answers[held] for held in (*plan.remove, *plan.refresh, *plan.add)]

    # --- Many networks ------------------------------------------------------------------------------------------------

    def hold_all(self, bans: Sequence[Held]) -> list[Enforced]:
        """Put many bans of networks in. Never raises: failures are in the answers."""
        parts = [part for held in bans for part in self._parts(held)]
        answers: dict[Held, Enforced] = {}
        fit = self._fit(parts, answers)
        why = self._change_all(elements.Wish(put=tuple(fit))) if fit else ""
        refused = {held.network: one.why for held, one in answers.items()} | {held.network: why for held in fit if why}
        return [Enforced(held, ok=not refused.get(held.network), why=refused.get(held.network, "")) for held in bans]

    def release_all(self, bans: Sequence[Held], wanted: InForce) -> list[Enforced]:
        """Cut some bans of networks out, but for what else is decided of them; many are left to a renewal."""
        if len(bans) > FEW:
            self.overdue = self._now()
            return [Enforced(held, ok=True) for held in bans]
        cut = tuple(held.network for held in bans)
        left = [part for held in remaining(wanted, cut) for part in self._parts(held) if held.until > self._now()]
        why = self._change_all(elements.Wish(put=tuple(left), cut=cut))
        return [Enforced(held, ok=not why, why=why) for held in bans]

    def allow(self, networks: Iterable[Network]) -> int:
        """Make the allowlist these networks, new ones first; gives how much was otherwise. Raises AdapterError."""
        listed = [Held(SetName.ALLOWED, network) for network in networks]
        there = [Held(SetName.ALLOWED, net) for name in ("allowed4", "allowed6") for net in self._read(name)]
        change = plan(listed, there, NetSet())
        if change:
            self.apply(change)
        return len(change.add) + len(change.remove)

    def renew(self, wanted: InForce) -> Iterator[None]:
        """Make the banned networks what is decided: sets filled in slices, and swapped. Raises AdapterError."""
        self.overdue = 0
        ends, keys = wanted.ends(SetName.BLOCKED), list(wanted.networks())
        for first, second in elements.SIDES.values():
            self._destroy(second)
            self._make(second)
            self._mirrors[second] = Mirror({})
            if first not in self._mirrors:
                self._mirrors[first] = Mirror(self._read(first))
        self._filling = True
        try:
            for start in range(0, len(keys), SLICE):
                part = [Held(SetName.BLOCKED, net, ends[net]) for net in keys[start : start + SLICE] if net in ends]
                fit = self._fit([each for held in part for each in self._parts(held)], {})
                for version, (_first, second) in elements.SIDES.items():
                    put = tuple(held for held in fit if held.network.version == version)
                    if put and (why := self._change(second, elements.Wish(put=put))):
                        raise AdapterError("ipset", f"networks cannot be renewed: {why}")
                yield
        finally:
            self._filling = False
        for first, second in elements.SIDES.values():
            sequence = self._netlink.next_sequence()
            code = self._netlink.change(ipset.swap(PREFIX + first, PREFIX + second, sequence), sequence)
            if code:
                raise AdapterError("ipset", f"set {first} cannot be swapped: {_words(code)}")
            self._mirrors[first] = self._mirrors.pop(second)
            self._destroy(second)

    def _change_all(self, wish: elements.Wish) -> str:
        """Change the banned networks of both families, and of sets that are being filled; say what is wrong."""
        why = ""
        try:
            for version, sides in elements.SIDES.items():
                put = tuple(held for held in wish.put if held.network.version == version)
                cut = tuple(network for network in wish.cut if network.version == version)
                for name in sides[: 1 + self._filling] if put or cut else ():
                    why = why or self._change(name, elements.Wish(put=put, cut=cut))
        except AdapterError as error:
            why = error.what
        return why

    def counters(self) -> Counters:
        """Read what our rules have counted, and each ban's own count. Raises AdapterError."""
        sums: dict[str, tuple[int, int]] = {}
        for name, *more in (each for version in (4, 6) for each in self._rules.programs.counted(version)):
            packets, octets = sums.get(name, (0, 0))
            sums[name] = packets + more[0], octets + more[1]
        blocked = [
            Tally(str(Network(one.address, one.prefix)), one.packets, one.octets)
            for name in ("blocked4", "blocked6", "blocked_nets4", "blocked_nets6")
            for one in self._dump(name)
        ]
        return Counters(tuple(Tally(name, *both) for name, both in sums.items()), tuple(blocked))

    def fastest(self) -> str:
        """Name the sender that was dropped most often for coming too fast in the last minute. Raises AdapterError."""
        most = max([one for name in _FLOODERS for one in self._dump(name)], key=lambda one: one.packets, default=None)
        return "" if most is None else str(Network(most.address, most.prefix))

    # --- One set ------------------------------------------------------------------------------------------------------

    def _destroy(self, name: str) -> None:
        sequence = self._netlink.next_sequence()
        code = self._netlink.change(ipset.destroy(PREFIX + name, sequence), sequence)
        if code not in {0, errno.ENOENT}:
            raise AdapterError("ipset", f"set {name} cannot be removed: {_words(code)}")

    def _make(self, name: str) -> None:
        nets, version = name in {*elements.INTERVALS, *_ACTING, *ALIVE}, int(name[-1])
        most = NETS_SIZE if nets else BLOCKED_SIZE if name.startswith("blocked") else HOSTS_SIZE
        most = FLOODERS_SIZE if name in _FLOODERS else most
        sequence = self._netlink.next_sequence()
        timed = not name.startswith(("allowed", "acting"))
        request = ipset.create(PREFIX + name, version, sequence, nets=nets, timeout=timed, most=most)
        code = self._netlink.change(request, sequence)
        if code not in {0, errno.EEXIST}:
            raise AdapterError("ipset", f"set {name} cannot be made: {_words(code)}")

    def _dump(self, name: str) -> list[ipset.Element]:
        sequence = self._netlink.next_sequence()
        answers, code = self._netlink.ask(ipset.dump(PREFIX + name, sequence), sequence)
        if code not in {0, errno.ENOENT, errno.EINTR}:
            raise AdapterError("ipset", f"set {name} cannot be read: {_words(code)}")
        prefix = 32 if name.endswith("4") else 128 if name in elements.INTERVALS else 64
        return [one for answer in answers for one in ipset.elements(answer.body, prefix)]

    def _read(self, name: str) -> dict[Network, Instant]:
        found, now = self._dump(name), self._now()
        ends = {Network(one.address, one.prefix): now + one.timeout * SECOND if one.timeout else 0 for one in found}
        version = int(name[-1])
        first, second = HALVES[version]
        if name in elements.INTERVALS and first in ends and abs(ends[first] - ends.get(second, -SECOND)) < SECOND:
            ends[_EVERYTHING[version]] = ends.pop(first)  # a set holds no /0: it is two halves there
            del ends[second]
        return ends

    def _element(self, name: str, network: Network, until: Instant = 0) -> bytes:
        left = -(-(until - self._now()) // SECOND) if until else 0
        timeout = min(max(left, 1), ipset.LONGEST_SECONDS) if until else 0
        return ipset.single(network.address, timeout, network.prefix if name in elements.INTERVALS else 0)

    def _send(
        self,
        make: Callable[[str, Sequence[bytes], int], bytes],
        name: str,
        written: Sequence[bytes],
        *,
        absent_is_fine: bool = False,
    ) -> str:
        sequence = self._netlink.next_sequence()
        code = self._netlink.change(make(PREFIX + name, written, sequence), sequence)
        if not code or (absent_is_fine and code == errno.ENOENT):
            return ""
        return _words(code)

    def _each(
        self,
        make: Callable[[str, Sequence[bytes], int], bytes],
        name: str,
        holds: Sequence[Held],
        answers: dict[Held, Enforced],
    ) -> None:
        """Send many; when some are refused, in halves, until the bad one stands alone."""
        for start in range(0, len(holds), _CHUNK):
            part = holds[start : start + _CHUNK]
            gone = make is ipset.delete
            written = [self._element(name, held.network, 0 if gone else held.until) for held in part]
            why = self._send(make, name, written, absent_is_fine=gone)
            if why and len(part) > 1:
                half = len(part) // 2
                self._each(make, name, part[:half], answers)
                self._each(make, name, part[half:], answers)
            else:
                answers.update((held, Enforced(held, ok=not why, why=why)) for held in part)

    def _change(self, name: str, wish: elements.Wish) -> str:
        """Change a set of networks; what is new comes first, so that nobody is let go in between."""
        lasting = name.startswith("allowed")
        if not lasting and name not in self._mirrors:
            self._mirrors[name] = Mirror(self._read(name))
        mirror = self._mirrors.get(name)
        if mirror is None:
            present: Mapping[Network, Instant] = self._read(name)
        else:
            touched = mirror.touching((*(held.network for held in wish.put), *wish.take, *wish.cut))
            present = {net: until for net, until in touched.items() if until > self._now()}
            mirror.replace(touched.keys() - present.keys(), {})
        wanted = elements.target(present, wish, lasting=lasting)
        new = {net: end for net, end in wanted.items() if net not in present or abs(present[net] - end) > SECOND}
        if mirror is not None:
            mirror.replace(present, {net: new.get(net, present.get(net, end)) for net, end in wanted.items()})
        old = [net for net in present if net not in wanted]
        written = [self._element(name, part, end) for net, end in new.items() for part in _halved(net)]
        gone = [self._element(name, part) for net in old for part in _halved(net)]
        why = self._many(ipset.add, name, written) or self._many(ipset.delete, name, gone)
        if why:
            self._mirrors.pop(name, None)
        return why

    def _many(self, make: Callable[[str, Sequence[bytes], int], bytes], name: str, written: Sequence[bytes]) -> str:
        whys = [self._send(make, name, written[at : at + _CHUNK]) for at in range(0, len(written), _CHUNK)]
        return next((why for why in whys if why), "")

    # --- What may be put in -------------------------------------------------------------------------------------------

    def _hold(self, held: Held) -> str:
        try:
            name = elements.kernel_set(held)
        except ValueError as error:
            return str(error)
        if why := self._unfit(held):
            return why
        if name in elements.HASHED:
            return self._send(ipset.add, name, [self._element(name, held.network, held.until)])
        return self._change(name, elements.Wish(put=(held,)))

    def _parts(self, held: Held) -> list[Held]:
        """Cut around what is protected; a host that touches it is left out whole."""
        held = Held(held.set, plain(held.network), held.until)
        if held.set not in HARMFUL or not is_network(held.network) or not self.never.overlaps(held.network):
            return [held]
        parts = [] if is_host(held.network) else self.never.subtract_from(held.network)
        return [Held(held.set, part, held.until) for part in parts]

    def _unfit(self, held: Held) -> str:
        if held.set is SetName.ALLOWED or held.until > self._now():
            return ""
        return OVER if held.until else ENDLESS

    def _fit(self, holds: Iterable[Held], answers: dict[Held, Enforced]) -> list[Held]:
        fit = []
        for held in holds:
            if why := self._unfit(held):
                answers[held] = Enforced(held, ok=False, why=why)
            else:
                fit.append(held)
        return fit


def _halved(network: Network) -> tuple[Network, ...]:
    return (network,) if network.prefix else HALVES[network.version]


_WORDS: Mapping[int, str] = {
    errno.ENOENT: "the table is missing",
    ipset.FULL: "the set is full",
    errno.EPERM: "not permitted (CAP_NET_ADMIN)",
}


def _words(code: int) -> str:
    return _WORDS.get(code) or os.strerror(code)
