"""Calls that the PBX sends to where no device is registered: what the policy closes stays in the house."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sipguard.call import CallState
from sipguard.decide.dialled import Config as Refuse
from sipguard.model import Hook, Record, State, VerdictKind
from sipguard.policy.schema import Policy
from tests.engine.gated import text, verdict
from tests.engine.story import PBX, Story, udp
from tests.engine.test_tolls import House, policy

ACCEPT, DROP, REFUSE = VerdictKind.ACCEPT, VerdictKind.DROP, VerdictKind.REFUSE
TRUNK = "198.51.100.99"


def leaves(story: Story, uri: str, number: int = 1, method: str = "INVITE", to_tag: str = "") -> VerdictKind:
    written = text(method, number).replace(b"sip:2000@" + PBX.encode(), f"sip:{uri}@{TRUNK}".encode())
    if to_tag:
        written = written.replace(f"To: <sip:1001@{PBX}>".encode(), f"To: <sip:1001@{PBX}>;tag={to_tag}".encode())
    return verdict(story, udp(PBX, 5060, TRUNK, 5060, written), Hook.OUTPUT).kind


def test_no_call_leaves_for_a_closed_destination_however_it_is_dialled() -> None:
    story = Story(Policy(refuse=Refuse(destinations=("+252", "0900"))))
    for number, uri in enumerate(
        ("+25261", "0025261", "000.252-61", "901125261", "+252;x=y", "0900123", "90900123", "-" * 64 + "00252")
    ):
        assert leaves(story, uri, number) is REFUSE, uri
    for number, uri in enumerate(("252", "+2526", "1252", "112", "", "+49252"), start=50):
        assert leaves(story, uri, number) is (REFUSE if uri == "+2526" else ACCEPT), uri
    assert leaves(story, "+25261", 90, to_tag="in-a-call") is ACCEPT


def test_the_pbxs_ack_to_our_refusal_goes_nowhere() -> None:
    story = Story(Policy(refuse=Refuse(destinations=("+252",), code=603)))
    assert leaves(story, "+25261", 1) is REFUSE
    acknowledgement = text("INVITE", 1).replace(b"INVITE sip", b"ACK sip").replace(b"2 INVITE", b"2 ACK")
    assert verdict(story, udp(PBX, 5060, TRUNK, 5060, acknowledgement), Hook.OUTPUT).kind is DROP
    story.wait(70)
    assert verdict(story, udp(PBX, 5060, TRUNK, 5060, acknowledgement), Hook.OUTPUT).kind is ACCEPT


@pytest.mark.parametrize("said", ["[refuse]\ndestinations = ['+252']\n", "[calls]\ndeny = ['SO']\n"])
@pytest.mark.parametrize("asked_for", [True, False])
def test_a_number_that_fails_opens_no_way_for_another_that_ends_alike(said: str, *, asked_for: bool) -> None:
    house = House(said)
    assert (house.dials if asked_for else house.leaving)("+442071123456") is ACCEPT
    house.answered(404)
    assert house.leaving("+25261123456", call=house.calls) is REFUSE


def test_a_call_from_before_a_restart_lets_none_pass_that_goes_to_another_number() -> None:
    before = House()
    assert before.leaving("+442071123456") is ACCEPT
    calls = [each.what for each in before.actions if isinstance(each, Record) and isinstance(each.what, CallState)]
    house = Again("[calls]\ndeny = ['SO']\n", calls[-1:])
    assert house.leaving("+25261123456", call=1) is REFUSE
    assert house.leaving("+442071123456", call=1) is ACCEPT


class Again(House):
    """A house after a restart, in which calls were left."""

    def __init__(self, more: str, calls: Sequence[CallState]) -> None:
        Story.__init__(self, policy(more), State(calls=calls))
        self.calls = 1


def test_where_nothing_is_held_another_number_that_ends_alike_is_another_call_and_is_ended() -> None:
    house = House("[calls]\ndeny = ['SO']\n")
    house.outbound(TRUNK, 5060, house.invite(f"sip:+442071123456@{TRUNK}"))
    house.answered(404)
    house.outbound(TRUNK, 5060, house.invite(f"sip:+25261123456@{TRUNK}", call=1))
    counters = house.engine.counters()
    assert (counters["calls_out"], counters["calls_overdue"]) == (2, 1)


def test_a_number_that_fails_is_tried_again_as_the_same_call_however_it_is_written() -> None:
    house = House("[refuse]\ndestinations = ['+252']\n")
    assert house.leaving("+442071123456") is ACCEPT
    house.answered(404)
    assert house.leaving("00442071123456", call=1) is ACCEPT
    assert house.engine.counters()["calls_out"] == 1
