"""The policy's file as text. Raises `PolicyError` alone; what the text means is not read here."""

from __future__ import annotations

from pathlib import Path

from sipguard.errors import PolicyError, Problem

POLICY_BYTES = 1024 * 1024


def read_policy(path: Path) -> str:
    """Read a policy's text. Raises PolicyError when the file cannot be read, is no text or is far too large."""
    try:
        with path.open("rb") as file:
            data = file.read(POLICY_BYTES + 1)
        if len(data) > POLICY_BYTES:
            raise PolicyError([Problem("", 0, f"{path} is larger than 1 MiB")])
        return data.decode()
    except OSError as error:
        raise PolicyError([Problem("", 0, f"{path} cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise PolicyError([Problem("", 0, f"{path} is not UTF-8")]) from error
