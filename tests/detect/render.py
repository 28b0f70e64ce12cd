"""The page of a detector, made from its docstring: what is told to operators is what stands beside the code."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

from sipguard.detect import catalogue

PAGES = Path(__file__).resolve().parents[2] / "docs" / "detectors"
SECTIONS = ("What it sees", "Why it matters", "Known false alarms", "Ways around it", "Options", "References")


def names() -> list[str]:
    """List the detectors, as their tables in the policy are called."""
    return [field.name for field in dataclasses.fields(catalogue.Config)]


def module_of(name: str) -> ModuleType:
    """Give the module of a detector."""
    return importlib.import_module(f"sipguard.detect.{name}")


def options(name: str) -> list[str]:
    """List the settings of a detector."""
    return [field.name for field in dataclasses.fields(module_of(name).Config)]


def sections(name: str) -> dict[str, str]:
    """Give the docstring's sections by title, each as one paragraph."""
    text = inspect.getdoc(module_of(name)) or ""
    found: dict[str, str] = {}
    for block in re.split(r"\n(?=\S)", text)[1:]:
        title, _, body = block.partition("\n")
        found[title.strip()] = " ".join(line.strip() for line in body.splitlines()).strip()
    return found


def page(name: str) -> str:
    """Write the page."""
    text = inspect.getdoc(module_of(name)) or ""
    lines = [f"# {name}", "", text.splitlines()[0], ""]
    config = module_of(name).Config
    for title, body in sections(name).items():
        lines += [f"## {title}", ""]
        if title == "Options":
            lines += [f"In `[detect.{name}]`:", "", "| key | default | what it is |", "|---|---|---|"]
            lines += [_row(config, field) for field in dataclasses.fields(config)]
        else:
            lines.append(body)
        lines.append("")
    return "\n".join(lines)


def _row(config: type, field: dataclasses.Field[object]) -> str:
    hint = inspect.get_annotations(config, eval_str=True)[field.name]
    said = [mark.text for mark in getattr(hint, "__metadata__", ()) if hasattr(mark, "text")]
    default = getattr(config(), field.name)
    spans = any(type(mark).__name__ == "DurationBetween" for mark in getattr(hint, "__metadata__", ()))
    money = any(type(mark).__name__ == "Amount" for mark in getattr(hint, "__metadata__", ()))
    shown = _duration(default) if spans and isinstance(default, int) else _money(default) if money else str(default)
    return f"| `{field.name}` | {shown} | {said[0] if said else ''} |"


def _duration(span: int) -> str:
    for letter, length in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        if span % (length * 1_000_000_000) == 0:
            return f"{span // (length * 1_000_000_000)}{letter}"
    return f"{span // 1_000_000}ms"


def _money(micros: object) -> str:
    return f"{micros / 1_000_000:g}" if isinstance(micros, int) and micros else "none"


if __name__ == "__main__":
    PAGES.mkdir(parents=True, exist_ok=True)
    for stale in PAGES.glob("*.md"):
        stale.unlink()
    for each in names():
        (PAGES / f"{each}.md").write_text(page(each), encoding="utf-8")
