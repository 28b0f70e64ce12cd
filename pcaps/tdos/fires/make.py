"""Ten calls within 45 s to one number, from ten callers, over a trunk."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crowd import PBX, SECOND, Crowd, Device

made = Crowd()
for number in range(10):
    trunk = Device(made, "198.51.100.2", 5060, f"49301{number:05d}", agent="carrier", count=100 * number)
    at = number * 5 * SECOND
    trunk.ask(at, "INVITE", f"sip:4930555000@{PBX}", "4930555000", "480 Temporarily Unavailable")
    trunk.ask(at + SECOND // 4, "INVITE", f"sip:4930555000@{PBX}", "4930555000", again=True)
made.write(__file__)
