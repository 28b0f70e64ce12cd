"""What happened, in the past tense: what `track` says to `detect`. The second half of `model.py`, by the same rules.

Events are made on the packet path, so they are plain slotted classes; nobody writes to one that was made.
"""

from __future__ import annotations

from enum import IntEnum

from sipguard.address import Address
from sipguard.call import Call, Called
from sipguard.model import Account, Excuse, Instant, Transport
from sipguard.sip.fault import Fault
from sipguard.sip.message import SipRequest, SipResponse


class Standing(IntEnum):
    """What the sender of a message is to us at that moment."""

    STRANGER = 0
    TRUSTED = 1  # a device is registered from there
    EXEMPT = 2  # allowed, a trunk, or the PBX's own


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
    """An authenticated REGISTER put a contact in place until `until`. `proven`: its sender holds the address.

    `agent` is the beginning of what the device says it is (User-Agent), empty when it says nothing. `shown`: until when
    the place is the account's by a proof that nobody else can have had, 0 for none. `surplus`: it is one of more places
    than one account is remembered in.
    """

    __slots__ = ("account", "agent", "contact", "proven", "shown", "surplus", "until")

    def __init__(
        self,
        at: Instant,
        source: Address,
        account: Account,
        contact: bytes,
        until: Instant,
        agent: bytes,
        *,
        proven: bool,
        shown: Instant = 0,
        surplus: bool = False,
    ) -> None:
        self.at = at
        self.source = source
        self.account = account
        self.contact = contact
        self.until = until
        self.agent = agent
        self.proven = proven
        self.shown = shown
        self.surplus = surplus


class Unregistered(Event):
    """A registration was taken back, or ran out."""

    __slots__ = ("account",)

    def __init__(self, at: Instant, source: Address, account: Account) -> None:
        self.at = at
        self.source = source
        self.account = account


class Recalled(Event):
    """A registration was found to stand from before its hearer was made: before a restart, or a change of policy."""

    __slots__ = ("account", "until")

    def __init__(self, at: Instant, source: Address, account: Account, until: Instant) -> None:
        self.at = at
        self.source = source  # an IPv6 one is the first of its /64
        self.account = account
        self.until = until


class Asked(Event):
    """A request came in that belongs to no dialog (no To-tag, or one made up): a registration, a call, a probe.

    `request` is there to be looked into; every look costs. `proven`: the sender was shown to hold its address, lately;
    `shown`: this very message shows it, by a nonce that was sent there alone or over a proven connection. Whoever wants
    to blame an address for one message alone asks for `shown`: the rest of its holder's proof anybody can borrow.
    `repeated`: the same transaction was asked before, so this is its copy (known of strangers only). `target` and
    `target_port` are the PBX's, as the packet had them.
    """

    __slots__ = ("port", "proven", "repeated", "request", "shown", "standing", "target", "target_port", "transport")

    def __init__(
        self,
        at: Instant,
        source: Address,
        port: int,
        transport: Transport,
        request: SipRequest,
        standing: Standing,
        target: Address,
        target_port: int,
        *,
        proven: bool,
        shown: bool,
        repeated: bool,
    ) -> None:
        self.at = at
        self.source = source
        self.port = port
        self.transport = transport
        self.target = target
        self.target_port = target_port
        self.request = request
        self.standing = standing
        self.proven = proven
        self.shown = shown
        self.repeated = repeated


class Answered(Event):
    """The PBX sent a final answer (200 to 699) to a request of `source`, challenges included."""

    __slots__ = ("port", "proven", "response", "standing", "transport")

    def __init__(
        self,
        at: Instant,
        source: Address,
        port: int,
        transport: Transport,
        response: SipResponse,
        standing: Standing,
        *,
        proven: bool,
    ) -> None:
        self.at = at
        self.source = source
        self.port = port
        self.transport = transport
        self.response = response
        self.standing = standing
        self.proven = proven


class Rang(Event):
    """The PBX let an INVITE of `source` ring (180 to 183): somebody's phone makes a noise, and nothing is final yet."""

    __slots__ = ("proven", "response", "standing")

    def __init__(
        self, at: Instant, source: Address, response: SipResponse, standing: Standing, *, proven: bool
    ) -> None:
        self.at = at
        self.source = source
        self.response = response
        self.standing = standing
        self.proven = proven


