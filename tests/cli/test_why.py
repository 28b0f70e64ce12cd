"""`sipguard why` from the engine through the keeper and its socket to the terminal: the reason first, then the rest."""

from __future__ import annotations

import json
import re
import subprocess
import time

from sipguard.address import parse_network
from sipguard.model import Clock, Decision, Delta, Finding, Record
from sipguard.policy.load import load
from sipguard.report import line
from tests.cli.conftest import Guard
from tests.engine.story import START, Story
from tests.keeper.packetside import boottime

BAD = "203.0.113.9"
PHONE = "198.51.100.7"
HOSTILE = "[/x][link=http://x]\x1b[2J\x1b]0;title\x07\x9b31m\u202eevil"
SECRET = "f00dfeedf00dfeedf00dfeedf00dfeed"


def begin(guard: Guard, policy: str = "") -> Story:
    """Begin a story that goes by the keeper's policy and by this machine's clock."""
    text = f"{policy}\n" + guard.packet.policy.read_text()
    guard.packet.policy.write_text(text)
    story = Story(load(text))
    story.tell(Clock(time.time_ns() - START))
    return story


def hand_over(guard: Guard, story: Story) -> None:
    """Let the keeper have what the packet process would have told it."""
    wall, shift = time.time_ns(), boottime() - START  # of one moment: what belongs together is told by its time
    deltas: list[Delta] = []
    with guard.work:
        for action in story.actions:
            if isinstance(action, Record) and isinstance(action.what, Decision):
                made = action.what
                until = made.until + shift if made.until else 0
                deltas.append(
                    Decision(
                        made.at + shift,
                        made.verdict,
                        made.subject,
                        until,
                        made.because,
                        made.rule,
                        made.reason,
                        made.offence,
                    )
                )
            elif isinstance(action, Record) and isinstance(action.what, Finding):
                told = line(action, START - wall)
                assert told is not None
                guard.packet.report(**told)
        guard.packet.delta(*deltas)


def ask(guard: Guard, story: Story, subject: str, *options: str) -> subprocess.CompletedProcess[str]:
    try:
        body = story.engine.why(parse_network(subject))
    except ValueError:
        body = story.engine.why(subject)
    guard.packet.answers["why"] = {"ok": True, "body": body}
    return guard.run("why", subject, *options)


def flat(text: str) -> str:
    return re.sub(r" +", " ", text)


def test_a_ban_is_explained_with_its_cause_its_policy_line_and_what_would_change_it(guard: Guard) -> None:
    story = begin(guard, 'mode = "enforce"\n[detect.credentials]\nfailures = 5\nthen = "block"')
    for _ in range(5):
        story.guess(BAD, nonce=story.challenge(BAD))
    hand_over(guard, story)
    done = ask(guard, story, BAD)
    assert done.returncode == 0
    first = done.stdout.splitlines()[0]
    policy = guard.packet.policy
    assert re.match(rf"{re.escape(BAD)} (is|would be) banned until [-\d: ]+ \((1 h|59 min)", first)
    assert "because 5 passwords failed within 0 s" in first
    assert f"(policy: detect.credentials.then, {policy}:4)" in first
    shown = flat(done.stdout)
    assert f"sipguard unban {BAD} ends it now" in shown
    assert f"detect.credentials.failures {policy}:3 the limit that was reached" in shown
    assert "allowed (default)" in shown
    assert "It has been banned 1 time; the next ban would last 4 h." in first
    assert "SIP/2.0 401 Whatever" in done.stdout
    assert "credentials" in done.stdout.split("Found")[1]


def test_counters_are_shown_before_anything_is_decided(guard: Guard) -> None:
    story = begin(guard)
    for _ in range(4):
        story.guess(BAD)
    shown = flat(ask(guard, story, BAD).stdout)
    assert f"{BAD} is not banned. The nearest limit: 4 of 5 (detect.credentials.failures)." in shown
    assert "credentials failures 4 5 (default)" in shown
    assert f"sipguard ban {BAD} bans it now" in shown


