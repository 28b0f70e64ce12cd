"""Six calls to a toll-free number by two callers, five of them held for a second."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
for number in range(6):
    lasts = SECOND if number else 20 * SECOND
    script.comes((5 + 10 * number) * SECOND, f"+4930999999{number % 2}", "+498001234567", lasts=lasts)
script.write(__file__)
