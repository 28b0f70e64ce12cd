"""`sipguard rules`: as root, before the guard starts, put in place what it may not change itself (iptables-legacy)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sipguard.capture.clock import boottime
from sipguard.cli.check import EX_CONFIG, find_policy, read_policy
from sipguard.cli.output import fail, say
from sipguard.enforce.backend import chosen
from sipguard.enforce.ipsets import Ipsets
from sipguard.enforce.legacy import Legacy
from sipguard.enforce.programs import Programs
from sipguard.errors import AdapterError, PolicyError
from sipguard.rig import layout_of

EX_UNAVAILABLE = 69  # sysexits.h


def rules(
    file: Annotated[Path | None, typer.Argument(help="The policy; else where `check` looks for it.")] = None,
) -> None:
    """Install the rules of iptables-legacy, which nobody but root may change; elsewhere there is nothing to do."""
    place = find_policy() if file is None else file
    try:
        layout = layout_of(read_policy(place))
    except PolicyError as error:
        fail(EX_CONFIG, str(error))
    try:
        if chosen(layout) != "iptables" or not Programs().legacy():
            say("nothing to do: the guard installs its rules itself here")
            return
        made = Ipsets(layout, boottime, Legacy())
        try:
            made.lay()
        finally:
            made.close()
    except AdapterError as error:
        fail(EX_UNAVAILABLE, str(error))
    say("the rules of iptables-legacy are in place; the guard fills their sets")
