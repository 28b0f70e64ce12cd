"""A call to Somalia that nobody dialled, then two to France."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
script.orphan(5 * SECOND, "0025261123456", lasts=10 * SECOND)
for number in range(2):
    script.orphan((30 + 20 * number) * SECOND, f"003314012345{number}", lasts=5 * SECOND)
script.write(__file__)
