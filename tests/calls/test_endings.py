"""How calls are hung up: what is tried when, what is told, and what never happens."""

from __future__ import annotations

from sipguard.call import Called, NumberClass
from sipguard.endings import LONGEST, REPEATS, WAIT, Endings
from sipguard.event import CallEnded
from sipguard.model import SECOND, Action, Alert, HangUp, Injection
from sipguard.sip.message import SipRequest
from sipguard.sip.parser import parse
from tests.calls.world import PHONE, PHONE2, Dialog, World


class Story:
    """A world in which calls are hung up; `said` is what was to be sent, by its start, and what was told."""

    def __init__(self, *, managed: bool = False, most: int = 10) -> None:
        self.world = World()
        self.endings = Endings(self.world.calls.shares, managed=managed, most=most)
        self.actions: list[Action] = []
        self.seen = 0

    def talking(self, phone: str = PHONE, number: str = "0025261123456", user: str = "1001") -> tuple[Dialog, Dialog]:
        inside = self.world.dials(phone, number, user, user)
        outside = self.world.leaves(number, user)
        self.world.talks(outside)
        self.world.answer(inside, 200)
        self.world.request(inside, "ACK", by_pbx=False)
        return inside, outside

    def begin(self, index: int = 0) -> None:
        call = self.world.running()[index]
        self.seen = len(self.world.events)
        self.actions += self.endings.begin(self.world.now, call, self.world.calls.leg(call), "too long")

    def hear(self) -> None:
        for event in self.world.events[self.seen :]:
            if isinstance(event, CallEnded):
                self.actions += self.endings.heard(event)
        self.seen = len(self.world.events)

    def wait(self, span: int) -> None:
        self.world.now += span
        self.actions += self.endings.advance(self.world.now)

    @property
    def said(self) -> list[str]:
        """Tell what was done: `METHOD>where` for each injection, the kinds of alerts, `managed`."""
        found: list[str] = []
        for action in self.actions:
            if isinstance(action, Alert):
                found.append(action.kind)
            elif isinstance(action, HangUp):
                found += ["managed"] * bool(action.managed)
                found += [f"{each.payload[:3].decode()}>{each.target[-1]}" for each in action.injections]
        self.actions = []
        return found

    def injected(self, dialog: Dialog, *, by_pbx: bool) -> Injection:
        """Give the last injection of a dialog in a direction."""
        far = dialog.far.rpartition(".")[2]
        return next(
            each
            for action in reversed(self.actions)
            if isinstance(action, HangUp)
            for each in reversed(action.injections)
            if (str(each.target[-1]) == far) == by_pbx
        )

    def answered(self, dialog: Dialog, said: Injection, code: int = 200, *, by_pbx: bool) -> None:
        """Let one end answer what was injected."""
        request = parse(said.payload)
        assert isinstance(request, SipRequest)
        dialog.last, dialog.last_cseq = request.branch.decode(), request.cseq
        self.world.reply(dialog, "BYE", code, by_pbx=by_pbx)


PHONE_END, PBX_END, CARRIER_END = "101", "10", "1"


def test_the_pbx_and_the_phone_are_told_and_the_call_is_over_when_the_carrier_agrees() -> None:
    story = Story()
    inside, outside = story.talking()
    story.begin()
    to_pbx, to_phone = story.injected(inside, by_pbx=False), story.injected(inside, by_pbx=True)
    assert story.said == [f"BYE>{PBX_END}", f"BYE>{PHONE_END}"]
    story.answered(inside, to_pbx, by_pbx=True)
    story.answered(inside, to_phone, by_pbx=False)
    story.world.bye(outside, by_pbx=True)
    story.hear()
    assert story.said == ["call-hung-up"]
    assert len(story.endings) == 0
    story.wait(40 * SECOND)
    assert story.said == []
    assert story.endings.counters()["hangups_done"] == 1


def test_a_phone_that_does_not_answer_is_told_three_times_and_no_more() -> None:
    story = Story()
    inside, outside = story.talking()
    story.begin()
    to_pbx = story.injected(inside, by_pbx=False)
    first = story.injected(inside, by_pbx=True).payload
    story.said.clear()
    story.answered(inside, to_pbx, by_pbx=True)
    story.world.bye(outside, by_pbx=True)
    story.hear()
    assert story.said == ["call-hung-up"]
    story.wait(REPEATS[1])
    assert story.injected(inside, by_pbx=True).payload == first
    assert story.said == [f"BYE>{PHONE_END}"]
    story.wait(100 * SECOND)
    assert story.said == [f"BYE>{PHONE_END}"]
    assert story.endings.next_deadline() is None or len(story.endings) == 0


