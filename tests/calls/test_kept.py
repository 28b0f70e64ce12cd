"""What is kept of a call's dialogs makes them again after a restart; no text makes anything else, or raises."""

from __future__ import annotations

from base64 import b64decode, b64encode

from hypothesis import given
from hypothesis import strategies as st

from sipguard.address import parse_address
from sipguard.call import Call, Called, CallLegs, Direction, NumberClass
from sipguard.event import CallMoved
from sipguard.intake import Heard
from sipguard.model import HOUR, MINUTE, SECOND, HangUp, Hook
from sipguard.sip.parser import parse
from sipguard.track import kept
from sipguard.track.leg import Leg, LegState
from sipguard.track.limits import Config
from sipguard.track.parting import sent, words
from sipguard.wire.flow import Flow
from tests.calls.test_endings import Story
from tests.calls.world import CARRIER, PBX, PHONE, STRANGER, World

FAR, OWN = parse_address(CARRIER), parse_address(PBX)
SLOTS = [
    "far",
    "far_port",
    "pbx",
    "pbx_port",
    "far_cseq",
    "pbx_cseq",
    "call_id",
    "tag",
    "other",
    "from_value",
    "to_value",
    "far_contact",
    "pbx_contact",
    "routes",
    "shown",
    "outgoing",
    "answered",
    "state",
    "far_media",
    "pbx_media",
]


def called() -> Call:
    call = Call("k", SECOND, Direction.OUTBOUND, Called("00252", NumberClass.MOBILE, "+252"))
    call.answered = 2 * SECOND
    return call


def leg(*, outgoing: bool = True) -> Leg:
    made = Leg(SECOND, b"c@x", b"a", Called("112", NumberClass.EMERGENCY), outgoing=outgoing)
    made.far, made.far_port, made.pbx, made.pbx_port = FAR, 5061, OWN, 5060
    made.other, made.tags = b"b", (b"b",)
    made.from_value, made.to_value = b"<sip:1001@x>;tag=a", b'"\xff" <sip:y@x>'
    made.far_contact, made.pbx_contact = b"<sip:y@z:5061>", b""
    made.far_media = b"\0" * 16, 65535
    made.far_cseq, made.pbx_cseq = -1, (1 << 31) - 1
    made.routes = (b"<sip:r;lr>", b"", b"<sip:s;lr>, <sip:t;lr>")
    made.answered, made.state, made.shown = 2 * SECOND, LegState.ANSWERED, True
    return made


def same(one: Leg, two: Leg) -> bool:
    return [getattr(one, name) for name in SLOTS] == [getattr(two, name) for name in SLOTS]


# --- The text ---------------------------------------------------------------------------------------------------------


def test_both_dialogs_come_back_as_they_were() -> None:
    outside, inside = leg(), leg(outgoing=False)
    found = kept.read(kept.written(outside, inside), called())
    assert found is not None
    assert found[1] is not None
    assert same(found[0], outside)
    assert same(found[1], inside)
    assert found[1].called.kind is NumberClass.EMERGENCY, "what was dialled for help stays so"
    alone = kept.read(kept.written(outside, None), called())
    assert alone is not None
    assert alone[1] is None


def test_who_listens_on_a_connection_is_known_again_and_nothing_else_of_it() -> None:
    for client, server in (((FAR, 5061), (OWN, 5060)), ((OWN, 5060), (FAR, 5061))):
        outside = leg()
        outside.flow = Flow(0, client, server, b"")
        outside.routes, outside.pbx_cseq = (), 5
        found = kept.read(kept.written(outside, None), called())
        assert found is not None
        flow = found[0].flow
        assert flow is not None
        assert (flow.client, flow.server) == (client, server)
        assert (words(found[0], by_pbx=True, stream=False) is None) is (server == (OWN, 5060))
        said = words(found[0], by_pbx=True, stream=True)
        assert said is not None
        assert sent(said) == (), "how far it has got is not known"


