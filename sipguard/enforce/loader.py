"""Runs `nft -f -`: our skeleton is loaded, our table is removed. Never a shell, never without a time limit.

Elements of running sets do not go this way: see `netlink.py`.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from typing import TypeAlias

from sipguard.enforce.skeleton import removal
from sipguard.errors import AdapterError

Runner: TypeAlias = Callable[[str], None]
"""Loads a text, all of it or nothing; raises AdapterError with the reason."""

_PATIENCE_SECONDS = 20.0
_SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_LONGEST_COMPLAINT = 600  # characters: nft repeats the line it dislikes


def run_nft(text: str) -> None:
    """Load a text by `nft -f -`, in one transaction. Raises AdapterError with nft's own words."""
    command = shutil.which("nft") or shutil.which("nft", path=_SYSTEM_PATH)
    if command is None:
        raise AdapterError("nft", "the program nft is not installed (package nftables)")
    try:
        done = subprocess.run(  # noqa: S603 - a fixed argument list, no shell; the text is ours
            [command, "-f", "-"],
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AdapterError("nft", f"no answer within {_PATIENCE_SECONDS:.0f} s") from error
    except OSError as error:
        raise AdapterError("nft", f"cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        raise AdapterError("nft", " ".join(done.stderr.split())[:_LONGEST_COMPLAINT] or f"exit {done.returncode}")


def open_all(run: Runner) -> None:
    """Remove our table, and with it every ban and rule of ours; nothing is wrong when there is none."""
    run(removal())
