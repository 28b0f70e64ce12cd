"""Somebody whom an account has called asks twice for the call to be handed on to satellite telephones."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
phone = script.phone("1001", "198.51.100.20")
for number in range(2):
    at = (5 + 60 * number) * SECOND
    script.transferred(at, phone, "03012345678", f"0088163123450{number}", lasts=20 * SECOND, by_carrier=True)
script.write(__file__)
