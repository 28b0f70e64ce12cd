"""What is a guess, what is not, and who is banned for it."""

from __future__ import annotations

import pytest

from sipguard.model import DecisionVerdict, Frame, Hook, SetName
from tests.engine.story import PBX, Story, ip, udp

GUESSER = "203.0.113.66"
VICTIM = "198.51.100.20"


def test_the_fifth_failure_bans_and_the_fourth_does_not() -> None:
    story = Story()
    for _ in range(4):
        story.guess(GUESSER)
    assert story.held() == []
    story.guess(GUESSER)
    assert story.held() == [GUESSER]
    (decision,) = story.decisions()
    assert decision.verdict is DecisionVerdict.BLOCK
    assert decision.rule == "detect.credentials.then"


def test_the_challenge_that_every_phone_gets_is_no_failure() -> None:
    story = Story()
    for _ in range(50):
        story.challenge(GUESSER)
    assert story.findings() == []


def test_a_retransmitted_credential_is_one_guess() -> None:
    story = Story()
    nonce = story.challenge(GUESSER)
    sent = story.ask(GUESSER, nonce, response="a" * 32)
    for _ in range(20):
        story.ask(GUESSER, nonce, response="a" * 32, again=sent)
        story.answer(sent, 401, nonce="n")
    assert story.findings() == []


def test_another_response_under_an_old_key_is_a_new_guess_and_is_told() -> None:
    story = Story()
    nonce = story.challenge(GUESSER)
    sent = story.ask(GUESSER, nonce, response="0" * 32)
    story.answer(sent, 401, nonce="n0")
    for count in range(1, 5):
        story.ask(GUESSER, nonce, response=str(count) * 32, again=sent)
        story.answer(sent, 401, nonce=f"n{count}")
    assert [finding.detector for finding in story.findings()] == ["samekey", "credentials"]
    assert story.held() == [GUESSER]


def test_guesses_answered_only_after_all_were_sent_count_each() -> None:
    story = Story()
    nonce = story.challenge(GUESSER)
    sent = story.ask(GUESSER, nonce, response="0" * 32)
    for count in range(1, 5):
        story.ask(GUESSER, nonce, response=str(count) * 32, again=sent)
    for _ in range(5):
        story.answer(sent, 401, nonce="n")
    assert story.held() == [GUESSER]


def test_changing_ports_methods_and_accounts_hides_nothing() -> None:
    story = Story()
    story.guess(GUESSER, port=1025)
    story.guess(GUESSER, port=2025, user="1002")
    story.guess(GUESSER, port=3025, method="INVITE")
    story.guess(GUESSER, port=4025, method="SUBSCRIBE")
    story.guess(GUESSER, port=5025, user="9")
    assert story.held() == [GUESSER]


def test_changing_addresses_within_a_v6_64_hides_nothing_and_the_64_is_banned() -> None:
    story = Story()
    for host in range(1, 6):
        story.guess(f"2001:db8:bad::{host}")
    assert story.held() == ["2001:db8:bad::/64"]


def test_failures_older_than_the_window_do_not_count() -> None:
    story = Story()
    for _ in range(20):
        story.guess(GUESSER)
        story.wait(200)
    assert story.findings() == []


def test_slow_guessing_within_the_window_is_found() -> None:
    story = Story()
    for _ in range(5):
        story.guess(GUESSER)
        story.wait(100)
    assert story.held() == [GUESSER]


def test_stale_is_never_a_failure() -> None:
    story = Story()
    for _ in range(100):
        nonce = story.challenge(GUESSER)
        sent = story.ask(GUESSER, nonce)
        story.answer(sent, 401, nonce="fresh", stale=True)
    assert story.findings() == []


def test_403_to_a_register_is_a_failure_and_403_to_an_invite_is_not() -> None:
    story = Story()
    for _ in range(5):
        nonce = story.challenge(GUESSER, method="INVITE")
        story.answer(story.ask(GUESSER, nonce, method="INVITE"), 403)
    assert story.findings() == []
    for _ in range(5):
        nonce = story.challenge(GUESSER)
        story.answer(story.ask(GUESSER, nonce), 403)
    assert story.held() == [GUESSER]


