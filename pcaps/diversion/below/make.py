"""Two calls forwarded to France, two calls handed on at home, and one to a satellite telephone, for half a minute."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
phone = script.phone("1001", "198.51.100.20")
for number in range(2):
    script.forwarded(
        (5 + 12 * number) * SECOND, "+49301234567", "+493022220001", f"003314012345{number}", lasts=8 * SECOND
    )
script.transferred(40 * SECOND, phone, "03012345678", "00881631234501", lasts=30 * SECOND)
for number in range(2):
    script.transferred((120 + 60 * number) * SECOND, phone, "03012345679", f"0301111111{number}", lasts=10 * SECOND)
script.write(__file__)
