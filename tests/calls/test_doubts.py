"""What the kernel knows of media brings a call in doubt to life, and nothing else does."""

from __future__ import annotations

import pytest

from sipguard.address import parse_address
from sipguard.call import Doubt, Media
from sipguard.model import HOUR, SECOND
from tests.calls.world import CARRIER, PBX, Dialog, World

NATTED, GATEWAY = "203.0.113.9", "198.51.100.9"


def sdp(address: str, port: int) -> str:
    return f"v=0\no=- 1 1 IN IP4 {address}\ns=-\nc=IN IP4 {address}\nt=0 0\nm=audio {port} RTP/AVP 0\n"


def talking(world: World, *, near: str = PBX, far: str = GATEWAY, port: int = 10_000) -> Dialog:
    leg = world.dialog(CARRIER, outgoing=True)
    world.body = sdp(near, port)
    world.invite(leg)
    world.body = sdp(far, 40_000)
    world.answer(leg, 200)
    world.body = ""
    world.request(leg, "ACK", by_pbx=True)
    return leg


def told(world: World, expires: dict[str, int]) -> None:
    world.events += world.calls.media(world.now, Media(expires))


def test_asked_about_are_the_ends_that_were_named_and_the_pbxs_own_address() -> None:
    for restarted in (False, True):
        world = World()
        talking(world, near=NATTED)
        assert world.calls.doubtful(9) == []
        if restarted:
            world.restart()
        else:
            world.wait(HOUR / SECOND + 1)
        (call,) = world.running()
        natted, pbx, gateway = (parse_address(each) for each in (NATTED, PBX, GATEWAY))
        assert world.calls.doubtful(9) == [Doubt(call.key, ((natted, 10_000), (pbx, 10_000)), (gateway, 40_000))]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_packet_between_two_looks_confirms_a_call_and_a_look_does_not(restarted: bool) -> None:  # noqa: FBT001 - a case
    world = World()
    talking(world)
    world.wait(HOUR / SECOND + 1)
    if restarted:
        world.restart()
    (call,) = world.running()
    end = world.now + 100 * SECOND
    for wobble in (0, SECOND, -SECOND, SECOND, 0):
        told(world, {call.key: end + wobble, "nobody": end})
        world.wait(10)
    assert not call.confirmed
    told(world, {call.key: end + 10 * SECOND})
    assert call.confirmed
    assert world.told()[-1] == "Confirmed"
    assert world.calls.doubtful(9) == []
    told(world, {call.key: end + 50 * SECOND})
    assert world.told().count("Confirmed") == 1
    world.wait(HOUR / SECOND + 1)
    assert not call.confirmed, "it was heard of once, not for ever"
    told(world, {call.key: end + 2 * HOUR})
    assert not call.confirmed, "what was told before it was in doubt again is no news"


def test_a_call_of_which_the_kernel_knows_nothing_is_not_over() -> None:
    world = World()
    talking(world)
    world.restart()
    for _ in range(100):
        world.wait(60)
        told(world, {})
    assert len(world.running()) == 1


def test_what_the_pbx_has_hung_up_is_not_asked_about() -> None:
    world = World()
    leg = talking(world)
    world.request(leg, "BYE", by_pbx=True)
    world.wait(40)
    (call,) = world.running()
    assert not call.confirmed
    assert world.calls.doubtful(9) == []
    for end in (100, 200):
        told(world, {call.key: world.now + end * SECOND})
    assert not call.confirmed, "whoever goes on sending is not the PBX"


def test_calls_in_doubt_take_turns() -> None:
    world = World()
    for _ in range(10):
        talking(world)
    world.restart()
    looks = [[each.call for each in world.calls.doubtful(4)] for _ in range(5)]
    assert [len(look) for look in looks] == [4] * 5
    assert len({key for look in looks for key in look}) == 10
    assert world.calls.doubtful(0) == []


def test_what_is_no_description_or_holds_the_line_moves_nothing() -> None:
    world = World()
    leg = talking(world)
    ends = GATEWAY, 40_000
    for body in (sdp("0.0.0.0", 9), sdp(GATEWAY, 0), sdp("carrier.example", 9), sdp("1" * 100, 9), "v=0", "x"):
        world.body = body
        world.request(leg, "UPDATE", by_pbx=False)
        assert world.calls.leg(world.call)[0] is not None
        found = world.calls.leg(world.call)[0]
        assert found is not None
        assert found.far_media == (parse_address(ends[0]), ends[1])
    world.body = sdp(GATEWAY, 50_000)
    world.request(leg, "UPDATE", by_pbx=False)
    world.body = ""
    world.restart()
    assert [each.far[1] for each in world.calls.doubtful(9)] == [50_000]
