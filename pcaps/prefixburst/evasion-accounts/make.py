"""Four accounts that each call Lithuania twice, one call after the other."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
for number in range(4):
    phone = script.phone(f"100{number}", f"198.51.100.2{number}")
    for again in range(2):
        at = (5 + 20 * number + 10 * again) * SECOND
        script.dial(at, phone, f"00370612345{again}{number}", lasts=5 * SECOND)
script.write(__file__)