def test_a_pbx_that_does_nothing_leaves_it_to_the_carrier_who_agrees() -> None:
    story = Story()
    inside, outside = story.talking()
    story.begin()
    story.wait(WAIT)
    said = story.said
    assert said[:2] == [f"BYE>{PBX_END}", f"BYE>{PHONE_END}"]
    assert f"BYE>{CARRIER_END}" in said
    assert inside.far == PHONE
    story.begin()  # not twice at once
    assert story.said == []
    story.wait(REPEATS[1])
    to_carrier = story.injected(outside, by_pbx=True)
    story.said.clear()
    story.answered(outside, to_carrier, by_pbx=False)
    story.hear()
    assert story.said[:2] == ["call-hung-up", f"BYE>{PBX_END}"]


def test_the_manager_is_asked_between_where_there_is_one() -> None:
    story = Story(managed=True)
    story.talking()
    story.begin()
    story.wait(WAIT)
    assert "managed" not in story.said[:2]
    story.wait(WAIT)
    assert f"BYE>{CARRIER_END}" in story.said


def test_an_orphan_is_left_to_the_manager_then_to_the_carrier() -> None:
    story = Story(managed=True)
    outside = story.world.leaves()
    story.world.talks(outside)
    story.begin()
    assert story.said == ["managed"]
    story.wait(WAIT)
    assert story.said == [f"BYE>{CARRIER_END}"]


def test_a_call_that_nobody_ends_is_told_and_forgotten() -> None:
    story = Story()
    story.talking()
    story.begin()
    story.wait(2 * WAIT)
    assert story.said[-2:] == [f"BYE>{PBX_END}", "call-not-hung-up"]
    assert len(story.endings) == 0
    story.wait(100 * SECOND)
    assert story.said == []


def test_a_bye_of_the_pbx_that_the_carrier_never_answers_is_waited_for_and_told() -> None:
    story = Story()
    inside, outside = story.talking()
    story.begin()
    to_pbx, to_phone = story.injected(inside, by_pbx=False), story.injected(inside, by_pbx=True)
    story.answered(inside, to_pbx, by_pbx=True)
    story.answered(inside, to_phone, by_pbx=False)
    story.world.request(outside, "BYE", by_pbx=True)
    story.said.clear()
    story.wait(20 * SECOND)
    assert story.said == []
    story.wait(LONGEST)
    assert story.said == ["call-not-hung-up"]


def test_a_forged_bye_answered_with_an_error_keeps_the_guard_trying() -> None:
    story = Story()
    inside, _ = story.talking()
    story.begin()
    story.answered(inside, story.injected(inside, by_pbx=False), 500, by_pbx=True)
    story.said.clear()
    story.wait(REPEATS[1])
    assert story.said == [f"BYE>{PBX_END}", f"BYE>{PHONE_END}"]


def test_each_time_the_pbx_is_told_with_a_higher_number() -> None:
    story = Story()
    inside, _ = story.talking()
    story.begin()
    numbers = []
    for _ in range(2):
        request = parse(story.injected(inside, by_pbx=False).payload)
        assert isinstance(request, SipRequest)
        numbers.append(request.cseq)
        story.wait(REPEATS[1])
    assert numbers[0] < numbers[1]


def test_a_call_for_help_is_never_hung_up_under_whatever_number_it_leaves() -> None:
    story = Story(managed=True)
    story.talking()
    call = story.world.running()[0]
    outside, inside = story.world.calls.leg(call)
    assert inside is not None
    inside.renumber(Called("112", NumberClass.EMERGENCY))
    story.actions += story.endings.begin(story.world.now, call, (outside, inside), "too long")
    assert story.said == ["emergency-not-hung-up"]
    assert len(story.endings) == 0


def test_more_calls_than_there_is_room_for_are_told_and_not_kept() -> None:
    story = Story(most=1)
    story.talking()
    story.talking(PHONE2, "00371200001", "1002")
    story.begin(0)
    story.said.clear()
    story.begin(1)
    assert story.said == ["call-not-hung-up"]
    assert len(story.endings) == 1
    assert story.endings.counters()["hangups_refused"] == 1


def test_a_call_of_which_nothing_was_heard_since_the_start_is_told() -> None:
    story = Story()
    story.talking()
    story.world.restart(legs=False)
    story.begin()
    assert story.said == ["call-not-hung-up"]


def test_somebody_else_on_the_line_is_not_hung_up() -> None:
    story = Story()
    story.talking()
    other, _ = story.talking(PHONE2, "00371200001", "1002")
    story.begin(0)
    story.wait(WAIT)
    for action in story.actions:
        assert isinstance(action, HangUp)
        assert all(other.call_id.encode() not in each.payload for each in action.injections)
