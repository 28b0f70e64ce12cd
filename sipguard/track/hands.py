"""What the tracking of calls asks those who know registrations, trunks, numbers and prices. No state of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sipguard.address import Address
from sipguard.call import Call, Called
from sipguard.model import Account, Instant
from sipguard.track.callbook import Price
from sipguard.track.hints import plain_called
from sipguard.track.transfer import Credential, Read


class Sent(Protocol):
    """Says what a URI means that an address is sent; `phone`: a device of ours is called there."""

    def __call__(self, uri: bytes, far: Address, *, phone: bool) -> Called: ...  # noqa: D102 - see above


class Hands:
    """What `Calls` asks others; none of these may have an effect.

    `device`: is a device registered at an address, or is it the PBX's own? `phone`: does a call to a URI at an address
    stay in the house? `trunk`: the name of the listed trunk there,
    None for none. `credential`: whose credential does the PBX judge? `stands`: is an account registered from there?
    `wake`: there is something to do at that instant. `read`: what does a URI mean that an address sends? `sent`: and
    that it is sent? `price`: what does a call cost?
    `media`: was media of a call seen lately? `called`: which registered account does a URI at an address call? `named`:
    which registered account has a name?
    """

    __slots__ = (
        "called",
        "credential",
        "device",
        "media",
        "named",
        "phone",
        "price",
        "read",
        "sent",
        "stands",
        "trunk",
        "wake",
    )

    def __init__(
        self,
        device: Callable[[Address], bool],
        trunk: Callable[[Address], str | None],
        credential: Credential,
        stands: Callable[[Address, Account], bool],
        wake: Callable[[Instant], None],
        read: Read = plain_called,
        price: Price | None = None,
        media: Callable[[Call], bool] | None = None,
        called: Callable[[Address, bytes], Account | None] = lambda _, __: None,
        named: Callable[[str], Account | None] = lambda _: None,
    ) -> None:
        self.called = called
        self.named = named
        self.device = device
        self.trunk = trunk
        self.credential = credential
        self.stands = stands
        self.wake = wake
        self.read = read
        self.sent = read
        self.phone: Callable[[Address, bytes], bool] = lambda address, _: device(address)
        self.price = price
        self.media = media
