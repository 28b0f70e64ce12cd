"""A story in which one detector alone listens, so that a test speaks of it and of nothing else."""

from __future__ import annotations

import dataclasses
from typing import Any

from sipguard.detect import catalogue
from sipguard.model import Finding
from sipguard.policy.schema import Policy, Trunk
from tests.engine.story import PBX, Sent, Story


def only(name: str, trunks: tuple[Trunk, ...] = (), **settings: Any) -> Story:
    """Begin a story with one detector, and these settings of it."""
    config = catalogue.Config()
    for field in dataclasses.fields(config):
        table = getattr(config, field.name)
        changed = (
            dataclasses.replace(table, **settings) if field.name == name else dataclasses.replace(table, enabled=False)
        )
        config = dataclasses.replace(config, **{field.name: changed})
    return Story(Policy(detect=config, trunks=trunks))


def invite(story: Story, source: str, number: str = "1001", **more: Any) -> Sent:
    """Let a call to a number arrive."""
    return story.ask(source, method="INVITE", uri=f"sip:{number}@{PBX}", **more)


def kinds(story: Story) -> list[tuple[str, bool]]:
    """List the findings by identifier and proof."""
    return [(each.identifier, each.proven) for each in story.findings()]


def last(story: Story) -> Finding:
    """Give the last finding."""
    return story.findings()[-1]
