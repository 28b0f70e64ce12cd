"""TLS seen from outside: handshakes that lead to nothing, phones that come back, and SIP that only begins like TLS."""

from __future__ import annotations

import socket
import ssl
import struct

from tests.lab.cases.case import Case, Lab
from tests.lab.cases.register import VICTIM
from tests.lab.client import PORT as PLAIN
from tests.lab.client import Client, credentials
from tests.lab.errors import LabError
from tests.lab.tlspbx import PORT, tls_pbx
from tests.lab.world import Host

BUDGET = 20
_GONE = struct.pack("ii", 1, 0)  # SO_LINGER: the connection ends with a reset


def fires(lab: Lab) -> None:
    """Make one handshake more than a stranger may, with openssl's own client."""
    with tls_pbx(lab.world.pbx, lab.world.directory), lab.recording():
        for _ in range(BUDGET + 1):
            lab.world.attacker.run("openssl", "s_client", "-connect", f"{lab.world.pbx.v4}:{PORT}", check=False)


def below(lab: Lab) -> None:
    """Make as many handshakes as a stranger may; and a phone loses its network thirty times, and registers again."""
    with tls_pbx(lab.world.pbx, lab.world.directory), lab.recording():
        for _ in range(BUDGET):
            lab.world.attacker.run("openssl", "s_client", "-connect", f"{lab.world.pbx.v4}:{PORT}", check=False)
        for _ in range(30):
            phone(lab.world.phone, lab.world.pbx.v4)


def pieces(lab: Lab) -> None:
    """Send the first bytes one by one, end with a reset, ask two ports, and say nothing more than a handshake."""
    with tls_pbx(lab.world.pbx, lab.world.directory), lab.recording():
        for number in range(BUDGET + 1):
            in_pieces(lab.world.attacker, lab.world.pbx.v4, PORT if number % 3 else PLAIN)


def decoy(lab: Lab) -> None:
    """Begin a plain connection as TLS begins, and guess at a password behind that."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, tcp=True) as client:
        client.send(b"\x16\x03" + client.request("OPTIONS", VICTIM))
        for number in range(6):
            answer = credentials(
                client.challenge(VICTIM), "REGISTER", f"sip:{client.domain}", VICTIM, f"guess-{number}"
            )
            reply = client.ask(client.request("REGISTER", VICTIM, authorization=answer, expires=300, cseq=2))
            if reply.code != 401:
                raise LabError(f"the guess was answered by {reply.code}")


def phone(host: Host, server: str) -> None:
    """Connect, register over TLS as a phone does, and be gone."""
    with connected(host, server, PORT) as plain, trusting().wrap_socket(plain, server_hostname="pbx.example") as sealed:
        here = plain_name(sealed)
        request = (
            f"REGISTER sip:pbx.example SIP/2.0\r\nVia: SIP/2.0/TLS {here};branch=z9hG4bKtls;rport\r\n"
            "Max-Forwards: 70\r\nFrom: <sip:1001@pbx.example>;tag=t\r\nTo: <sip:1001@pbx.example>\r\n"
            f"Call-ID: {here}\r\nCSeq: 1 REGISTER\r\nContact: <sip:1001@{here};transport=tls>\r\n"
            "User-Agent: lab phone\r\nExpires: 600\r\n"
        )
        answer = f'Authorization: Digest username="1001", realm="pbx.example", response="{"0" * 32}"\r\n'
        for more in ("", answer):
            sealed.sendall(f"{request}{more}Content-Length: 0\r\n\r\n".encode())
            if not sealed.recv(65536):
                raise LabError("the server closed the connection")


def in_pieces(host: Host, server: str, port: int) -> None:
    """Make a handshake whose first bytes come one by one, as far as the server lets us, and reset the connection."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = trusting().wrap_bio(incoming, outgoing, server_hostname="pbx.example")
    with connected(host, server, port) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.settimeout(0.3)
        for _ in range(10):
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                hello = outgoing.read()
                for piece in (hello[:1], hello[1:2], hello[2:9], hello[9:]):
                    plain.sendall(piece)
            try:
                incoming.write(plain.recv(65536))
            except TimeoutError:  # the plain port has nothing to say to that
                break
        plain.sendall(outgoing.read())
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _GONE)


def connected(host: Host, server: str, port: int) -> socket.socket:
    """Open a connection."""
    plain = host.socket(socket.AF_INET, socket.SOCK_STREAM)
    plain.settimeout(5.0)
    plain.connect((server, port))
    return plain


def trusting() -> ssl.SSLContext:
    """Give a client's context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def plain_name(sealed: ssl.SSLSocket) -> str:
    """Write our end of a connection."""
    address, port = sealed.getsockname()[:2]
    return f"{address}:{port}"


CASES = (
    Case(
        "tlsprobe/fires",
        fires,
        "A stranger makes 21 TLS handshakes in a few seconds and says nothing in them: one more than is let pass.",
        "openssl s_client",
        "a finding before the 21st connection has ended; a SIP fault seen in encrypted bytes",
    ),
    Case(
        "tlsprobe/below",
        below,
        "A stranger makes 20 TLS handshakes, as many as are let pass; a phone registers over TLS 30 times, each time"
        " on a new connection, as one that walks from network to network.",
        "openssl s_client; a client of our own for the phone",
        "a finding",
    ),
    Case(
        "tlsprobe/evasion-pieces",
        pieces,
        "21 handshakes whose first bytes come one by one, ended by resets, a third of them on the port for plain SIP.",
        "a client of our own",
        "the connections taken for anything but TLS; a SIP fault seen in encrypted bytes",
    ),
    Case(
        "tlsprobe/evasion-decoy",
        decoy,
        "A plain connection begins with the two bytes that TLS begins with; behind them, in the same stream, six"
        " guesses at a password, which Kamailio judges.",
        "a client of our own",
        "a guess unseen because the connection was taken for TLS",
    ),
)
