"""Three calls from Somalia that ring for a second, and a phone that calls one of them back."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
phone = script.phone("1001", "198.51.100.20")
for number in range(3):
    script.comes((5 + 10 * number) * SECOND, f"+2526112345{number}", "+4930555000")
script.dial(60 * SECOND, phone, "002526112345" + "1", lasts=30 * SECOND)
script.write(__file__)
