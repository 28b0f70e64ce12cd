"""Who hears which event: the table by which events are handed on, made once for each set of detectors.

Most events are requests and answers, and most detectors care for few of them: for strangers alone, or for one method. A
detector says so with `strangers` and `methods`; whoever says nothing hears all. It is a matter of cost, not of meaning:
detectors look again at what they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from sipguard.event import Answered, Asked, Event, Rang, Standing, Unread
from sipguard.model import Finding
from sipguard.sip.grammar import METHODS

Handler: TypeAlias = Callable[[Any], Sequence[Finding]]
_NOBODY: tuple[Handler, ...] = ()
_STRANGER = Standing.STRANGER
_STANDING: frozenset[type[Event]] = frozenset({Asked, Answered, Rang, Unread})


class Listener(Protocol):
    """Whoever hears events, and for each kind by what; `strangers` and `methods` are looked for and may be missing."""

    handlers: Mapping[type[Event], Handler]


class Listeners:
    """The tables. Order of handlers is that of the listeners."""

    __slots__ = ("_all", "_asked", "_other_asked", "_strangers")

    def __init__(self, listeners: Iterable[Listener] = ()) -> None:
        heard = tuple(listeners)
        self._all = _by_kind(heard, strange=False)
        self._strangers = _by_kind(heard, strange=True)
        self._asked = {
            strange: {method: _asked(heard, method, strange=strange) for method in METHODS.values()}
            for strange in (False, True)
        }
        self._other_asked = {strange: _asked(heard, "", strange=strange) for strange in (False, True)}

    def of(self, event: Event) -> Sequence[Handler]:
        """Give the handlers that an event goes to."""
        kind = type(event)
        if kind is Asked:
            strange = event.standing is _STRANGER  # type: ignore[attr-defined]
            return self._asked[strange].get(event.request.method) or self._other_asked[strange]  # type: ignore[attr-defined]
        if kind in _STANDING and event.standing is _STRANGER:  # type: ignore[attr-defined]
            return self._strangers.get(kind, _NOBODY)
        return self._all.get(kind, _NOBODY)

    def of_kind(self, kind: type[Event]) -> Sequence[Handler]:
        """Give the handlers of a kind of event that anybody may cause."""
        return self._all.get(kind, _NOBODY)


def _by_kind(listeners: Sequence[Listener], *, strange: bool) -> dict[type[Event], Sequence[Handler]]:
    found: dict[type[Event], list[Handler]] = {}
    for listener in listeners:
        for kind, handle in listener.handlers.items():
            if strange or kind not in getattr(listener, "strangers", ()):
                found.setdefault(kind, []).append(handle)
    return {kind: tuple(handlers) for kind, handlers in found.items()}


def _asked(listeners: Sequence[Listener], method: str, *, strange: bool) -> Sequence[Handler]:
    wanted = [
        each for each in listeners if not (methods := getattr(each, "methods", frozenset[str]())) or method in methods
    ]
    return _by_kind(wanted, strange=strange).get(Asked, _NOBODY)
