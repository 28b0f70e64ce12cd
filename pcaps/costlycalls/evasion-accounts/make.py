"""Three accounts with two calls each to satellite telephones, side by side; one of them rings only."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
for number in range(6):
    user = number // 2
    phone = script.phone(f"100{user}", f"198.51.100.2{user}", *([0] if number % 2 == 0 else [SECOND]))
    script.dial((5 + 2 * number) * SECOND, phone, f"008816312345{number:02d}", lasts=60 * SECOND)
script.write(__file__)
