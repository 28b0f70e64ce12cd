"""Write `conf/policy.schema.json` and `docs/policy.md` anew from the settings as the program has them."""

from __future__ import annotations

import json
from pathlib import Path

from sipguard.policy.jsonschema import json_schema
from sipguard.policy.reference import reference

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "conf" / "policy.schema.json"
REFERENCE = ROOT / "docs" / "policy.md"


def schema_text() -> str:
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    REFERENCE.write_text(reference(), encoding="utf-8")
