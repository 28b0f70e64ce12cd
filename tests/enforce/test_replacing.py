"""While lists are replaced, the allowed always pass, and who is banned before and after never does. On the kernel.

The lists go the whole way: through the engine's steps, the switch, and the mending between packets.
"""

from __future__ import annotations

import errno
import itertools
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from sipguard.address import Network, parse_address, parse_network
from sipguard.enforce import switch
from sipguard.enforce.base import Layout
from sipguard.enforce.elements import Wish
from sipguard.enforce.intervals import Intervals
from sipguard.enforce.nft import Nft
from sipguard.enforce.sides import FEW
from sipguard.enforce.switch import AT_ONCE, Stance, Switch
from sipguard.engine import Engine
from sipguard.errors import AdapterError
from sipguard.model import MINUTE, SECOND, Action, Feed, Held, Hold, Names, Release, Role, SetName, State
from sipguard.netfilter.sets import Element
from sipguard.netset import cover
from sipguard.policy.schema import Policy
from tests.enforce.spaces import Cable, cable, inside, now, run, wait_for

pytestmark = [pytest.mark.root, pytest.mark.kernel]

ALLOWED, BANNED, FREE = "192.0.2.9", "192.0.2.2", "192.0.2.8"
ROUNDS = 10
LARGE = 4_000
MANY = 1_000
SENDER = """
import select, socket, sys, time
sockets = []
for address in sys.argv[1:]:
    sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sockets[-1].bind((address, 0))
count = 0
while not select.select([sys.stdin], [], [], 0.0005)[0]:
    for each in sockets:
        each.sendto(b"OPTIONS", ("192.0.2.1", 5060))
    count += 1
print(count)
"""


def around(number: int, size: int) -> tuple[Network, ...]:
    """Give a list with the banned address in it, cut otherwise each time; half of it is on the list before, too."""
    own = parse_network(("192.0.2.0/29", f"{BANNED}/32", "192.0.2.0/30", "192.0.2.2/31")[number % 4])
    first = number * size // 2
    return own, *(Network((0x14000000 + (first + each) * 512).to_bytes(4, "big"), 24) for each in range(size))


def passing(number: int) -> tuple[Network, ...]:
    """Give an allowlist with the allowed address in it, cut otherwise each time, and nothing else of the last one."""
    first = number * MANY
    others = (Network((0xAC000000 + (first + each) * 16).to_bytes(4, "big"), 29) for each in range(MANY))
    return parse_network(("192.0.2.8/31", f"{ALLOWED}/32")[number % 2]), *others


@dataclass
class Stand:
    """A guard without capture: an engine, whose actions the kernel is told, and which is mended as in the loop."""

    switch: Switch
    listener: socket.socket
    layout: Layout
    engine: Engine = field(default_factory=lambda: Engine(Policy(), State()))
    at: int = field(default_factory=now)
    got: Counter[str] = field(default_factory=Counter)

    def say(self, what: Feed | Names) -> None:
        """Say a list, and do all that comes of it: engine time runs ahead, so that steps follow each other."""
        self.at = max(self.at, now())
        self.do(self.engine.feed(self.at, what))
        while (due := self.engine.next_deadline()) is not None and due < self.at + SECOND:
            self.at = max(due, self.at)
            self.do(self.engine.advance(self.at))
        assert wait_for(self.settled, 60)

    def do(self, actions: list[Action] | tuple[Action, ...] | object) -> None:
        assert isinstance(actions, list | tuple)
        wishes = [(isinstance(action, Hold), action.held) for action in actions if isinstance(action, Hold | Release)]
        answers = self.switch.enact(wishes, self.engine.in_force())
        assert all(answer.ok for answer in answers), [answer for answer in answers if not answer.ok][:3]
        self.settled()

    def settled(self) -> bool:
        """Do one turn; tell whether nothing is left to be done."""
        self.switch.mend(now(), self.engine.in_force())
        self.drain()
        kernel = self.switch._kernel
        return not self.switch.busy and not getattr(kernel, "sides", kernel).overdue  # type: ignore[union-attr]

    def drain(self) -> None:
        try:
            while True:
                self.got[self.listener.recvfrom(100)[1][0]] += 1
        except BlockingIOError:
            return


@pytest.fixture(params=["nftables", "iptables"])
def stand(request: pytest.FixtureRequest) -> Iterator[tuple[Cable, Stand]]:
    with cable() as wire:
        listener = wire.open(wire.pbx, "192.0.2.1", 5060)
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
        with inside(wire.pbx):
            layout = Layout(backend=request.param, stranger_rate=100_000, strangers_rate=100_000)
            made = Stand(Switch(layout, now), listener, layout)
            made.switch.take(Stance.ENFORCE, layout, [], [])
            yield wire, made
            made.switch.close()


