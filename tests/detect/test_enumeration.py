"""Looking for accounts is found; phones, offices and forged victims are not hit."""

from __future__ import annotations

import pytest

from sipguard.detect import catalogue, enumeration
from sipguard.model import Finding, SetName
from sipguard.policy.schema import Policy
from tests.engine.story import Story

SCANNER = "203.0.113.66"
OFFICE = "198.51.100.20"


def found(story: Story) -> list[Finding]:
    return [each for each in story.findings() if each.detector == "enumeration"]


def scan(
    story: Story, first: int, count: int, code: int = 404, source: str = SCANNER, method: str = "REGISTER"
) -> None:
    for number in range(first, first + count):
        sent = story.ask(source, method=method, user=str(number))
        story.answer(sent, code, nonce=f"n{number}" if code in {401, 407} else "")


@pytest.mark.parametrize("method", ["REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE"])
def test_the_twentieth_unknown_account_is_found_and_the_nineteenth_is_not(method: str) -> None:
    story = Story()
    scan(story, 100, 19, method=method)
    assert found(story) == []
    scan(story, 119, 1, method=method)
    (finding,) = found(story)
    assert (str(finding.subject), finding.identifier, finding.proven) == (SCANNER, "accounts", False)


def test_what_may_be_forged_is_slowed_down_and_never_banned() -> None:
    story = Story()
    scan(story, 100, 200)
    assert story.held() == []
    assert story.held(SetName.THROTTLED) == [SCANNER]


def test_a_proof_of_its_own_does_not_make_a_victim_pay_for_forged_datagrams() -> None:
    story = Story()
    story.guess(OFFICE)  # proven, and no more than a stranger
    scan(story, 100, 200, source=OFFICE)
    assert {each.proven for each in found(story)} == {False}
    assert story.held() == []


def test_challenges_that_nobody_takes_up_count_after_32_seconds() -> None:
    story = Story()
    scan(story, 100, 25, code=401)
    assert found(story) == []
    story.wait(33)
    story.challenge("198.51.100.77")  # whoever comes next moves the time on
    assert [str(each.subject) for each in found(story)] == [SCANNER]


def test_an_office_that_registers_after_an_outage_is_not_found() -> None:
    story = Story()
    nonces = [story.challenge(OFFICE, f"n{phone}", user=f"1{phone:03}", port=6000 + phone) for phone in range(300)]
    for phone, nonce in enumerate(nonces):
        user, port = f"1{phone:03}", 6000 + phone
        sent = story.ask(OFFICE, nonce, user=user, port=port, extra="Expires: 3600")
        story.answer(sent, 200, extra=f"Contact: <sip:{user}@{OFFICE}:{port}>;expires=3600")
    story.wait(40)
    story.challenge("198.51.100.77")
    assert found(story) == []


def test_an_office_whose_pbx_has_lost_its_accounts_is_not_found() -> None:
    story = Story()
    story.register(OFFICE, expires=60)
    story.wait(120)  # its registration has run out: a stranger again
    scan(story, 100, 100, source=OFFICE)
    scan(story, 100, 100, code=403, source=OFFICE)
    assert found(story) == []


def test_accounts_that_succeed_are_taken_back() -> None:
    story = Story()
    for number in range(40):
        story.answer(story.ask(OFFICE, user=f"1{number:03}"), 404)
        nonce = story.challenge(OFFICE, user=f"1{number:03}")
        story.answer(story.ask(OFFICE, nonce, user=f"1{number:03}"), 200)
    assert found(story) == []


def test_one_phone_that_is_refused_for_ever_is_one_account() -> None:
    story = Story()
    for _ in range(300):
        story.answer(story.ask(OFFICE, user="1001"), 404)
        story.wait(30)
    assert found(story) == []


def test_a_registered_phone_may_watch_extensions_that_are_not_there() -> None:
    story = Story()
    story.register(OFFICE)
    scan(story, 100, 100, source=OFFICE, method="SUBSCRIBE")
    assert found(story) == []


def test_a_monitor_that_leaves_challenged_options_alone_is_not_found() -> None:
    story = Story()
    for _ in range(400):
        story.answer(story.ask(OFFICE, method="OPTIONS", user="ping"), 401, nonce="n")
        story.wait(10)
    assert found(story) == []


def test_a_phone_without_a_password_is_not_found_and_a_hammer_is() -> None:
    story = Story()
    for _ in range(200):
        story.challenge(OFFICE)
        story.wait(35)
    assert found(story) == []
    hammer = Story()
    for number in range(60):
        hammer.challenge(SCANNER, user=f"u{number % 5}")
        hammer.wait(7)
    assert [each.identifier for each in found(hammer)] == ["unanswered"]


def test_a_patient_scan_is_found_in_the_slow_window() -> None:
    story = Story()
    for number in range(60):
        scan(story, number, 1)
        story.wait(20 * 60)
    assert [each.identifier for each in found(story)] == ["slow"]


def test_many_sources_of_one_network_are_found_together() -> None:
    story = Story()
    for number in range(130):
        scan(story, 1000 + number, 1, source=f"203.0.113.{number % 10 + 1}")
        story.wait(120)
    assert {each.identifier for each in found(story)} == {"network"}


def test_wrong_credentials_are_not_counted_here_as_well() -> None:
    story = Story()
    for number in range(30):
        story.guess(SCANNER, user=f"1{number:03}")
        story.wait(40)
    assert found(story) == []


@pytest.mark.parametrize("spelling", ["t: <sip:{}@pbx>", "TO :<sip:{}@pbx>", "To:\r\n <sip:{}@pbx>"])
def test_the_spelling_of_to_hides_nothing(spelling: str) -> None:
    story = Story()
    for number in range(20):
        call = f"{number}'\"@!"
        head = f"Via: SIP/2.0/UDP x;branch=z9hG4bK{number}\r\nFrom: <sip:a@b>;tag=1\r\nCall-ID: {call}\r\n"
        to = spelling.format(number) + "\r\n"
        story.inbound(
            SCANNER, 5060 + number, f"REGISTER sip:pbx SIP/2.0\r\n{head}{to}CSeq: 1 REGISTER\r\n\r\n".encode()
        )
        answer = f"SIP/2.0 404 Not Found\r\n{head}{to.rstrip()};tag=t\r\nCSeq: 1 REGISTER\r\n\r\n"
        story.outbound(SCANNER, 5060 + number, answer.encode())
    assert len(found(story)) == 1


def test_a_flood_of_forged_sources_fills_its_share_and_no_more() -> None:
    story = Story(Policy(detect=catalogue.Config(enumeration=enumeration.Config(remembered=1000))))
    for number in range(1500):
        source = f"203.0.113.{number % 250}" if number < 400 else f"100.64.{number % 250}.{number // 250}"
        story.answer(story.ask(source, user=f"u{number}"), 401, nonce="n")
    counters = story.engine.counters()
    assert counters["enumeration_sources"] <= 1000
    assert counters["enumeration_open"] == 1000
    assert counters["enumeration_evicted"] > 0
    assert counters["enumeration_overlooked"] > 0
