"""What happened, in the past tense: what `track` says to `detect`. The second half of `model.py`, by the same rules.

Events are made on the packet path, so they are plain slotted classes; nobody writes to one that was made.
"""

from __future__ import annotations

from sipguard.address import Address
from sipguard.model import Account, Excuse, Instant, Transport


class Event:
    """Something that happened, in the past tense. `source` is the far side's address, never the PBX's own."""

    __slots__ = ("at", "source")

    def __init__(self, at: Instant, source: Address) -> None:
        self.at = at
        self.source = source


class AuthFailed(Event):
    """The PBX rejected a credential.

    `proven`: the sender was shown to hold the address it sent from. `registered`: the account stands registered from
    there. `same_key`: another credential had been tried under the same transaction key.
    """

    __slots__ = ("account", "code", "excuse", "method", "port", "proven", "registered", "same_key", "transport")

    def __init__(
        self,
        at: Instant,
        source: Address,
        port: int,
        transport: Transport,
        account: Account,
        method: str,
        code: int,
        excuse: Excuse,
        *,
        proven: bool,
        registered: bool,
        same_key: bool,
    ) -> None:
        self.at = at
        self.source = source
        self.port = port
        self.transport = transport
        self.account = account
        self.method = method
        self.code = code
        self.excuse = excuse
        self.proven = proven
        self.registered = registered
        self.same_key = same_key


class AuthSucceeded(Event):
    """The PBX accepted a credential (a 2xx, or for other methods anything that is no challenge)."""

    __slots__ = ("account", "method", "port", "proven", "transport")

    def __init__(
        self,
        at: Instant,
        source: Address,
        port: int,
        transport: Transport,
        account: Account,
        method: str,
        *,
        proven: bool,
    ) -> None:
        self.at = at
        self.source = source
        self.port = port
        self.transport = transport
        self.account = account
        self.method = method
        self.proven = proven


class Registered(Event):
    """An authenticated REGISTER put a contact in place until `until`. `proven`: its sender holds the address."""

    __slots__ = ("account", "contact", "proven", "until")

    def __init__(
        self, at: Instant, source: Address, account: Account, contact: bytes, until: Instant, *, proven: bool
    ) -> None:
        self.at = at
        self.source = source
        self.account = account
        self.contact = contact
        self.until = until
        self.proven = proven


class Unregistered(Event):
    """A registration was taken back, or ran out."""

    __slots__ = ("account",)

    def __init__(self, at: Instant, source: Address, account: Account) -> None:
        self.at = at
        self.source = source
        self.account = account