def test_of_what_is_too_long_the_least_needed_goes_first() -> None:
    long = b"<sip:" + b"x" * 500 + b";lr>"
    outside, inside = leg(), leg(outgoing=False)
    for each in (outside, inside):
        each.far_contact = each.pbx_contact = each.from_value = each.to_value = long
        each.routes = (long,) * 6
    text = kept.written(outside, inside)
    assert len(b64decode(text)) <= kept.MOST
    found = kept.read(text, called())
    assert found is not None
    assert found[0].routes == outside.routes
    assert (found[0].from_value, found[1]) == (b"", found[1])
    for each in (outside, inside):
        each.routes = (long,) * 8
    found = kept.read(kept.written(outside, inside), called())
    assert found is not None
    assert found[0].routes == outside.routes
    assert found[1] is None


def test_what_has_not_been_answered_is_not_kept() -> None:
    outside = leg()
    outside.state = LegState.EARLY
    assert kept.written(outside, None) == ""
    inside = leg(outgoing=False)
    inside.state = LegState.OVER
    found = kept.read(kept.written(leg(), inside), called())
    assert found is not None
    assert found[1] is None


@given(st.one_of(st.text(max_size=200), st.binary(max_size=400).map(lambda data: b64encode(b"1" + data).decode())))
def test_no_text_raises(text: str) -> None:
    found = kept.read(text, called())
    assert found is None or found[0].outgoing


@given(st.data())
def test_a_text_that_was_cut_or_changed_gives_legs_that_could_be_or_none(data: st.DataObject) -> None:
    raw = bytearray(b64decode(kept.written(leg(), leg(outgoing=False))))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    del raw[data.draw(st.integers(0, len(raw))) :]
    found = kept.read(b64encode(bytes(raw)).decode(), called())
    for each in found or ():
        if each is not None:
            assert len(each.far) == len(each.pbx) in (4, 16)
            assert each.tag
            assert each.other
            assert -1 <= each.far_cseq < 1 << 31
            for by_pbx in (True, False):
                words(each, by_pbx=by_pbx, stream=False)
                words(each, by_pbx=by_pbx, stream=True)
            assert each.name


def test_what_is_too_long_to_be_ours_is_not_even_read() -> None:
    assert kept.read("A" * (2 * kept.MOST + 4), called()) is None


# --- A restart --------------------------------------------------------------------------------------------------------


def test_a_silent_call_from_before_a_restart_is_hung_up_at_both_its_ends() -> None:
    story = Story()
    inside, outside = story.talking()
    story.world.restart()
    story.begin()
    to_pbx, to_phone = story.injected(inside, by_pbx=False), story.injected(inside, by_pbx=True)
    assert b"CSeq: %d BYE" % (2 + 1 + 100_000) in to_pbx.payload, "far above what it may have said meanwhile"
    story.answered(inside, to_pbx, by_pbx=True)
    story.answered(inside, to_phone, by_pbx=False)
    story.world.bye(outside, by_pbx=True)
    story.hear()
    assert story.said == ["BYE>10", "BYE>101", "call-hung-up"]
    assert story.world.running() == []


def test_a_call_that_was_over_before_the_guard_came_back_is_found_out_and_costs_nothing_since() -> None:
    story = Story()
    inside, outside = story.talking()
    call = story.world.call
    story.world.restart()
    story.world.wait(0)
    back = story.world.now
    story.world.wait(3600)
    story.begin()
    story.answered(inside, story.injected(inside, by_pbx=False), 481, by_pbx=True)
    story.wait(2 * SECOND)  # the carrier does not even answer
    story.wait(2 * SECOND)
    mark = f"Call-ID: {outside.call_id}\r".encode()
    (parting,) = [
        each
        for action in story.actions
        if isinstance(action, HangUp)
        for each in action.injections
        if mark in each.payload and each.target == OWN
    ]
    story.answered(outside, parting, 481, by_pbx=True)
    story.hear()
    assert "call-was-over" in story.said
    assert story.world.running() == []
    (ended,) = [each for each in story.world.outbound if each.ended]
    assert (ended.key, ended.ended) == (call.key, back)


