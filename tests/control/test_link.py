"""The packet process's side of the keeper: whatever a keeper does, nothing blocks, raises or is forgotten."""

from __future__ import annotations

import itertools
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from sipguard.address import parse_network
from sipguard.call import CallOrigin, CallState, LimitReset, NumberClass
from sipguard.control import meanwhile
from sipguard.control.child import LONGEST_PAUSE
from sipguard.control.kept import Kept
from sipguard.control.link import ALERTS_KEPT, DRIFT, STUCK, Link, _subject
from sipguard.control.pair import Message
from sipguard.model import (
    SECOND,
    Account,
    Alert,
    Decision,
    DecisionVerdict,
    Held,
    Instant,
    Lesson,
    Offence,
    Record,
    SetName,
    Trust,
)
from sipguard.report import pack

# Keepers of a few lines. `end` is the socket, `say` sends one message.
HEAD = """
import json, socket, sys, time
end = socket.socket(fileno=int(sys.argv[1]))
end.setblocking(True)
say = lambda **message: end.send(b"=" + json.dumps(message).encode())
"""
ENDS_AT_ONCE = "sys.exit(1)"
TAKES_NOTHING = "time.sleep(60)"
ECHOES = """
while data := end.recv(65536):
    for line in data[1:].split(b"\\n"):
        say(t="heard", what=json.loads(line))
"""


@contextmanager
def linked(program: str) -> Iterator[Link]:
    link = Link(lambda end: (sys.executable, "-c", HEAD + program, str(end)), os.environ, lambda: {"pid": 1}, 0)
    try:
        yield link
    finally:
        link._child.end()


