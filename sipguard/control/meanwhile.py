"""What was decided while a part of the state was still on its way: the part that comes may not undo it.

The packet process begins with what has come in time, and begins anew when all of it is there. Bounded: past `MOST`
subjects the oldest goes first. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

from sipguard.call import CallLegs, CallState, LimitReset
from sipguard.control.kept import Kept
from sipguard.model import Decision, DecisionVerdict, Delta, Held, Lesson, Offence, Trust
from sipguard.report import HOLDING

MOST = 100_000
"""Subjects that are remembered: what a slow start decides in hours, not what it begins with."""

ADOPTED = "adopted"  # the rule of what was found in the kernel: what is on disk says more of it

_VERDICTS = {name: verdict for verdict, name in HOLDING.items()}


class Meanwhile:
    """The fold of deltas by subject; `evicted` counts those that had no room."""

    def __init__(self) -> None:
        self.evicted = 0
        self._last: dict[tuple[Any, ...], Delta] = {}

    def note(self, delta: Delta) -> None:
        """Take a delta as it is decided; a release ends what was decided of its subject before."""
        if isinstance(delta, Decision):
            if delta.rule == ADOPTED:
                return
            for verdict in DecisionVerdict if delta.verdict is DecisionVerdict.RELEASE else ():
                self._last.pop((delta.subject, verdict), None)
        key = _key(delta)
        self._last.pop(key, None)
        self._last[key] = delta
        if len(self._last) > MOST:
            del self._last[next(iter(self._last))]
            self.evicted += 1

    def over(self, kept: Kept) -> Kept:
        """Give what was kept on disk, as it is after all that was noted."""
        if not self._last:
            return kept
        return Kept(chain((noun for noun in kept if not self._outdates(noun)), self._standing()))

    def clear(self) -> None:
        """Forget all: the state that was given has it."""
        self._last.clear()

    def _outdates(self, noun: Any) -> bool:
        key = _key(noun)
        released = isinstance(noun, Decision | Held) and (key[0], DecisionVerdict.RELEASE) in self._last
        return released or key in self._last

    def _standing(self) -> Iterable[Any]:
        for delta in self._last.values():
            if not _is_over(delta):
                yield delta


def _is_over(delta: Delta) -> bool:
    """Tell whether a delta ends something and leaves nothing: a call that has ended, and a reset, still count."""
    if isinstance(delta, Lesson):
        return not delta.text
    if isinstance(delta, Decision):
        return delta.verdict is DecisionVerdict.RELEASE
    return isinstance(delta, Offence | Trust) and not delta.until


def _key(noun: Any) -> tuple[Any, ...]:
    if isinstance(noun, Held):
        return noun.network, _VERDICTS.get(noun.set)
    if isinstance(noun, Decision):
        return noun.subject, noun.verdict
    if isinstance(noun, Offence):
        return noun.network, Offence
    if isinstance(noun, CallState):
        return noun.key, CallState
    if isinstance(noun, CallLegs):
        return noun.key, CallLegs
    if isinstance(noun, LimitReset):
        return noun.subject, noun.scope, LimitReset
    if isinstance(noun, Lesson):
        return noun.detector, noun.account, noun.topic
    return (noun.network, noun.account) if isinstance(noun, Trust) else (noun,)
