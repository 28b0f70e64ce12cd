"""As `one-old-password`, with a guesser behind the same address."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crowd import HOUR, MINUTE, SECOND, Crowd, Device

OFFICE = "198.51.100.20"

made = Crowd()
phones = [Device(made, OFFICE, 10_000 + number, str(2000 + number)) for number in range(50)]
for start in range(0, HOUR, 10 * MINUTE):
    for number, phone in enumerate(phones[1:]):
        phone.register(start + number * SECOND)
for at in range(2 * MINUTE, HOUR, 30 * SECOND):
    phones[0].register(at + SECOND // 2, good=False)
for number in range(200):
    guesser = Device(made, OFFICE, 20_000 + number, str(2001 + number % 60), agent="knocker")
    guesser.register(20 * MINUTE + number * 7 * SECOND + SECOND // 3, good=False)
made.write(__file__)