class Unread(Event):
    """Bytes came to a SIP port that are no message; `faults` say why, `raw` is what came."""

    __slots__ = ("faults", "port", "proven", "raw", "standing", "transport")

    def __init__(
        self,
        at: Instant,
        source: Address,
        port: int,
        transport: Transport,
        raw: bytes,
        faults: tuple[Fault, ...],
        standing: Standing,
        *,
        proven: bool,
    ) -> None:
        self.at = at
        self.source = source
        self.port = port
        self.transport = transport
        self.raw = raw
        self.faults = faults
        self.standing = standing
        self.proven = proven


class Rewritten(Event):
    """A TCP sender sent other bytes in the place of some not yet acknowledged: no honest stack does. Once a flow."""

    __slots__ = ("port", "proven", "standing")

    def __init__(self, at: Instant, source: Address, port: int, standing: Standing, *, proven: bool) -> None:
        self.at = at
        self.source = source
        self.port = port
        self.standing = standing
        self.proven = proven


class FlowOpened(Event):
    """A TCP connection to a SIP port got past its handshake; `tls` tells that its first bytes are a TLS record."""

    __slots__ = ("port", "proven", "server_port", "standing", "tls")

    def __init__(
        self, at: Instant, source: Address, port: int, server_port: int, standing: Standing, *, proven: bool, tls: bool
    ) -> None:
        self.at = at
        self.source = source
        self.port = port
        self.server_port = server_port
        self.standing = standing
        self.proven = proven
        self.tls = tls


class FlowEnded(Event):
    """A TCP connection to a SIP port was closed by either side, or given up; `lasted` in nanoseconds."""

    __slots__ = ("lasted", "port", "proven", "received", "server_port", "standing", "tls")

    def __init__(
        self,
        at: Instant,
        source: Address,
        port: int,
        server_port: int,
        standing: Standing,
        lasted: int,
        received: int,
        *,
        proven: bool,
        tls: bool,
    ) -> None:
        self.at = at
        self.source = source
        self.port = port
        self.server_port = server_port
        self.standing = standing
        self.lasted = lasted
        self.received = received  # bytes that the far side sent on it
        self.proven = proven
        self.tls = tls


class CallEvent(Event):
    """Something that happened to a call. `source` is the phone's address, else the trunk's; `call` goes on changing."""

    __slots__ = ("call",)

    def __init__(self, at: Instant, source: Address, call: Call) -> None:
        self.at = at
        self.source = source
        self.call = call


class CallAttempted(CallEvent):
    """A call was begun: once for each, however often its INVITE was challenged, repeated or failed over.

    An outbound one is told when its leg leaves to the trunk, not before; an inbound one when it comes from there.
    """

    __slots__ = ()


class CallAnswered(CallEvent):
    """A call was answered: from now on it costs."""

    __slots__ = ()


class CallEnded(CallEvent):
    """A call is over: refused, given up, or hung up with the other end's agreement."""

    __slots__ = ()


class CallDiverted(CallEvent):
    """Somebody sent a call elsewhere, by 3xx or REFER; `target` is where to, `referred` tells a transfer."""

    __slots__ = ("referred", "target")

    def __init__(self, at: Instant, source: Address, call: Call, target: Called, *, referred: bool) -> None:
        super().__init__(at, source, call)
        self.target = target
        self.referred = referred


class CallRefused(CallEvent):
    """The gate kept a call from leaving: told once for each, however many ways out the PBX tried."""

    __slots__ = ()


class CallUnconfirmed(CallEvent):
    """Nothing was heard of a running call for so long that it may have ended unheard; it fills no limit from now on."""

    __slots__ = ()


class CallConfirmed(CallEvent):
    """A call that was thought to have ended unheard, or begun before a restart, was heard of again."""

    __slots__ = ()


class CallMoved(CallEvent):
    """An end of an answered call was heard of first, or is elsewhere than before; or a call left by another trunk."""

    __slots__ = ()
