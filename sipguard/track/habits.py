"""Where from and with what an account is used: what is its own, what is new, and what has been told of that.

All of it is bounded, and can be written and read again (`lesson.py`); but not which registrations stand, and when the
last one came: those are told anew after a start, or are of no use for longer than an hour.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from sipguard.lesson import hexed, rows_of, text_of, written
from sipguard.model import DAY, Instant, Span

KINDS = 8
"""Countries, systems and devices of one account that are remembered, each."""
PLACES = 64
_NEVER = "-"
_COUNTRY, _SYSTEM, _DEVICE, _TOLD, _FIRST = "c", "s", "d", "t", "f"


class Met:
    """Values met of one kind (countries, say): since when, when last told of, whether they are the account's own.

    `news`: more is known than when that was last set to False; in what order they were met is no news.
    """

    __slots__ = ("_met", "news")

    def __init__(self) -> None:
        self._met: dict[Hashable, tuple[Instant, Instant | None, bool]] = {}
        self.news = False

    def __len__(self) -> int:
        return len(self._met)

    def owns(self, value: Hashable) -> bool:
        """Tell whether a value is the account's own."""
        known = self._met.get(value)
        return known is not None and known[2]

    def is_all(self, value: Hashable) -> bool:
        """Tell whether a value is the account's own and the only one: the usual case, with nothing to do."""
        return len(self._met) == 1 and self.owns(value)

    def own(self, at: Instant, value: Hashable) -> None:
        """Take a value for the account's own."""
        known = self._met.get(value)
        self.put(value, known if known is not None and known[2] else (at, None, True))

    def meet(self, at: Instant, value: Hashable, settles: Span) -> bool:
        """Note a value; True when it is to be told of."""
        since, told, own = self._met.get(value, (at, None, not self._met))  # the first ever is the account's own
        due = not own and (told is None or at - told >= DAY)
        own = own or at - since >= settles
        self.put(value, (since, at if due else told, own))
        return due and not own

    def put(self, value: Hashable, what: tuple[Instant, Instant | None, bool]) -> None:
        """Enter a value: since when, when last told of, and whether it is the account's own."""
        if self._met.pop(value, None) != what:
            self.news = True
        if len(self._met) >= KINDS:
            # What is not the account's own goes first, and pushes out nothing that is: a thief cannot make us forget.
            strange = next((each for each, (_, _, own) in self._met.items() if not own), None)
            if strange is not None:
                del self._met[strange]
            elif what[2]:
                del self._met[next(iter(self._met))]
        self._met[value] = what

    def items(self) -> Iterator[tuple[Hashable, tuple[Instant, Instant | None, bool]]]:
        """Go through all, the longest not met first."""
        yield from self._met.items()


class Habits:
    """What is known of one account. `noted`: when it was last written; `restored`: it was read from what was."""

    __slots__ = ("countries", "devices", "first", "last", "news", "noted", "places", "restored", "systems", "told")

    def __init__(self, first: Instant | None) -> None:
        self.first = first  # None: from before we looked
        self.countries = Met()
        self.systems = Met()
        self.devices = Met()
        self.places: dict[Hashable, Instant] = {}  # networks that it stands registered from, and until when
        self.last: tuple[Instant, str] | None = None  # the last country, and when
        self.told: dict[str, Instant] = {}  # when travel, or many networks, were last told of
        self.news = True
        self.noted: Instant = 0
        self.restored = False

    def learning(self, at: Instant, span: Span) -> bool:
        """Tell whether the account is still only learned."""
        return self.first is not None and at - self.first < span

    def once(self, at: Instant, what: str) -> bool:
        """Tell whether to tell of something; once a day, for two who share an account register in turn all day."""
        told = self.told.get(what)
        if told is not None and at - told < DAY:
            return False
        self.told[what] = at
        self.news = True
        return True

    def stand(self, at: Instant, place: Hashable, until: Instant) -> int:
        """Note a registration from a network; gives from how many networks there are some now."""
        self.places.pop(place, None)
        if self.places:
            self.places = {each: end for each, end in self.places.items() if end > at}
        if len(self.places) >= PLACES:
            del self.places[next(iter(self.places))]
        self.places[place] = until
        return len(self.places)

    # --- What is kept -------------------------------------------------------------------------------------------------

    def has_news(self, at: Instant) -> bool:
        """Tell whether to write it down now: when more is known, or once a day; then it is taken for written."""
        countries, systems, devices = self.countries, self.systems, self.devices
        new = self.news or countries.news or systems.news or devices.news
        if not new and at - self.noted < DAY:
            return False
        self.news = countries.news = systems.news = devices.news = False
        self.noted = at
        return True

    def text(self, at: Instant) -> str:
        """Write what is known, as of `at`."""
        rows = [(_FIRST, _ago(at, self.first))]
        for kind, met in ((_COUNTRY, self.countries), (_SYSTEM, self.systems), (_DEVICE, self.devices)):
            for value, (since, told, own) in met.items():
                word = hexed(value) if isinstance(value, str | bytes) else str(value)
                rows.append((kind, word, _ago(at, since), _ago(at, told), str(int(own))))  # type: ignore[arg-type]
        rows += [(_TOLD, hexed(what), _ago(at, told)) for what, told in self.told.items()]  # type: ignore[misc]
        return written(rows)


def habits_of(at: Instant, text: str) -> Habits:
    """Give back what `Habits.text` wrote at `at`. Raises ValueError, IndexError."""
    first, *rows = rows_of(text)
    if first[0] != _FIRST:
        raise ValueError("no beginning")
    habits = Habits(_then(at, first[1]))
    for row in rows:
        kind, word = row[:2]
        if kind == _TOLD:
            habits.told[text_of(word)] = _then(at, row[2]) or at
            continue
        what = _then(at, row[2]) or at, _then(at, row[3]), bool(int(row[4]))
        if kind == _COUNTRY:
            habits.countries.put(text_of(word), what)
        elif kind == _SYSTEM:
            habits.systems.put(int(word), what)
        elif kind == _DEVICE:
            habits.devices.put(bytes.fromhex(word), what)
        else:
            raise ValueError(f"{kind!r} is nothing that is known")
    habits.has_news(at)
    habits.restored = True
    return habits


def _ago(at: Instant, then: Instant | None) -> str:
    return _NEVER if then is None else str(at - then)


def _then(at: Instant, word: str) -> Instant | None:
    if word == _NEVER:
        return None
    span = int(word)
    if span < 0:
        raise ValueError(f"{span} is from the future")
    return at - span
