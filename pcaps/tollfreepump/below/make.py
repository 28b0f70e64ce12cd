"""Five calls to a toll-free number by one caller, and eight to another by eight callers from everywhere."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
for number in range(5):
    script.comes((5 + 10 * number) * SECOND, "+49309999990", "+498001234567", lasts=SECOND)
for number in range(8):
    script.comes((60 + 5 * number) * SECOND, f"+4930{number}5{number}99990", "+498007654321", lasts=SECOND)
script.write(__file__)
