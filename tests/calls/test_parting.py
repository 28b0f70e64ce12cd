"""What ends a leg: right requests along its own path, and nothing that one of its ends could have smuggled in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.address import parse_address
from sipguard.sip.hangup import COOKIE, Party, bye, cancel, route_set, uri_of
from sipguard.sip.message import SipRequest
from sipguard.sip.parser import parse
from sipguard.track.leg import Leg
from sipguard.track.parting import can, words
from tests.calls.world import CARRIER, PBX, PHONE, Dialog, World

VIA = b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;rport"


def legs(world: World) -> tuple[Leg, Leg]:
    outside, inside = world.calls.leg(world.call)
    assert outside is not None
    assert inside is not None
    return outside, inside


def talking(extra: str = "") -> tuple[World, Dialog, Dialog]:
    world = World()
    inside = world.dials()
    outside = world.leaves()
    world.answer(outside, 180)
    world.answer(outside, 200)
    world.request(outside, "ACK", by_pbx=True)
    world.answer(inside, 200, extra)
    world.request(inside, "ACK", by_pbx=False)
    return world, inside, outside


def read(leg: Leg, *, by_pbx: bool) -> SipRequest:
    said = words(leg, by_pbx=by_pbx, stream=False)
    assert said is not None
    request = parse(said.payload)
    assert isinstance(request, SipRequest)
    assert request.faults == ()
    return request


def test_the_pbx_is_told_as_from_the_phone() -> None:
    world, dialog, _ = talking(f"Contact: <sip:{PBX}:5070;x=y>")
    _, inside = legs(world)
    said = words(inside, by_pbx=False, stream=False)
    assert said is not None
    assert (said.sender, said.target) == ((parse_address(PHONE), 5060), (parse_address(PBX), 5060))
    request = read(inside, by_pbx=False)
    assert (request.method, request.uri) == ("BYE", f"sip:{PBX}:5070;x=y".encode())
    assert (request.from_tag, request.to_tag) == (dialog.tag.encode(), dialog.other.encode())
    assert request.cseq == dialog.cseq + 2  # the second that was written
    assert request.branch.startswith(COOKIE)


def test_the_phone_is_told_as_from_the_pbx_with_the_tags_turned_round() -> None:
    world, dialog, _ = talking()
    _, inside = legs(world)
    request = read(inside, by_pbx=True)
    assert (request.from_tag, request.to_tag, request.cseq) == (dialog.other.encode(), dialog.tag.encode(), 1)


def test_the_carrier_is_told_as_from_the_pbx_above_its_last_number() -> None:
    world, _, dialog = talking()
    outside, _ = legs(world)
    request = read(outside, by_pbx=True)
    assert (request.from_tag, request.to_tag, request.cseq) == (dialog.tag.encode(), dialog.other.encode(), 2)


def test_what_rings_is_cancelled_in_the_transaction_of_its_invite() -> None:
    world = World()
    dialog = world.dials()
    outside = world.leaves()
    world.answer(outside, 180)
    world.answer(dialog, 180)
    _, inside = legs(world)
    request = read(inside, by_pbx=False)
    assert (request.method, request.cseq, request.branch) == ("CANCEL", dialog.cseq, dialog.branch.encode())
    assert request.to_tag == b""
    assert not can(inside, by_pbx=True)


def test_a_caller_who_never_showed_that_he_is_there_is_sent_nothing() -> None:
    world = World()
    dialog = world.dials()
    world.talks(world.leaves())
    world.answer(dialog, 200)
    _, inside = legs(world)
    assert words(inside, by_pbx=True, stream=False) is None
    assert words(inside, by_pbx=False, stream=False) is not None


def test_routes_behind_the_far_side_are_not_asked_of_the_pbx_and_are_given_back_to_it() -> None:
    world, _, _ = talking("Record-Route: <sip:10.0.0.2;lr>, <sip:10.0.0.1;lr>")
    _, inside = legs(world)
    assert read(inside, by_pbx=False).headers("route") == ()
    assert read(inside, by_pbx=True).headers("route") == (b"<sip:10.0.0.2;lr>", b"<sip:10.0.0.1;lr>")


def test_a_pbx_that_is_a_proxy_finds_itself_and_what_follows_in_the_routes() -> None:
    world, _, _ = talking(f"Record-Route: <sip:10.0.0.9;lr>, <sip:{PBX};lr>, <sip:10.0.0.1;lr>")
    _, inside = legs(world)
    assert read(inside, by_pbx=False).headers("route") == (f"<sip:{PBX};lr>".encode(), b"<sip:10.0.0.9;lr>")
    assert read(inside, by_pbx=True).headers("route") == (b"<sip:10.0.0.1;lr>",)


def test_a_number_that_has_run_out_gives_no_bye() -> None:
    world, dialog, _ = talking()
    world.request(dialog, "INFO", by_pbx=False, cseq=2**31 - 1)
    _, inside = legs(world)
    assert words(inside, by_pbx=False, stream=False) is None


@pytest.mark.parametrize("contact", ["<sip:x@203.0.113.66>", "<sip:x@203.0.113.66;maddr=203.0.113.67>"])
def test_no_contact_makes_anything_go_to_a_third_party(contact: str) -> None:
    world, dialog, _ = talking(f"Contact: {contact}")
    world.request(dialog, "INFO", by_pbx=False, extra=f"Contact: {contact}")
    for leg in legs(world):
        for by_pbx in (False, True):
            said = words(leg, by_pbx=by_pbx, stream=False)
            assert said is not None
            assert {said.sender[0], said.target[0]} == {parse_address(PBX), leg.far}
            assert leg.far in (parse_address(PHONE), parse_address(CARRIER))


@pytest.mark.parametrize("bad", [b"a\r\nX: y", b"a\nX: y", b"a b", b"a;x=y", b"", b"\xff", b'"', b"a\0"])
def test_a_tag_or_call_id_that_is_none_gives_nothing(bad: bytes) -> None:
    good = Party(b"<sip:a@x>", b"1"), Party(b"<sip:b@x>", b"2")
    assert bye(b"sip:x", (), VIA, *good, b"c", 1) is not None
    assert bye(b"sip:x", (), VIA, Party(b"<sip:a@x>", bad), good[1], b"c", 1) is None
    assert bye(b"sip:x", (), VIA, *good, bad + b" ", 1) is None
    assert bye(bad + b" ", (), VIA, *good, b"c", 1) is None


PARTS = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.sampled_from([b"<sip:a@b>", b"sip:a@b", b";tag=x", b"\r\n", b"X: y", b",", b" ", b'"', b"<", b">", b"\\"]),
        max_size=6,
    ).map(b"".join),
)


@given(PARTS, st.lists(PARTS, max_size=3), PARTS, PARTS, PARTS, st.integers(-2, 2**32))
def test_whatever_a_dialog_is_made_of_what_is_written_is_one_request_without_a_fault(
    uri: bytes, routes: list[bytes], via: bytes, value: bytes, call_id: bytes, cseq: int
) -> None:
    sender, target = Party(value, b"1"), Party(value, b"2")
    made = [
        bye(uri_of(uri), routes, via, sender, target, call_id, cseq, 1200),
        bye(b"sip:x@y", routes, VIA, sender, target, b"c", 1),
        cancel(b"sip:x@y", via, sender, Party(value, b""), b"c", 1),
    ]
    for text in made:
        if text is None:
            continue
        request = parse(text)
        assert isinstance(request, SipRequest)
        assert text.count(b"\r\n\r\n") == 1
        assert request.repeats() in ((), ("route",))
        known = {"via", "max-forwards", "route", "from", "to", "call-id", "cseq", "content-length", "x-padding"}
        assert set(request.names()) <= known
        assert request.from_tag == b"1"


def test_a_bye_is_made_as_long_as_it_must_be() -> None:
    text = bye(b"sip:x", (), VIA, Party(b"", b"1"), Party(b"", b"2"), b"c", 1, 1200)
    assert text is not None
    assert len(text) == 1200
    assert b"<sip:anonymous@anonymous.invalid>;tag=1" in text


def test_too_many_routes_or_one_that_cannot_be_read_give_nothing() -> None:
    assert route_set([b"<sip:a;lr>, <sip:b>;x"]) == (b"<sip:a;lr>", b"<sip:b>;x")
    assert route_set([b"<sip:a>"] * 17) is None
    assert route_set([b"<sip:a\r\nX: y>"]) is None
