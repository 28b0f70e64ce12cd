"""A small SIP client for exact cases: what it sends is what the test says, byte for byte.

It knows enough digest (RFC 2617 without and with qop=auth, MD5) to register and to guess, and enough framing to read
the answers. It retransmits nothing and checks nothing: that is the test's business. Standard library only, on
purpose: an independent reading of the protocol.
"""

from __future__ import annotations

import hashlib
import re
import socket
import time
from dataclasses import dataclass
from typing import Self

from tests.lab.errors import LabError
from tests.lab.world import Host

PORT = 5060
_PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a 401 or 407 asks for."""

    realm: str
    nonce: str
    qop: str = ""
    stale: bool = False
    proxy: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A response as far as the client cares."""

    code: int
    text: str

    def header(self, name: str) -> str:
        """Return the first value of a header by its long name, or nothing."""
        found = re.search(rf"^{name}[ \t]*:[ \t]*(.*?)\r?$", self.text, re.IGNORECASE | re.MULTILINE)
        return found.group(1) if found else ""

    @property
    def challenge(self) -> Challenge:
        """The challenge in it. Raises LabError when there is none."""
        proxy = self.code == 407
        value = self.header("Proxy-Authenticate" if proxy else "WWW-Authenticate")
        found = {key.lower(): quoted or plain for key, quoted, plain in _PARAMETER.findall(value)}
        if "nonce" not in found:
            raise LabError(f"no challenge in: {self.text}")
        stale = found.get("stale", "").lower() == "true"
        return Challenge(found["realm"], found["nonce"], found.get("qop", ""), stale, proxy)


def md5(text: str) -> str:
    """Return the hexadecimal MD5, as digest authentication wants it."""
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - RFC 2617 says MD5


def credentials(challenge: Challenge, method: str, uri: str, username: str, password: str) -> str:
    """Return the value of an Authorization header that answers `challenge` (RFC 2617 section 3.2.2)."""
    secret = md5(f"{username}:{challenge.realm}:{password}")
    request = md5(f"{method}:{uri}")
    head = f'Digest username="{username}", realm="{challenge.realm}", nonce="{challenge.nonce}", uri="{uri}"'
    if "auth" not in challenge.qop.split(","):
        response = md5(f"{secret}:{challenge.nonce}:{request}")
        return f'{head}, response="{response}", algorithm=MD5'
    cnonce = md5(challenge.nonce + password)[:16]
    response = md5(f"{secret}:{challenge.nonce}:00000001:{cnonce}:auth:{request}")
    return f'{head}, response="{response}", algorithm=MD5, cnonce="{cnonce}", qop=auth, nc=00000001'


