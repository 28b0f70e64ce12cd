"""What is wrong on purpose adds up; what is wrong by accident does not; no forger gets anybody banned by it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sipguard.detect.malformed import POINTS, Config
from sipguard.model import Consequence, Frame, Hook, Origin, SetName
from sipguard.sip.fault import BENIGN
from sipguard.wire.l4 import ACK, PSH, SYN
from tests.detect.asking import STRANGER, found, policy, request
from tests.engine.story import PBX, Story, ip

JUNK = "\0\0"


def heard(*payloads: bytes, config: Config | None = None) -> Story:
    story = Story(policy(malformed=config or Config()))
    for payload in payloads:
        story.inbound(STRANGER, 5062, payload)
    return story


def mismatch(number: int) -> bytes:
    """Write a request of four points."""
    return request(number, change=[("1 OPTIONS", "1 INVITE")])


def test_five_times_four_points_are_found_and_four_times_are_not() -> None:
    assert not found(heard(*map(mismatch, range(4))), "malformed")
    story = heard(*map(mismatch, range(5)))
    assert [dict(each.evidence)["points"] for each in found(story, "malformed")] == [20]
    assert story.held(SetName.THROTTLED) == [STRANGER]
    assert story.held() == []


def test_points_run_out() -> None:
    story = Story()
    for number in range(20):
        story.inbound(STRANGER, 5062, mismatch(number))
        story.wait(151)
    assert not found(story, "malformed")


def test_a_copy_of_a_message_counts_once() -> None:
    assert not found(heard(*[mismatch(1)] * 11), "malformed")


def test_what_has_no_key_is_no_copy() -> None:
    keyless = request(1, change=[("Call-ID: c1@203.0.113.66\r\n", ""), ("CSeq: 1 OPTIONS\r\n", "")])
    assert not found(heard(*[keyless] * 4), "malformed")
    assert found(heard(*[keyless] * 5), "malformed")


def test_one_message_alone_is_an_accident_however_broken() -> None:
    broken = request(
        1,
        change=[
            ("OPTIONS sip", "\0 oPTIONS sip"), ("SIP/2.0\r\n", "SIP/9\r\n"), ("1 OPTIONS", "2 BYE"), ("phone", "a\0b"),
            ("To: ", "To: <sip:x@y>\r\nTo: "), ("Call-ID: ", "Call-ID: z\r\nCall-ID: "), ("Content-Length: 0", "l: -1"),
        ],
    )  # fmt: skip
    story = heard(broken)
    assert not found(story, "malformed")
    story.inbound(STRANGER, 5062, broken.replace(b"c1@", b"c2@").replace(b"bKb1", b"bKb2"))
    assert found(story, "malformed")


@pytest.mark.parametrize(
    "name",
    [
        "' or 1=1", "'or''='", "x' OR 'a'='a", "%27%20or%20%271%27=%271", "1' and (1)=1", "admin'-- ",
        "x'); DROP table sip", "${jndi:ldap://x}", "'; select pg_sleep(9)",
    ],
)  # fmt: skip
def test_sql_is_found_at_once(name: str) -> None:
    story = heard(request(1, change=[("From: <", f'From: "{name}" <')]))
    assert [each.severity for each in found(story, "malformed")] == [8]
    assert name not in str(story.actions)


@pytest.mark.parametrize(
    "name",
    [
        "Tim O'Reilly and Sons",
        "Cote d'Or",
        "Cote d'Or 21000 Dijon",
        "L'Oreal",
        "union men's club",
        "d'or=gold",
        "O'-",
    ],
)
def test_names_with_apostrophes_are_names(name: str) -> None:
    payload = request(1, change=[("From: <", f'From: "{name}" <'), (";tag=t1", ";tag=t1;x=1")])
    assert not found(heard(payload), "malformed")


@pytest.mark.parametrize(
    ("change", "points"),
    [
        ([("OPTIONS sip", "\0OPTIONS sip")], 4),
        ([("OPTIONS sip", " \tOPTIONS sip")], 4),
        ([("OPTIONS sip", "OPTionS sip")], 4),
        ([("a phone", "a\0phone")], 4),
        ([("To: ", "t:<sip:other@here>\r\nTo: ")], 6),
        ([("Content-Length: 0", "Content-Length: 5\r\nl : 6")], 9),
        ([("Call-ID: c1@203.0.113.66\r\n", "")], 2),
        ([("OPTIONS sip:100@192.0.2.10 SIP/2.0", "OPTIONS sip:100@192.0.2.10 SIP/3.0")], 3),
        ([("Content-Length: 0", "Content-Length: 900")], 3),
        ([("Content-Length: 0", "Content-Length: -5")], 3),
        ([("1 OPTIONS", "1 BYE")], 4),
    ],
)
def test_each_fault_has_its_points(change: Sequence[tuple[str, str]], points: int) -> None:
    story = heard(request(1, change=change), config=Config(points=points))
    assert [dict(each.evidence)["points"] for each in found(story, "malformed")] == [points]
    assert not found(heard(request(1, change=change), config=Config(points=points + 1)), "malformed")


@pytest.mark.parametrize(
    "change",
    [
        [("OPTIONS sip", "\r\n\r\nOPTIONS sip")],
        [("From: <", "From :\r\n <")],
        [("Max-Forwards: 70\r\n", "")],
        [("z9hG4bK", "")],
        [(";tag=t1", "")],
        [("a phone", "\xe9t\xe9")],
        [("Content-Length: 0\r\n\r\n", "Content-Length: 0\r\n\r\nmore")],
    ],
)
def test_what_honest_devices_do_wrong_counts_nothing(change: Sequence[tuple[str, str]]) -> None:
    each = [
        request(number, change=[(old.replace("t1", f"t{number}"), new) for old, new in change]) for number in range(50)
    ]
    assert not found(heard(*each, config=Config(points=5)), "malformed")


def test_no_benign_fault_has_points() -> None:
    assert not BENIGN & POINTS.keys()


@pytest.mark.parametrize(
    "noise", [b"\r\n\r\n", b"\0" * 4, b"hello", b"jaK\0", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" * 9]
)
def test_keepalives_and_what_is_not_sip_count_nothing(noise: bytes) -> None:
    assert not found(heard(*[noise] * 50, config=Config(points=5)), "malformed")


def test_what_claims_to_be_sip_and_cannot_be_read_counts() -> None:
    assert found(heard(*[b"INVITEKsip:1@2 SIP/2.0\r\nVia: x\r\n\r\n"] * 7), "malformed")


def test_a_call_for_nobody_counts() -> None:
    assert found(heard(request(1, "INVITE", f"sip:@{PBX}"), config=Config(points=6)), "malformed")


def test_a_registered_device_may_be_as_broken_as_it_likes() -> None:
    story = Story()
    story.register(STRANGER)
    for number in range(100):
        story.inbound(STRANGER, 5062, mismatch(number))
    assert not found(story, "malformed")


def test_forged_faults_get_nobody_banned_even_where_the_policy_says_block() -> None:
    story = Story(policy(malformed=Config(then=Consequence.BLOCK)))
    sent = story.ask(STRANGER, story.challenge(STRANGER, user="1001"), user="1001")  # the victim proves its address
    story.answer(sent, 401, nonce="again")
    for number in range(100):
        story.inbound(STRANGER, 5062, mismatch(number))
    assert story.held() == []


def test_what_is_remembered_is_bounded() -> None:
    story = Story(policy(malformed=Config(sources=1000)))
    for number in range(3000):
        source = f"10.{number >> 8}.{number & 255}.1"
        story.inbound(source, 5062, request(number, source=source, change=[("1 OPTIONS", "1 BYE")]))
    counters = story.engine.counters()
    assert counters["malformed_sources"] == 1000
    assert counters["malformed_sources_evicted"] == 2000


# --- Streams ----------------------------------------------------------------------------------------------------------


class Stream:
    """A TCP connection of the stranger's."""

    def __init__(self, port: int = 40_000) -> None:
        self.story = Story()
        self.port = port
        self.segment(flags=SYN, seq=999)
        self.back(flags=SYN | ACK, seq=4999, ack=1000)
        self.segment(seq=1000)

    def segment(self, payload: bytes = b"", *, flags: int = ACK, seq: int, ack: int = 5000) -> None:
        self.story.now += 1
        head = tcp(self.port, 5060, seq, 0 if flags & SYN else ack, flags | (PSH if payload else 0))
        self.story.tell(Frame(ip(6, STRANGER, PBX, head + payload), Hook.PREROUTING, Origin.TAP))

    def back(self, *, flags: int = ACK, seq: int = 5000, ack: int) -> None:
        self.story.now += 1
        self.story.tell(Frame(ip(6, PBX, STRANGER, tcp(5060, self.port, seq, ack, flags)), Hook.OUTPUT, Origin.TAP))


def tcp(source: int, target: int, seq: int, ack: int, flags: int) -> bytes:
    return (
        source.to_bytes(2) + target.to_bytes(2) + seq.to_bytes(4) + ack.to_bytes(4) + bytes([0x50, flags]) + b"\xff\xff"
        b"\0\0\0\0"
    )


def test_a_stream_that_is_changed_after_it_was_sent_is_found_once() -> None:
    stream = Stream()
    first, second = request(1), request(1, change=[("a phone", "A PHONE")])
    stream.segment(first, seq=1000)
    stream.segment(second, seq=1000)
    stream.segment(first, seq=1000)
    assert [dict(each.evidence)["faults"] for each in found(stream.story, "malformed")] == ["stream rewritten"]


def test_a_stream_sent_again_as_it_was_is_a_retransmission() -> None:
    stream = Stream()
    for start in (0, 0, 10, 100):
        stream.segment(request(1)[start:], seq=1000 + start)
    assert not found(stream.story, "malformed")