def test_whoever_is_on_the_old_list_and_the_new_never_gets_through_and_the_allowed_always(
    stand: tuple[Cable, Stand],
) -> None:
    wire, made = stand
    made.say(Names(Role.ALLOWED, "places", passing(0)))
    made.say(Feed("list", around(0, LARGE), block=True))
    command = ["ip", "netns", "exec", wire.stranger, sys.executable, "-c", SENDER, ALLOWED, BANNED]
    sender = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert wait_for(lambda: bool(made.settled() and made.got[ALLOWED]))
    for number in range(1, ROUNDS + 1):
        made.say(Feed("list", around(number, LARGE), block=True))
        made.say(Names(Role.ALLOWED, "places", passing(number)))
    sent = int(sender.communicate("end\n", timeout=30)[0])
    assert wait_for(lambda: bool(made.settled() and made.got[ALLOWED] >= sent))
    assert made.got == Counter({ALLOWED: sent}), "none of the banned, all of the allowed"
    held = made.switch.held()
    assert {one.network for one in held if one.set is SetName.BLOCKED} == set(around(ROUNDS, LARGE))
    assert {one.network for one in held if one.set is SetName.ALLOWED} == set(passing(ROUNDS))
    assert made.switch.agreement()["renewed"] >= ROUNDS
    assert not made.switch.agreement()["restored"], "our own change of a set is no foreign change of rules"


def test_who_is_only_on_the_old_list_is_free_and_only_on_the_new_banned(stand: tuple[Cable, Stand]) -> None:
    wire, made = stand
    old, new = (around(0, 100)[1:] for _ in range(2))
    made.say(Feed("list", (*old, parse_network("192.0.2.8/31")), block=True))
    freed, banned = wire.open(wire.stranger, FREE), wire.open(wire.stranger, BANNED)

    def passes(sender: socket.socket) -> bool:
        made.got.clear()
        sender.sendto(b"OPTIONS", ("192.0.2.1", 5060))
        return wait_for(lambda: bool(made.settled() and made.got), 0.5)

    assert not passes(freed)
    assert passes(banned)
    made.say(Feed("list", (*new, parse_network("192.0.2.2/31")), block=True))
    assert passes(freed)
    assert not passes(banned)


def banned(stand: Stand) -> set[str]:
    """Tell what is banned, in the fewest words: pieces that make up a network are that network."""
    return {str(network) for network in cover(one.network for one in stand.switch.held())}


def test_a_network_that_goes_leaves_what_else_is_banned_inside_and_around_it(stand: tuple[Cable, Stand]) -> None:
    _wire, made = stand
    made.say(Feed("wide", tuple(map(parse_network, ("10.0.0.0/8", "20.1.2.0/24"))), block=True))
    made.say(Feed("other", tuple(map(parse_network, ("10.1.0.0/16", "20.1.0.0/16", "2001:db8::/32"))), block=True))
    made.say(Feed("wide", (), block=True))
    assert banned(made) == {"10.1.0.0/16", "20.1.0.0/16", "2001:db8::/32"}
    made.say(Feed("wide", tuple(map(parse_network, ("10.1.2.0/24", "20.0.0.0/8"))), block=True))
    made.say(Feed("other", (), block=True))
    assert banned(made) == {"10.1.2.0/24", "20.0.0.0/8"}


def test_a_ban_and_an_unban_in_the_midst_of_a_renewal_are_in_force_at_once_and_after_it(
    stand: tuple[Cable, Stand],
) -> None:
    _wire, made = stand
    ledger = made.engine.in_force()
    made.say(Feed("list", around(0, MANY), block=True))
    made.engine.feed(made.at, Feed("list", around(1, MANY), block=True))
    while (due := made.engine.next_deadline()) is not None and due < made.at + SECOND:
        made.at = due
        wishes = [
            (isinstance(each, Hold), each.held) for each in made.engine.advance(due) if isinstance(each, Hold | Release)
        ]
        made.switch.enact(wishes, ledger)
    assert wait_for(lambda: made.settled() or made.switch.busy)
    assert made.switch.busy, "it is being filled"
    new = Held(SetName.BLOCKED, parse_network("10.0.0.0/16"), now() + 600 * SECOND)
    gone = Held(SetName.BLOCKED, around(1, MANY)[5], now())
    ledger.hold(new)
    ledger.release(*gone[:2])
    assert all(answer.ok for answer in made.switch.enact([(True, new), (False, gone)], ledger))
    for _ in range(2):
        held = {one.network for one in made.switch.held()}
        assert new.network in held
        assert gone.network not in held
        assert wait_for(made.settled, 60)
    assert held == {*around(1, MANY), new.network} - {gone.network}


