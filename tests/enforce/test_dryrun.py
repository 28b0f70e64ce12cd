"""The enforcer that only remembers: capped, expiring, and answering as the kernel would."""

from __future__ import annotations

from sipguard.address import Network, parse_network
from sipguard.enforce.base import Enforcer, Plan
from sipguard.enforce.dryrun import DryRun
from sipguard.enforce.reconcile import plan
from sipguard.model import SECOND, Held, SetName
from sipguard.netset import NetSet


class Time:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 100 * SECOND

    def __call__(self) -> int:
        return self.now


def blocked(last: int, seconds: int = 50) -> Held:
    return Held(SetName.BLOCKED, Network(bytes([192, 0, 2, last]), 32), (100 + seconds) * SECOND)


def test_it_keeps_the_contract() -> None:
    enforcer: Enforcer = DryRun(Time())
    enforcer.install()
    wanted = [blocked(1), Held(SetName.ALLOWED, parse_network("198.51.100.0/24"))]
    assert all(answer.ok for answer in enforcer.apply(plan(wanted, enforcer.held(), NetSet())))
    assert enforcer.held() == frozenset(wanted)
    assert not plan(wanted, enforcer.held(), NetSet())
    assert enforcer.release(blocked(1)).ok
    assert enforcer.release(blocked(1)).ok
    enforcer.uninstall()
    assert not enforcer.held()


def test_what_is_over_is_no_longer_held() -> None:
    time = Time()
    dry = DryRun(time)
    dry.apply(Plan(add=(blocked(1, 1), blocked(2, 3))))
    time.now += 2 * SECOND
    assert dry.held() == {blocked(2, 3)}


def test_a_full_memory_refuses_what_is_new_counts_it_and_takes_it_again_when_something_is_over() -> None:
    time = Time()
    dry = DryRun(time, most=3)
    for last in range(3):
        assert dry.hold(blocked(last, 1 + last)).ok
    assert [dry.hold(blocked(9)).ok, dry.hold(blocked(8)).ok] == [False, False]
    assert dry.counters().named[0].packets == 2
    assert dry.hold(blocked(2, 9)).ok, "an element that is there can always be refreshed"
    time.now += SECOND
    assert dry.hold(blocked(9)).ok
    assert len(dry.held()) == 3


def test_it_refuses_what_the_kernel_would_refuse() -> None:
    dry = DryRun(Time())
    dry.protect([parse_network("192.0.2.7")])
    refused = [
        blocked(7),
        blocked(1, -1),
        Held(SetName.BLOCKED, parse_network("192.0.2.1")),
        Held(SetName.TRUSTED, parse_network("192.0.2.0/24"), 200 * SECOND),
        Held(SetName.BLOCKED, Network(b"\1\2\3\4", 24), 200 * SECOND),
    ]
    answers = [dry.hold(held) for held in refused]
    assert not any(answer.ok for answer in answers)
    assert all(answer.why for answer in answers)
    assert not dry.held()
