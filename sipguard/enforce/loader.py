"""Loads our skeleton by `nft -f -`, and removes our table and whatever else we put into the packet filter.

Elements of running sets do not go this way: see `netlink.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from sipguard.enforce.skeleton import removal

Runner: TypeAlias = Callable[[str], None]
"""Loads a text, all of it or nothing; raises AdapterError with the reason."""


def open_all(run: Runner) -> None:
    """Remove our table, and with it every ban and rule of ours; nothing is wrong when there is none."""
    run(removal())