def until(done: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def heard(link: Link) -> Message:
    """Wait for what the keeper has heard."""
    link.pair.flush()
    deadline = time.monotonic() + 30
    while (message := link.next()) is None:
        assert time.monotonic() < deadline
        select.select([link.pair], [], [], 0.1)
    found: Message = message["what"]
    return found


def ban(text: str, verdict: DecisionVerdict = DecisionVerdict.BLOCK) -> Decision:
    return Decision(1, verdict, parse_network(text), 2, ("order",), "order")


def call(key: str) -> CallState:
    called = "0025261", "+25261", NumberClass.MOBILE, "SO"
    return CallState(key, 1, 0, 0, None, "", None, CallOrigin.ORPHAN, "", *called, None)


def test_a_keeper_that_ends_at_once_is_started_at_ever_longer_intervals() -> None:
    now: Instant = SECOND
    starts = []
    with linked(ENDS_AT_ONCE) as link:
        for _ in range(9):
            before = link.counters()["keeper_starts"]
            while link.counters()["keeper_starts"] == before:
                link.mind(now)
                now += SECOND // 10
            starts.append(now)
            until(lambda: not link._child.alive)
    pauses = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert pauses == sorted(pauses)
    assert LONGEST_PAUSE <= pauses[-1] <= LONGEST_PAUSE + SECOND


def test_a_keeper_that_takes_nothing_for_a_minute_is_ended_and_replaced() -> None:
    with linked(TAKES_NOTHING) as link:
        link.mind(0)
        first = link._child._process
        assert first is not None
        numbers = itertools.count()
        while link.pair.flush():
            link.alert("kind", str(next(numbers)), "text" * 200)
        link.mind(STUCK)
        assert link._child.alive
        link.mind(STUCK + 1)
        assert first.poll() == -signal.SIGKILL
        link.mind(STUCK + SECOND)
        assert link.counters()["keeper_starts"] == 2


def test_each_keeper_hears_hello_first_and_is_asked_for_the_state_until_it_has_given_it() -> None:
    with linked(ECHOES) as link:
        link.mind(0)
        assert heard(link) == {"t": "hello", "offset": 0, "state": True, "pid": 1}
        link.restored = True
        link._child.end()
        link.mind(SECOND)
        link.mind(2 * SECOND)
        assert heard(link)["state"] is False


def test_alerts_without_a_keeper_wait_for_the_next_one_and_the_oldest_go_first() -> None:
    with linked(ECHOES) as link:
        link.mind(0)
        link._child.end()
        for number in range(ALERTS_KEPT + 10):
            link.alert("kind", str(number), "")
        link.mind(SECOND)
        link.mind(2 * SECOND)
        assert heard(link)["t"] == "hello"
        subjects = [heard(link)["subject"] for _ in range(ALERTS_KEPT)]
    assert subjects == [*map(str, range(11, ALERTS_KEPT + 10)), ""]  # the last tells that the keeper was lost


def test_what_was_decided_without_a_keeper_is_told_to_the_next_one() -> None:
    with linked(ECHOES) as link:
        link.tell(Record(1, ban("192.0.2.1")))
        link.mind(0)
        told = [heard(link)["t"] for _ in range(3)]
    assert told == ["hello", "delta", "report"]


def test_what_fails_each_second_is_told_of_once_a_minute() -> None:
    """As rules that cannot be put back: a line for each try would push all other events out of what is kept."""
    with linked(ECHOES) as link:
        for second in range(61):
            link.mind(second * SECOND)
            link.alert("not-restored", "", "no memory")
        link.alert("not-restored", "", "something else")
        assert [heard(link)["t"] for _ in range(4)] == ["hello", *["alert"] * 3]
        link.pair.send({"t": "reload"})
        assert heard(link)["t"] == "reload", "no more than three"


def test_alerts_are_cut_to_a_length() -> None:
    with linked(ECHOES) as link:
        link.mind(0)
        assert heard(link)["t"] == "hello"
        link.tell(Alert(1, "kind", "subject", "x" * 100_000))
        assert len(heard(link)["text"]) == 1000


def test_what_the_kernel_holds_is_adopted_only_as_far_as_nobody_knows_it() -> None:
    kept: list[Decision | Offence | Trust] = [
        ban("192.0.2.0/24"),
        ban("2001:db8:1::/64", DecisionVerdict.THROTTLE),
        Offence(parse_network("192.0.2.0/24"), 1, 9),
        Trust(parse_network("198.51.100.1"), Account("1001", "pbx"), 9),
    ]
    held = [
        Held(SetName.BLOCKED, parse_network(text), 5)
        for text in ("203.0.113.9", "192.0.2.0/25", "192.0.2.7", "192.0.0.0/16", "2001:db8:1::/64")
    ]
    with linked(f"say(t='state', items={[pack(noun) for noun in kept]!r}); time.sleep(60)") as link:
        link.mind(0)
        select.select([link.pair], [], [], 10)
        assert link.next() is None
        state = link.take_state(held)
    assert (len(list(state.decisions)), len(state.offences), len(state.trust)) == (2, 1, 1)
    assert [str(each.network) for each in state.adopted] == ["192.0.0.0/16", "203.0.113.9"]
    assert len(list(link.take_state(()).decisions)) == 2, "the rest is to come: what came already is no less part of it"
    link.restored = True
    assert len(list(link.take_state(()).decisions)) == 2
    assert not list(link.take_state(()).decisions)


def test_what_was_decided_on_a_part_of_the_state_is_not_undone_by_all_of_it() -> None:
    account = Account("1001", "pbx")
    kept: list[Decision | Offence | Trust] = [
        *(ban(text) for text in ("192.0.2.1", "192.0.2.2", "192.0.2.3")),
        Offence(parse_network("192.0.2.1"), 3, 9),
        Trust(parse_network("198.51.100.1"), account, 9),
    ]
    release = DecisionVerdict.RELEASE
    told: list[Decision | Offence | Trust] = [
        ban("192.0.2.1", release),
        Offence(parse_network("192.0.2.1"), 0, 0),
        Decision(1, DecisionVerdict.BLOCK, parse_network("192.0.2.2"), 77, ("order",), "order"),
        Trust(parse_network("198.51.100.1"), account, 0),
        Trust(parse_network("198.51.100.2"), account, 9),
        ban("203.0.113.1", release),
        ban("203.0.113.1"),
        ban("203.0.113.2"),
        ban("203.0.113.2", release),
        Decision(1, DecisionVerdict.BLOCK, parse_network("192.0.2.3"), 2, ("adopted",), "adopted"),
    ]
    with linked(f"say(t='state', items={[pack(noun) for noun in kept]!r}); time.sleep(60)") as link:
        link.mind(0)
        assert not list(link.take_state(()).decisions)
        for noun in told:
            link.tell(Record(1, noun))
        select.select([link.pair], [], [], 10)
        assert link.next() is None
        link.restored = True
        state = link.take_state(())
    assert {(str(_subject(each)), each.until) for each in state.decisions} == {
        ("192.0.2.2", 77),
        ("192.0.2.3", 2),
        ("203.0.113.1", 2),
    }
    assert not state.offences, "it is forgiven"
    assert [str(each.network) for each in state.trust] == ["198.51.100.2"]


def test_calls_and_resets_are_part_of_the_state_and_what_became_of_them_meanwhile_is_not_undone() -> None:
    begun = call("a")
    ended = replace(begun, answered=2, ended=3)
    kept: list[CallState | LimitReset] = [begun, call("b"), LimitReset(1, "account", "1001")]
    told: list[CallState | LimitReset] = [
        ended,
        call("c"),
        LimitReset(5, "account", "1001"),
        LimitReset(5, "group", "1001"),
    ]
    with linked(f"say(t='state', items={[pack(noun) for noun in kept]!r}); time.sleep(60)") as link:
        link.mind(0)
        link.take_state(())
        for noun in told:
            link.tell(Record(1, noun))
        select.select([link.pair], [], [], 10)
        assert link.next() is None
        link.restored = True
        state = link.take_state(())
    assert sorted(state.calls, key=lambda each: each.key) == [ended, call("b"), call("c")]
    assert sorted(state.resets, key=lambda each: each.scope) == told[2:]


def test_lessons_are_part_of_the_state_only_when_all_have_come_for_half_of_them_would_be_written_over_the_rest() -> (
    None
):
    known, forgotten = (Lesson(1, "firstabroad", Account(name, "pbx"), "", "7") for name in "ab")
    says = f"say(t='state', items={[pack(noun) for noun in (known, forgotten)]!r})"
    for told, expected in (("", None), (", lessons=False", None), (", lessons=True", [known])):
        end = f"say(t='state-end', mode=None, off=False, complete=False, count=2{told})"
        with linked(f"{says}; {end}; time.sleep(60)") as link:
            link.mind(0)
            assert link.take_state(()).lessons is None
            link.tell(Record(1, replace(forgotten, text="")))
            until(lambda link=link: link.next() is not None)  # type: ignore[misc]
            assert link.take_state(()).lessons == expected


def test_what_is_decided_meanwhile_has_a_most_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meanwhile, "MOST", 2)
    noted = meanwhile.Meanwhile()
    for text in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        noted.note(ban(text, DecisionVerdict.RELEASE))
    kept = Kept([ban("192.0.2.1"), ban("192.0.2.2")])
    assert list(noted.over(kept)) == list(kept)[:1]
    assert noted.evicted == 1


def test_drift_of_the_clock_is_no_step() -> None:
    with linked(ECHOES) as link:
        assert not link.stepped(DRIFT)
        assert link.stepped(-2 * DRIFT)
        assert link.offset == -2 * DRIFT
