"""A ring from Somalia, its number written as if dialled from abroad; called back by its plain form."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
phone = script.phone("1001", "198.51.100.20")
script.comes(5 * SECOND, "0025261123456", "+4930555000", gives_up=3 * SECOND)
script.dial(60 * SECOND, phone, "+25261123456", lasts=30 * SECOND)
script.write(__file__)