@pytest.mark.parametrize("at_once", [AT_ONCE, 10], ids=["at once", "slice by slice"])
def test_a_renewal_that_was_broken_off_frees_nobody_and_the_next_guard_goes_on(
    stand: tuple[Cable, Stand], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill -9: both sides have elements, and nobody remembers which was which."""
    monkeypatch.setattr(switch, "AT_ONCE", at_once)
    _wire, made = stand
    made.say(Feed("list", around(0, MANY), block=True))
    made.do(made.engine.feed(made.at, Feed("list", around(1, MANY), block=True)))
    while (due := made.engine.next_deadline()) is not None and due < made.at + SECOND:
        made.at = due
        made.do(made.engine.advance(due))
    assert wait_for(lambda: made.settled() or made.switch.busy)
    made.switch.close()
    layout = made.layout
    made.switch = Switch(layout, now)
    ledger = made.engine.in_force()
    assert {one.network for one in made.switch.held()} >= set(around(0, MANY)) & set(around(1, MANY))
    made.switch.take(Stance.ENFORCE, layout, ledger.wanted(), [])
    assert wait_for(made.settled, 60)
    assert {one.network for one in made.switch.held()} == set(around(1, MANY))
    more = [Held(SetName.BLOCKED, parse_network(f"10.{each}.0.0/16"), now() + 600 * SECOND) for each in range(FEW)]
    assert all(answer.ok for answer in made.switch.enact([(True, held) for held in more], ledger))


@pytest.fixture
def alone() -> Iterator[Stand]:
    """With nftables, and nobody at the other end."""
    with cable() as wire, inside(wire.pbx):
        layout = Layout(backend="nftables")
        made = Stand(Switch(layout, now), wire.open(wire.pbx, "192.0.2.1", 5060), layout)
        made.listener.setblocking(False)
        made.switch.take(Stance.ENFORCE, layout, [], [])
        yield made
        made.switch.close()


def test_a_renewal_that_the_kernel_refused_is_tried_again(alone: Stand) -> None:
    kernel, refused = alone.switch._kernel, []
    assert isinstance(kernel, Nft)

    def refuses(text: str) -> None:
        refused.append(text)
        raise AdapterError("nft", "no memory")

    alone.say(Feed("list", around(0, MANY), block=True))
    alone.do(alone.engine.feed(alone.at, Feed("list", (), block=True)))
    while (due := alone.engine.next_deadline()) is not None and due < alone.at + SECOND:
        alone.at = due
        alone.do(alone.engine.advance(due))
    run_nft, kernel._run = kernel._run, refuses
    with pytest.raises(AdapterError, match="no memory"):
        wait_for(lambda: bool(refused or alone.settled()))
    kernel._run = run_nft
    later = now() + MINUTE + SECOND
    assert wait_for(lambda: not alone.switch.mend(later, alone.engine.in_force()) and not alone.switch.held(), 30)


def test_what_got_into_the_other_side_unheard_is_found_by_looking(alone: Stand) -> None:
    """As by a ruleset that was saved when the other side was home."""
    alone.say(Feed("list", around(0, MANY), block=True))
    run("nft", "add element inet sipguard blocked_next4 { 203.0.113.0/24 . ipv4 timeout 1h }")
    alone.switch._monitor.forget()
    assert parse_network("203.0.113.0/24") in {one.network for one in alone.switch.held()}
    later = now() + 2 * MINUTE
    stray = parse_network("203.0.113.0/24")

    def gone() -> bool:
        alone.switch.mend(later, alone.engine.in_force())
        return stray not in {one.network for one in alone.switch.held()}

    assert wait_for(gone, 30)
    assert not alone.switch.agreement()["restored"]
    assert {one.network for one in alone.switch.held()} == set(around(0, MANY))


@pytest.mark.parametrize("renews", [False, True], ids=["Linux 6.1", "Linux 6.12"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("192.0.2.0/30",), ("192.0.2.2/31",)),
        (("192.0.2.2/31",), ("192.0.2.0/29",)),
        (("192.0.2.0/29",), ("192.0.2.0/30", "192.0.2.6/31")),
        (("192.0.2.0/24", "192.0.2.0/29"), ("192.0.2.0/29",)),
    ],
)
def test_a_banned_address_changes_its_element_only_while_the_other_set_has_it_too(
    alone: Stand, monkeypatch: pytest.MonkeyPatch, before: tuple[str, ...], after: tuple[str, ...], *, renews: bool
) -> None:
    """On Linux 6.1 a batch lets packets through between what it takes out and what it puts in (scripts/qemu)."""
    kernel = alone.switch._kernel
    assert isinstance(kernel, Nft)
    kernel._intervals.renews = renews and kernel._intervals.renews
    alone.say(Feed("list", tuple(map(parse_network, before)), block=True))
    change, changed = Intervals.change, []

    def held(name: str) -> list[tuple[Network, int]]:
        found = kernel._intervals.read(name).items()
        return [(network, until // SECOND) for network, (until, _) in found if network.covers(parse_address(BANNED))]

    def watched(intervals: Intervals, name: str, wish: Wish) -> int:
        other = "blocked_next4" if name == "blocked_nets4" else "blocked_nets4"
        earlier = held(name)
        code = change(intervals, name, wish)
        if earlier and held(name) != earlier:
            changed.append(name)
            assert held(other), f"{earlier}, then {held(name)}"
        return code

    monkeypatch.setattr(Intervals, "change", watched)
    alone.say(Feed("list", tuple(map(parse_network, after)), block=True))
    assert changed, "it has another element now"
    monkeypatch.undo()
    assert wait_for(alone.settled)
    assert banned(alone) == {str(each) for each in cover(map(parse_network, after))}
    assert not kernel._intervals.read("blocked_next4") or not kernel._intervals.read("blocked_nets4")


@pytest.mark.parametrize("raised", [False, True], ids=["refused", "unanswered"])
@pytest.mark.parametrize("fails", ["put", "home", "cut"])
def test_whoever_is_unbanned_is_free_whatever_goes_wrong_while_his_neighbours_stand_in_the_other_set(
    alone: Stand, fails: str, *, raised: bool
) -> None:
    change, failed = Intervals.change, list[str]()
    alone.say(Feed("list", (parse_network("192.0.2.0/29"),), block=True))

    def failing(intervals: Intervals, name: str, wish: Wish) -> int:
        step = "home" if name == "blocked_nets4" else "put" if wish.put else "cut"
        if step != fails or failed:
            return change(intervals, name, wish)
        failed.append(step)
        if raised and step != "home":
            change(intervals, name, wish)
        if raised:
            raise AdapterError("kernel", "no answer")
        return errno.EBUSY

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Intervals, "change", failing)
        gone = Held(SetName.BLOCKED, parse_network("192.0.2.0/29"), 0)
        ledger = alone.engine.in_force()
        ledger.release(*gone[:2])
        for part in ("192.0.2.0/30", "192.0.2.4/31"):
            ledger.hold(Held(SetName.BLOCKED, parse_network(part), now() + 600 * SECOND))
        alone.switch.enact([(False, gone)], ledger)
    assert failed
    for part in ("192.0.2.0/30", "192.0.2.4/31"):
        ledger.release(SetName.BLOCKED, parse_network(part))
        alone.switch.enact([(False, Held(SetName.BLOCKED, parse_network(part), 0))], ledger)

    later = itertools.count(now(), 10 * SECOND)

    def nobody() -> bool:
        alone.switch.mend(next(later), ledger)
        return not alone.switch.held()

    assert wait_for(nobody, 30)


def test_networks_that_somebody_takes_out_one_by_one_come_back_in_one_comparison(alone: Stand) -> None:
    alone.say(Feed("list", around(0, MANY), block=True))
    asked: list[str] = []
    dump = Intervals.dump

    def counted(reader: Intervals, name: str, *, counted: bool = False) -> list[tuple[int, Element]]:
        asked.append(name)
        return dump(reader, name, counted=counted)

    for network in around(0, MANY)[1:201]:
        run("nft", f"delete element inet sipguard blocked_nets4 {{ {network} . ipv4 }}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Intervals, "dump", counted)
        assert wait_for(
            lambda: alone.settled() and {one.network for one in alone.switch.held()} == set(around(0, MANY)), 60
        )
    assert len(asked) < 100, "the set is not read for each of them"


def test_elements_that_somebody_puts_into_the_side_that_is_not_home_are_taken_out(alone: Stand) -> None:
    alone.say(Feed("list", around(0, 50), block=True))
    run("nft", "add element inet sipguard blocked_next4 { 203.0.113.0/24 . ipv4 timeout 1h }")
    assert wait_for(alone.settled)
    assert {one.network for one in alone.switch.held()} == set(around(0, 50))
