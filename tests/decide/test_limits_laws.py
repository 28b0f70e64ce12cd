"""Over any interleaving of calls, repeats, lost news and restarts: nothing twice, nothing lost, never negative."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sipguard.call import MICROS, Call, LimitReset, Rate
from sipguard.decide.books import Book
from sipguard.decide.limits import Limits
from sipguard.decide.limitset import Scope
from sipguard.model import DAY, HOUR, MINUTE, SECOND, Instant
from sipguard.window import Sums
from tests.decide.calling import GERMAN, HOME, SOMALI, SOMALIA, call, only, state

KINDS = {
    "calls": "{critical = 1000000, window = '1h'}",
    "total": "{critical = 1000000}",
    "concurrent": "{critical = 1000000}",
    "minutes": "{critical = 1000000}",
    "spend_hour": "{critical = 1000000}",
    "spend_day": "{critical = 1000000}",
}
WINDOWS = {"calls": HOUR, "total": DAY, "minutes": DAY, "spend_hour": HOUR, "spend_day": DAY}
ACCOUNTS = ("1001", "1002")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["began", "began", "answered", "answered", "ended", "ended", "wait", "restart", "reset", "again"]
        ),
        st.integers(0, 7),
        st.sampled_from([SECOND, 40 * SECOND, 17 * MINUTE, 5 * HOUR]),
    ),
    max_size=60,
)
RATES = (SOMALIA, HOME, Rate("", "", MICROS // 3, 17, 1, 6))


class Model:
    """What ought to be counted, by going through all calls that ever were."""

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self.resets: dict[str, Instant] = {}

    def bounds(self, account: str, kind: str, now: Instant) -> tuple[int, int]:
        """Give the least and the most that may be counted: an amount may count for a 64th of its window longer."""
        window, reset = WINDOWS[kind], self.resets.get(f"{account}@pbx", -1)
        mine = [each for each in self.calls.values() if each.account is not None and each.account.username == account]
        totals = []
        for edge in (now - window, now - window - window // 64):
            if kind in {"calls", "total"}:
                totals.append(sum(1 for each in mine if each.began > max(edge, reset)))
                continue
            over = [each for each in mine if each.answered and each.ended > max(edge, reset)]
            totals.append(sum(self._amount(each, kind, reset) for each in over))
        return totals[0], totals[1]

    @staticmethod
    def _amount(made: Call, kind: str, reset: Instant) -> int:
        before = made.answered and reset >= made.answered
        if kind == "minutes":
            return made.lasted(made.ended) - (reset - made.answered if before else 0)
        assert made.rate is not None
        return made.cost(made.ended) - (made.rate.cost(reset - made.answered) if before else 0)


def running(model: Model, account: str) -> list[Call]:
    return [
        each
        for each in model.calls.values()
        if not each.ended and each.account is not None and each.account.username == account
    ]


def check(counted: Limits, model: Model, now: Instant) -> None:
    for account in ACCOUNTS:
        usage = {each.rule.rpartition(".")[2]: each.value for each in counted.usage(now, Scope.ACCOUNT, account)}
        if not usage:
            assert not running(model, account)
            continue
        assert usage["concurrent"] == sum(1 for each in running(model, account) if each.confirmed)
        for kind in ("calls", "total"):
            least, most = model.bounds(account, kind, now)
            assert least <= usage[kind] <= most
        assert all(value >= 0 for value in usage.values())
        if running(model, account):
            continue
        for kind in ("spend_hour", "spend_day"):
            least, most = model.bounds(account, kind, now)
            assert least <= usage[kind] <= most
        least, most = (-(-each // MINUTE) for each in model.bounds(account, "minutes", now))
        assert least <= usage["minutes"] <= most


def step(counted: Limits, model: Model, verb: str, key: int, now: Instant) -> None:
    name = f"call {key}"
    made = model.calls.get(name)
    if verb in {"began", "again"} and (made is None or verb == "again"):
        if made is None:
            made = model.calls[name] = call(
                SOMALI if key % 2 else GERMAN, ACCOUNTS[key % 2], RATES[key % len(RATES)], name
            )
            made.began = now
        counted.began(now, made)
        counted.began(now, made)
    elif verb == "answered" and made is not None:
        if not made.answered and not made.ended:
            made.answered = now
        counted.answered(now, made)
        counted.answered(now, made)
    elif verb == "ended" and made is not None:
        made.ended = made.ended or now
        counted.ended(now, made)
        counted.ended(now, made)
    elif verb == "ended":
        counted.ended(now, call(key=name))
    elif verb == "reset":
        for each in counted.reset(now, Scope.ACCOUNT, ACCOUNTS[key % 2]):
            model.resets[each.subject] = now


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_every_call_is_counted_once_whatever_is_repeated_lost_or_restarted(steps: list[tuple[str, int, int]]) -> None:
    counted, model, now = only("account", **KINDS), Model(), 10 * SECOND
    for verb, key, span in steps:
        if verb == "wait":
            now += span
            counted.advance(now)
        elif verb == "restart":
            counted = only("account", **KINDS)
            resets = [LimitReset(at, "account", name) for name, at in model.resets.items()]
            for made in model.calls.values():
                made.confirmed = bool(made.ended)
            counted.restore([state(made) for made in model.calls.values()], resets, now)
        else:
            now += SECOND
            step(counted, model, verb, key, now)
        check(counted, model, now)
    for made in model.calls.values():
        made.confirmed = True
        counted.noticed(now, made)
    now += MINUTE
    for made in model.calls.values():
        made.ended = made.ended or now
        counted.ended(now, made)
    check(counted, model, now)
    assert all(not book.forgiven and not book.committed and not book.lasting for book in _books(counted))


def _books(counted: Limits) -> list[Book]:
    return [book for account in ACCOUNTS for book in counted._shelf.named(Scope.ACCOUNT, account)]


@given(st.lists(st.tuples(st.integers(0, 20 * MINUTE), st.integers(0, 1000)), max_size=200), st.integers(64, 2 * HOUR))
def test_a_sum_holds_an_amount_for_its_span_and_a_64th_longer(adds: list[tuple[int, int]], span: int) -> None:
    sums, seen, at = Sums(span), [], -HOUR
    for gap, amount in adds:
        at += gap
        sums.add(at, amount)
        seen.append((at, amount))
        least = sum(each for when, each in seen if when > at - span)
        most = sum(each for when, each in seen if when > at - span - span // 64 - 1)
        assert least <= sums.sum(at) <= most
        assert len(sums._slots) <= 67


def test_a_sum_cannot_overflow() -> None:
    sums = Sums(HOUR)
    for _ in range(10):
        sums.add(0, 1 << 61)
    assert sums.sum(0) == 1 << 62


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["began", "moved", "moved", "answered", "ended", "wait"]), st.integers(0, 5))),
    st.data(),
)
def test_a_call_fills_one_place_over_the_trunk_where_it_is_however_often_it_goes_over(
    steps: list[tuple[str, int]], data: st.DataObject
) -> None:
    counted, calls, now = only("trunk", **KINDS), dict[str, Call](), 10 * SECOND
    for verb, key in steps:
        now += 20 * SECOND if verb == "wait" else SECOND
        made = calls.get(name := f"call {key}")
        if verb == "wait":
            counted.advance(now)
        elif made is None:
            if verb == "began":
                made = calls[name] = call(key=name, trunk=data.draw(st.sampled_from("ab")))
                counted.began(now, made)
        elif made.ended or verb == "began":
            counted.moved(now, made)
        elif verb == "moved":
            made.trunk = made.trunk if made.answered else data.draw(st.sampled_from("ab"))
            counted.moved(now, made)
            counted.moved(now, made)
        elif verb == "answered":
            made.answered = made.answered or now
            counted.answered(now, made)
        else:
            made.ended = now
            counted.ended(now, made)
        for trunk in "ab":
            usage = {each.rule.rpartition(".")[2]: each.value for each in counted.usage(now, Scope.TRUNK, trunk)}
            running_there = [each for each in calls.values() if not each.ended and each.trunk == trunk]
            assert usage.get("concurrent", 0) == len(running_there)
            assert all(value >= 0 for value in usage.values())
            if not running_there:
                spent = sum(each.cost(now) for each in calls.values() if each.trunk == trunk)
                assert usage.get("spend_day", 0) == spent
