"""What is TLS on a TCP connection is not read as SIP, and what only begins so is read to the last byte."""

from __future__ import annotations

import struct

import pytest

from sipguard.address import parse_address
from sipguard.intake import Heard, Intake, Passage
from sipguard.model import Frame, Hook
from sipguard.sip.message import SipRequest, SipResponse
from sipguard.wire.l4 import ACK, FIN, RST, SYN
from sipguard.wire.tls import PATIENCE, Sealed

CLIENT, SERVER = parse_address("203.0.113.9"), parse_address("192.0.2.10")
HELLO = b"\x16\x03\x01\x02\x00" + bytes(range(256)) * 2
ASK = b"OPTIONS sip:x SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
SAY = b"SIP/2.0 200 OK\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"


class Talk:
    """One connection between two ends, read by an `Intake`."""

    def __init__(self, *, handshake: bool = True, port: int = 5061) -> None:
        self.intake = Intake((5060, 5061), lambda _source, _hook, _payload: False)
        self.port = port
        self.at = 0
        self.next = {True: 1000, False: 9000}
        self.heard: list[Heard | Passage] = []
        if handshake:
            self.send(flags=SYN)
            self.send(flags=SYN | ACK, client=False)
            self.send()

    def send(self, data: bytes = b"", flags: int = ACK, *, client: bool = True, hook: Hook = Hook.UNKNOWN) -> None:
        self.at += 1000
        seq, acked = self.next[client], self.next[not client]
        self.next[client] += len(data) + bool(flags & (SYN | FIN))
        ports = (40000, self.port) if client else (self.port, 40000)
        ends = CLIENT + SERVER if client else SERVER + CLIENT
        tcp = struct.pack("!HHIIBBHHH", *ports, seq, acked if flags & ACK else 0, 0x50, flags, 65535, 0, 0) + data
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + ends
        self.heard += self.intake.read(self.at, Frame(head + tcp, hook))

    def end(self) -> None:
        self.send(flags=ACK | FIN)
        self.send(flags=ACK | FIN, client=False)

    def messages(self) -> list[Heard]:
        return [each for each in self.heard if isinstance(each, Heard)]

    def passages(self) -> list[tuple[bool, bool]]:
        return [(each.opened, each.tls) for each in self.heard if isinstance(each, Passage)]


def test_of_a_connection_in_tls_only_its_ends_are_told() -> None:
    talk = Talk()
    talk.send(HELLO)
    talk.send(b"\x16\x03\x03" + ASK, client=False)
    talk.send(b"\x17\x03\x03" + ASK)
    talk.send(b"\x17\x03\x03" + SAY, client=False)
    talk.end()
    assert talk.messages() == []
    assert talk.passages() == [(True, True), (False, True)]
    ended = talk.heard[-1]
    assert isinstance(ended, Passage)
    assert ended.flow.received == len(HELLO) + 3 + len(ASK)
    assert ended.flow.proven


@pytest.mark.parametrize("cut", [1, 2, 3, 100])
def test_however_it_is_cut_it_is_tls(cut: int) -> None:
    talk = Talk()
    for start in range(0, len(HELLO), cut):
        talk.send(HELLO[start : start + cut])
    talk.send(b"\x15\x03\x03\x00\x02\x02\x28", client=False)
    talk.end()
    assert talk.messages() == []
    assert talk.passages() == [(True, True), (False, True)]


def test_who_says_sip_is_read_before_any_answer_whatever_he_began_with() -> None:
    talk = Talk(port=5060)
    talk.send(b"\x16\x03" + ASK + ASK[:18], hook=Hook.PREROUTING)
    talk.send(ASK[18:], hook=Hook.PREROUTING)
    assert isinstance(talk.messages()[-1].message, SipRequest)
    talk.send(ASK, hook=Hook.PREROUTING)
    talk.send(ASK, hook=Hook.PREROUTING)
    talk.send(SAY, client=False, hook=Hook.OUTPUT)
    talk.send(ASK, hook=Hook.PREROUTING)
    kinds = [(type(each.message), each.hook) for each in talk.messages()]
    asked = (SipRequest, Hook.PREROUTING)
    assert [kind for kind in kinds if kind[0] is SipRequest].count(asked) >= 3
    assert kinds[-2:] == [(SipResponse, Hook.OUTPUT), asked]
    talk.end()
    assert talk.passages()[-1] == (False, False)


def test_a_second_byte_that_is_not_tls_ends_the_matter_at_once() -> None:
    talk = Talk(port=5060)
    talk.send(b"\x16")
    talk.send(b"\r\n" + ASK)
    assert any(isinstance(each.message, SipRequest) for each in talk.messages())


def test_a_client_that_says_more_than_a_hello_before_any_answer_is_read() -> None:
    talk = Talk(port=5060)
    talk.send(b"\x16\x03" + b"x" * PATIENCE + b"\r\n\r\n" + ASK)
    assert any(isinstance(each.message, SipRequest) for each in talk.messages())


def test_what_is_kept_of_a_client_is_bounded_and_let_go_when_it_is_sure() -> None:
    sealed = Sealed()
    assert sealed.takes(HELLO)
    assert sealed.held == HELLO
    assert not sealed.takes(b"x" * PATIENCE)
    other = Sealed()
    other.takes(HELLO)
    assert other.answered(b"\x16\x03\x03")
    assert other.held == b""
    assert other.takes(b"x" * 10 * PATIENCE)
    assert other.held == b""


def test_a_reset_ends_a_connection_once_and_bytes_after_it_do_not_end_it_again() -> None:
    talk = Talk()
    talk.send(HELLO)
    talk.send(b"\x16\x03\x03", client=False)
    talk.send(flags=RST | ACK)
    talk.send(HELLO)
    talk.send(flags=RST | ACK)
    assert talk.passages() == [(True, True), (False, True)]


def test_a_connection_without_a_handshake_is_none() -> None:
    talk = Talk(handshake=False)
    talk.send(HELLO)
    talk.send(b"\x16\x03\x03", client=False)
    talk.end()
    assert talk.passages() == []


def test_a_plain_connection_is_told_too_and_is_not_tls() -> None:
    talk = Talk(port=5060)
    talk.send(ASK)
    talk.send(SAY, client=False)
    talk.end()
    assert talk.passages() == [(True, False), (False, False)]
    assert len(talk.messages()) == 2


def test_a_connection_on_which_nothing_was_said_is_not_told() -> None:
    talk = Talk()
    talk.end()
    assert talk.passages() == []