def test_programs_get_the_same_as_one_document(guard: Guard) -> None:
    story = begin(guard)
    for number in range(5):
        nonce = story.challenge(BAD, f"{SECRET}{number}")
        story.answer(story.ask(BAD, nonce, response=SECRET), 401, nonce=SECRET)
    hand_over(guard, story)
    done = ask(guard, story, BAD, "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, SECRET in done.stdout) == (0, False)
    assert told["in_force"][0]["what"] == "block"
    assert told["past"]["findings"][0]["detector"] == "credentials"
    assert told["past"]["decisions"][0]["rule"] == "detect.credentials.then"
    assert told["changes"][0]["command"] == f"sipguard unban {BAD}"
    assert told["mode"] == "observe"
    assert "would be banned" in told["summary"]


def test_an_allowed_address_is_said_to_be_and_by_which_line(guard: Guard) -> None:
    site = f'[[site]]\nname = "Lyon"\naddresses = ["{PHONE}"]'
    story = begin(guard, f'allowed = ["192.0.2.77"]\n{site}')
    shown = flat(ask(guard, story, PHONE).stdout)
    assert f"{PHONE} is never banned: it is on the allowlist (site Lyon)." in shown
    assert f"site Lyon {guard.packet.policy}:2 take it off, and it can be banned" in shown
    shown = flat(ask(guard, story, "192.0.2.77").stdout)
    assert f"allowed {guard.packet.policy}:1 take it off" in shown


def test_an_account_is_explained_with_its_phone_and_its_quarantine(guard: Guard) -> None:
    story = begin(guard, 'mode = "enforce"')
    for user in ("1001", "1002", "1003"):
        story.register(PHONE, user=user)
    for _ in range(5):
        story.guess(PHONE, user="1009")
    hand_over(guard, story)
    shown = flat(ask(guard, story, "1009").stdout)
    assert re.search(rf"1009@pbx from {PHONE} (may|might) not place calls until", shown)
    assert "ward.quarantine" in shown
    assert "It is registered from 1 network." in flat(ask(guard, story, "1001@pbx").stdout)
    shown = flat(ask(guard, story, PHONE).stdout)
    assert f"1001@pbx {PHONE}" in shown
    assert "is trusted" in shown


def test_a_network_is_explained_with_the_bans_in_it(guard: Guard) -> None:
    story = begin(guard)
    for number in (1, 2, 3):
        for _ in range(5):
            story.guess(f"203.0.113.{number}")
    hand_over(guard, story)
    shown = ask(guard, story, "203.0.113.0/24").stdout
    assert "3 bans of it, or of addresses in it, are in force." in shown
    assert "203.0.113.2" in shown.split("In force there")[1]


def test_what_attackers_call_themselves_does_nothing_to_the_terminal(guard: Guard) -> None:
    story = begin(guard)
    name = HOSTILE.encode("utf-8", "surrogateescape").decode()
    for number in range(25):
        story.guess(f"203.0.{number}.9", user=name, extra=f"User-Agent: {HOSTILE}")
        story.guess(BAD, user=name, extra=f"User-Agent: {HOSTILE}")
    hand_over(guard, story)
    for subject in (BAD, name):
        plain = ask(guard, story, subject)
        code, shown = guard.on_a_terminal("why", subject)
        assert (plain.returncode, code) == (0, 0)
        assert "\\x1b[2J" in plain.stdout
        assert all(row.isprintable() for row in plain.stdout.split("\n"))
        assert not any(effect in shown for effect in (b"\x1b[2J", b"\x1b]", b"\x07", b"\xc2\x9b", "\u202e".encode()))
        assert json.loads(ask(guard, story, subject, "--json").stdout)["mode"] == "observe"


def test_what_is_no_subject_is_wrong_usage(guard: Guard) -> None:
    for subject in ("203.0.113.300", "203.0.113.9/24", "2001:db8::g", ".", "", "x" * 400):
        done = guard.run("why", subject)
        assert (subject, done.returncode, done.stdout, guard.ordered("why")) == (subject, 2, "", [])
        assert done.stderr


def test_without_a_packet_process_or_a_guard_it_is_69(guard: Guard) -> None:
    guard.packet.answers["why"] = None
    done = guard.run("why", BAD)
    assert (done.returncode, done.stdout) == (69, "")
    assert guard.run("why", BAD, SIPGUARD_SOCKET="/nonexistent").returncode == 69


def test_a_policy_that_cannot_be_read_costs_the_lines_and_nothing_else(guard: Guard) -> None:
    story = begin(guard)
    for _ in range(5):
        story.guess(BAD)
    hand_over(guard, story)
    guard.packet.policy.unlink()
    done = ask(guard, story, BAD)
    assert done.returncode == 0
    assert "(policy: detect.credentials.then, not read)" in done.stdout
