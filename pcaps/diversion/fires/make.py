"""A call from outside that is forwarded to Somalia; two calls handed on to satellite telephones, one held for long."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
phone = script.phone("1001", "198.51.100.20")
script.forwarded(5 * SECOND, "+49301234567", "+493022220001", "0025261123456", lasts=10 * SECOND)
script.transferred(30 * SECOND, phone, "03012345678", "00881631234501", lasts=90 * SECOND)
script.transferred(60 * SECOND, phone, "03012345679", "00881631234502", lasts=30 * SECOND)
script.dial(150 * SECOND, phone, "03012345670", lasts=5 * SECOND)
script.write(__file__)
