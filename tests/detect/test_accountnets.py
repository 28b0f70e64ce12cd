"""Right passwords from where their account does not belong, and who is not touched by it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipguard.address import parse_network
from sipguard.detect import accountnets
from sipguard.detect.accountnets import AccountNetworks
from sipguard.errors import PolicyError
from sipguard.event import AuthSucceeded
from sipguard.model import Account, DecisionVerdict, Pair, SetName, Transport
from sipguard.policy.load import load
from sipguard.policy.schema import Policy
from tests.engine.story import Story

HOME, ELSEWHERE = "198.51.100.20", "203.0.113.66"
TEXT = """
[[detect.accountnets.account]]
name = "1001"
networks = ["198.51.100.0/24", "2001:db8:20::/48"]

[[detect.accountnets.account]]
name = "1001"
networks = ["192.0.2.128/25"]
"""


def pairs(told: Story) -> list[str]:
    return [str(each.subject) for each in told.findings() if each.detector == "accountnets"]


def test_the_right_password_from_elsewhere_puts_the_account_under_quarantine_there_and_nowhere_else() -> None:
    told = Story(load(TEXT))
    for source in (HOME, "198.51.100.255", "192.0.2.129", "2001:db8:20:5::1"):
        told.register(source)
    assert pairs(told) == []
    told.register(ELSEWHERE)
    assert pairs(told) == [f"1001@pbx from {ELSEWHERE}"]
    (decision,) = told.decisions()
    assert decision.verdict is DecisionVerdict.QUARANTINE
    assert decision.subject == Pair(parse_network(ELSEWHERE), Account("1001", "pbx"))
    assert told.held() == []
    assert ELSEWHERE in told.held(SetName.WATCHED)
    assert HOME not in told.held(SetName.WATCHED)


def test_wrong_passwords_and_other_accounts_are_no_matter_of_networks() -> None:
    told = Story(load(TEXT))
    told.guess(ELSEWHERE)
    told.register(ELSEWHERE, user="1002")
    told.register(ELSEWHERE, user="10011")
    assert pairs(told) == []


def test_a_stranger_who_writes_the_accounts_name_does_it_no_harm() -> None:
    told = Story(load(TEXT))
    for _ in range(20):
        sent = told.ask(ELSEWHERE, "made-up", user="1001", method="INVITE")
        told.answer(sent, 407, nonce="n")
    assert pairs(told) == []
    sent = told.ask(ELSEWHERE, "made-up", user="1001", method="INVITE")
    told.answer(sent, 200)  # a PBX that lets everybody in, whatever credential is shown
    assert [str(each.subject) for each in told.decisions() if each.verdict is DecisionVerdict.QUARANTINE] == [
        f"1001@pbx from {ELSEWHERE}"
    ]


def test_an_address_that_is_never_banned_is_only_reported() -> None:
    told = Story(replace(load(TEXT), allowed=(parse_network("203.0.113.0/24"),)))
    told.register(ELSEWHERE)
    assert [each.verdict for each in told.decisions()] == [DecisionVerdict.EXEMPT]


def test_capitals_and_a_domain_behind_the_name_hide_nothing() -> None:
    told = Story(load(TEXT.replace('"1001"', '"bob"')))
    told.register(ELSEWHERE, user="BOB")
    told.register("203.0.113.67", user="bob@pbx")
    assert len(pairs(told)) == 2


def test_another_port_is_the_same_place_and_is_told_once_an_hour_where_it_is_only_reported() -> None:
    told = Story(load(f'[detect.accountnets]\nthen = "report"\n{TEXT}'))
    for number in range(10):
        told.register(ELSEWHERE, port=5060 + number)
        told.wait(300)
    assert len(pairs(told)) == 1
    told.wait(3600)
    told.register(ELSEWHERE)
    assert len(pairs(told)) == 2


def test_a_quarantine_is_laid_on_again_when_half_of_it_is_over_and_not_before() -> None:
    told = Story(load(TEXT))
    for _ in range(25):
        told.register(ELSEWHERE)
        told.wait(3601)
    assert len(pairs(told)) == 3


def test_its_table_is_bounded() -> None:
    config = accountnets.Config(account=(AccountNetworks("1001", (parse_network("198.51.100.0/24"),)),), pairs=100)
    detector = accountnets.Detector(config)
    for number in range(1000):
        source = bytes((10, number % 7, number >> 8, number & 255))
        event = AuthSucceeded(number, source, 5060, Transport.UDP, Account("1001", "pbx"), "REGISTER", proven=True)
        assert detector.handlers[AuthSucceeded](event)
    assert detector.counters()["accountnets_pairs"] <= 100
    assert detector.counters()["accountnets_pairs_evicted"] >= 900


@pytest.mark.parametrize(
    "line", ["networks = []", 'networks = ["office.example.net"]', 'networks = ["10.0.0.1/8"]', ""]
)
def test_a_list_that_cannot_be_meant_is_refused_with_its_key(line: str) -> None:
    with pytest.raises(PolicyError) as raised:
        load(f'[[detect.accountnets.account]]\nname = "1001"\n{line}')
    assert raised.value.problems[0].key.startswith("detect.accountnets.account[0].networks")


def test_nothing_is_asked_for_when_nothing_is_listed() -> None:
    assert accountnets.Detector(accountnets.Config()).handlers == {}
    assert Policy().detect.accountnets.account == ()
