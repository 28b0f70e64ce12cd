"""Guesses on their way are counted within bounds, whoever sends them and however many."""

from __future__ import annotations

from collections.abc import Callable

from sipguard.decide.guesses import MOST, Attempt, Guesses, Limit
from sipguard.model import MINUTE, SECOND, Account

NOBODY: frozenset[Account] = frozenset()


def attempt(source: bytes, number: int = 0, *, proven: bool = False, user: str = "1001") -> Attempt:
    return Attempt(source, b"key%d" % number, b"mark", Account(user, "pbx"), proven)


def test_a_crowd_of_forged_senders_evicts_its_like_and_never_the_proven() -> None:
    guesses = Guesses(Limit(1, 10 * MINUTE))
    assert guesses.may_go(0, attempt(b"\xc6\x33\x64\x01", proven=True), NOBODY)
    for number in range(MOST + 5_000):
        guesses.may_go(0, attempt((0x0B000000 + 7 * number).to_bytes(4, "big")), NOBODY)
    counters = guesses.counters()
    assert counters["guessers"] <= MOST
    assert counters["guessers_evicted"] >= 5_000
    assert not guesses.may_go(0, attempt(b"\xc6\x33\x64\x01", 1, proven=True), NOBODY)  # it is still known


def test_one_network_fills_no_more_than_its_share() -> None:
    guesses = Guesses(Limit(1, 10 * MINUTE))
    guesses.may_go(0, attempt(b"\xc6\x33\x64\x01"), NOBODY)
    for number in range(2 * MOST):
        guesses.may_go(0, attempt(b"\x20\x01\x0d\xb8\x00\x66" + number.to_bytes(4, "big") + bytes(6)), NOBODY)
    assert guesses.counters()["guessers"] <= MOST // 8 + 1


def test_of_one_source_a_bounded_number_is_kept() -> None:
    source = b"\xc6\x33\x64\x01"
    for limit, kept in ((10, 64), (300, 300)):
        guesses = Guesses(Limit(limit, 10 * MINUTE))
        for number in range(900):
            guesses.failed(number, source, Account("1001", "pbx"), proven=False)
        assert dict(guesses.counted(900, source)) == {"failed": kept, "flying": 0}
        assert not guesses.may_go(900, attempt(source), NOBODY)


def test_a_high_limit_holds_as_well() -> None:
    guesses = Guesses(Limit(300, 10 * MINUTE))
    assert [guesses.may_go(0, attempt(b"\xc6\x33\x64\x01", number), NOBODY) for number in range(302)].count(True) == 300


def test_failures_leave_the_window_and_success_and_the_operator_forgive() -> None:
    guesses = Guesses(Limit(2, MINUTE))
    source, account = b"\xc6\x33\x64\x01", Account("1001", "pbx")
    for number in range(2):
        guesses.failed(number, source, account, proven=True)
    assert not guesses.may_go(SECOND, attempt(source, proven=True), NOBODY)
    assert guesses.may_go(MINUTE + SECOND, attempt(source, proven=True), NOBODY)
    ways: tuple[Callable[[], None], ...] = (
        lambda: guesses.succeeded(source, account),
        lambda: guesses.forgive(source),
    )
    for forgiving in ways:
        for number in range(2):
            guesses.failed(2 * MINUTE + number, source, account, proven=True)
        assert not guesses.may_go(2 * MINUTE + SECOND, attempt(source, 9, proven=True), NOBODY)
        forgiving()
        assert guesses.may_go(2 * MINUTE + SECOND, attempt(source, 9, proven=True), NOBODY)
        guesses.answered(source, b"key9")


def test_a_call_that_leaves_gives_back_one_place_of_its_account_and_no_other() -> None:
    guesses = Guesses(Limit(2, MINUTE))
    source = b"\xc6\x33\x64\x01"
    for number in range(2):
        assert guesses.may_go(0, attempt(source, number, proven=True), NOBODY)
    guesses.let_in(source, Account("1002", "pbx"))
    guesses.let_in(b"\xc6\x33\x64\x02", Account("1001", "pbx"))
    assert not guesses.may_go(1, attempt(source, 2, proven=True), NOBODY)
    guesses.let_in(source, Account("1001", "pbx"))
    assert guesses.may_go(1, attempt(source, 2, proven=True), NOBODY)
    assert not guesses.may_go(1, attempt(source, 3, proven=True), NOBODY)
