"""Secrets in files, or given by systemd (systemd.exec(5), LoadCredential=): read when they are needed, never shown."""

from __future__ import annotations

from pathlib import Path

from sipguard.errors import AdapterError

_MOST = 4096
CREDENTIAL = "credential:"
"""What stands before the name of a credential of systemd's."""


class Secret:
    """Where a secret is. `place` is a path, or "credential:" and a name; `directory` is `$CREDENTIALS_DIRECTORY`."""

    __slots__ = ("_path", "_place")

    def __init__(self, place: str, directory: str = "") -> None:
        self._place = place
        name = place.removeprefix(CREDENTIAL)
        self._path = Path(place) if name == place else Path(directory) / name if directory else None

    def read(self) -> str:
        """Give its first line. Raises AdapterError where there is none, without a word of what is in it."""
        if self._path is None:
            raise AdapterError("secret", f"{self._place}: systemd has given no credentials ($CREDENTIALS_DIRECTORY)")
        try:
            with self._path.open("rb") as file:
                text = file.read(_MOST + 1).decode()
        except OSError as error:
            raise AdapterError("secret", f"{self._place}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise AdapterError("secret", f"{self._place}: is no text") from None
        line = text.partition("\n")[0].rstrip("\r")
        if not line or len(text) > _MOST or not line.isprintable():
            raise AdapterError("secret", f"{self._place}: its first line is empty, not printable, or too long")
        return line
