"""Six calls to a toll-free number, each by another caller of one block of numbers."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
for number in range(6):
    script.comes((5 + 10 * number) * SECOND, f"+493099{number}9{number}", "+498001234567", lasts=SECOND)
script.write(__file__)
