"""Registering earns no trust where somebody else has the password, by all signs; the owner keeps what he has."""

from __future__ import annotations

import pytest

from sipguard.detect import catalogue, credentials, fingerprint
from sipguard.model import SECOND, Consequence, DecisionVerdict, Lookups, Record, SetName, State, Trust
from sipguard.policy.load import load
from sipguard.policy.schema import Policy
from tests.engine.story import Story

HOME, ELSEWHERE = "198.51.100.20", "203.0.113.66"
NETWORKS = '[[detect.accountnets.account]]\nname = "1001"\nnetworks = ["198.51.100.0/24"]\n'
COUNTRIES = (
    '[detect.geography]\nthen = "block"\n[[detect.geography.account]]\nname = "1001"\ncountries = ["DE"]\n'
    '[geoip]\ncountry = "/var/lib/sipguard/country.mmdb"\n'
)
FOUND = Policy(
    detect=catalogue.Config(
        credentials=credentials.Config(then=Consequence.REPORT),
        fingerprint=fingerprint.Config(then=Consequence.REPORT),
    )
)
PLACES = Lookups(lambda address: "FR" if address[0] == 203 else "DE", lambda _: 0)


def find(story: Story) -> None:
    """Let somebody guess at 1001 from elsewhere, and get in."""
    for _ in range(5):
        story.guess(ELSEWHERE)
    story.register(ELSEWHERE)


def wards(story: Story) -> list[str]:
    return [str(each.subject) for each in story.decisions() if each.verdict is DecisionVerdict.QUARANTINE]


def trusts(story: Story) -> list[Trust]:
    return [each.what for each in story.actions if isinstance(each, Record) and isinstance(each.what, Trust)]


@pytest.mark.parametrize("text", [NETWORKS, COUNTRIES], ids=["accountnets", "geography"])
def test_the_right_password_from_where_it_does_not_belong_is_not_trusted(text: str) -> None:
    story = Story(load(text), look=PLACES)
    story.register(HOME)
    for _ in range(3):
        story.register(ELSEWHERE)
    assert wards(story) == [f"1001@pbx from {ELSEWHERE}"]
    assert story.held(SetName.TRUSTED) == [HOME]
    assert story.ordered(SetName.TRUSTED) == [HOME]
    assert story.engine.counters()["trust_withheld"] == 3


def test_other_accounts_from_there_are_trusted_all_the_same() -> None:
    story = Story(load(NETWORKS))
    story.register(ELSEWHERE)
    story.register(ELSEWHERE, user="1002")
    assert story.held(SetName.TRUSTED) == [ELSEWHERE]


def test_who_was_trusted_before_his_place_was_ruled_out_is_so_no_longer() -> None:
    story = Story()
    story.register(ELSEWHERE)
    assert story.held(SetName.TRUSTED) == [ELSEWHERE]
    story.tell(load(NETWORKS))
    story.register(ELSEWHERE)
    assert story.held(SetName.TRUSTED) == []
    assert [each.until for each in trusts(story)] == [trusts(story)[0].until, 0]


def test_a_found_password_earns_no_trust_however_late_and_from_wherever_it_is_used() -> None:
    story = Story(FOUND)
    find(story)
    assert wards(story) == ["1001@pbx"]
    story.wait(2 * 3600)  # the failures are forgotten by now
    story.register(ELSEWHERE)
    story.register("203.0.113.99")
    assert story.held(SetName.TRUSTED) == []


def test_the_owner_whose_password_was_found_keeps_the_trust_he_has() -> None:
    story = Story(FOUND)
    story.register(HOME, expires=3600)
    find(story)
    for _ in range(4):
        story.wait(1800)
        story.register(HOME, expires=3600)
    assert wards(story) == ["1001@pbx"]
    assert story.held(SetName.TRUSTED) == [HOME]


def test_an_account_and_its_use_from_one_place_may_come_under_quarantine_in_one_instant() -> None:
    text = NETWORKS + '[detect.credentials]\nthen = "report"\n[detect.fingerprint]\nthen = "report"\n'
    story = Story(load(text))
    find(story)
    assert sorted(wards(story)) == ["1001@pbx", f"1001@pbx from {ELSEWHERE}"]
    story.wait(25 * 3600)
    assert story.engine.counters()["quarantined"] == 0


def test_a_doubt_outlives_a_restart() -> None:
    before = Story(FOUND)
    find(before)
    after = Story(FOUND, State(decisions=before.decisions()))
    after.register(ELSEWHERE)
    assert after.held(SetName.TRUSTED) == []


def test_a_doubt_ends_with_the_quarantine() -> None:
    story = Story(FOUND)
    find(story)
    story.wait(25 * 3600)
    story.register(ELSEWHERE)
    assert story.held(SetName.TRUSTED) == [ELSEWHERE]


def test_a_phone_that_only_had_an_old_password_is_trusted_once_it_has_the_right_one() -> None:
    story = Story()
    for number in range(5):
        story.register(HOME, user=str(2001 + number), expires=7200)
    for _ in range(5):
        story.wait(30)
        story.guess(HOME, user="2000")
    assert wards(story) == [f"2000@pbx from {HOME}"]
    story.wait(3601)
    story.register(HOME, user="2000")
    assert "2000" in {each.account.username for each in trusts(story)}


def test_a_registration_that_earned_no_trust_ends_with_the_first_packet_after_it() -> None:
    story = Story()
    for _ in range(2):
        story.guess(HOME)
    story.register(HOME, expires=60)
    assert story.held(SetName.TRUSTED) == []
    story.now += 61 * SECOND
    story.ask(ELSEWHERE, method="OPTIONS")  # a packet, and no timer: as where a recording is replayed
    assert story.engine.counters()["registrations"] == 0