class Client:
    """One address and port of a host, talking to one server over UDP or one TCP connection."""

    def __init__(
        self, host: Host, server: str, *, address: str = "", port: int = 0, tcp: bool = False, agent: str = "lab phone"
    ) -> None:
        self.address = address or (host.v6 if ":" in server else host.v4)
        self.server = server
        self.tcp = tcp
        self.agent = agent
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        self.socket = host.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        if tcp:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.settimeout(5.0)
        self.socket.bind((self.address, port))
        self.socket.connect((server, PORT))
        self.port: int = self.socket.getsockname()[1]
        self._received = b""
        self._count = 0

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def domain(self) -> str:
        """The server as it stands in a URI."""
        return bracketed(self.server)

    def fresh(self, what: str = "id") -> str:
        """Return a token that this client has not used yet, the same in every run with the same address and port."""
        self._count += 1
        return md5(f"{what} {self.address} {self.port} {self._count}")[:20]

    def request(
        self,
        method: str,
        user: str,
        *,
        uri: str = "",
        to: str = "",
        call_id: str = "",
        branch: str = "",
        tag: str = "",
        cseq: int = 1,
        expires: int | None = None,
        authorization: str = "",
        proxy: bool = False,
    ) -> bytes:
        """Return a request of `user` to `to` (itself by default), with credentials if given."""
        uri = uri or (f"sip:{self.domain}" if method == "REGISTER" else f"sip:{to or user}@{self.domain}")
        transport = "TCP" if self.tcp else "UDP"
        suffix = ";transport=tcp" if self.tcp else ""
        here = f"{bracketed(self.address)}:{self.port}"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{transport} {here};branch=z9hG4bK{branch or self.fresh('branch')};rport",
            "Max-Forwards: 70",
            f"From: <sip:{user}@{self.domain}>;tag={tag or self.fresh('tag')}",
            f"To: <sip:{to or user}@{self.domain}>",
            f"Call-ID: {call_id or self.fresh('call')}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:{user}@{here}{suffix}>",
            f"User-Agent: {self.agent}",
        ]
        if expires is not None:
            lines.append(f"Expires: {expires}")
        if authorization:
            lines.append(f"{'Proxy-' if proxy else ''}Authorization: {authorization}")
        return "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode()

    def send(self, data: bytes) -> None:
        """Send bytes as they are: one datagram, or the next of the stream."""
        self.socket.sendall(data)

    def receive(self, *, call_id: str = "", seconds: float = 5.0) -> Reply:
        """Return the next final response, of `call_id` if given. Raises LabError when none comes in time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                text = self._next().decode(errors="replace")
            except TimeoutError:
                break
            found = re.match(r"SIP/2\.0 (\d{3})", text)
            if found and int(found.group(1)) >= 200:
                reply = Reply(int(found.group(1)), text)
                if not call_id or reply.header("Call-ID") == call_id:
                    return reply
        raise LabError(f"no answer from {self.server} within {seconds:g} s")

    def ask(self, data: bytes, *, seconds: float = 5.0) -> Reply:
        """Send a request and return the final response to it (told by its Call-ID, in either form)."""
        found = re.search(rb"^(?:Call-ID|i)[ \t]*:[ \t]*(.*?)\r?$", data, re.IGNORECASE | re.MULTILINE)
        self.send(data)
        return self.receive(call_id=found.group(1).decode() if found else "", seconds=seconds)

    def challenge(self, user: str, *, method: str = "REGISTER", to: str = "") -> Challenge:
        """Send a request without credentials, and return what it is asked for (an INVITE's refusal is acknowledged)."""
        call_id, branch = self.fresh("call"), self.fresh("branch")
        reply = self.ask(self.request(method, user, to=to, call_id=call_id, branch=branch))
        if method == "INVITE":
            self.acknowledge(reply, user, to=to, call_id=call_id, branch=branch)
        return reply.challenge

    def acknowledge(self, reply: Reply, user: str, *, to: str, call_id: str, branch: str, cseq: int = 1) -> None:
        """Send the ACK for a refused INVITE (RFC 3261 section 17.1.1.3)."""
        text = self.request("ACK", user, to=to, call_id=call_id, branch=branch, cseq=cseq).decode()
        self.send(re.sub(r"^To: .*?\r$", f"To: {reply.header('To')}\r", text, count=1, flags=re.MULTILINE).encode())

    def attempt(
        self, challenge: Challenge, user: str, password: str, *, expires: int = 300, call_id: str = "", cseq: int = 2
    ) -> Reply:
        """Answer a challenge by a REGISTER with credentials, and return what the server says."""
        uri = f"sip:{self.domain}"
        answer = credentials(challenge, "REGISTER", uri, user, password)
        return self.ask(
            self.request("REGISTER", user, authorization=answer, expires=expires, call_id=call_id, cseq=cseq)
        )

    def register(self, user: str, password: str, *, expires: int = 300, call_id: str = "", cseq: int = 1) -> Reply:
        """Register as a phone does: without credentials, then with. Returns the last response."""
        call_id = call_id or self.fresh("call")
        first = self.ask(self.request("REGISTER", user, expires=expires, call_id=call_id, cseq=cseq))
        if first.code != 401:
            return first
        return self.attempt(first.challenge, user, password, expires=expires, call_id=call_id, cseq=cseq + 1)

    def _next(self) -> bytes:
        """Return one message. Over TCP it is cut out by its Content-Length (RFC 3261 section 18.3)."""
        if not self.tcp:
            return self.socket.recv(65535)
        while True:
            head, blank, rest = self._received.lstrip(b"\r\n").partition(b"\r\n\r\n")
            found = re.search(rb"\r\n(?:Content-Length|l)[ \t]*:[ \t]*(\d+)", head, re.IGNORECASE)
            length = int(found.group(1)) if found else 0
            if blank and len(rest) >= length:
                self._received = rest[length:]
                return head + blank + rest[:length]
            more = self.socket.recv(65535)
            if not more:
                raise LabError(f"{self.server} closed the connection")
            self._received += more


def bracketed(address: str) -> str:
    """Return an address as it stands in a URI or Via."""
    return f"[{address}]" if ":" in address else address
