"""A call that runs, as far as limits must know: what is paid for, up to when, and when to look at it again. Pure."""

from __future__ import annotations

from sipguard.call import Call, Rate
from sipguard.decide.books import Book, Facts, Kind
from sipguard.model import SECOND, Instant, Span

LEAD: Span = 2 * SECOND
"""So long before an increment begins it is decided whether it may: a hang-up takes that long to take effect."""
STRIDE: Span = 6 * SECOND
"""Increments shorter than this are let begin several at a time where there is room, so that few looks suffice."""
CHEAP_STRIDE: Span = 60 * SECOND
"""The same for calls that are not expensive, most of which no limit ever ends."""
RECHECK: Span = 10 * SECOND
"""How soon an unconfirmed call is looked at again; and how soon a hang-up is ordered a second time."""
PATIENCE: Span = 60 * SECOND
"""How soon a call that rings is looked at again."""


def paid(rate: Rate, lasted: Span) -> Span:
    """Give the end of the increment that a call is in after so long."""
    first, step = rate.first * SECOND, rate.step * SECOND
    return first if lasted <= first else first + -(-(lasted - first) // step) * step


class Running:
    """One call from its beginning to its end, and the books that it is written in.

    `committed` is what it costs if it ends at `through` after its answer; `doubted` the part of that, and `doubting`
    the time of it, for which nobody has heard of it. `held`: it fills the books' places for running calls, as only
    confirmed calls do. `known`: it was confirmed once since the guard began, or can be hung up without. `lasts` and
    `costs` are the limits of single calls, `told` those kinds of them that have been warned of.
    """

    __slots__ = (
        "again",
        "answered",
        "books",
        "call",
        "committed",
        "costs",
        "doubted",
        "doubting",
        "due",
        "facts",
        "held",
        "known",
        "lasts",
        "through",
        "told",
    )

    def __init__(self, call: Call, facts: Facts, books: tuple[Book, ...]) -> None:
        self.call = call
        self.facts = facts
        self.books = books
        self.answered: Instant = 0
        self.due: Instant = 0
        self.again: Span = RECHECK
        every = [(book, check) for book in books for check in book.checks]
        self.lasts = tuple(each for each in every if each[1].kind is Kind.DURATION)
        self.costs = tuple(each for each in every if each[1].kind is Kind.SPEND_CALL)
        self.told: tuple[Kind, ...] = ()
        self.committed = facts.first
        self.through = paid(facts.rate, LEAD)
        self.doubted = 0
        self.doubting: Span = 0
        self.held = self.known = False
        for book in books:
            book.committed += self.committed

    def hold(self, *, held: bool) -> None:
        """Fill a place among the running calls of all its books, or leave it; no effect when it is so."""
        if held == self.held:
            return
        self.held = held
        if held:
            self._believe()
        self.known = self.known or held
        one = 1 if held else -1
        for book in self.books:
            book.running += one
            if self.facts.expensive:
                book.expensive += one

    def answer(self, at: Instant) -> None:
        """Begin to cost."""
        self.answered = at
        for book in self.books:
            book.lasting += self.through

    def commit(self, through: Span) -> None:
        """Let it go on until `through` after its answer; never less than before. In doubt that costs as doubted."""
        if through <= self.through:
            return
        cost = self.facts.rate.cost(through)
        micros, span = cost - self.committed, through - self.through
        for book in self.books:
            if self.held:
                book.committed += micros
                book.lasting += span
            else:
                book.doubted += micros
                book.doubting += span
        if not self.held:
            self.doubted += micros
            self.doubting += span
        self.committed, self.through = cost, through

    def _believe(self, *, cost: bool = True) -> None:
        """Let what it costs in doubt be no longer doubted: spent if `cost`, else never."""
        for book in self.books:
            book.doubted -= self.doubted
            book.doubting -= self.doubting
            if cost:
                book.committed += self.doubted
                book.lasting += self.doubting
        if not cost:
            self.committed -= self.doubted
            self.through -= self.doubting
        self.doubted = self.doubting = 0

    def leave(self) -> None:
        """Take out of its books what it adds to them while it runs."""
        self.hold(held=False)
        self._believe(cost=False)
        for book in self.books:
            micros, span = book.forgiven.pop(self.call.key, (0, 0))
            book.committed -= self.committed - micros
            if self.answered:
                book.lasting -= self.through - span

    def settle(self, at: Instant) -> None:
        """End: from now on its books have what it has really cost, less what they forgave."""
        lasted = max(0, at - self.answered) if self.answered else 0
        cost = self.facts.rate.cost(lasted) if self.answered else 0
        forgiven = [book.forgiven.get(self.call.key, (0, 0)) for book in self.books]
        self.leave()
        if self.answered:
            for book, (micros, span) in zip(self.books, forgiven, strict=True):
                book.settle(at, max(0, cost - micros), max(0, lasted - span))

    def forgive(self, book: Book, at: Instant) -> None:
        """Take out of one of its books what it has cost by now."""
        if not self.answered or at < self.answered:
            return
        lasted = at - self.answered
        self.commit(paid(self.facts.rate, lasted))
        self._believe()
        micros = self.facts.rate.cost(lasted)
        before, already = book.forgiven.get(self.call.key, (0, 0))
        book.forgiven[self.call.key] = (micros, lasted)
        book.committed -= micros - before
        book.lasting -= lasted - already
