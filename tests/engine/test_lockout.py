"""Nobody needed is locked out: gateway, resolver, NAT64, operator, phone; a forced ban says whom it hits."""

from __future__ import annotations

import pytest

from sipguard.address import parse_network
from sipguard.decide.exempt import Exempt
from sipguard.model import (
    Decision,
    DecisionVerdict,
    Feed,
    Names,
    Order,
    OrderVerb,
    Record,
    Role,
    SetName,
    State,
)
from sipguard.policy.schema import Policy, Trunk
from tests.engine.story import Story

GATEWAY, RESOLVER, OPERATOR = "192.0.2.254", "192.0.2.253", "203.0.113.66"


@pytest.fixture
def story() -> Story:
    made = Story(
        Policy(
            allowed=(parse_network("198.51.100.0/28"),),
            trunks=(Trunk("Carrier", (parse_network("198.51.100.128/28"),)),),
        )
    )
    made.tell(Names(Role.LIFELINE, "gateway", (parse_network(GATEWAY),)))
    made.tell(Names(Role.LIFELINE, "resolver", (parse_network(RESOLVER),)))
    made.tell(Names(Role.LIFELINE, "NAT64", (parse_network("2001:db8:64::/96"),)))
    made.tell(Names(Role.OPERATOR, "logged in", (parse_network(OPERATOR),)))
    return made


def order(story: Story, network: str, *, force: bool = False) -> Decision:
    told = story.tell(Order(OrderVerb.BAN, parse_network(network), by="root", force=force))
    return next(each.what for each in told if isinstance(each, Record) and isinstance(each.what, Decision))


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (GATEWAY, "gateway"),
        ("192.0.2.252/30", "resolver"),
        (OPERATOR, "logged in"),
        ("2001:db8:64::c000:201", "NAT64"),
    ],
)
def test_a_ban_that_locks_out_is_refused_and_forced_it_says_whom_it_hits(story: Story, network: str, said: str) -> None:
    refused = order(story, network)
    assert (refused.verdict, refused.rule) == (DecisionVerdict.EXEMPT, "lock-out")
    assert said in refused.reason
    assert "--force" in refused.reason
    assert story.held() == []
    done = order(story, network, force=True)
    assert (done.verdict, done.rule) == (DecisionVerdict.BLOCK, "order.force")
    assert said in done.reason
    assert len(story.held()) == 1


def test_a_ban_of_an_address_with_registered_devices_is_refused_and_can_be_forced(story: Story) -> None:
    story.register("203.0.113.7")
    assert "1 addresses with registered devices" in order(story, "203.0.113.0/28").reason
    assert order(story, "203.0.113.0/28", force=True).verdict is DecisionVerdict.BLOCK


@pytest.mark.parametrize("network", ["198.51.100.3", "198.51.100.0/24", "198.51.100.130", "127.0.0.1", "64:ff9b::7"])
def test_force_never_overrides_the_allowlist_nor_a_trunk_nor_the_host_itself(story: Story, network: str) -> None:
    assert order(story, network, force=True).verdict is DecisionVerdict.EXEMPT
    assert story.held() == []


def test_no_detector_bans_an_operators_address_nor_the_gateway(story: Story) -> None:
    for source in (OPERATOR, GATEWAY):
        for _ in range(6):
            story.guess(source)
    assert story.held() == []
    assert {each.verdict for each in story.decisions()} == {DecisionVerdict.EXEMPT}


def test_no_list_of_others_bans_them(story: Story) -> None:
    networks = tuple(map(parse_network, (OPERATOR, GATEWAY, "203.0.113.67")))
    story.tell(Feed("list", networks, block=True))
    story.wait(5)
    assert story.held() == ["203.0.113.67"]


def test_who_logs_in_from_a_banned_address_is_let_in_unless_that_ban_was_forced(story: Story) -> None:
    late, forced = "203.0.113.70", "203.0.113.71"
    assert order(story, late).verdict is DecisionVerdict.BLOCK
    story.tell(Names(Role.OPERATOR, "logged in", (parse_network(forced),)))
    order(story, forced, force=True)
    story.tell(Names(Role.OPERATOR, "logged in", (parse_network(late), parse_network(forced))))
    assert story.held() == [forced]


def test_after_a_restart_what_was_forced_is_still_forced(story: Story) -> None:
    decision = order(story, OPERATOR, force=True)
    again = Story(Policy(), State(decisions=[decision]))
    again.tell(Names(Role.OPERATOR, "logged in", (parse_network(OPERATOR),)))
    assert [str(held.network) for held in again.engine.wanted() if held.set is SetName.BLOCKED] == [OPERATOR]


def test_what_an_address_is_follows_the_lists_as_they_are_said() -> None:
    exempt = Exempt()
    network = parse_network("192.0.2.7")
    assert (exempt.why(network), exempt.roles(network)) == ("", ())
    exempt.say([Names(Role.TRUNK, "carrier", (parse_network("192.0.2.0/24"),))])
    assert (exempt.why(network), exempt.roles(network)) == ("trunk", (Role.TRUNK,))
    for number in range(3000):  # more than are remembered
        assert exempt.why(parse_network(f"10.0.{number // 256}.{number % 256}")) == ""
    assert exempt.why(network) == "trunk"
    exempt.say([Names(Role.TRUNK, "carrier", ())])
    assert exempt.why(network) == ""
