"""Messages to events. All that is remembered of the protocol hangs here; what it means is said elsewhere.

The common message costs a few look-ups and leaves nothing behind: state is made by challenges, by credentials, and by
the answers to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sipguard.address import Address, Network
from sipguard.call import Called
from sipguard.event import AuthFailed, AuthSucceeded, Event, Standing
from sipguard.intake import Heard, Passage
from sipguard.lesson import Notes
from sipguard.model import HOUR, Account, Excuse, Flow, Instant, Span, Trust
from sipguard.sip.digest import Challenge, Credentials
from sipguard.sip.fault import KEEPALIVE
from sipguard.sip.message import MAX_CREDENTIALS, SipMessage, SipRequest, SipResponse, Unparsable
from sipguard.track.asking import Asking
from sipguard.track.callbook import Price
from sipguard.track.calls import METHODS, Calls
from sipguard.track.hands import Hands, Sent
from sipguard.track.hints import plain_called
from sipguard.track.limits import Config
from sipguard.track.nonce import Nonces
from sipguard.track.passage import Passages
from sipguard.track.proof import Proofs
from sipguard.track.registration import Registrations
from sipguard.track.sides import Side, Sides
from sipguard.track.transaction import Attempt, Key, Transactions, account_of, fingerprint, key_of
from sipguard.track.transfer import Read

_NOTHING: tuple[Event, ...] = ()
_CHALLENGES = frozenset({401, 407})
_PASSING = frozenset({"ACK", "BYE", "CANCEL", "PRACK"})
_DIALOGS = frozenset({"INVITE", "SUBSCRIBE", "REFER", "UPDATE"})  # what is let in begins a dialog, or keeps it alive
_TELLING = _DIALOGS | {"NOTIFY"}
_WITHIN_DIALOGS = frozenset({"BYE", "PRACK", "UPDATE", "INFO", "CANCEL", "ACK"})
_PBX, _FAR, _NOBODY = Side.PBX, Side.FAR, Side.NOBODY  # bound once: look-ups of members are slow in Python 3.11
_DEFAULT_EXPIRES = 3600
"""Seconds; RFC 3261 section 10.2 suggests an hour where neither side says."""
_AGENT = 64
UNSURE: Span = HOUR
"""RFC 4028 section 4: sessions are refreshed each half hour, where they are refreshed."""


class Tracker:
    """The protocol's memory. `hear` takes messages in the order of their time; events come out in that order too."""

    __slots__ = (
        "_asking",
        "_began",
        "_means",
        "_passages",
        "_proofs",
        "_read",
        "_registrations",
        "_sides",
        "_transactions",
        "calls",
        "nonces",
    )

    def __init__(
        self,
        config: Config,
        sides: Sides,
        standing: Callable[[Instant, Address], Standing],
        trunk: Callable[[Address], str | None] = lambda _: None,
        wake: Callable[[Instant], None] = lambda _: None,
        read: Read = plain_called,
        price: Price | None = None,
        sent: Sent | None = None,
        notes: Notes | None = None,
    ) -> None:
        self._sides = sides
        self._began: Instant | None = None
        self._asking = Asking(config.asked, standing)
        self._passages = Passages(sides, standing)
        self.nonces = Nonces(config.nonces, notes or Notes())
        self._transactions = Transactions(config.transactions)
        self._proofs = Proofs(config.proven, config.dialogs)
        self._registrations = Registrations(config.registrations)
        self._read = read
        self._means = sent
        own = self._registrations
        hands = Hands(self._device, trunk, self.credential, self.stands, wake, read, price, None, own.called, own.named)
        hands.phone, hands.sent = self._phone, self._sent
        self.calls = Calls(config, hands)

    def restore(self, trust: Sequence[Trust]) -> None:
        """Take up the registrations that were in force before a restart."""
        self._registrations.restore(trust)

    def flow(self, at: Instant, flow: Flow) -> Sequence[Event]:
        """Give what the kernel's account of a connection tells."""
        return self._passages.told(at, flow)

    def hear(self, at: Instant, heard: Heard | Passage) -> Sequence[Event]:
        """Give what this message, or this end of a connection, makes happen."""
        if isinstance(heard, Passage):
            return self._passages.passed(at, heard)
        side, message = self._sides.sender(heard), heard.message
        if side is not _NOBODY and _is_of_calls(message, side):
            return (*self._told(at, heard, side), *self.calls.hear(at, heard, side))
        return self._told(at, heard, side)

    def _told(self, at: Instant, heard: Heard, side: Side) -> Sequence[Event]:
        flow = heard.flow
        if flow is None:
            return self._heard(at, heard, side)
        if flow.conflicts and not flow.told and side is not _NOBODY:
            flow.told = True
            far = (heard.source, heard.source_port) if side is _FAR else (heard.target, heard.target_port)
            return (self._asking.rewritten(at, flow, far), *self._heard(at, heard, side))
        return self._heard(at, heard, side)

    def _heard(self, at: Instant, heard: Heard, side: Side) -> Sequence[Event]:
        message = heard.message
        if type(message) is SipRequest:
            if side is _FAR:
                shown = self._request(at, heard, message)
                if not message.to_tag or self._invented(at, heard, message):
                    proven = self.proven(at, heard)
                    return (self._asking.asked(at, heard, message, proven=proven, shown=shown),)
            elif side is _PBX and message.method in _TELLING and self._asking.of_stranger(at, heard.target):
                self._proofs.given(heard.target, message.call_id, message.from_tag)
            return _NOTHING
        if type(message) is SipResponse:
            if side is not _PBX or message.code == 100:
                return _NOTHING
            events = self._response(at, heard, message)
            if message.code >= 200 and message.cseq_method not in _WITHIN_DIALOGS:
                return (*events, self._asking.answered(at, heard, message, proven=self._target_proven(at, heard)))
            if 180 <= message.code <= 183 and message.cseq_method == "INVITE":
                return (*events, self._asking.rang(at, heard, message, proven=self._target_proven(at, heard)))
            return events
        return self._unread(at, heard, message) if side is _FAR and isinstance(message, Unparsable) else _NOTHING

    def _unread(self, at: Instant, heard: Heard, message: Unparsable) -> Sequence[Event]:
        if message.faults == KEEPALIVE and not self._asking.of_stranger(at, heard.source):
            return _NOTHING  # a device keeps its way through a NAT open, as it should
        return (self._asking.unread(at, heard, message, proven=self.proven(at, heard)),)

    def proven(self, at: Instant, heard: Heard) -> bool:
        """Tell whether the sender of a message was shown to hold its address."""
        if heard.flow is not None:
            return heard.flow.proven
        return self._proofs.proven(at, heard.source)

    def credential(self, at: Instant, heard: Heard, request: SipRequest) -> tuple[Account, bool]:
        """Say of which account the credential is that the PBX will judge, and whether its sender holds his address.

        On TCP he does before the PBX has acknowledged anything: the kernel holds nothing back of other connections than
        those that were answered both ways.
        """
        chosen, _ = self._choose(at, request.credentials)
        return account_of(chosen), heard.flow is not None or self.nonces.proves(chosen.nonce, heard.source)

    def in_dialog(self, heard: Heard, request: SipRequest) -> bool:
        """Tell whether a request belongs to a call that its sender is known to have with the PBX."""
        return self._proofs.knows(heard.source, request.call_id, request.to_tag)

    def stands(self, address: Address, account: Account) -> bool:
        """Tell whether an account is registered from an address now."""
        return self._registrations.stands(address, account)

    def _device(self, address: Address) -> bool:
        """Tell whether a sender is in the house: a device is registered from there, or it is the PBX's own address."""
        return self._registrations.any_at(address) or self._sides.is_pbx(address)

    def _phone(self, address: Address, uri: bytes) -> bool:
        """Tell whether a call that is sent to an address stays in the house, so that it can cost nothing."""
        own = self._registrations
        if own.shown_at(address) or self._sides.is_pbx(address):
            return True
        return own.knows(address) and own.calls(address, uri, self._read(uri, address))

    def _sent(self, uri: bytes, address: Address) -> Called:
        """Say what a number means that is sent to an address."""
        if self._means is None:
            return self._read(uri, address)
        return self._means(uri, address, phone=self._phone(address, uri))

    def shown_until(self, place: Network) -> Instant:
        """Give until when a place is known to be a device's, so that calls to it cost nothing; 0 when it is not."""
        return self._registrations.shown_until(place)

    def held(self, at: Instant, address: Address) -> bool:
        """Tell whether an address was shown lately to be held by whoever sends from it, in datagrams."""
        return self._proofs.proven(at, address)

    def registrations(self) -> Iterator[tuple[Account, Network, Instant]]:
        """Go through the registrations in force, each with the instant at which it runs out."""
        return self._registrations.all()

    def _target_proven(self, at: Instant, heard: Heard) -> bool:
        if heard.flow is not None:
            return heard.flow.proven
        return self._proofs.proven(at, heard.target)

    def next_deadline(self) -> Instant | None:
        """Give the next instant at which something runs out."""
        due, other = self._registrations.next_deadline(), self.calls.next_deadline()
        return due if other is None else other if due is None else min(due, other)

    def advance(self, now: Instant) -> Sequence[Event]:
        """Let run out what is due."""
        if self._began is None:
            self._began = now
        return (*self._registrations.advance(now), *self.calls.advance(now))

    # --- The far side asks --------------------------------------------------------------------------------------------

    def _request(self, at: Instant, heard: Heard, request: SipRequest) -> bool:
        """Take a request; tells whether it shows by itself that its sender holds the address."""
        shown = heard.flow is not None and heard.flow.proven
        if request.credentials:
            shown = self._credentialed(at, heard, request)
        if request.method != "REGISTER":
            tag = request.to_tag
            if tag:
                self._proofs.repeated(at, heard.source, request.call_id, tag)
        return shown

    def _invented(self, at: Instant, heard: Heard, request: SipRequest) -> bool:
        """Tell whether a stranger only pretends to speak within a dialog: he was never given the tag.

        What ends or confirms something is never asked. Nor is anything for an hour after the start: until then there
        are dialogs from before it, whose tags nobody has heard; those still alive are heard of when they are refreshed.
        """
        if request.method in _PASSING or self._began is None or at - self._began < UNSURE:
            return False
        known = self._proofs.knows(heard.source, request.call_id, request.to_tag)
        return not known and self._asking.of_stranger(at, heard.source)

    def _credentialed(self, at: Instant, heard: Heard, request: SipRequest) -> bool:
        chosen, excuse = self._choose(at, request.credentials)
        proven = self.nonces.proves(chosen.nonce, heard.source)
        if proven:
            self._proofs.prove(at, heard.source)
        elif heard.flow is not None:
            proven = heard.flow.proven
        attempt = Attempt(at, heard.source_port, chosen, fingerprint(request), excuse, proven=proven)
        attempt.ambiguous = any(each.username != chosen.username for each in request.credentials)
        if request.method == "REGISTER":
            attempt.agent = (request.header("user-agent") or b"")[:_AGENT]
            contacts = request.contacts
            own = contacts[0].expires if contacts else None
            attempt.registers(contacts[0].uri if contacts else b"", request.expires if own is None else own)
        self._transactions.asked(heard.source, key_of(heard.source, request), attempt)
        return proven

    def _choose(self, at: Instant, credentials: Sequence[Credentials]) -> tuple[Credentials, Excuse]:
        """Find the credential that the PBX judges: it can only take a nonce of its own, so a decoy hides nothing."""
        chosen, excuse = credentials[0], self.nonces.excuse(at, credentials[0].nonce)
        for each in credentials[1:]:
            if excuse is Excuse.NONE:
                break
            other = self.nonces.excuse(at, each.nonce)
            if other is Excuse.NONE or excuse is Excuse.UNKNOWN:
                chosen, excuse = each, other
        if excuse is Excuse.UNKNOWN and len(credentials) >= MAX_CREDENTIALS:
            excuse = Excuse.NONE  # no phone sends so many: the real one hides behind them
        return chosen, excuse

    # --- The PBX answers ----------------------------------------------------------------------------------------------

    def _response(self, at: Instant, heard: Heard, response: SipResponse) -> Sequence[Event]:
        code = response.code
        challenges: Sequence[Challenge] = response.challenges if code in _CHALLENGES else ()
        if code < 300 and response.cseq_method in _DIALOGS:
            if response.cseq_method == "INVITE":
                self._proofs.tagged(heard.target, response.call_id, response.to_tag)
            elif self._asking.of_stranger(at, heard.target):
                self._proofs.given(heard.target, response.call_id, response.to_tag)
        events: Sequence[Event] = _NOTHING
        if self._transactions.awaited(at, heard.target):
            events = self._answered(at, heard, response, challenges)
        for challenge in challenges:
            self.nonces.sent(at, challenge.nonce, heard.target, registers=response.cseq_method == "REGISTER")
        return events

    def _answered(
        self, at: Instant, heard: Heard, response: SipResponse, challenges: Sequence[Challenge]
    ) -> Sequence[Event]:
        code, method = response.code, response.cseq_method
        key = key_of(heard.target, response)
        found = self._transactions.answered(at, key)
        if found is None:
            return _NOTHING
        self._sides.answered(heard.source)
        attempt, same_key = found
        if code in _CHALLENGES or (code == 403 and method == "REGISTER"):
            return (self._failed(at, heard, response, attempt, challenges, same_key=same_key),)
        return self._succeeded(at, heard, response, attempt, key) if code < 300 else _NOTHING

    def _failed(
        self,
        at: Instant,
        heard: Heard,
        response: SipResponse,
        attempt: Attempt,
        challenges: Sequence[Challenge],
        *,
        same_key: bool,
    ) -> AuthFailed:
        stale = any(challenge.stale for challenge in challenges)
        proven = attempt.proven or (heard.flow is not None and heard.flow.proven)
        return AuthFailed(
            at,
            heard.target,
            attempt.port,
            heard.transport,
            attempt.account,
            response.cseq_method,
            response.code,
            Excuse.STALE if stale else attempt.excuse,
            proven=proven,
            registered=self._registrations.stands(heard.target, attempt.account),
            same_key=same_key,
        )

    def _succeeded(
        self, at: Instant, heard: Heard, response: SipResponse, attempt: Attempt, key: Key
    ) -> Sequence[Event]:
        if response.code < 200:  # an INVITE that rings was let in; its final answer is awaited under the same key
            self._transactions.again(key, attempt)
            return _NOTHING
        method = response.cseq_method
        if attempt.ambiguous:  # which of several names was let in is not known: nobody earns anything
            return _NOTHING
        self.nonces.accepted(attempt.nonce)
        proven = attempt.proven or (heard.flow is not None and heard.flow.proven)
        success = AuthSucceeded(at, heard.target, attempt.port, heard.transport, attempt.account, method, proven=proven)
        if method != "REGISTER" or not attempt.contact:
            return (success,)
        expires = _granted(response, attempt)
        bound = heard.flow is not None or self.nonces.bound(at)
        registration = self._registrations.registered(
            at, heard.target, attempt.account, attempt.contact, expires, attempt.agent, proven=proven, bound=bound
        )
        return success, registration

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions of every table."""
        return {
            **self.nonces.counters(),
            **self._transactions.counters(),
            **self._proofs.counters(),
            **self._registrations.counters(),
            **self._asking.counters(),
            **self._passages.counters(),
            **self.calls.counters(),
        }


def _is_of_calls(message: SipMessage | Unparsable, side: Side) -> bool:
    """Tell whether a message may be of a call. The head of what the PBX answers is needed for other things as well."""
    if type(message) is SipRequest:
        return message.method in METHODS
    if type(message) is SipResponse:
        return (message.cseq_method if side is _PBX else message.plain_method()) in METHODS
    return False


def _granted(response: SipResponse, attempt: Attempt) -> int:
    """Read for how long the PBX registered the contact, in seconds (RFC 3261 section 10.3, step 8).

    The answer lists every binding of the account; ours is the one with our contact's URI. An answer without it says
    that it is gone when we asked for 0, else the PBX rewrote it: then the longest binding is taken.
    """
    asked = attempt.expires
    if asked == 0:
        return 0
    longest: int | None = None
    for contact in response.contacts:
        if contact.expires is None:
            continue
        if contact.uri == attempt.contact:
            return contact.expires
        if longest is None or contact.expires > longest:
            longest = contact.expires
    if longest is not None:
        return longest
    stated = response.expires
    if stated is not None:
        return stated
    return asked if asked is not None else _DEFAULT_EXPIRES
