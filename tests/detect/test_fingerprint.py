"""Tools are known by how they write, and nobody else is; a guess is never shown; a forged sender pays little."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sipguard.detect import fingerprint
from sipguard.detect.fingerprint import Config
from sipguard.fingerprints import SIGNS, Tool
from sipguard.model import Consequence, SetName
from tests.detect.asking import STRANGER, found, policy, request
from tests.engine.story import PBX, Sent, Story


def tag(data: str) -> str:
    return (data.encode() + b"\x012624801407").hex()


def sipvicious(
    order: str, *, agent: str = "", branch: str = "z9hG4bK-525113521", call_id: str = "2463344650", from_tag: str = "x"
) -> bytes:
    values = {
        "via": f"Via: SIP/2.0/UDP 1.2.3.4:5060;branch={branch};rport",
        "from": f'From: "1001"<sip:1001@{PBX}>;tag={from_tag}',
        "to": f'To: "1001"<sip:1001@{PBX}>',
        "user-agent": f"User-Agent: {agent}",
        "call-id": f"Call-ID: {call_id}",
        "contact": f"Contact: sip:1001@{PBX}",
        "cseq": "CSeq: 1 REGISTER",
        "accept": "Accept: application/sdp",
        "max-forwards": "Max-Forwards: 70",
        "content-length": "Content-Length: 0",
    }
    lines = [values[name] for name in order.split() if agent or name != "user-agent"]
    return "\r\n".join([f"REGISTER sip:{PBX} SIP/2.0", *lines, "", ""]).encode()


NEW = "via max-forwards to from user-agent call-id contact cseq accept content-length"
OLD = "via content-length from accept user-agent to contact cseq call-id max-forwards"
COMPACT = "via to from call-id contact cseq max-forwards accept content-length"


def heard(*payloads: bytes, config: Config | None = None, source: str = STRANGER) -> Story:
    story = Story(policy(fingerprint=config or Config()))
    for payload in payloads:
        story.inbound(source, 5060, payload)
    return story


@pytest.mark.parametrize("order", [NEW, OLD, COMPACT])
def test_sipvicious_is_known_by_its_order_of_headers_without_its_agent_and_its_tag(order: str) -> None:
    assert [each.identifier for each in found(heard(sipvicious(order)), "fingerprint")] == ["sipvicious"]
    assert found(heard(sipvicious(order, agent="Asterisk PBX")), "fingerprint")


def test_one_sign_less_is_not_enough() -> None:
    assert not found(heard(sipvicious(NEW, branch="z9hG4bKabc", call_id="abc@here")), "fingerprint")
    assert not found(heard(sipvicious(COMPACT, branch="z9hG4bKabc")), "fingerprint")


def test_the_signs_add_up_to_exactly_the_certainty_that_is_asked_for() -> None:
    sipsak = request(1, change=[("a phone", "sipsak 0.9.8.1")])
    assert not found(heard(sipsak), "fingerprint")
    assert found(heard(sipsak, config=Config(certainty=7)), "fingerprint")[0].severity == 7


@pytest.mark.parametrize(
    ("change", "tool"),
    [
        ([("a phone", "FRIENDLY-scanner")], Tool.SIPVICIOUS),
        ([("From: <", 'From: "sipvicious"<')], Tool.SIPVICIOUS),
        ([("From: <", "f : \r\n <"), ("User-Agent: a phone", "USER-agent :\r\n\tsipcli/v2.2")], Tool.SIPCLI),
        ([(";tag=t1", ";tag=3206210844")], Tool.SIPVICIOUS),
        ([("z9hG4bKb1", "q" * 71)], Tool.SIPPTS),
        ([("z9hG4bKb1", "zqwehwebK-1")], Tool.SUNDAYDDR),
        ([("a phone", "smap 0.6.0")], Tool.SMAP),
        ([(f"sip:100@{PBX} ", "sip:nm ")], Tool.NMAP),
        (
            [("Content-Length: 0\r\n\r\n", "Content-Length: 99\r\n\r\nv=0\r\no=sipcli-Session 1 1\r\ns=x\r\n")],
            Tool.SIPCLI,
        ),
    ],
)
def test_a_tool_is_known_by_one_sign_that_only_it_has(change: Sequence[tuple[str, str]], tool: Tool) -> None:
    assert [each.identifier for each in found(heard(request(1, change=change)), "fingerprint")] == [str(tool)]


@pytest.mark.parametrize(
    "agent",
    [
        "FPBX", "FreePBX 1.8", "Asterisk PBX", "Zoiper rv2.10.3.2", "eyeBeam release 3006o stamp 17551", "CSipSimple",
        "Cisco-SIPGateway/IOS-12.x", "Smapper 1", "Gulpfish", "Nmaptel", "[/x]", "sipvicioux",
    ],
)  # fmt: skip
def test_no_honest_agent_is_a_sign(agent: str) -> None:
    assert not found(heard(request(1, change=[("a phone", agent)])), "fingerprint")


@pytest.mark.parametrize("other", ["q" * 70, "q" * 72, "Q" * 35 + "-" * 36, "z9hG4bK" + "q" * 64])
def test_a_branch_that_is_nearly_that_of_sippts_is_none(other: str) -> None:
    assert not found(heard(request(1, change=[("z9hG4bKb1", other)])), "fingerprint")


def test_what_a_tag_says_is_told_but_for_a_guess() -> None:
    scan = heard(request(1, change=[("tag=t1", f"tag={tag('c000020a13c4')}")]))
    assert dict(found(scan, "fingerprint")[0].evidence)["target"] == "192.0.2.10:5060"
    asked = heard(request(1, change=[("tag=t1", f"tag={tag('200')}")]))
    assert dict(found(asked, "fingerprint")[0].evidence)["extension"] == "200"
    guess = heard(request(1, change=[("tag=t1", f"tag={tag('200:s3cret')}")]))
    evidence = dict(found(guess, "fingerprint")[0].evidence)
    assert evidence["guess"] == "one was in it"
    assert "s3cret" not in str(guess.actions)


@pytest.mark.parametrize("other", ["01" + "31" * 6, "abc", "61" * 4, "0001" + "31" * 6, tag("a") + "61", "é" * 8])
def test_a_tag_that_only_looks_like_it_says_nothing(other: str) -> None:
    assert not found(heard(request(1, change=[("tag=t1", f"tag={other}")])), "fingerprint")


def guessing(story: Story, code: int, *, right: str = "") -> None:
    story.now += 1
    nonce = story.challenge(STRANGER, "the-nonce", user="1001")
    guess = tag(f"1001:{right or 'wrong'}")
    sent = Sent(STRANGER, 5062, "REGISTER", "one", 7, f"z9hG4bK-{guess[:8]}", "1001")
    head = (
        f"REGISTER sip:{PBX} SIP/2.0\r\nVia: SIP/2.0/UDP {STRANGER}:5062;branch={sent.branch}\r\n"
        f"From: <sip:1001@{PBX}>;tag={guess}\r\nTo: <sip:1001@{PBX}>\r\nCall-ID: one\r\nCSeq: 7 REGISTER\r\n"
        f'Authorization: Digest username="1001",realm="pbx",nonce="{nonce}",uri="sip:{PBX}",response="{"0" * 32}"\r\n'
        "Content-Length: 0\r\n\r\n"
    )
    story.inbound(STRANGER, 5062, head.encode())
    story.answer(sent, code, nonce="" if code == 200 else "next")


def test_whether_the_guess_was_right_is_told_when_the_pbx_says_so() -> None:
    report = Config(then=Consequence.REPORT)
    wrong, right = Story(policy(fingerprint=report)), Story(policy(fingerprint=report))
    guessing(wrong, 401)
    guessing(right, 200, right="s3cret")
    assert [each.identifier for each in found(wrong, "fingerprint")] == ["sipvicious"]
    assert [each.identifier for each in found(right, "fingerprint")] == ["sipvicious", "right guess"]
    assert dict(found(right, "fingerprint")[1].evidence)["account"] == "1001@pbx"
    assert "s3cret" not in str(right.actions)


def test_who_answers_a_nonce_of_his_own_is_banned_and_who_only_sends_is_slowed_down() -> None:
    story = Story()
    guessing(story, 401)
    assert story.held() == [STRANGER]
    only = heard(sipvicious(NEW, agent="friendly-scanner"))
    assert only.held() == []
    assert only.held(SetName.THROTTLED) == [STRANGER]


def test_a_forged_scan_does_not_ban_who_proved_his_address_before() -> None:
    """An address that signed on by a nonce of its own is proven for an hour; a forger must not live on that."""
    story = Story()
    sent = story.ask(STRANGER, story.challenge(STRANGER, user="1001"), user="1001")
    story.answer(sent, 401, nonce="again")
    for number in range(100):
        story.inbound(STRANGER, 5060, request(number, change=[("a phone", "friendly-scanner")]))
    assert story.held() == []
    assert not any(each.proven for each in found(story, "fingerprint"))


def test_a_forged_scan_does_nothing_to_a_registered_phone() -> None:
    story = Story()
    story.register(STRANGER)
    for number in range(1000):
        story.inbound(STRANGER, 5060, request(number, change=[("a phone", "friendly-scanner")]))
    assert story.held() == story.held(SetName.THROTTLED) == []
    assert not found(story, "fingerprint")


def reuse(story: Story, count: int) -> None:
    nonce = story.challenge(STRANGER, "fixed", user="1001")
    for number in range(count):
        sent = story.ask(STRANGER, nonce, user="1001", response=f"{number:032x}")
        story.answer(sent, 403)


def test_one_nonce_answered_in_eight_ways_takes_eight_passwords() -> None:
    quiet = policy(fingerprint=Config())
    below, at = Story(quiet), Story(quiet)
    below.engine._judge.adopt(dict.fromkeys(below.engine._judge._consequences, Consequence.REPORT))
    at.engine._judge.adopt(dict.fromkeys(at.engine._judge._consequences, Consequence.REPORT))
    reuse(below, 7)
    reuse(at, 8)
    assert not found(below, "fingerprint")
    assert [each.identifier for each in found(at, "fingerprint")] == ["guesser"]


def test_the_policy_adds_agents_and_takes_tools_out() -> None:
    strange = request(1, change=[("a phone", "Cisco-CUCM8.6 (x)")])
    assert not found(heard(strange), "fingerprint")
    assert found(heard(strange, config=Config(agents=("cisco-cucm8.6 (",))), "fingerprint")[0].identifier == "listed"
    probe = request(1, change=[(f"sip:100@{PBX} ", "sip:nm ")])
    assert not found(heard(probe, config=Config(ignored=(Tool.NMAP,))), "fingerprint")
    ignored = request(1, change=[("tag=t1", f"tag={tag('200:x')}")])
    assert not found(heard(ignored, config=Config(ignored=(Tool.SIPVICIOUS,))), "fingerprint")


def test_what_is_remembered_of_guesses_and_nonces_is_bounded() -> None:
    story = Story(policy(fingerprint=Config(sources=100)))
    for number in range(1000):
        source = f"10.{number >> 4}.{number & 15}.9"
        head = request(number, "REGISTER", source=source, change=[(f"tag=t{number}", f"tag={tag('200:x')}")])
        login = f'Authorization: Digest username="200",realm="r",nonce="n{number}",uri="u",response="a"\r\nMax-'
        story.inbound(source, 5060, head.replace(b"Max-", login.encode(), 1))
    counters = story.engine.counters()
    assert counters["fingerprint_guesses"] == counters["fingerprint_nonces"] == 100
    assert counters["fingerprint_guesses_evicted"] == counters["fingerprint_nonces_evicted"] == 900


def test_every_sign_counts_something_and_every_place_is_read() -> None:
    assert all(1 <= sign.certainty <= 10 for sign in SIGNS)
    assert {sign.where for sign in SIGNS} <= set(fingerprint._READ)
    assert {sign.tool for sign in SIGNS} | {Tool.GUESSER, Tool.LISTED} == set(Tool)
