"""Who had a call sent elsewhere: REFER (RFC 3515), with Replaces (RFC 3891) or without, and 3xx. Only what was obeyed.

A REFER counts when the PBX accepts it. What it then dials is the doing of whoever sent the REFER, in whose name the
PBX accepted it: the account of his own leg, or of the credential in the REFER where the PBX asked for one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from sipguard.address import Address, sender_key
from sipguard.call import Called, CallOrigin
from sipguard.intake import Heard
from sipguard.model import Account, Instant
from sipguard.sip.message import SipRequest, SipResponse
from sipguard.table import Table
from sipguard.track.hints import Replaced, printable, refer_to
from sipguard.track.leg import Leg, LegState, Running
from sipguard.track.legs import Legs
from sipguard.track.origin import Expected, Origins
from sipguard.track.transaction import Key, key_of

Read: TypeAlias = Callable[[bytes, Address], Called]
Credential: TypeAlias = Callable[[Instant, Heard, SipRequest], tuple[Account, bool]]
_MOST = 1_000
_FAILED = LegState.FAILED


class Wish:
    """A REFER that waits for its answer."""

    __slots__ = ("account", "called", "caller", "leg", "replaced")

    def __init__(self, called: Called, replaced: Replaced | None, leg: Leg | None) -> None:
        self.called = called
        self.replaced = replaced
        self.leg = leg
        self.account: Account | None = None
        self.caller = ""


class Transfers:
    """The REFERs that wait, and what follows from those that were accepted."""

    __slots__ = ("_called", "_challenged", "_legs", "_origins", "_waiting")

    def __init__(self, legs: Legs, origins: Origins, called: Callable[[Address, bytes], Account | None]) -> None:
        self._called = called
        self._legs = legs
        self._origins = origins
        self._waiting: Table[Key, Wish] = Table(_MOST, _MOST // 8)
        self._challenged: Table[tuple[bytes, bytes], None] = Table(_MOST, _MOST // 8)  # who was asked for a credential

    def asked(
        self, at: Instant, heard: Heard, request: SipRequest, leg: Leg | None, read: Read, credential: Credential
    ) -> None:
        """Take a REFER from outside, on `leg` where it belongs to one."""
        uri, replaced = refer_to(request)
        if not uri:
            return
        wish = Wish(read(uri, heard.source), replaced, leg)
        wish.caller = printable(request.from_user)
        if request.credentials and (sender_key(heard.source), request.call_id[:64]) in self._challenged:
            wish.account = credential(at, heard, request)[0]
        elif leg is not None:
            wish.account = self._called(leg.far, leg.uri) if leg.outgoing else leg.account
        self._waiting.renew(key_of(heard.source, request), wish, heard.source)

    def answered(self, heard: Heard, response: SipResponse) -> Wish | None:
        """Give the REFER that the PBX accepts by this answer."""
        if response.code < 200:
            return None
        wish = self._waiting.pop(key_of(heard.target, response))
        if wish is None:
            return None
        if response.code in (401, 407):
            self._challenged.renew((sender_key(heard.target), response.call_id[:64]), None, heard.target)
        return wish if response.code < 300 else None

    def accepted(self, at: Instant, heard: Heard, wish: Wish) -> Running | None:
        """Expect the call that an accepted REFER makes; gives the one that an attended transfer hands on."""
        running = self._replaced(heard, wish)
        if running is not None:
            _handed_on(running)
            if wish.leg is not None and wish.leg.led is not None:
                _handed_on(wish.leg.led)
            return running
        expected = Expected(at, wish.called, CallOrigin.TRANSFERRED, heard.target, wish.caller)
        expected.account = wish.account
        self._origins.expected.append(expected)
        return None

    def _replaced(self, heard: Heard, wish: Wish) -> Running | None:
        """Find the running call behind the dialog that is to be replaced: one of the same phone, or account."""
        if wish.replaced is None:
            return None
        other = self._legs.tagged(wish.replaced.call_id, wish.replaced.to_tag, wish.replaced.from_tag)
        if other is None or other.state >= _FAILED:
            return None
        own = sender_key(other.far) == sender_key(heard.target)
        if not own and (wish.account is None or other.account != wish.account):
            return None
        running = other.led
        return running if running is not None and not running.call.ended else None

    def diverted(self, at: Instant, leg: Leg, called: Called) -> None:
        """Expect the call that a 3xx makes: of the same origin where a carrier says it, else a phone's forward."""
        expected = Expected(at, called, CallOrigin.FORWARDED, leg.far, printable(leg.called.dialled.encode()))
        running = leg.running
        if running is not None and leg.outgoing:
            call = running.call
            expected.inside = running.inside  # a call to another number is another call, of the same origin
            expected.origin, expected.account, expected.caller = call.origin, call.account, call.caller
            expected.source = call.source or leg.far
        elif leg.outgoing:
            expected.account = self._called(leg.far, leg.uri)
        self._origins.expected.append(expected)


def _handed_on(running: Running) -> None:
    """Take a call from whoever handed it on: he hangs up, and who talks now, the PBX alone knows."""
    running.call.origin = CallOrigin.TRANSFERRED
    if running.inside is not None and running.inside.led is running:
        running.inside.led = None
    running.inside = None
