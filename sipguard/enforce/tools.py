"""Runs the system's own programs: never a shell, never without a time limit. A complaint becomes AdapterError."""

from __future__ import annotations

import shutil
import subprocess

from sipguard.errors import AdapterError

_PATIENCE_SECONDS = 20.0
_SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_LONGEST_COMPLAINT = 600  # characters: nft repeats the line it dislikes


def run_nft(text: str) -> None:
    """Load a text by `nft -f -`, in one transaction. Raises AdapterError with nft's own words."""
    run_tool("nft", "-f", "-", text=text)


def nft_takes(text: str) -> bool:
    """Tell whether nft and this kernel would load a text; nothing is changed."""
    try:
        run_tool("nft", "-c", "-f", "-", text=text)
    except AdapterError:
        return False
    return True


def run_tool(name: str, *arguments: str, text: str = "") -> str:
    """Run a program of the system's with a text to read; gives what it says. Raises AdapterError with its complaint."""
    command = shutil.which(name) or shutil.which(name, path=_SYSTEM_PATH)
    if command is None:
        raise AdapterError(name, f"the program {name} is not installed")
    try:
        done = subprocess.run(  # noqa: S603 - a fixed argument list, no shell; the text is ours
            [command, *arguments],
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AdapterError(name, f"no answer within {_PATIENCE_SECONDS:.0f} s") from error
    except OSError as error:
        raise AdapterError(name, f"cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        raise AdapterError(name, " ".join(done.stderr.split())[:_LONGEST_COMPLAINT] or f"exit {done.returncode}")
    return done.stdout
