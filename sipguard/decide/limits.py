"""How much calling is too much: counts calls, minutes and money, says what a call would break, and which call must end.

    limits = Limits(policy.limits, carriers, parties)
    limits.restore(states, resets, now)      # once, with the fold of earlier CallState and LimitReset
    limits.refusal(at, call)                 # before an INVITE leaves: a Refusal, or None; nothing is counted
    limits.began(at, call)                   # its leg has left to the trunk (CallAttempted, outbound)
    limits.answered(at, call)                # CallAnswered
    limits.ended(at, call)                   # CallEnded
    limits.moved(at, call)                   # CallMoved: it goes over another trunk
    limits.noticed(at, call)                 # `call.confirmed` has changed, or the tracker knows a restored call again
    limits.advance(now), limits.next_deadline()
    limits.reset(at, scope, name)            # gives LimitReset nouns to record

All but `refusal` give what was `Tripped`: to be told, and with `hang_up` a call to be ended. A limit is broken by more
than it says: with `critical = 10` the eleventh is refused. Repeats are harmless: a call is known by its key, counted
once, answered once, ended once, and what was not begun cannot end.

Who counts. Outbound calls whose leg has left to the trunk or whose caller has authenticated, and no emergency call.
Whom a call is counted for is not what it says of itself: the account is the authenticated one, the site that of
the address, the rest what was dialled and over which trunk. So nobody outside can move a counter.

Money. A running call is paid for up to the end of the increment it is in (`Running`). Two seconds before the next one
begins it is seen whether every limit has room for it; if not, the call is to be hung up. A call that rings holds the
price of its first increment, so that many calls begun at once cannot overtake a cap. A call is settled when it ends,
with what it has really cost, and counts for a whole window from then on. After a restart, and while nobody hears of it,
a call is unconfirmed: it fills no place, and holds only what it was known to cost. What it costs if it goes on is
counted apart, against unconfirmed calls alone: where that would break a limit it is hung up like any other. If it is
over, that harms nobody and shows that it is; else silence would be enough to talk for ever. One of which no leg is
known since a restart is left alone.

Time is `Instant` alone: a wall clock that is moved changes nothing here, and no midnight gives anything back.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

from sipguard.call import Call, Called, CallState, Direction, LimitReset, NumberClass
from sipguard.decide.books import Book, Check, Grade, Kind
from sipguard.decide.callrules import Carrier
from sipguard.decide.destinations import Refusal
from sipguard.decide.limitset import Config, Scope
from sipguard.decide.parties import Parties
from sipguard.decide.running import CHEAP_STRIDE, LEAD, PATIENCE, RECHECK, STRIDE, Running, paid
from sipguard.decide.saying import say_refusal
from sipguard.decide.shelf import Shelf
from sipguard.model import MINUTE, SECOND, Instant, Span
from sipguard.table import Table

_LONGEST_AGAIN: Span = 5 * MINUTE
_NOBODY = b"\0\0\0\0"


class Tripped(NamedTuple):
    """A limit that was crossed; `rule` is its key path, `subject` whose it is. With `hang_up` the call must end now.

    `value` and `threshold` are in the limit's unit: calls, numbers, minutes, nanoseconds (duration) or micros (spend).
    """

    at: Instant
    level: Grade
    rule: str
    scope: Scope
    subject: str
    kind: Kind
    value: int
    threshold: int
    call: Call
    hang_up: bool = False


class Usage(NamedTuple):
    """One counter as it stands."""

    rule: str
    value: int
    warn: int
    critical: int


class Limits:
    """All counters of a guard. `lost` counts running calls that had to be given up for want of room."""

    __slots__ = ("_due", "_ended", "_pushed", "_running", "_shelf", "lost")

    def __init__(self, config: Config, carriers: Sequence[Carrier], parties: Parties) -> None:
        self._shelf = Shelf(config, carriers, parties)
        self._running: Table[str, Running] = Table(config.running)
        self._ended: Table[str, None] = Table(config.running)
        self._due: list[tuple[Instant, int, str]] = []
        self._pushed = 0
        self.lost = 0

    def refusal(self, at: Instant, call: Call) -> Refusal | None:
        """Say which limit this call would break, None when it fits; one that runs already fits where it is counted."""
        if call.called.kind is NumberClass.EMERGENCY or call.direction is not Direction.OUTBOUND:
            return None
        running = self._running.get(call.key)
        facts = self._shelf.facts(call)
        for book in self._shelf.books(call, keep=False):
            if running is None or book not in running.books:
                broken = book.broken_by(at, facts)
                if broken is not None:
                    return Refusal(broken[0].path, say_refusal(book, *broken))
        return None

    def began(self, at: Instant, call: Call) -> list[Tripped]:
        """Count a call; the same one again changes nothing."""
        if not _counts(call) or call.ended or call.key in self._running or call.key in self._ended:
            return []
        running = self._enter(at, call)
        return self._crossed(at, running)

    def answered(self, at: Instant, call: Call) -> list[Tripped]:
        """Note that a call costs from now on; one that never began begins now."""
        if not _counts(call) or call.key in self._ended:
            return []
        running = self._running.get(call.key)
        if running is None:
            running = self._enter(at, call)
        elif running.answered:
            return []
        else:
            running = self._moved(at, running, call)
        running.call = call
        running.answer(call.answered or at)
        return [*self._crossed(at, running), *self._look(at, running)]

    def ended(self, at: Instant, call: Call) -> list[Tripped]:
        """Settle a call; one that is not known has nothing to settle."""
        running = self._running.pop(call.key)
        if running is None:
            return []
        self._ended.renew(call.key, None, _NOBODY)
        if call.answered and not running.answered:
            running.answer(call.answered)
        running.settle(call.ended or at)
        return self._crossed(at, running)

    def moved(self, at: Instant, call: Call) -> list[Tripped]:
        """Count a call that goes over another trunk than it began on there, from now on."""
        running = self._running.get(call.key)
        if running is None or running.answered:
            return []
        running.call = call
        return self._crossed(at, self._moved(at, running, call))

    def noticed(self, at: Instant, call: Call) -> list[Tripped]:
        """Look again at a call that is or is not confirmed any more; a restored one is known by this object now."""
        running = self._running.get(call.key)
        if running is None:
            return []
        running.call = call
        if call.answered and not running.answered:
            running.answer(call.answered)
        return self._look(at, running)

    def reachable(self, call: Call) -> None:
        """Know a restored call by this object, which can be hung up although nothing has been heard of it yet."""
        running = self._running.get(call.key)
        if running is not None:
            running.call = call
            running.known = True

    def advance(self, now: Instant) -> list[Tripped]:
        """Look at the calls that are due."""
        found: list[Tripped] = []
        while self._due and self._due[0][0] <= now:
            due, _, key = heapq.heappop(self._due)
            running = self._running.get(key)
            if running is not None and running.due == due:
                found += self._look(now, running)
        return found

    def next_deadline(self) -> Instant | None:
        """Give the next instant at which a call must be looked at."""
        while self._due:
            running = self._running.get(self._due[0][2])
            if running is not None and running.due == self._due[0][0]:
                return self._due[0][0]
            heapq.heappop(self._due)
        return None

    def reset(self, at: Instant, scope: Scope, name: str) -> list[LimitReset]:
        """Set the counters of one subject to nothing, of all accounts that are called so; running calls stay counted.

        What they have cost by now is forgiven.
        """
        found = self._shelf.named(scope, name)
        for book in found:
            book.clear()
            for running in self._running.values():
                if book in running.books:
                    running.forgive(book, at)
        return [LimitReset(at, str(scope), book.name) for book in found]

    def restore(self, states: Sequence[CallState], resets: Sequence[LimitReset], now: Instant) -> None:
        """Count again what was counted before a restart, in its order; tell nobody. Calls that run are unconfirmed."""
        last = {state.key: state for state in states if state.kind is not NumberClass.EMERGENCY}
        happened: list[tuple[Instant, int, str, CallState | LimitReset]] = []
        for key, state in last.items():
            happened.append((state.began, 0, key, state))
            if state.ended:
                happened.append((max(state.began, state.ended), 1, key, state))  # a wall clock was set back between
        happened += [(reset.at, 2, reset.subject, reset) for reset in resets]
        horizon = now - self._shelf.longest
        for at, what, key, each in sorted(happened, key=lambda item: item[:3]):
            if isinstance(each, LimitReset):
                self.reset(at, Scope(each.scope), each.subject)
            elif what == 0 and key not in self._running and (not each.ended or each.ended > horizon):
                self._again(at, each)
            elif what == 1:
                running = self._running.pop(key)
                if running is not None:
                    self._ended.renew(key, None, _NOBODY)
                    running.settle(at)
        for running in self._running.values():
            self._push(running, now + RECHECK)

    def usage(self, now: Instant, scope: Scope, name: str) -> list[Usage]:
        """Give the counters of a subject, of all accounts that are called so; none where nothing was counted yet."""
        return [
            Usage(check.path, value, check.warn, check.critical)
            for book in self._shelf.named(scope, name)
            for check, value in book.values(now, self._shelf.nothing)
        ]

    def subjects(self, scope: Scope) -> list[str]:
        """Name the subjects of a scope for which anything was counted, the one unused for longest first."""
        return self._shelf.subjects(scope)

    def counters(self) -> dict[str, int]:
        """Give how much is followed, and what had to go for want of room."""
        return {
            "calls_running": len(self._running),
            "calls_lost": self.lost,
            "calls_answered_unconfirmed": sum(1 for each in self._running.values() if each.answered and not each.held),
            **self._shelf.counters(),
        }

    # --- Calls --------------------------------------------------------------------------------------------------------

    def _enter(self, at: Instant, call: Call) -> Running:
        if len(self._running) >= self._running.most:
            self._give_up(at)
        facts = self._shelf.facts(call)
        books = self._shelf.books(call, keep=True)
        for book in books:
            book.count(at, facts)
        running = Running(call, facts, books)
        running.hold(held=call.confirmed)
        self._running.put(call.key, running, _NOBODY)
        self._push(running, at + PATIENCE)
        return running

    def _give_up(self, at: Instant) -> None:
        """Settle the eldest call as if it ended now, so that its cost is not lost with it."""
        eldest = self._running.eldest()
        if eldest is not None:
            self.lost += 1
            self._running.pop(eldest.call.key)
            self._ended.renew(eldest.call.key, None, _NOBODY)
            eldest.settle(at)

    def _again(self, at: Instant, state: CallState) -> None:
        call = Call(state.key, state.began, Direction.OUTBOUND, Called(state.dialled, state.kind, state.e164))
        call.called.country = state.country
        call.account, call.source, call.trunk, call.rate = state.account, state.source, state.trunk, state.rate
        call.caller, call.origin = state.caller, state.origin
        call.answered, call.confirmed = state.answered, False
        running = self._enter(at, call)
        if state.answered:
            running.answer(state.answered)

    def _moved(self, at: Instant, running: Running, call: Call) -> Running:
        """Write a call that has gone over to another trunk or price in the books where it belongs now, once in each."""
        books, facts = self._shelf.books(call, keep=True), self._shelf.facts(call)
        if books == running.books and facts.rate == running.facts.rate:
            return running
        running.leave()
        for book in books:
            if book not in running.books:
                book.count(at, facts)
        moved = Running(call, facts, books)
        moved.hold(held=call.confirmed)
        self._running.put(call.key, moved, _NOBODY)
        self._push(moved, at)
        return moved

    # --- Looking ------------------------------------------------------------------------------------------------------

    def _look(self, now: Instant, running: Running) -> list[Tripped]:
        """See whether a call may go on, and say when to look again."""
        running.hold(held=running.call.confirmed)
        if not (running.held or running.known) or not running.answered:
            self._push(running, now + (PATIENCE if running.held else RECHECK))
            return []
        # no more than it costs already: what begins within LEAD is yet to be asked for, however late this look is
        running.commit(paid(running.facts.rate, now - running.answered))
        found = self._lasting(now, running)
        over = self._too_long(now, running) or self._spend(now, running)
        found += self._crossed(now, running, flowing=True)
        if over is None:
            self._push(running, min([running.answered + running.through - LEAD, *self._ends(now, running)]))
            return found
        return [*found, self._again_soon(now, running, over)]

    def _again_soon(self, now: Instant, running: Running, over: Tripped) -> Tripped:
        self._push(running, now + running.again)
        running.again = min(2 * running.again, _LONGEST_AGAIN)
        return over

    def _too_long(self, now: Instant, running: Running) -> Tripped | None:
        lasted = now - running.answered
        for book, check in running.lasts:
            if check.critical and lasted >= check.critical:
                return _tripped(now, Grade.CRITICAL, book, check, lasted, running.call)
        return None

    def _lasting(self, now: Instant, running: Running) -> list[Tripped]:
        """Tell, once each, that a call lasts long or has become dear."""
        found = []
        for singles, value in ((running.lasts, now - running.answered), (running.costs, running.committed)):
            for book, check in singles:
                kind = check.kind
                reached = value >= check.warn if kind is Kind.DURATION else value > check.warn
                if check.warn and reached and kind not in running.told:
                    running.told = (*running.told, kind)
                    found.append(_tripped(now, Grade.WARN, book, check, value, running.call))
        return found

    def _ends(self, now: Instant, running: Running) -> list[Instant]:
        """Give the instants at which it has lasted too long or long."""
        lasts = [each for _, check in running.lasts for each in (check.warn, check.critical) if each]
        return [running.answered + each for each in lasts if running.answered + each > now]

    def _spend(self, now: Instant, running: Running) -> Tripped | None:
        """Let the next increment begin when it is time and every limit has room; else say why it must not."""
        if now < running.answered + running.through - LEAD:
            return None
        step = running.facts.rate.step * SECOND
        stride = step * -(-(STRIDE if running.facts.expensive else CHEAP_STRIDE) // step)
        over = self._over(now, running, stride)
        if over is None:
            running.commit(running.through + stride)
        elif stride > step:
            over = self._over(now, running, step)
            if over is None:
                running.commit(running.through + step)
        return over

    def _over(self, now: Instant, running: Running, more: Span) -> Tripped | None:
        through = running.through + more
        cost = running.facts.rate.cost(through)
        for book, check in running.costs:
            if check.critical and cost > check.critical:
                return _tripped(now, Grade.CRITICAL, book, check, cost, running.call)
        for book in running.books:
            micros, span = (0, 0) if running.held else (book.doubted, book.doubting)
            over = book.outspent_by(now, cost - running.committed + micros, more + span)
            if over is not None:
                return _tripped(now, Grade.CRITICAL, book, *over, running.call)
        return None

    def _crossed(self, now: Instant, running: Running, *, flowing: bool = False) -> list[Tripped]:
        return [
            _tripped(now, grade, book, check, value, running.call, hang_up=False)
            for book in running.books
            for check, value, grade in book.crossed(now, running.facts, flowing=flowing)
        ]

    def _push(self, running: Running, due: Instant) -> None:
        running.due = due
        self._pushed += 1
        heapq.heappush(self._due, (due, self._pushed, running.call.key))
        if len(self._due) > 2 * len(self._running) + 64:
            alive = enumerate(self._running.values())
            self._due = [(each.due, number, each.call.key) for number, each in alive]
            heapq.heapify(self._due)


def _counts(call: Call) -> bool:
    """Tell whether a call may move counters at all: it leaves, somebody stands behind it, and it is not for help."""
    if call.direction is not Direction.OUTBOUND or call.called.kind is NumberClass.EMERGENCY:
        return False
    return call.account is not None or call.carrier is not None or bool(call.trunk)


def _tripped(
    now: Instant, grade: Grade, book: Book, check: Check, value: int, call: Call, *, hang_up: bool = True
) -> Tripped:
    threshold = check.threshold(grade)
    ends = hang_up and grade is Grade.CRITICAL
    return Tripped(now, grade, check.path, book.scope, book.name, check.kind, value, threshold, call, ends)
