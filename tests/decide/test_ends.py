"""Whatever is held, moved and let go, what has ended comes out once, in its order, and nothing before its time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from sipguard.address import Network
from sipguard.decide.ends import Ends
from sipguard.decide.ledger import Ledger
from sipguard.model import MINUTE, SECOND, Held, Instant, SetName

BLOCKED, TRUSTED = SetName.BLOCKED, SetName.TRUSTED


def network(number: int) -> Network:
    return Network(bytes([192, 0, 2, number]), 32)


STEPS = some.lists(
    some.tuples(
        some.sampled_from(["hold", "release", "wait"]),
        some.sampled_from([BLOCKED, TRUSTED]),
        some.integers(0, 4),
        some.integers(1, 400),
    ),
    max_size=40,
)


@given(STEPS)
def test_a_ledger_forgets_each_end_when_it_comes_as_a_plain_list_would(
    steps: list[tuple[str, SetName, int, int]],
) -> None:
    ledger, model = Ledger(1000), dict[tuple[SetName, Network], Instant]()
    now = 0
    for what, name, number, seconds in steps:
        subject = network(number)
        if what == "hold":
            model[name, subject] = now + seconds * SECOND
            ledger.hold(Held(name, subject, now + seconds * SECOND))
        elif what == "release":
            model.pop((name, subject), None)
            ledger.release(name, subject)
        else:
            now += seconds * SECOND
            model = {key: until for key, until in model.items() if until > now}
            ledger.advance(now)
        first = min(model.values(), default=None)
        deadline = ledger.next_deadline()
        assert (deadline is not None and deadline <= first) if first is not None else True
        assert {(each.set, each.network): each.until for each in ledger.wanted()} == model


def test_what_ends_first_goes_first_when_there_is_no_room() -> None:
    ledger = Ledger(3)
    for number, minutes in ((1, 9), (2, 3), (3, 5)):
        assert ledger.hold(Held(BLOCKED, network(number), minutes * MINUTE)) == []
    assert ledger.hold(Held(BLOCKED, network(4), 7 * MINUTE)) == [Held(BLOCKED, network(2), 3 * MINUTE)]
    assert ledger.hold(Held(BLOCKED, network(5), 30 * SECOND)) == [Held(BLOCKED, network(5), 30 * SECOND)]
    assert ledger.evicted == 2


def test_an_end_that_is_moved_again_and_again_takes_no_more_room_than_others() -> None:
    ends: dict[Network, Instant] = {}
    waiting = Ends(lambda _, subject: ends.get(subject))
    for moved in range(10_000):
        ends[network(1)] = moved * MINUTE
        waiting.add(Held(BLOCKED, network(1), moved * MINUTE))
        waiting.tidy(1, lambda: [Held(BLOCKED, subject, until) for subject, until in ends.items()])
    assert len(waiting) <= 1025
    assert list(waiting.ended(20_000 * MINUTE)) == [Held(BLOCKED, network(1), 9_999 * MINUTE)]
