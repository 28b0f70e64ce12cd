"""Account 101 is guessed at from 200 addresses and written into From by strangers; its owner calls."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crowd import HOUR, MINUTE, PBX, SECOND, Crowd, Device

OWNER = "198.51.100.20"

made = Crowd()
owner = Device(made, OWNER, 5062, "101")
for start in range(0, HOUR, 5 * MINUTE):
    owner.register(start)
    owner.call(start + 20 * SECOND, "102")
for number in range(200):
    guesser = Device(made, f"198.18.{number}.66", 5060, "101", agent="knocker")
    for guess in range(3):
        guesser.register((number * 15 + guess) * SECOND + MINUTE + 777, good=False)
    liar = Device(made, f"198.19.{number}.66", 5060, "100", agent="caller")
    at = (number * 15 + 7) * SECOND + MINUTE
    liar.ask(at, "INVITE", f"sip:102@{PBX}", "102", "407 Proxy Authentication Required", claimed="101")
made.write(__file__)