def test_a_restart_of_the_pbx_that_forgets_its_nonces_bans_no_phone() -> None:
    story = Story()
    story.register(VICTIM)
    for _ in range(20):  # twenty subscriptions of one account, each with a nonce of before the restart
        story.answer(story.ask(VICTIM, "from-before-the-restart"), 401, nonce="new")
    story.register(VICTIM)
    for _ in range(20):
        story.answer(story.ask(VICTIM, "from-before-the-restart"), 401, nonce="new")
    assert story.findings() == []


def test_an_office_that_the_guard_never_saw_register_survives_a_restart_of_the_pbx() -> None:
    story = Story()
    for phone in range(50):
        story.answer(story.ask(VICTIM, f"old{phone}", user=f"1{phone:03}"), 401, nonce="new")
    for phone in range(50):
        story.register(VICTIM, user=f"1{phone:03}")
    assert story.findings() == []


def test_an_old_nonce_excuses_an_unknown_account_once() -> None:
    story = Story()
    nonces = [story.challenge(GUESSER, f"aged{count}") for count in range(6)]
    story.wait(61)
    for nonce in nonces:
        story.answer(story.ask(GUESSER, nonce), 401, nonce="new")
    assert story.held() == [GUESSER]


def test_trying_many_accounts_with_old_nonces_is_found() -> None:
    story = Story()
    nonce = story.challenge(GUESSER, user="own")
    story.answer(story.ask(GUESSER, nonce, user="own"), 200, extra="Contact: <sip:x@y>;expires=0")
    for count in range(55):
        story.answer(story.ask(GUESSER, nonce, user=f"1{count:03}"), 401, nonce="new")
    assert story.held() == [GUESSER]


def test_an_accepted_nonce_of_the_guessers_own_account_covers_no_guesses_on_others() -> None:
    story = Story()
    nonce = story.challenge(GUESSER, user="own")
    story.answer(story.ask(GUESSER, nonce, user="own"), 200)
    for _ in range(56):  # an account of its own earns it the patience an office has, and no more
        story.answer(story.ask(GUESSER, nonce, user="1001"), 401, nonce="new")
    assert story.held() == [GUESSER]


def test_an_invented_nonce_proves_nothing_so_its_sender_is_throttled_not_banned() -> None:
    story = Story()
    for count in range(40):
        story.answer(story.ask(VICTIM, f"invented{count}"), 401, nonce=f"real{count}")
    assert story.held() == []
    assert story.held(SetName.THROTTLED) == [VICTIM]


def test_a_victim_that_shares_a_nonce_with_its_attacker_is_not_banned() -> None:
    story = Story()
    story.register(VICTIM)
    story.challenge(GUESSER, "shared")
    story.challenge(VICTIM, "shared")
    for _ in range(50):
        story.answer(story.ask(VICTIM, "shared"), 401, nonce="n")
    assert story.held() == []
    assert story.held(SetName.THROTTLED) == []  # it is trusted, and a throttle never touches those


def test_a_victim_in_whose_name_the_attackers_own_nonce_is_used_is_not_banned() -> None:
    story = Story()
    nonce = story.challenge(GUESSER)
    for _ in range(50):
        story.answer(story.ask(VICTIM, nonce), 401, nonce="n")
    assert story.held() == []


def test_a_decoy_credential_in_front_hides_nothing() -> None:
    story = Story()
    decoy = 'Authorization: Digest username="x", realm="other", nonce="made-up", response="' + "0" * 32 + '"\r\n'
    for _ in range(5):
        nonce = story.challenge(GUESSER)
        real = f'Authorization: Digest username="1001", realm="pbx", nonce="{nonce}", response="{story.now:032x}"'
        sent = story.ask(GUESSER, extra=decoy + real)
        story.answer(sent, 401, nonce="n")
    assert story.held() == [GUESSER]


def test_a_crowd_of_decoys_is_no_excuse() -> None:
    story = Story()
    decoys = "".join(
        f'Authorization: Digest username="x", realm="r{count}", nonce="made-up"\r\n' for count in range(40)
    )
    for _ in range(5):
        nonce = story.challenge(GUESSER)
        real = f'Authorization: Digest username="1001", realm="pbx", nonce="{nonce}", response="{story.now:032x}"'
        story.answer(story.ask(GUESSER, extra=decoys + real), 401, nonce="n")
    assert story.held(SetName.THROTTLED) == [GUESSER]


