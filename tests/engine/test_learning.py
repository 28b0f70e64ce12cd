"""What is learned over days outlives the guard; strangers neither teach it nor push it out, and no clock undoes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sipguard.address import parse_network
from sipguard.detect import catalogue, flood, identity, takeover
from sipguard.learning import AT_ONCE, DELAY, PACE
from sipguard.lesson import LONGEST, SITE
from sipguard.model import DAY, SECOND, Account, Action, Alert, Lesson, State, Trust
from sipguard.policy.schema import Policy
from sipguard.store.database import Store
from tests.detect.test_takeover import ABROAD, DESK, FRANCE, HOME, LOOK
from tests.engine.keeping import Lives, findings, lessons
from tests.engine.story import START, Story

ALICE = Account("1001", "pbx")
HOURS = 3600


@pytest.fixture
def lives(tmp_path: Path, opened: Callable[..., Store]) -> Lives:
    return Lives(opened(tmp_path / "a.db"), look=LOOK)


def settle(story: Story) -> None:
    """Let an account be at home for more than a day."""
    story.register(HOME, agent=DESK)
    story.wait(25 * HOURS)
    story.register(HOME, agent=DESK)
    story.wait(2 * HOURS)


def new(actions: Sequence[Action]) -> list[str]:
    return [str(dict(each.evidence).get("new", each.identifier)) for each in findings(actions, ("takeover",))]


# --- What outlives a restart ------------------------------------------------------------------------------------------


def test_an_account_is_no_newcomer_after_a_restart(lives: Lives) -> None:
    settle(lives.story)
    story = lives.restart(away=8 * HOURS)
    story.register(ABROAD, agent="MicroSIP/3.21.3")
    assert new(story.actions) == ["country, system, device"]
    story = lives.restart(away=2 * HOURS)
    story.register(ABROAD, agent="MicroSIP/3.21.3")
    assert new(story.actions) == [], "told today"
    story.register(HOME, agent=DESK)
    assert "new" not in [each.identifier for each in findings(story.actions, ("takeover",))], "home is home"


def test_a_thief_whose_registration_stands_over_a_restart_has_not_become_the_owner(lives: Lives) -> None:
    settle(lives.story)
    lives.story.register(ABROAD, agent=DESK, expires=3600)
    assert new(lives.story.actions) == ["country, system"]
    story = lives.restart()
    story.wait(25 * HOURS)
    story.register(ABROAD, agent=DESK)
    assert new(story.actions) == ["country, system"], "once a day until it settles, restart or not"


def test_what_settles_does_so_over_restarts(lives: Lives) -> None:
    settle(lives.story)
    told = 0
    for _ in range(10):
        story = lives.restart(away=26 * HOURS)
        story.register(FRANCE, agent=DESK)
        told += len(new(story.actions))
    assert told == 7


def test_an_office_that_comes_back_after_a_long_outage_of_everything_floods_nothing(lives: Lives) -> None:
    """Its registrations have all run out while the power was gone, and 60 phones ask at once."""
    phones = [str(number) for number in range(1000, 1060)]
    for user in phones:
        lives.story.register(HOME, user=user, expires=600)
    lives.policy = replace(
        Policy(), detect=replace(Policy().detect, flood=flood.Config(base=30, device=10, window=10 * SECOND))
    )
    for seen in (True, False):
        story = lives.restart(away=5 * HOURS) if seen else Story(lives.policy)
        for _ in range(3):
            for user in phones:
                story.ask(HOME, user=user)
        assert bool(findings(story.actions, ("flood",))) is not seen


def test_a_change_of_the_policy_teaches_nobody_anew(lives: Lives) -> None:
    story = lives.story
    settle(story)
    story.tell(replace(lives.policy, detect=replace(lives.policy.detect, takeover=takeover.Config(networks=7))))
    story.register(ABROAD, agent=DESK)
    assert new(story.actions) == ["country, system"]


def with_takeover(policy: Policy, *, enabled: bool) -> Policy:
    return replace(policy, detect=replace(policy.detect, takeover=takeover.Config(enabled=enabled)))


def test_a_detector_that_is_switched_off_and_on_again_knows_what_it_knew(lives: Lives) -> None:
    story = lives.story
    settle(story)
    story.tell(with_takeover(lives.policy, enabled=False))
    story.wait(60)
    story.tell(with_takeover(lives.policy, enabled=True))
    story.register(ABROAD, agent=DESK)
    assert new(story.actions) == ["country, system"]


def test_a_detector_that_is_switched_on_after_the_start_replaces_nothing_that_it_was_not_given(lives: Lives) -> None:
    settle(lives.story)
    sound, lives.policy = lives.policy, with_takeover(lives.policy, enabled=False)
    story = lives.restart()
    story.tell(with_takeover(sound, enabled=True))
    story.register(ABROAD, agent=DESK, expires=60)
    lives.policy = sound
    story = lives.restart(away=2 * HOURS)
    story.register(ABROAD, agent=DESK)
    assert new(story.actions) == ["country, system"]


def test_more_than_can_be_written_down_is_no_hindrance_to_a_new_policy(lives: Lives) -> None:
    names = identity.Config(names=100)
    story = Story(replace(lives.policy, detect=replace(lives.policy.detect, identity=names)))
    known = story.engine._learning._learners["identity"]
    assert isinstance(known, identity.Detector)
    story.register(HOME)
    account = next(account for account, _ in known.known())
    for number in range(100):
        known._accounts.get(account).names[b"%0128d" % number] = None  # type: ignore[union-attr]
    assert len(known.taught(story.now, account, "")) > LONGEST
    story.tell(lives.policy)
    story.tell(with_takeover(lives.policy, enabled=False))
    assert story.engine.counters()["lessons_unread"] == 1


def test_registrations_that_stand_are_no_older_than_the_start_on_a_host_that_has_been_up_for_weeks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.engine.story.START", 20 * DAY)
    phones = [Account(str(number), "pbx") for number in range(1000, 1060)]
    until = 20 * DAY + HOURS * SECOND
    trust = [Trust(parse_network(HOME), account, until) for account in phones]
    policy = replace(
        Policy(), detect=replace(Policy().detect, flood=flood.Config(base=30, device=10, window=10 * SECOND))
    )
    story = Story(policy, State(trust=trust))
    counters = story.engine.counters()
    assert (counters["flood_sources"], counters["canaries"]) == (1, 0), "it watches before it chooses"
    story.tell(policy)
    for _ in range(3):
        for account in phones:
            story.ask(HOME, user=account.username)
    story.register(HOME, user="1000")
    assert story.engine.why(parse_network(HOME), story.now)
    assert findings(story.actions, ("flood",)) == []


# --- What it costs ----------------------------------------------------------------------------------------------------


def test_only_what_is_new_is_written_and_what_goes_on_once_a_day() -> None:
    story = Story(look=LOOK)
    for _ in range(5):
        story.register(HOME, agent=DESK)
    story.wait(5)
    first = len(lessons(story.actions))
    assert first
    for _ in range(20):
        story.wait(HOURS)
        story.register(HOME, agent=DESK)
    assert len(lessons(story.actions)) == first
    story.wait(5 * HOURS)
    story.register(HOME, agent=DESK)
    story.wait(5)
    daily = len(lessons(story.actions))
    assert first < daily <= 2 * first


def test_strangers_teach_nothing_whatever_they_send() -> None:
    story = Story(look=LOOK)
    for number in range(300):
        source = f"203.0.113.{number % 250}"
        story.guess(source, user=f"u{number}")
        story.guess(source, method="INVITE", user="1001", uri="sip:0025261123456@192.0.2.10")
        story.answer(story.ask(source, f"invented{number}", user="1001"), 401)
    story.wait(5)
    assert lessons(story.actions) == []


def test_who_has_a_password_and_changes_his_device_each_time_has_so_much_written_and_no_more() -> None:
    story = Story(look=LOOK)
    settle(story)
    nonce = story.challenge(HOME)
    before, began = len(lessons(story.actions, "takeover")), story.now
    for number in range(3 * AT_ONCE):
        story.register(HOME, nonce=nonce, agent=f"Device{'x' * (number % 50)}{chr(97 + number % 26)}")
    wrote = len(lessons(story.actions, "takeover")) - before
    assert 0 < wrote <= (story.now - began) // DELAY + 1, "of one account one lesson in each moment"
    story.wait(60)
    assert story.engine.counters()["lessons_waiting"] == 0
    last = lessons(story.actions, "takeover")[-1]
    assert last.account.username == "1001"
    assert len(last.text) < 2000, "a handful of kinds is remembered"


def test_many_that_learn_at_once_are_all_written_in_time() -> None:
    story = Story(look=LOOK)
    for number in range(AT_ONCE + 200):
        story.register(HOME, user=f"{number}")
        story.now -= 4_000_000  # all of them at one moment
    began = story.now
    while story.engine.counters()["lessons_waiting"]:
        story.wait(1)
        spread = len(lessons(story.actions, "takeover"))
        assert spread <= AT_ONCE + AT_ONCE * (story.now - began) // PACE + 1
    assert len({each.account for each in lessons(story.actions, "takeover")}) == AT_ONCE + 200


# --- What cannot be used ----------------------------------------------------------------------------------------------


def lesson(detector: str = "firstabroad", text: str = "7,0,c00002", topic: str = "", at: int = START) -> Lesson:
    return Lesson(at, detector, ALICE, topic, text)


def begun(*known: Lesson, policy: Policy | None = None) -> Story:
    return Story(policy, State(lessons=known), look=LOOK)


def test_what_another_release_learned_is_passed_over() -> None:
    story = begun(lesson("of-tomorrow"), lesson())
    counters = story.engine.counters()
    assert (counters["lessons_passed_over"], counters["firstabroad_accounts"]) == (1, 1)
    assert not [each for each in story.actions if isinstance(each, Alert)]


@pytest.mark.parametrize(
    "bad",
    [
        *(
            lesson("firstabroad", text)
            for text in ("x", "7", "7,0", "7,0,c0", "7,0,xx", "-7,0,c00002", "7,0,c00002 8", "9" * (LONGEST + 1))
        ),
        lesson("firstabroad", topic="t"),
        *(
            lesson("takeover", text)
            for text in ("x", "f", "f,-1", "c,4445,1,-,1", "f,1 z,1,1,-,1", "f,1 c,zz,1,-,1", "f,1 c")
        ),
        lesson("takeover", "f,1", topic="t"),
        *(lesson("testcall", text, "25261") for text in ("x", "7,zz,00", "7,00", "7,00,00 8")),
        lesson("identity", "3"),
        lesson("identity", "x,61 "),
        lesson("identity", "-3,61 "),
        lesson("homes", "c0000201,32"),
        lesson("homes", "c00002,24,7"),
        lesson("newdestination", "7"),
        replace(lesson("newdestination", "soon"), account=SITE),
        replace(lesson("newdestination", "soon", "25261"), account=SITE),
        replace(lesson("wangiri", "-7", "25261"), account=SITE),
        lesson("wangiri", "7", "25261"),
        lesson("canary", "7"),
        replace(lesson("canary", "soon"), account=SITE),
        replace(lesson("canary", "7,zz"), account=SITE),
        replace(lesson("canary", "soon", "1001"), account=SITE),
    ],
    ids=lambda each: f"{each.detector} {each.text[:20]}",
)
def test_what_cannot_be_read_is_counted_and_told_and_keeps_no_other_back(bad: Lesson) -> None:
    story = begun(bad, bad, lesson(text="7,1,c00002"))
    counters = story.engine.counters()
    assert (counters["lessons_unread"], counters["firstabroad_accounts"]) == (2, 1)
    alerts = [each for each in story.actions if isinstance(each, Alert)]
    assert [each.kind for each in alerts] == ["lessons-unreadable"]
    assert bad.detector in alerts[0].text


def test_when_nobody_could_read_what_was_learned_nothing_is_written_over_it() -> None:
    story = Story(state=State(lessons=None), look=LOOK)
    settle(story)
    story.wait(5)
    assert lessons(story.actions) == []
    assert story.engine.counters()["lessons_waiting"] == 0


# --- Clocks -----------------------------------------------------------------------------------------------------------

YEAR = 365 * DAY


@pytest.mark.parametrize("wrong", [-50 * YEAR, -90 * DAY, -DAY, 100 * DAY, 10 * YEAR, 60 * YEAR])
def test_a_clock_that_is_wrong_at_the_start_makes_nothing_forgotten_and_nothing_known(lives: Lives, wrong: int) -> None:
    """One account has been known for more than a day, the other for an hour: its first day is not over."""
    settle(lives.story)
    lives.story.register(HOME, user="1002", agent=DESK)
    lives.story.wait(HOURS)
    lives.story.register(HOME, user="1002", agent="Other")
    story = lives.restart(wrong=wrong)
    for user in ("1001", "1002"):
        story.register(ABROAD, user=user, agent=DESK)
    found = [each for each in findings(story.actions, ("takeover",)) if each.identifier == "new"]
    assert [each.accounts[0].username for each in found] == ["1001"]


def test_what_was_written_by_a_clock_that_was_not_set_yet_is_not_old(lives: Lives) -> None:
    lives._offset = 0
    lives.story.register(HOME, agent=DESK)
    story = lives.restart(wrong=50 * YEAR)
    story.register(ABROAD, agent=DESK)
    assert new(story.actions) == [], "its first day is not over"


def test_a_detector_that_is_off_loses_nothing_on_disk(lives: Lives) -> None:
    settle(lives.story)
    on = lives.policy
    lives.policy = replace(on, detect=replace(catalogue.Config(), takeover=takeover.Config(enabled=False)))
    lives.restart().wait(1)
    lives.policy = on
    story = lives.restart()
    story.register(ABROAD, agent=DESK)
    assert new(story.actions) == ["country, system"]
