"""The JSON Schema of a policy, for editors; made from the same tree that reads it.

Written without references and in words common to drafts 4 to 2020-12, because editors' TOML support stops at different
drafts. Looser than the reader where a pattern cannot say it (ranges of durations, settings that must go together).
"""

from __future__ import annotations

from typing import Any

from sipguard.policy.adapter import policy_adapter

_TITLE = "sipguard policy"


def json_schema() -> dict[str, Any]:
    """Give the schema as plain JSON data, always in the same order."""
    schema = policy_adapter().json_schema(by_alias=True)
    definitions = schema.pop("$defs", {})
    whole: dict[str, Any] = _plain(schema, definitions)
    whole.pop("title", None)
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": _TITLE, **whole}


def _plain(part: Any, definitions: dict[str, Any]) -> Any:
    """Put each definition where it is meant, and leave out the titles that pydantic makes up."""
    if isinstance(part, list):
        return [_plain(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    reference = part.get("$ref")
    if reference is not None:
        meant = definitions[reference.rpartition("/")[2]]
        part = {**meant, **{key: value for key, value in part.items() if key != "$ref"}}
    return {
        key: {name: _plain(value, definitions) for name, value in inner.items()}
        if key == "properties"
        else _plain(inner, definitions)
        for key, inner in part.items()
        if key != "title"
    }