def test_a_success_clears_its_own_account_only() -> None:
    story = Story()
    for _ in range(4):
        story.guess(VICTIM, user="1001")
    story.register(VICTIM, user="1001")
    for _ in range(4):
        story.guess(VICTIM, user="1001")
    assert story.findings() == []
    other = Story()
    for _ in range(4):
        other.guess(GUESSER, user="1001")
    other.register(GUESSER, user="own")
    other.guess(GUESSER, user="1001")
    assert other.held() == [GUESSER]


def test_a_request_that_nobody_challenges_does_not_launder_failures() -> None:
    story = Story()
    for _ in range(5):
        story.guess(GUESSER)
        nonce = story.challenge(GUESSER)
        story.answer(story.ask(GUESSER, nonce, method="OPTIONS"), 200)
    assert story.held() == [GUESSER]


def test_the_pbxs_own_challenged_requests_never_count() -> None:
    story = Story()
    trunk = "198.51.100.99"
    for count in range(20):
        request = (
            f"REGISTER sip:carrier SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKo{count}\r\n"
            f"From: <sip:me@carrier>;tag=1\r\nTo: <sip:me@carrier>\r\nCall-ID: out{count}\r\nCSeq: 2 REGISTER\r\n"
            f'Authorization: Digest username="me", realm="carrier", nonce="n{count}", response="0"\r\n\r\n'
        )
        story.outbound(trunk, 5060, request.encode())
        answer = (
            f"SIP/2.0 401 No\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKo{count}\r\nFrom: <sip:me@carrier>;tag=1\r\n"
            f"To: <sip:me@carrier>;tag=2\r\nCall-ID: out{count}\r\nCSeq: 2 REGISTER\r\n"
            f'WWW-Authenticate: Digest realm="carrier", nonce="m{count}"\r\n\r\n'
        )
        story.inbound(trunk, 5060, answer.encode())
    assert story.findings() == []


def test_a_stranger_cannot_speak_in_the_pbxs_name_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story()
    forged = Story()  # only to write the packets down
    sent = forged.ask(GUESSER, "made-up", extra="Expires: 3600")
    answers: list[bytes] = []
    monkeypatch.setattr(forged, "outbound", lambda _target, _port, payload: answers.append(payload))
    forged.answer(sent, 200, extra=f"Contact: <sip:1001@{GUESSER}:5062>;expires=3600")
    story.ask(GUESSER, "made-up", again=sent)
    packet = udp(PBX, 5060, GUESSER, 5062, answers[0])
    story.tell(Frame(packet, Hook.PREROUTING))
    tunnelled = ip(4, GUESSER, PBX, packet)
    story.tell(Frame(tunnelled, Hook.PREROUTING))
    assert story.held(SetName.TRUSTED) == []
    story.tell(Frame(packet, Hook.OUTPUT))  # the real one, so that the test is known to be able to fail
    assert story.held(SetName.TRUSTED) == [GUESSER]


def test_a_credential_beside_ones_own_earns_its_user_nothing() -> None:
    story = Story()
    own = story.challenge(GUESSER, user="own")
    story.answer(story.ask(GUESSER, own, user="own"), 200, extra=f"Contact: <sip:own@{GUESSER}:5062>;expires=1")
    story.wait(2)
    fresh = story.challenge(GUESSER, user="own")
    other = f'Authorization: Digest username="victim", realm="pbx", nonce="{fresh}", response="{0:032x}"'
    sent = story.ask(GUESSER, own, user="own", extra=other)
    story.answer(sent, 200, extra=f"Contact: <sip:own@{GUESSER}:5062>;expires=3600")
    assert story.held(SetName.TRUSTED) == []


def test_an_unanswered_guess_is_given_up_and_never_counted() -> None:
    story = Story()
    for _ in range(10):
        nonce = story.challenge(GUESSER)
        sent = story.ask(GUESSER, nonce)
        story.wait(33)
        story.answer(sent, 401, nonce="late")
    assert story.findings() == []


@pytest.mark.parametrize("disguise", ["aUtHoRiZaTiOn:", "Authorization :", "Authorization:\r\n "])
def test_the_spelling_of_a_header_hides_nothing(disguise: str) -> None:
    story = Story()
    for _ in range(5):
        nonce = story.challenge(GUESSER)
        value = f'Digest username="1001",realm="pbx",nonce="{nonce}",response="{story.now:032x}"'
        story.answer(story.ask(GUESSER, extra=f"{disguise} {value}"), 401, nonce="n")
    assert story.held() == [GUESSER]
