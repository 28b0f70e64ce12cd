"""The section on rate decks: a look-up over many rows, reading the list, packing it and loading what was packed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import date
from statistics import median
from typing import TypeVar

from sipguard.numbering.deckfile import read
from sipguard.numbering.rates import unpack
from tests.bench.outcome import Section

T = TypeVar("T")

_LOOKUPS = 20_000
_TARIFFS = 4_000  # carriers price so many destinations
_LENGTHS = (3, 4, 5, 5, 6, 6, 6, 7, 7, 7, 8, 9)


def price_list(rows: int, seed: int = 1) -> bytes:
    """Give a list as a carrier writes it: prefixes of 3 to 9 digits, each once, a few thousand prices."""
    chance = random.Random(seed)
    tariffs = [f"Destination {number},{chance.randrange(1, 900) / 1000},60/6" for number in range(_TARIFFS)]
    prefixes: dict[str, str] = {}
    while len(prefixes) < rows:
        length = chance.choice(_LENGTHS)
        prefixes[str(chance.randrange(10 ** (length - 1), 10**length))] = chance.choice(tariffs)
    lines = "\n".join(f"{prefix},{tariff}" for prefix, tariff in prefixes.items())
    return f"prefix,destination,rate,increments\n{lines}\n".encode()


def rates_section(rows: int, rounds: int) -> Section:
    """Time look-ups of numbers that have a price, all over the deck, by the process's own clock."""
    data = price_list(rows)
    found, reading = _timed(lambda: read(data, date(2026, 1, 1), "EUR"))
    packed, packing = _timed(found.deck.pack)
    deck, chance = unpack(packed), random.Random(2)
    known = [rate.prefix for rate in deck.rates()]
    numbers = [f"+{chance.choice(known)}{chance.randrange(10**5):05}" for _ in range(_LOOKUPS)]
    loading = median(_timed(lambda: unpack(packed))[1] for _ in range(rounds))
    looking = median(_timed(lambda: [deck.rate(number) for number in numbers])[1] for _ in range(rounds)) / _LOOKUPS
    held = sum(len(part) * part.itemsize for part in (*deck._parts(), deck._buckets))
    section = Section("rates", f"A rate deck of {len(deck):,} prefixes", ("what", "took"))
    section.rows = [
        ("one look-up, with the rate made", f"{looking / 1e3:.2f} µs"),
        ("loading the packed form", f"{loading / 1e6:.0f} ms"),
        ("packing it", f"{packing / 1e6:.0f} ms"),
        ("reading the list (keeper)", f"{reading / 1e9:.1f} s"),
        ("in memory, prices and names apart", f"{held / len(deck):.0f} bytes a row"),
        ("packed", f"{len(packed) / len(deck):.0f} bytes a row"),
    ]
    section.data = {
        "rows": len(deck),
        "lookup_us": round(looking / 1e3, 3),
        "load_ms": round(loading / 1e6, 1),
        "pack_ms": round(packing / 1e6, 1),
        "read_s": round(reading / 1e9, 2),
        "bytes_a_row": round(held / len(deck), 1),
        "packed_bytes_a_row": round(len(packed) / len(deck), 1),
    }
    return section


def _timed(work: Callable[[], T]) -> tuple[T, int]:
    began = time.process_time_ns()
    done = work()
    return done, time.process_time_ns() - began
