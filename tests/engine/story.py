"""Conversations for the engine: who says what to the PBX, what it answers, and what the guard makes of it.

A `Story` feeds real packets through the one door, so that a test reads like the traffic it is about. Time is the
story's own. Nothing here looks inside the engine, but for what it wants in the kernel.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sipguard.address import Network, parse_address
from sipguard.engine import Engine, Input
from sipguard.model import (
    MILLISECOND,
    NOWHERE,
    SECOND,
    Action,
    Decision,
    Finding,
    Frame,
    Hold,
    Hook,
    Instant,
    Lookups,
    Names,
    Origin,
    Record,
    Role,
    SetName,
    State,
)
from sipguard.policy.schema import Policy

PBX = "192.0.2.10"
PBX6 = "2001:db8:0:1::10"
START: Instant = 1_000 * SECOND


def udp(source: str, source_port: int, target: str, target_port: int, payload: bytes) -> bytes:
    """Build an IP packet around a datagram; checksums are left 0, as on a host that offloads them."""
    header = struct.pack("!HHHH", source_port, target_port, 8 + len(payload), 0)
    return ip(17, source, target, header + payload)


def ip(protocol: int, source: str, target: str, payload: bytes) -> bytes:
    """Build an IPv4 or IPv6 packet."""
    src, dst = parse_address(source), parse_address(target)
    if len(src) == 4:
        return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0) + src + dst + payload
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + src + dst + payload


@dataclass
class Sent:
    """A request that went in, with what an answer to it has to repeat."""

    source: str
    port: int
    method: str
    call_id: str
    cseq: int
    branch: str
    user: str


class Story:
    """One engine, one PBX, and a clock that only the story moves."""

    def __init__(
        self,
        policy: Policy | None = None,
        state: State | None = None,
        own: Sequence[str] = (PBX, PBX6),
        look: Lookups = NOWHERE,
    ) -> None:
        self.engine = Engine(policy or Policy(), state or State(), look)
        self.now = START
        self.actions: list[Action] = []
        self._serial = 0
        self.tell(
            Names(Role.OWN, "host", tuple(Network(parse_address(each), 8 * len(parse_address(each))) for each in own))
        )

    # --- Feeding ------------------------------------------------------------------------------------------------------

    def tell(self, what: Input) -> Sequence[Action]:
        """Feed any input now."""
        done = self.engine.feed(self.now, what)
        self.actions.extend(done)
        return done

    def wait(self, seconds: float) -> None:
        """Let time pass, and what is due happen."""
        self.now += int(seconds * SECOND)
        self.actions.extend(self.engine.advance(self.now))

    def inbound(self, source: str, port: int, payload: bytes, origin: Origin = Origin.TAP) -> Sequence[Action]:
        """Let a datagram arrive at the PBX."""
        self.now += MILLISECOND
        pbx = PBX6 if ":" in source else PBX
        return self.tell(Frame(udp(source, port, pbx, 5060, payload), Hook.PREROUTING, origin))

    def outbound(self, target: str, port: int, payload: bytes) -> Sequence[Action]:
        """Let the PBX send a datagram."""
        self.now += MILLISECOND
        pbx = PBX6 if ":" in target else PBX
        return self.tell(Frame(udp(pbx, 5060, target, port, payload), Hook.OUTPUT, Origin.TAP))

    # --- SIP ----------------------------------------------------------------------------------------------------------

    def ask(
        self,
        source: str,
        nonce: str = "",
        *,
        method: str = "REGISTER",
        user: str = "1001",
        response: str = "",
        port: int = 5062,
        again: Sent | None = None,
        extra: str = "",
        contact: bool = True,
        uri: str = f"sip:{PBX}",
        to_tag: str = "",
    ) -> Sent:
        """Let a request arrive, with a credential when a nonce is given; `again` repeats the key of an earlier one."""
        self._serial += 1
        sent = again or Sent(source, port, method, f"call{self._serial}", self._serial, f"z9hG4bK{self._serial}", user)
        head = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {source}:{port};branch={sent.branch};rport",
            f"From: <sip:{user}@{PBX}>;tag=f{sent.cseq}",
            f"To: <sip:{user}@{PBX}>" + (f";tag={to_tag}" if to_tag else ""),
            f"Call-ID: {sent.call_id}",
            f"CSeq: {sent.cseq} {method}",
            "Max-Forwards: 70",
        ]
        if contact:
            head.append(f"Contact: <sip:{user}@{source}:{port}>")
        if nonce:
            answer = response or f"{self._serial:032x}"
            name = "Authorization" if method == "REGISTER" else "Proxy-Authorization"
            head.append(
                f'{name}: Digest username="{user}", realm="pbx", nonce="{nonce}", uri="sip:{PBX}", response="{answer}"'
            )
        if extra:
            head.append(extra)
        self.inbound(source, sent.port, ("\r\n".join(head) + "\r\nContent-Length: 0\r\n\r\n").encode())
        return sent

    def answer(
        self, sent: Sent, code: int, *, nonce: str = "", stale: bool = False, extra: str = "", tag: str = "t"
    ) -> None:
        """Let the PBX answer a request, with a challenge when a nonce is given."""
        head = [
            f"SIP/2.0 {code} Whatever",
            f"Via: SIP/2.0/UDP {sent.source}:{sent.port};branch={sent.branch};rport={sent.port};received={sent.source}",
            f"From: <sip:{sent.user}@{PBX}>;tag=f{sent.cseq}",
            f"To: <sip:{sent.user}@{PBX}>;tag={tag}",
            f"Call-ID: {sent.call_id}",
            f"CSeq: {sent.cseq} {sent.method}",
        ]
        if nonce:
            name = "Proxy-Authenticate" if code == 407 else "WWW-Authenticate"
            head.append(f'{name}: Digest realm="pbx", nonce="{nonce}"' + (", stale=true" if stale else ""))
        if extra:
            head.append(extra)
        self.outbound(sent.source, sent.port, ("\r\n".join(head) + "\r\nContent-Length: 0\r\n\r\n").encode())

    def challenge(self, source: str, nonce: str = "", **more: Any) -> str:
        """Let a source ask without credentials and be challenged; gives the nonce."""
        nonce = nonce or f"nonce{self._serial}"
        sent = self.ask(source, **more)
        self.answer(sent, 407 if sent.method == "INVITE" else 401, nonce=nonce)
        return nonce

    def guess(self, source: str, nonce: str = "", **more: Any) -> Sent:
        """Let a source be challenged, send a wrong credential, and be rejected."""
        nonce = nonce or self.challenge(source, **more)
        sent = self.ask(source, nonce, **more)
        self.answer(sent, 407 if sent.method == "INVITE" else 401, nonce=f"next{self._serial}")
        return sent

    def register(
        self,
        source: str,
        *,
        user: str = "1001",
        expires: int = 3600,
        port: int = 5062,
        nonce: str = "",
        agent: str = "",
    ) -> None:
        """Let a phone register with the right password."""
        nonce = nonce or self.challenge(source, user=user, port=port)
        extra = f"Expires: {expires}" + (f"\r\nUser-Agent: {agent}" if agent else "")
        sent = self.ask(source, nonce, user=user, port=port, extra=extra)
        self.answer(sent, 200, extra=f"Contact: <sip:{user}@{source}:{port}>;expires={expires}")

    # --- Looking ------------------------------------------------------------------------------------------------------

    def held(self, name: SetName = SetName.BLOCKED) -> list[str]:
        """List what is wanted in a kernel set."""
        return [str(held.network) for held in self.engine.wanted() if held.set is name]

    def ordered(self, name: SetName = SetName.BLOCKED) -> list[str]:
        """List what was ever put into a kernel set."""
        return [str(each.held.network) for each in self.actions if isinstance(each, Hold) and each.held.set is name]

    def findings(self) -> list[Finding]:
        """List the findings so far."""
        return [each.what for each in self.actions if isinstance(each, Record) and isinstance(each.what, Finding)]

    def decisions(self) -> list[Decision]:
        """List the decisions so far."""
        return [each.what for each in self.actions if isinstance(each, Record) and isinstance(each.what, Decision)]
