"""Limits in words: for refusals, alerts and incidents. Only text; nothing of it is read back."""

from __future__ import annotations

from sipguard.call import money
from sipguard.decide.books import Book, Check, Kind
from sipguard.decide.limitset import Scope
from sipguard.model import SECOND

_WHAT = {
    Kind.CALLS: "calls within a short time",
    Kind.TOTAL: "calls within a long time",
    Kind.CONCURRENT: "calls at the same time",
    Kind.EXPENSIVE_CONCURRENT: "expensive calls at the same time",
    Kind.SAME_NUMBER: "calls to one number",
    Kind.SAME_PREFIX: "calls to one prefix",
    Kind.EXPENSIVE_NUMBERS: "different expensive numbers",
    Kind.MINUTES: "minutes",
    Kind.DURATION: "long for one call",
    Kind.SPEND_CALL: "for one call",
    Kind.SPEND_HOUR: "within an hour",
    Kind.SPEND_DAY: "within a day",
}
_MONEY = frozenset({Kind.SPEND_CALL, Kind.SPEND_HOUR, Kind.SPEND_DAY})


def say_value(kind: Kind, value: int) -> str:
    """Write a value of a limit as people do, with what it is: `12 calls at the same time`, `50.00 within a day`."""
    if kind in _MONEY:
        return f"{money(value)} {_WHAT[kind]}"
    if kind is Kind.DURATION:
        minutes, seconds = divmod(value // SECOND, 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02} {_WHAT[kind]}"
    return f"{value} {_WHAT[kind]}"


def say_subject(scope: Scope, name: str) -> str:
    """Name a subject: `account 1001@pbx`."""
    if scope is Scope.TRUNK and not name:
        return "the trunks that are not listed"
    return f"{scope} {name}"


def say_refusal(book: Book, check: Check, value: int) -> str:
    """Say in one sentence which limit a call would break, whose, and what to do if it should not have."""
    subject = say_subject(book.scope, book.name)
    would, limit = say_value(check.kind, value), say_value(check.kind, check.critical)
    return (
        f"With this call {subject} would have {would}; {check.path} ends at {limit}: raise it, or reset its counters."
    )
