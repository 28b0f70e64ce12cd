"""The tree of settings as a pydantic adapter: the only module of the project that imports pydantic.

Pydantic walks the tables, collects every error instead of the first, and writes the JSON Schema; each single value is
read by its `Leaf`. Built once, when a policy is first read, because the import alone costs a tenth of a second.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    create_model,
)

from sipguard.constraint import Count
from sipguard.policy.checks import TABLE_CHECKS
from sipguard.policy.complaint import Complaint
from sipguard.policy.hints import UNKNOWN, wrong_shape
from sipguard.policy.schema import Policy
from sipguard.policy.tree import Entry, Table, policy_tree
from sipguard.policy.units import UnfitError


def read_document(document: dict[str, Any]) -> tuple[Policy | None, list[Complaint]]:
    """Make a policy of a parsed TOML document, or say everything that is wrong with its keys and values."""
    try:
        return policy_adapter().validate_python(document), []
    except ValidationError as error:
        return None, [_complaint(dict(found)) for found in error.errors(include_url=False)]


def _complaint(found: dict[str, Any]) -> Complaint:
    path: tuple[str | int, ...] = found["loc"]
    if found["type"] == "value_error":
        unfit = found["ctx"]["error"]
        return Complaint((*path, *unfit.at), unfit.what, unfit.hint)
    if found["type"] == "extra_forbidden":
        return Complaint(path, UNKNOWN)
    if found["type"] == "missing":
        return Complaint(path, "is missing")
    return wrong_shape(path, found["input"])


@cache
def policy_adapter() -> TypeAdapter[Policy]:
    """Give the adapter from a parsed TOML document to a `Policy`."""
    return TypeAdapter(_table_type(policy_tree()))


def _table_type(table: Table) -> Any:
    fields: dict[str, Any] = {f"key_{entry.key}": (_entry_type(entry), _field(entry)) for entry in table.entries}
    name = "_".join(table.path) or "policy"
    model = create_model(name, __config__=ConfigDict(extra="forbid", title=name.replace("_", ".")), **fields)
    return Annotated[model, AfterValidator(partial(_build, table))]


def _field(entry: Entry) -> Any:
    """Describe a key. Its default stands in the schema only: an absent key is left to the dataclass."""
    extra: dict[str, Any] = {} if entry.table is not None or entry.default is None else {"default": entry.default}
    if entry.count is not None:
        extra |= {"minItems": entry.count.least, "maxItems": entry.count.most, "uniqueItems": True}
    if entry.default is None:
        return Field(alias=entry.key, description=entry.text, json_schema_extra=extra)
    return Field(default_factory=lambda: None, alias=entry.key, description=entry.text, json_schema_extra=extra)


def _entry_type(entry: Entry) -> Any:
    item: Any
    if entry.table is not None:
        item = _table_type(entry.table)
    elif entry.leaf is not None:
        item = Annotated[Any, PlainValidator(entry.leaf.read), WithJsonSchema(entry.leaf.schema)]
    else:
        raise TypeError(f"{'.'.join(entry.path)} is neither a value nor a table")
    if entry.count is None:
        return item
    return Annotated[list[item], AfterValidator(partial(_counted, entry.count))]


def _counted(count: Count, items: list[Any]) -> tuple[Any, ...]:
    if len(items) < count.least:
        raise UnfitError("is empty" if not items else f"has fewer than {count.least} items")
    if len(items) > count.most:
        raise UnfitError(f"has more than {count.most} items")
    return tuple(items)


def _build(table: Table, model: BaseModel) -> object:
    """Make the dataclass of a table whose every value is good, and see that they go together."""
    values = {name.removeprefix("key_"): getattr(model, name) for name in model.model_fields_set}
    built = table.build(values)
    check = TABLE_CHECKS.get(table.made)
    if check is not None:
        check(built)
    return built
