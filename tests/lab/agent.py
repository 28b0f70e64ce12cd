"""A small SIP user agent for calls through a real PBX: phone or carrier, each step when the test says so.

It is a plain conversation partner: one socket, no timers, no retransmissions of its own; the far side's are recognised
and answered as before. What a scene does not wait for is kept for later. Standard library only: an independent reading
of the protocol.
"""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from tests.lab.client import credentials, md5
from tests.lab.errors import LabError
from tests.lab.heard import Message, parse, routed, tag_in, uri_in
from tests.lab.said import REASONS, described, in_uri
from tests.lab.wait import PATIENCE
from tests.lab.world import Host

_SECONDS = 8.0


class Agent:
    """One address and port. Over TCP a phone connects to the PBX, a carrier listens for it (`listen`)."""

    def __init__(
        self, host: Host, server: str, user: str, password: str = "", *, address: str, port: int = 5060,
        tcp: bool = False, listen: bool = False, series: int = 0,
    ) -> None:  # fmt: skip
        self.host = host
        self.user = user
        self.password = password
        self.address = address
        self.port = port
        self.server = server
        self.domain = in_uri(server)
        self.tcp = tcp
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = host.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((address, port))
        self._listening = tcp and listen
        if self._listening:
            self._socket.listen()
        else:
            self._socket.connect((server, 5060))
        self._stream = b""
        self._waiting: list[Message] = []
        self._answered: dict[tuple[str, ...], str] = {}
        self._count = series

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket, and over TCP the connection."""
        self._socket.close()

    @property
    def contact(self) -> str:
        """Where it wants to be called."""
        return f"<sip:{self.user}@{in_uri(self.address)}:{self.port}{';transport=tcp' if self.tcp else ''}>"

    def fresh(self, what: str) -> str:
        """Return a token not used yet, the same in every run with the same address, port and `series`."""
        self._count += 1
        return md5(f"{what} {self.address} {self.port} {self._count}")[:16]

    def via(self, branch: str = "") -> str:
        """Return a Via of this agent, by default of a new transaction."""
        transport = "TCP" if self.tcp else "UDP"
        sent_by = f"{in_uri(self.address)}:{self.port}"
        return f"SIP/2.0/{transport} {sent_by};branch=z9hG4bK{branch or self.fresh('branch')};rport"

    def send(self, text: str) -> None:
        """Send one message as it is."""
        self._socket.sendall(text.encode())

    def receive(self, wanted: Callable[[Message], bool], what: str, *, seconds: float = _SECONDS) -> Message:
        """Return the first message that is `wanted`; others are kept. Raises LabError when none comes in time."""
        deadline = time.monotonic() + seconds * PATIENCE
        for index, message in enumerate(self._waiting):
            if wanted(message):
                return self._waiting.pop(index)
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                message = parse(self._next())
            except TimeoutError:
                break
            if self._repeated(message):
                continue
            if wanted(message):
                return message
            self._waiting.append(message)
        raise LabError(
            f"{self.user} at {self.address} waited in vain for {what}; has {[m.start for m in self._waiting]}"
        )

    def deaf(self, seconds: float) -> None:
        """Throw away what comes for so long, as if it had been lost on the way."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                self._next()

    def request(self, text: str, seconds: float = _SECONDS) -> Message:
        """Send a request and return its final response."""
        asked = parse(text)
        self.send(text)
        return self.response(asked, 200, seconds=seconds)

    def response(self, asked: Message, least: int, *, seconds: float = _SECONDS) -> Message:
        """Return the next response to a request, of that code or above."""
        key = asked.header("Call-ID"), asked.header("CSeq")
        return self.receive(
            lambda m: m.code >= least and (m.header("Call-ID"), m.header("CSeq")) == key,
            f"an answer to {asked.start}", seconds=seconds,
        )  # fmt: skip

    def answer(
        self,
        asked: Message,
        code: int,
        reason: str = "",
        *,
        tag: str = "",
        more: str = "",
        body: str = "",
        contact: str = "",
    ) -> None:
        """Answer a request, and its retransmissions from then on."""
        to = asked.header("To") + (f";tag={tag}" if tag and "tag=" not in asked.header("To") else "")
        kind = "Content-Type: application/sdp\r\n" if body else ""
        text = (
            f"SIP/2.0 {code} {reason or REASONS.get(code, 'No')}\r\n{asked.lines('Via', 'Record-Route', 'From')}"
            f"To: {to}\r\n{asked.lines('Call-ID', 'CSeq')}Contact: {contact or self.contact}\r\n{more}{kind}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        self._answered[asked.key] = text
        self.send(text)

    def register(self, *, expires: int = 300) -> None:
        """Register with its password. Raises LabError when it is refused."""
        call_id = self.fresh("register")
        answer = self.request(self._register(call_id, 1, expires, ""))
        value = credentials(answer.challenge, "REGISTER", f"sip:{self.domain}", self.user, self.password)
        answer = self.request(self._register(call_id, 2, expires, f"Authorization: {value}\r\n"))
        if answer.code != 200:
            raise LabError(f"{self.user} may not register: {answer.start}")

    def sdp(self, version: int = 1) -> str:
        """Return a session description of this agent."""
        return described(self.address, 40_000 + self.port % 1000 * 2, version)

    def call(self, number: str, *, more: str = "") -> Leg:
        """Send an INVITE without credentials."""
        leg = Leg(self, self.fresh("call"), f"sip:{number}@{self.domain}", self.fresh("tag"), more=more)
        leg.invite()
        return leg

    def called(self, number: str = "", *, seconds: float = _SECONDS) -> Leg:
        """Wait for an INVITE to a number, any by default, and take it with 100 Trying."""
        asked = self.receive(
            lambda m: not m.code and m.method == "INVITE" and number in ("", m.number), f"a call of {number}",
            seconds=seconds,
        )  # fmt: skip
        leg = Leg(self, asked.header("Call-ID"), "", self.fresh("tag"), asked=asked)
        self.answer(asked, 100)
        return leg

    def _register(self, call_id: str, cseq: int, expires: int, authorization: str) -> str:
        party = f"<sip:{self.user}@{self.domain}>"
        return (
            f"REGISTER sip:{self.domain} SIP/2.0\r\nVia: {self.via()}\r\nMax-Forwards: 70\r\n"
            f"From: {party};tag=r{call_id[:6]}\r\nTo: {party}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n"
            f"Contact: {self.contact}\r\nExpires: {expires}\r\n{authorization}Content-Length: 0\r\n\r\n"
        )

    def _repeated(self, message: Message) -> bool:
        """Answer a retransmission as before; a response's is only dropped."""
        if message.key not in self._answered:
            if message.code == 0 and message.method != "ACK":
                self._answered[message.key] = ""
            return message.code == 0 and self._of_no_scene(message)
        if text := self._answered[message.key]:
            self.send(text)
        return True

    def _of_no_scene(self, message: Message) -> bool:
        """Say yes to OPTIONS, UPDATE and a re-INVITE, which no scene is about, and to NOTIFY, which one may await."""
        again = message.method == "INVITE" and "tag=" in message.header("To")
        if not again and message.method not in ("NOTIFY", "OPTIONS", "UPDATE"):
            return False
        self.answer(message, 200, body=self.sdp(2) if "m=audio" in message.body else "")
        return message.method != "NOTIFY"

    def _next(self) -> str:
        if self._listening:
            line, _ = self._socket.accept()
            line.settimeout(self._socket.gettimeout())
            self._socket.close()
            self._socket, self._listening = line, False
        if not self.tcp:
            return self._socket.recv(65535).decode(errors="replace")
        while True:
            head, blank, rest = self._stream.lstrip(b"\r\n").partition(b"\r\n\r\n")
            found = re.search(rb"\r\nContent-Length[ \t]*:[ \t]*(\d+)", head, re.IGNORECASE)
            length = int(found.group(1)) if found else 0
            if blank and len(rest) >= length:
                self._stream = rest[length:]
                return (head + blank + rest[:length]).decode(errors="replace")
            more = self._socket.recv(65535)
            if not more:
                raise LabError(f"{self.server} closed the connection")
            self._stream += more


@dataclass(slots=True)
class Leg:
    """One dialog of an agent, as caller (`uri` is whom it calls) or, with `asked`, as the called."""

    agent: Agent
    call_id: str
    uri: str
    tag: str
    asked: Message | None = None
    more: str = ""
    target: str = ""
    cseq: int = 0
    local: str = ""
    remote: str = ""
    route: str = ""  # the proxies that stay on the way (RFC 3261 section 12.1), as lines of a request
    invited: Message = field(default_factory=lambda: Message("", ""))

    def __post_init__(self) -> None:
        """Write down the two parties."""
        if self.asked is None:
            self.local = f"<sip:{self.agent.user}@{self.agent.domain}>;tag={self.tag}"
            self.remote = f"<{self.uri}>"
            self.target = self.uri
        else:
            self.local = f"{self.asked.header('To')};tag={self.tag}"
            self.remote = self.asked.header("From")
            self.route = routed(self.asked.headers("Record-Route"))
            self.target = uri_in(self.asked.header("Contact"))

    def text(self, method: str, *, cseq: int = 0, via: str = "", uri: str = "", more: str = "", body: str = "") -> str:
        """Return a request of this dialog; by default the next by CSeq, in a new transaction."""
        if not cseq:
            self.cseq += 1
        kind = "Content-Type: application/sdp\r\n" if body else ""
        return (
            f"{method} {uri or self.target} SIP/2.0\r\nVia: {via or self.agent.via()}\r\nMax-Forwards: 70\r\n"
            f"From: {self.local}\r\nTo: {self.remote}\r\nCall-ID: {self.call_id}\r\n"
            f"CSeq: {cseq or self.cseq} {method}\r\nContact: {self.agent.contact}\r\n{self.route}{more}{kind}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )

    def invite(self, authorization: str = "") -> None:
        """Send the INVITE, or send it once more with credentials."""
        text = self.text("INVITE", more=self.more + authorization, body=self.agent.sdp())
        self.invited = parse(text)
        self.agent.send(text)

    def prove(self) -> None:
        """Be challenged, acknowledge that, and repeat the INVITE with credentials."""
        refused = self.final()
        if refused.code not in (401, 407):
            raise LabError(f"{self.call_id} was not challenged: {refused.start}")
        proxy = "Proxy-" if refused.code == 407 else ""
        value = credentials(refused.challenge, "INVITE", self.uri, self.agent.user, self.agent.password)
        self.invite(f"{proxy}Authorization: {value}\r\n")

    def progress(self, code: int = 180) -> Message:
        """Wait for a provisional response of that code."""
        return self.agent.receive(
            lambda m: m.code == code and m.header("Call-ID") == self.call_id, f"{code} in {self.call_id}", seconds=20
        )

    def final(self, *, seconds: float = 20.0) -> Message:
        """Wait for the INVITE's final response and acknowledge it."""
        answer = self.agent.response(self.invited, 200, seconds=seconds)
        self.acknowledge(answer)
        return answer

    def acknowledge(self, answer: Message) -> None:
        """Send the ACK: of the same transaction for a refusal, else of its own."""
        if answer.code < 300:
            self.remote = answer.header("To")
            self.target = uri_in(answer.header("Contact"))
            self.route = routed(answer.headers("Record-Route")[::-1])
            self.agent.send(self.text("ACK", cseq=self.invited.cseq))
            return
        kept, self.remote = self.remote, answer.header("To")
        via = self.invited.header("Via")
        self.agent.send(self.text("ACK", cseq=self.invited.cseq, via=via, uri=self.uri))
        self.remote = kept

    def answered(self) -> Leg:
        """Be answered. Raises LabError when it is refused."""
        if (answer := self.final()).code != 200:
            raise LabError(f"{self.call_id} is refused: {answer.start}")
        return self

    def ring(self, code: int = 180) -> None:
        """Tell the caller of ringing (180), or of early media (183)."""
        self._asked(code, body=self.agent.sdp() if code == 183 else "")

    def pick_up(self) -> Leg:
        """Answer the call, and be acknowledged."""
        self._asked(200, body=self.agent.sdp())
        self.agent.receive(
            lambda m: m.method == "ACK" and m.header("Call-ID") == self.call_id, f"an ACK in {self.call_id}"
        )
        return self

    def pick_up_unheard(self) -> None:
        """Answer the call without waiting for an ACK."""
        self._asked(200, body=self.agent.sdp())

    def refuse(self, code: int, reason: str, more: str = "", *, contact: str = "") -> None:
        """Refuse the call, and be acknowledged."""
        self._asked(code, reason, more=more, contact=contact)
        self.agent.receive(
            lambda m: m.method == "ACK" and m.header("Call-ID") == self.call_id, f"an ACK in {self.call_id}"
        )

    def challenged(self, realm: str = "carrier.example") -> Leg:
        """Ask the caller for credentials (407), and take the INVITE that has them. Raises LabError when it has none."""
        nonce = self.agent.fresh("nonce")
        self.refuse(
            407, "Proxy Authentication Required",
            f'Proxy-Authenticate: Digest realm="{realm}", nonce="{nonce}", algorithm=MD5, qop="auth"\r\n',
        )  # fmt: skip
        again = self.agent.called()
        if again.call_id != self.call_id or not again.asked or not again.asked.header("Proxy-Authorization"):
            raise LabError(f"{again.call_id} came without credentials")
        return again

    def hang_up(self) -> Message:
        """Send BYE and return its answer."""
        return self.agent.request(self.text("BYE"))

    def hung_up(self, *, seconds: float = _SECONDS) -> Message:
        """Wait for the far side's BYE and answer it."""
        asked = self.coming("BYE", seconds=seconds)
        self.agent.answer(asked, 200)
        return asked

    def handed_over(self) -> None:
        """Be told that a transfer worked (NOTIFY, RFC 3515), and leave the call: that is for who asked for it to do."""
        self.agent.receive(
            lambda m: m.method == "NOTIFY" and m.header("Call-ID") == self.call_id and "200 OK" in m.body,
            f"NOTIFY of a transfer in {self.call_id}",
        )  # fmt: skip
        self.hang_up()

    def coming(self, method: str, *, seconds: float = _SECONDS) -> Message:
        """Wait for a request of the far side in this dialog."""
        return self.agent.receive(
            lambda m: not m.code and m.method == method and m.header("Call-ID") == self.call_id,
            f"{method} in {self.call_id}", seconds=seconds,
        )  # fmt: skip

    def cancel(self) -> Message:
        """Send CANCEL for the INVITE (RFC 3261 section 9.1), and return its answer."""
        via = self.invited.header("Via")
        return self.agent.request(self.text("CANCEL", cseq=self.invited.cseq, via=via, uri=self.uri))

    def refer(self, target: str, *, replaces: Leg | None = None) -> Message:
        """Send the far side elsewhere (RFC 3515); with `replaces`, to the far end of that leg (RFC 3891)."""
        uri = f"sip:{target}@{self.agent.domain}"
        if replaces is not None:
            theirs, ours = (tag_in(party) for party in (replaces.remote, replaces.local))
            uri += f"?Replaces={replaces.call_id}%3Bto-tag%3D{theirs}%3Bfrom-tag%3D{ours}"
        return self.agent.request(
            self.text(
                "REFER", more=f"Refer-To: <{uri}>\r\nReferred-By: <sip:{self.agent.user}@{self.agent.domain}>\r\n"
            )
        )

    def _asked(self, code: int, reason: str = "", *, more: str = "", body: str = "", contact: str = "") -> None:
        if self.asked is None:
            raise LabError(f"{self.call_id} was not asked")
        self.agent.answer(self.asked, code, reason, tag=self.tag, more=more, body=body, contact=contact)
