"""The schema for editors and the reference say what the program does; `regenerate.py` writes both."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from sipguard.policy import units
from sipguard.policy.jsonschema import json_schema
from sipguard.policy.reference import reference
from sipguard.policy.tree import policy_tree
from tests.policy.regenerate import REFERENCE, SCHEMA, schema_text


def test_the_schema_beside_the_policy_is_this_program_s() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), "run tests/policy/regenerate.py"


def test_the_reference_is_this_program_s() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == reference(), "run tests/policy/regenerate.py"


def test_the_reference_has_every_setting() -> None:
    text = reference()
    for entry in policy_tree().walk():
        if entry.table is None:
            assert f"| `{entry.key}` |" in text
        elif any(inner.table is None for inner in entry.table.entries):
            assert f"[{'.'.join(entry.path)}]" in text


def nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from nodes(inner)
    if "items" in schema:
        yield from nodes(schema["items"])


def test_the_schema_admits_no_unknown_key_and_needs_no_reference() -> None:
    tables = [node for node in nodes(json_schema()) if node.get("type") == "object"]
    assert len(tables) > 10
    assert all(table["additionalProperties"] is False for table in tables)
    assert "$ref" not in json.dumps(json_schema())


def test_the_schema_describes_every_setting_and_its_default() -> None:
    for entry in policy_tree().walk():
        node = json_schema()
        for key in entry.path:
            node = node.get("items", node)["properties"][key]
        assert node["description"] == entry.text
        if entry.table is None:
            assert node.get("default") == entry.default


@pytest.mark.parametrize("text", ["10m", "1h30m", "500ms", "1d2h3m4s5ms"])
def test_the_schema_s_durations_are_the_reader_s(text: str) -> None:
    pattern = json_schema()["properties"]["ban"]["properties"]["first"]["pattern"]
    assert re.search(pattern, text)
    assert not re.search(pattern, text.upper())
    assert not re.search(pattern, "")


@pytest.mark.parametrize(
    "text",
    ["192.0.2.0/24", "192.0.2.7", "2001:db8::/32", "::1", "::ffff:192.0.2.1", "a.example", "_sip._udp.a.b", "A.b."],
)
def test_the_schema_s_places_take_in_the_reader_s(text: str) -> None:
    units.parse_place(text)
    pattern = json_schema()["properties"]["allowed"]["items"]["pattern"]
    assert re.search(pattern, text)
    assert not re.search(pattern, f"{text} ")
