"""Runs the system's own programs: never a shell, never without a time limit. A complaint becomes AdapterError."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time

from sipguard.errors import AdapterError

_PATIENCE_SECONDS = 20.0
_SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_LONGEST_COMPLAINT = 600  # characters: nft repeats the line it dislikes
_DYING_SECONDS = 0.2
_MOST_SAID = 1 << 20  # octets of a program that runs beside us


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
    command = _found(name)
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


class Beside:
    """A program of the system's that runs beside us: it is looked at, never waited for."""

    def __init__(self, name: str, *arguments: str) -> None:
        """Begin it. Raises AdapterError where it cannot be run."""
        self._name = name
        self._until = time.monotonic() + _PATIENCE_SECONDS
        self._said = -1
        try:
            self._said = os.memfd_create(name)
            self._child = subprocess.Popen(  # noqa: S603 - a fixed argument list, no shell
                [_found(name), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=subprocess.DEVNULL,
            )
        except (AdapterError, AttributeError, OSError) as error:  # a C library of before 2.27 has no memfd_create
            if self._said >= 0:
                os.close(self._said)
            raise AdapterError(name, f"cannot be run: {error}") from error

    def ended(self) -> str | None:
        """Give what it said, once it has ended, and only once; None before.

        Raises AdapterError where it has failed, has said more than a MiB, or was ended as it took too long: then it is
        over as well.
        """
        code = self._child.poll()
        if code is None and time.monotonic() < self._until:
            return None
        said = os.pread(self._said, _MOST_SAID + 1, 0) if code == 0 else b""
        self.close()
        if code is None:
            raise AdapterError(self._name, f"no answer within {_PATIENCE_SECONDS:.0f} s")
        if code or len(said) > _MOST_SAID:
            raise AdapterError(self._name, f"exit {code}, {len(said):,} octets")
        return said.decode("utf-8", "replace")

    def close(self) -> None:
        """End it, if it runs; one that does not die at once is left to itself."""
        if self._said < 0:
            return
        os.close(self._said)
        self._said = -1
        if self._child.poll() is None:
            self._child.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # `subprocess` buries it before its next start
                self._child.wait(_DYING_SECONDS)


def _found(name: str) -> str:
    command = shutil.which(name) or shutil.which(name, path=_SYSTEM_PATH)
    if command is None:
        raise AdapterError(name, f"the program {name} is not installed")
    return command
