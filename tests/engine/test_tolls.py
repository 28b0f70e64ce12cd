"""Calls and money in the whole engine: nobody is framed by others, no call hides, and help is always reached."""

from __future__ import annotations

from dataclasses import replace

from sipguard.model import Alert, HangUp, Hook, Order, OrderVerb, VerdictKind
from sipguard.policy.load import load
from sipguard.policy.schema import Policy
from tests.engine.gated import text, verdict
from tests.engine.story import PBX, Story, udp

ACCEPT, REFUSE = VerdictKind.ACCEPT, VerdictKind.REFUSE
TRUNK, ONE, TWO = "198.51.100.99", "198.51.100.20", "198.51.100.21"
HOUSE = f"""
mode = "enforce"
pbx = ["{PBX}"]
[[trunk]]
name = "alpha"
addresses = ["{TRUNK}"]
[numbering]
country = "DE"
area = "30"
"""


def policy(more: str = "") -> Policy:
    return load(HOUSE + more)


class House(Story):
    """A story with two phones and a trunk."""

    def __init__(self, more: str = "") -> None:
        super().__init__(policy(more))
        self.register(ONE, user="1001")
        self.register(TWO, user="1002")
        self.calls = 0

    def leaving(
        self, number: str, *, user: str = "1001", to_tag: str = "", call: int = 0, far: str = TRUNK, whole: bool = False
    ) -> VerdictKind:
        """Let the PBX send an INVITE to the trunk through the gate; `whole`: the number is a URI."""
        said = self.invite(number if whole else f"sip:{number}@{far}", user=user, to_tag=to_tag, call=call)
        return verdict(self, udp(PBX, 5060, far, 5060, said), Hook.OUTPUT).kind

    def invite(self, uri: str, *, user: str = "1001", to_tag: str = "", call: int = 0) -> bytes:
        """Write the PBX's next INVITE, under the Call-ID of an earlier one where `call` is its number."""
        self.calls += 1
        name = call or self.calls
        said = "\r\n".join(
            [
                f"INVITE {uri} SIP/2.0",
                f"Via: SIP/2.0/UDP {PBX}:5060;branch=z9hG4bKout{self.calls}",
                f"From: <sip:{user}@{PBX}>;tag=o{name}",
                f"To: <{uri}>" + (f";tag={to_tag}" if to_tag else ""),
                f"Call-ID: out-{name}",
                f"CSeq: {self.calls} INVITE",
                f"Contact: <sip:{user}@{PBX}>",
                "Content-Length: 0\r\n\r\n",
            ]
        )
        return said.encode()

    def dials(self, number: str, dialled: str = "", *, user: str = "1001") -> VerdictKind:
        """Let a phone ask for a number, the PBX take it up, and send it on."""
        self.now += 10_000_000_000
        source = ONE if user == "1001" else TWO
        nonce = self.challenge(source, method="INVITE", user=user, uri=f"sip:{dialled or number}@{PBX}")
        sent = self.ask(source, nonce, method="INVITE", user=user, uri=f"sip:{dialled or number}@{PBX}")
        self.answer(sent, 100)
        return self.leaving(number, user=user)

    def answered(self, code: int = 200) -> None:
        """Let the carrier answer the INVITE that left last."""
        last = self.calls
        said = "\r\n".join(
            [
                f"SIP/2.0 {code} Whatever",
                f"Via: SIP/2.0/UDP {PBX}:5060;branch=z9hG4bKout{last}",
                f"From: <sip:1001@{PBX}>;tag=o{last}",
                f"To: <sip:x@{TRUNK}>;tag=far{last}",
                f"Call-ID: out-{last}",
                f"CSeq: {last} INVITE",
                f"Contact: <sip:x@{TRUNK}>",
                "Content-Length: 0\r\n\r\n",
            ]
        )
        self.inbound(TRUNK, 5060, said.encode())

    def alerts(self, kind: str) -> list[str]:
        return [each.text for each in self.actions if isinstance(each, Alert) and each.kind == kind]

    def quarantined(self) -> list[str]:
        return [str(each.subject) for each in self.decisions() if each.verdict == "quarantine"]


def test_whoever_dials_while_others_have_used_the_trunk_up_is_refused_and_not_blamed() -> None:
    house = House("[limits.trunk]\ncalls = {critical = 1, window = '1h'}\n")
    assert house.dials("+4930000001", user="1001") is ACCEPT
    for number in range(2, 12):
        assert house.dials(f"+493000000{number}", user="1002") is REFUSE
    assert house.quarantined() == []


def test_whoever_fishes_for_open_destinations_is_quarantined() -> None:
    house = House("[calls]\ndeny = ['SO']\n")
    for number in range(5):
        assert house.dials(f"+2526112345{number}") is REFUSE
    assert house.quarantined() == ["1001@pbx"]
    assert house.dials("+4930123456") is not ACCEPT


def test_an_emergency_call_leaves_under_whatever_prefix_though_the_account_is_quarantined_and_all_is_closed() -> None:
    house = House("[calls]\noutbound = false\n[limits.trunk]\ncalls = {critical = 1}\n")
    house.tell(Order(OrderVerb.QUARANTINE, "1001"))
    for leaves in ("112", "+49112", "0049112", "49112"):
        assert house.dials(leaves, "112") is ACCEPT, leaves
    assert house.dials("+49112", "+49112") is REFUSE, "nobody dialled 112"
    assert house.dials("112123", "112123") is REFUSE
    assert house.engine.counters()["calls_for_help"] == 4
    assert house.engine.counters()["limits_trunk"] == 0


