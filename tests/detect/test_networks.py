"""Neighbours that share one attack are found; neighbours that only live beside it are not."""

from __future__ import annotations

from sipguard.address import parse_address
from sipguard.detect import catalogue, credentials, networks
from sipguard.engine import Engine
from sipguard.model import Finding, Lookups, SetName, State
from sipguard.policy.schema import Policy
from tests.engine.story import Story

NEIGHBOUR = "203.0.113.200"


def found(story: Story) -> list[Finding]:
    return [each for each in story.findings() if each.detector == "networks"]


def attack(story: Story, sources: int, rounds: int, seconds: float = 1.0) -> None:
    """Let addresses of one /24 guess in turn, each at an account of its own."""
    for _ in range(rounds):
        for host in range(sources):
            story.guess(f"203.0.113.{host + 1}", user=f"2{host:03}")
            story.wait(seconds)


def test_the_twentieth_failure_of_a_24_is_found_and_the_nineteenth_is_not() -> None:
    story = Story()
    attack(story, 10, 1)
    attack(story, 9, 1)
    assert found(story) == []
    story.guess("203.0.113.10", user="2009")
    (finding,) = found(story)
    assert str(finding.subject) == "203.0.113.10"
    assert dict(finding.evidence)["shared_by"] == "203.0.113.0/24"
    assert story.held() == ["203.0.113.10"]


def test_every_source_that_takes_part_is_found_as_it_goes_on_and_at_last_the_network_is_banned() -> None:
    story = Story()
    attack(story, 32, 3)
    assert "203.0.113.0/24" in story.held()


def test_a_patient_network_is_found_in_the_slow_window() -> None:
    story = Story()
    attack(story, 100, 2, seconds=420)  # every address twice in a day, three guesses in any ten minutes
    assert {each.identifier for each in found(story)} == {"network"}
    assert len(found(story)) >= 16


def test_what_is_below_both_windows_is_not_found() -> None:
    story = Story()
    attack(story, 50, 2, seconds=25 * 60)
    assert found(story) == []


def test_a_48_of_many_64_is_one_network() -> None:
    story = Story()
    for turn in range(2):
        for part in range(10):
            story.guess(f"2001:db8:bad:{part}::{turn + 1}", user=f"2{part:03}")
    assert [str(each.subject) for each in found(story)] == ["2001:db8:bad:9::/64"]
    assert dict(found(story)[0].evidence)["shared_by"] == "2001:db8:bad::/48"


def test_a_neighbour_of_attackers_who_mistypes_once_is_left_alone() -> None:
    story = Story()
    attack(story, 20, 3)
    before = len(found(story))
    other = Story(Policy(detect=catalogue.Config(credentials=credentials.Config(failures=1000))))
    attack(other, 10, 3)
    other.guess(NEIGHBOUR, user="7001")
    other.register(NEIGHBOUR, user="7001")
    assert before
    assert NEIGHBOUR not in [str(each.subject) for each in found(other)]


def test_a_neighbour_whose_phone_is_registered_is_never_found() -> None:
    story = Story()
    story.register(NEIGHBOUR, user="7001")
    attack(story, 10, 3)
    for _ in range(10):
        story.answer(story.ask(NEIGHBOUR, "old", user="7001"), 401, nonce="n")
    assert NEIGHBOUR not in [str(each.subject) for each in found(story)]
    assert "203.0.113.0/24" not in story.held()


def test_an_own_success_forgives_the_own_account_and_no_other() -> None:
    story = Story(Policy(detect=catalogue.Config(credentials=credentials.Config(failures=1000))))
    for host in range(1, 12):
        source = f"203.0.113.{host}"
        story.guess(source, user="victim")
        story.register(source, user=f"own{host}")
        story.guess(source, user="victim")
        story.register(source, user=f"own{host}")
    assert found(story)


def test_forged_failures_blame_nobody_in_a_network() -> None:
    story = Story()
    for number in range(200):
        story.answer(story.ask(f"203.0.113.{number % 50}", "made-up"), 401, nonce="n")
    assert found(story) == []
    assert story.held() == []


def test_networks_are_counted_up_to_a_cap() -> None:
    story = Story(Policy(detect=catalogue.Config(networks=networks.Config(networks=100))))
    for number in range(150):
        story.guess(f"100.64.{number}.1")
    assert story.engine.counters()["networks_failing"] == 100
    assert story.engine.counters()["networks_failing_evicted"] == 50


def test_an_autonomous_system_is_counted_where_it_is_known() -> None:
    config = catalogue.Config(networks=networks.Config(as_failures=40, as_sources=10))
    story = Story(Policy(detect=config))
    in_cloud = parse_address("100.64.0.0")[:2]
    look = Lookups(lambda _: "", lambda address: 64500 if address[:2] == in_cloud else 0)
    story.engine = Engine(Policy(detect=config), State(), look)
    fresh = Story(Policy(detect=config))
    for one in (story, fresh):
        for turn in range(4):
            for number in range(12):
                one.guess(f"100.64.{number}.1", user=f"2{number:03}", port=5000 + turn)
    assert {each.identifier for each in found(story)} == {"AS64500"}
    assert found(fresh) == []


def test_the_office_of_one_wrong_phone_beside_attackers_keeps_its_phones() -> None:
    story = Story()
    story.register(NEIGHBOUR, user="7001")
    attack(story, 10, 3)
    for _ in range(8):
        story.guess(NEIGHBOUR, user="7002")
    assert NEIGHBOUR not in story.held()
    assert NEIGHBOUR in story.held(SetName.TRUSTED)