def test_after_a_restart_a_carriers_word_alone_confirms_nothing_nor_does_a_strangers() -> None:
    world = World()
    inside, outside = world.dials(), world.leaves()
    world.talks(outside)
    world.answer(inside, 200)
    world.request(inside, "ACK", by_pbx=False)
    world.restart()
    (call,) = world.running()
    for source in (STRANGER, PHONE, CARRIER):
        world.request(outside, "UPDATE", by_pbx=False, source=source)
        world.request(outside, "BYE", by_pbx=False, source=source)
        world.reply(outside, "BYE", 200, by_pbx=False, source=source)
    assert not call.confirmed
    assert world.running() == [call]
    world.request(outside, "UPDATE", by_pbx=True)
    assert call.confirmed


def test_a_leg_over_tcp_learns_its_connection_from_the_pbx_alone() -> None:
    made = leg()
    made.flow = Flow(0, (OWN, 40_000), (FAR, 5061), b"")
    found = kept.read(kept.written(made, None), called())
    assert found is not None
    again, old = found[0], found[0].flow
    message = parse(b"BYE sip:x SIP/2.0\r\n\r\n")
    new = Flow(0, (OWN, 40_001), (FAR, 5061), b"")
    again.carried(Heard(FAR, 5061, OWN, 40_001, message, Hook.PREROUTING, new), by_pbx=False)
    assert again.flow is old
    again.carried(Heard(OWN, 40_001, FAR, 5061, message, Hook.OUTPUT, new), by_pbx=True)
    assert (again.flow, again.pbx_port) == (new, 40_001)


def test_legs_of_another_call_or_of_one_that_has_ended_are_not_taken_up() -> None:
    world = World()
    one, two = world.leaves(), world.leaves("0025261123457")
    world.talks(one)
    world.talks(two)
    first, second = world.running()
    states = [world.calls.state_of(each) for each in (first, second)]
    mixed = [
        CallLegs(0, first.key, world.calls.legs_of(second)),
        CallLegs(0, second.key, "?"),
        CallLegs(0, "nobody", world.calls.legs_of(first)),
    ]
    world.calls = world._made()
    world.calls.restore(states, mixed)
    assert [world.calls.leg(each) for each in world.calls.live()] == [(None, None)] * 2
    assert world.calls.counters()["call_legs"] == 0


def test_past_the_cap_the_newest_calls_are_taken_up_with_their_legs() -> None:
    world = World(Config(calls=2000))
    for number in range(1100):
        world.talks(world.leaves(f"00252{number:07}", "x"))
    world.config = Config(calls=1000)
    world.restart()
    live = world.running()
    assert len(live) == 1000
    assert live[-1].called.dialled == "002520001099"
    assert all(world.calls.leg(each)[0] is not None for each in live)
    assert world.calls.counters()["call_legs"] == 1000
    world.wait(1)
    world.wait(26 * HOUR / SECOND)
    world.wait(26 * HOUR / SECOND)
    assert world.running() == []
    assert world.calls.counters()["call_legs"] == 0


def test_where_the_ends_are_is_told_when_the_caller_is_heard_of_and_seldom_after_it() -> None:
    world = World()
    inside, outside = world.dials(), world.leaves()
    world.talks(outside)
    assert world.told()[-1] == "Answered"
    assert moves(world) == 0
    world.answer(inside, 200)
    world.request(inside, "ACK", by_pbx=False)
    assert moves(world) == 1
    for number in range(50):
        world.request(inside, "UPDATE", by_pbx=False, extra=f"Contact: <sip:{number}@{PHONE}>")
    assert moves(world) == 1
    world.wait(MINUTE / SECOND)
    world.request(outside, "UPDATE", by_pbx=False, extra=f"Contact: <sip:elsewhere@{CARRIER}>")
    assert moves(world) == 2


def moves(world: World) -> int:
    return sum(isinstance(each, CallMoved) for each in world.events)