def test_an_invented_dialog_is_judged_like_any_other_call_once_all_real_ones_have_been_heard_of() -> None:
    house = House("[refuse]\ndestinations = ['+252']\n[calls]\ndeny = ['CU']\n")
    assert house.leaving("+25261123456", to_tag="x") is ACCEPT, "it may be from before the start"
    house.wait(3601)
    assert house.leaving("+25261123456", to_tag="x") is REFUSE
    assert house.leaving("+5371234567", to_tag="x") is REFUSE
    assert house.leaving("112", to_tag="x") is ACCEPT


def test_a_line_is_held_whatever_has_been_closed_meanwhile() -> None:
    house = House()
    assert house.dials("+25261123456") is ACCEPT
    house.answered()
    call = house.calls
    house.wait(3500)
    assert house.leaving("+25261123456", to_tag=f"far{call}", call=call) is ACCEPT
    house.wait(200)
    house.tell(policy("[calls]\ndeny = ['SO']\n"))
    assert house.leaving("+25261123456", to_tag=f"far{call}", call=call) is ACCEPT
    assert house.leaving("+25261123456", to_tag="another", call=call) is REFUSE


def test_a_refusal_says_whose_call_it_was() -> None:
    house = House("[calls]\ndeny = ['SO']\n")
    house.dials("+25261123456")
    (said,) = house.alerts("call-refused")
    assert "calls.deny[0]" in said
    assert "1001@pbx" in said


def test_a_new_policy_forgets_no_call_that_runs() -> None:
    house = House("[limits]\nrunning = 100\n")
    house.dials("+25261123456")
    house.answered()
    tolls = house.engine._tolls
    (state,) = tolls._past.values()
    for number in range(120):
        other = replace(
            state, key=f"other{number}", began=state.began + 2 * number, answered=0, ended=state.began + 2 * number + 1
        )
        tolls._past.renew(other.key, other, b"\0\0\0\0")
    house.tell(policy("[limits]\nrunning = 100\nprefix_digits = 6\n"))
    (call,) = house.engine._tracker.calls.live()
    assert tolls.limits._running.get(call.key) is not None


def test_nothing_more_is_said_to_end_a_call_once_the_guard_only_observes() -> None:
    house = House()
    house.dials("+25261123456")
    house.answered()
    (call,) = house.engine._tracker.calls.live()
    house.tell(Order(OrderVerb.HANG_UP, call.key))
    assert any(isinstance(each, HangUp) for each in house.actions)
    house.tell(load(HOUSE.replace("enforce", "observe")))
    house.actions.clear()
    for _ in range(80):
        house.wait(0.5)
    assert not any(isinstance(each, HangUp) for each in house.actions)
    assert house.engine.counters()["hangups"] == 0


def test_an_order_with_a_scope_that_there_is_not_changes_nothing() -> None:
    assert House().tell(Order(OrderVerb.RESET, "1001", scope="galaxy")) == []


def test_the_default_policy_gives_no_price_to_national_calls_and_to_a_door() -> None:
    story = Story(Policy())
    for number, uri in enumerate(("03012345678", "2125551234", "door", "2001")):
        story.outbound(TRUNK, 5060, text("INVITE", number).replace(b"sip:2000@", b"sip:%b@" % uri.encode()))
    limits = story.engine._tolls.limits
    assert limits.counters()["calls_running"] == 4
    assert all(book.committed == 0 for each in limits._running.values() for book in each.books)


def test_what_is_for_help_under_any_plan_leaves_and_is_neither_counted_nor_ended() -> None:
    """The gate lets it go by any plan; the trunk's own does not know it, and whose phone it is nobody can tell."""
    house = House("[calls]\noutbound = false\n[[dialplan]]\nname = 'paris'\ncountry = 'FR'\n")
    assert house.leaving("15") is ACCEPT
    house.answered()
    assert house.engine.counters()["calls_for_help"] == 1
    assert house.engine.counters()["limits_trunk"] == 0
    assert not any(isinstance(each, HangUp) for each in house.actions)


def test_a_call_to_a_refused_destination_that_left_while_the_gate_was_open_is_ended() -> None:
    house = House("[refuse]\ndestinations = ['+252']\n")
    invite = text("INVITE", 5).replace(b"sip:2000@" + PBX.encode(), f"sip:0025261123456@{TRUNK}".encode())
    house.outbound(TRUNK, 5060, invite)
    assert house.engine.counters()["calls_overdue"] == 1
    assert any(isinstance(each, HangUp) for each in house.actions)


def test_calls_that_ring_at_a_second_trunk_after_the_first_failed_fill_the_seconds_channels() -> None:
    second = "198.51.100.98"
    house = House(f"[[trunk]]\nname = 'beta'\naddresses = ['{second}']\nchannels = 3\n")  # less a margin: 2
    said = []
    for number in range(3):
        assert house.dials(f"+4930123450{number}") is ACCEPT
        house.answered(503)
        said.append(house.leaving(f"+4930123450{number}", far=second))
    assert said == [ACCEPT, ACCEPT, REFUSE]
    running = house.engine._tolls.limits._running.values()
    assert [each.call.trunk for each in running] == ["beta", "beta", "alpha"]
