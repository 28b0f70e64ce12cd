"""Nouns to rows and back: pure. Instants become nanoseconds since 1970 by the offset given, and instants again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

from sipguard.address import Network
from sipguard.call import CallLegs, CallState, LimitReset
from sipguard.model import Account, Decision, DecisionVerdict, Instant, Lesson, Offence, Pair, Span, Subject, Trust
from sipguard.report import pack, unpack

T = TypeVar("T")
Row: TypeAlias = tuple[Any, ...]
SubjectRow: TypeAlias = tuple[bytes, int, bytes, bytes]

FAR = 2**62
"""Nothing on disk lies further off than this (the year 2116): SQLite's integers end at 2^63."""

UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError)
"""What `..._of_row` raises for a row that no release of ours wrote."""


def readable(
    make: Callable[[Any], T], found: Iterable[Any], told: Callable[[Any, Exception], None] = lambda _row, _error: None
) -> list[T]:
    """Give what rows say; passes over those that no release of ours wrote, and tells `told` of each."""
    made: list[T] = []
    for row in found:
        try:
            made.append(make(row))
        except UNREADABLE as error:
            told(row, error)
    return made


def wall(at: Instant, offset: Span) -> int:
    """Give nanoseconds since 1970. 0 ("at once, or for ever") stays 0."""
    return max(-FAR, min(FAR, at + offset)) if at else 0


def instant(on_disk: int, offset: Span) -> Instant:
    """Give the instant of what `wall` made; before this boot it is negative."""
    return on_disk - offset if on_disk else 0


PAIR = 1000
"""Added to the prefix of an account as used from one place, which no network's prefix reaches."""


def subject_row(subject: Subject) -> SubjectRow:
    """Give the four columns that say who is meant; exact for any text, also with lone surrogates in it."""
    if isinstance(subject, Network):
        return (subject.address, subject.prefix, b"", b"")
    account = subject.account if isinstance(subject, Pair) else subject
    username, realm = (each.encode("utf-8", "surrogatepass") for each in account)
    if isinstance(subject, Pair):
        return (subject.network.address, subject.network.prefix + PAIR, username, realm)
    return (b"", 0, username, realm)


def subject_of_row(row: SubjectRow) -> Subject:
    """Give the subject back."""
    address, prefix, username, realm = row
    if address and prefix < PAIR:
        return Network(address, prefix)
    account = Account(username.decode("utf-8", "surrogatepass"), realm.decode("utf-8", "surrogatepass"))
    return Pair(Network(address, prefix - PAIR), account) if address else account


def _plain(text: str) -> str:
    """Text that SQLite can keep: lone surrogates written out. For display fields only."""
    return text.encode("utf-8", "backslashreplace").decode()


def decision_row(noun: Decision, offset: Span) -> Row:
    """Give `subject..., verdict, at, until, because, rule, reason, offence`."""
    return (
        *subject_row(noun.subject),
        str(noun.verdict),
        wall(noun.at, offset),
        wall(noun.until, offset),
        json.dumps(noun.because),
        _plain(noun.rule),
        _plain(noun.reason),
        max(-FAR, min(FAR, noun.offence)),
    )


def decision_of_row(row: Row, offset: Span) -> Decision:
    """Give the decision back. Raises ValueError for a row that no release of ours wrote."""
    return Decision(
        at=instant(row[5], offset),
        verdict=DecisionVerdict(row[4]),
        subject=subject_of_row(row[:4]),
        until=instant(row[6], offset),
        because=_because(row[7]),
        rule=row[8],
        reason=row[9],
        offence=row[10],
    )


@lru_cache(maxsize=256)
def _because(text: str) -> tuple[str, ...]:
    """Read the list of causes: a handful of different ones, in up to a million rows."""
    return tuple(map(str, json.loads(text)))


def offence_row(noun: Offence, offset: Span) -> Row:
    """Give `address, prefix, count, until`."""
    return (*noun.network, max(0, min(FAR, noun.count)), wall(noun.until, offset))


