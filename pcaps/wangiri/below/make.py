"""Two short calls from Somalia, one from home that is called back, and one from France that rings for 20 s and is."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
phone = script.phone("1001", "198.51.100.20")
for number in range(2):
    script.comes((5 + 10 * number) * SECOND, f"+2526112345{number}", "+4930555000")
script.comes(30 * SECOND, "+493012345678", "+4930555000")
script.comes(40 * SECOND, "+33140123456", "+4930555000", gives_up=20 * SECOND)
script.dial(80 * SECOND, phone, "03012345678", lasts=5 * SECOND)
script.dial(100 * SECOND, phone, "0033140123456", lasts=5 * SECOND)
script.write(__file__)
