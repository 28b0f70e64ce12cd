"""A call to Somalia that nobody dialled, with the number of a registered phone in its From."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
script.phone("1001", "198.51.100.20")
script.orphan(5 * SECOND, "0025261123456", lasts=10 * SECOND, caller="1001")
script.write(__file__)