def trust_row(noun: Trust, offset: Span) -> Row:
    """Give `subject..., until, shown, contact` with both halves of the subject filled."""
    whose = subject_row(noun.account)[2:]
    return (*noun.network, *whose, wall(noun.until, offset), wall(noun.shown, offset), noun.contact.encode())


def trust_of_row(row: Row, offset: Span) -> Trust:
    """Give the trust back."""
    account = subject_of_row((b"", 0, row[2], row[3]))
    if not isinstance(account, Account):  # pragma: no cover - an empty address is always an account
        raise ValueError("not an account")  # noqa: TRY004 - the row is wrong, not a type of ours
    until, shown = (instant(each, offset) for each in row[4:6])
    return Trust(Network(row[0], row[1]), account, until, shown, row[6].decode())


_OWN_COLUMNS = ("noun", "key", "began", "answered", "ended", "account")


def call_row(noun: CallState, offset: Span) -> Row:
    """Give `key, began, answered, ended, account, username, realm, cost, rest`."""
    names = ("", "") if noun.account is None else noun.account
    return (
        _plain(noun.key),
        *(wall(at, offset) for at in (noun.began, noun.answered, noun.ended)),
        int(noun.account is not None),
        *(each.encode("utf-8", "surrogatepass") for each in names),
        max(0, min(FAR, noun.cost)),
        json.dumps({name: value for name, value in pack(noun).items() if name not in _OWN_COLUMNS}),
    )


def call_of_row(row: Row, offset: Span) -> CallState:
    """Give the call back. Raises ValueError for a row that no release of ours wrote."""
    key, began, answered, ended, known, username, realm, _cost, rest = row
    names = [each.decode("utf-8", "surrogatepass") for each in (username, realm)]
    times = {"began": instant(began, offset), "answered": instant(answered, offset), "ended": instant(ended, offset)}
    noun = unpack({"noun": "call", "key": key, **times, "account": names if known else None, **json.loads(rest)})
    if not isinstance(noun, CallState):  # pragma: no cover - `rest` has no "noun" of its own
        raise ValueError("not a call")  # noqa: TRY004 - the row is wrong, not a type of ours
    return noun


def legs_row(noun: CallLegs, offset: Span) -> Row:
    """Give `key, at, ends`."""
    return (_plain(noun.key), wall(noun.at, offset), _plain(noun.text))


def legs_of_row(row: Row, offset: Span) -> CallLegs:
    """Give how to reach the ends of a call back."""
    return CallLegs(instant(row[1], offset), row[0], row[2])


def lesson_row(noun: Lesson, offset: Span) -> Row:
    """Give `detector, username, realm, topic, at, text`; an account's names may be any text, a topic's too."""
    names = (each.encode("utf-8", "surrogatepass") for each in (*noun.account, noun.topic))
    return (_plain(noun.detector), *names, wall(noun.at, offset), _plain(noun.text))


def lesson_of_row(row: Row, offset: Span) -> Lesson:
    """Give the lesson back. Raises ValueError, TypeError or AttributeError for a row that is not ours."""
    detector, username, realm, topic, at, text = row
    names = [each.decode("utf-8", "surrogatepass") for each in (username, realm, topic)]
    if not isinstance(text, str) or not isinstance(detector, str):
        raise TypeError("not text")
    return Lesson(instant(at, offset), detector, Account(names[0], names[1]), names[2], text)


def reset_row(noun: LimitReset, offset: Span) -> Row:
    """Give `scope, subject, at`."""
    return (_plain(noun.scope), noun.subject.encode("utf-8", "surrogatepass"), wall(noun.at, offset))


def reset_of_row(row: Row, offset: Span) -> LimitReset:
    """Give the reset back."""
    return LimitReset(instant(row[2], offset), row[0], row[1].decode("utf-8", "surrogatepass"))
