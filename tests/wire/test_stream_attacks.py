"""What a sender tries with TCP in order to hide, to frame, or to blind; `test_kernel_tcp.py` tries some on a kernel."""

from __future__ import annotations

import random

import pytest

from sipguard.model import SECOND
from sipguard.wire.l4 import ACK, FIN, RST, SYN
from sipguard.wire.reassembly import REREADS
from sipguard.wire.stream import Streams, StreamsConfig
from tests.wire.story import Story

# --- Proof ------------------------------------------------------------------------------------------------------------


def test_a_handshake_alone_confirms_and_does_not_prove() -> None:
    story = Story().handshake()
    assert story.flow.handshake
    assert story.flow.confirmed
    assert not story.flow.proven


def test_data_acknowledged_by_the_server_prove() -> None:
    story = Story().handshake()
    story.from_client(b"REGISTER")
    assert not story.flow.proven
    story.from_server()
    assert story.flow.proven


def test_a_spoofed_syn_and_data_with_a_guessed_number_prove_nothing() -> None:
    story = Story()
    story.from_client(flags=SYN, ack=0)
    story.from_server(flags=SYN | ACK)
    story.from_client(b"REGISTER", ack=5)
    story.from_server(ack=story.sent - 8)  # what a kernel says to a number that is not its own
    story.from_server(flags=RST, seq=5)
    story.from_server(flags=RST | ACK, seq=5)
    assert story.heard() == b"REGISTER"
    assert not story.flow.confirmed
    assert not story.flow.proven


def test_a_reset_that_acknowledges_data_proves_nothing() -> None:
    story = Story()
    story.from_client(flags=SYN, ack=0)
    story.from_client(b"REGISTER")
    story.from_server(flags=RST | ACK, seq=0)
    assert not story.flow.proven


def test_data_on_a_syn_prove_nothing_though_acknowledged() -> None:
    story = Story()
    story.from_client(b"REGISTER", flags=SYN, ack=0)
    story.from_server(flags=SYN | ACK)
    story.from_server(b"401")
    assert story.heard() == b"REGISTER"
    assert not story.flow.proven
    story.from_client(b"REGISTER")
    story.from_server()
    assert story.flow.proven


def test_a_fin_acknowledged_is_no_byte_acknowledged() -> None:
    story = Story().handshake()
    story.from_client(flags=ACK | FIN)
    story.from_server()
    assert not story.flow.proven


def test_a_flow_picked_up_mid_stream_is_never_proven_but_can_be_confirmed() -> None:
    story = Story()
    for _ in range(5):
        story.from_client(b"REGISTER")
        story.from_server(b"401")
    assert story.flow.confirmed
    assert not story.flow.proven


def test_an_acknowledgement_of_what_was_never_sent_proves_nothing() -> None:
    story = Story().handshake()
    story.from_client(b"REGISTER")
    story.from_server(ack=story.sent + 10_000)
    assert not story.flow.proven


def test_the_handshake_stands_for_nothing_once_the_numbers_left_it() -> None:
    story = Story().handshake()
    story.sent += 50_000_000
    story.from_server()
    story.from_client(b"REGISTER")
    story.from_server()
    assert story.pieces() == [(b"REGISTER", True)]
    assert not story.flow.proven


def test_a_connection_that_the_pbx_opened_proves_the_far_side_only_by_its_own_numbers() -> None:
    story = Story()
    story.from_server(flags=SYN, ack=0)
    story.from_client(flags=SYN | ACK)
    story.from_client(b"OPTIONS")
    assert not story.flow.proven
    story.from_server()
    assert story.flow.proven


# --- Hiding -----------------------------------------------------------------------------------------------------------


def test_a_decoy_never_acknowledged_does_not_hide_the_text_sent_in_its_place() -> None:
    story = Story().handshake()
    base = story.sent
    story.from_client(b"OPTIONS harmless", seq=base)
    story.from_server(ack=base)
    story.from_client(b"REGISTER guess 1", seq=base)
    assert story.pieces() == [(b"OPTIONS harmless", False), (b"REGISTER guess 1", True)]
    assert story.flow.conflicts == story.streams.overlapped == 1


def test_a_decoy_in_the_middle_of_a_message_gives_the_whole_message_again() -> None:
    story = Story().handshake()
    base = story.sent
    story.from_client(b"REGISTER sip:")
    story.from_client(b"alice")
    story.from_client(b"@pbx")
    story.from_client(b"bobby", seq=base + 13)
    assert story.pieces()[-1] == (b"REGISTER sip:bobby@pbx", True)
    story.from_client(b" next")
    assert story.pieces()[-1] == (b" next", True)


def test_decoys_byte_by_byte_do_not_pass_for_keep_alives() -> None:
    story = Story().handshake()
    for byte in b"REGISTER":
        story.from_client(b"x")
        story.from_client(bytes([byte]), seq=story.sent - 1)
        story.from_server()
    assert bytes([each.data[0] for each in story.found[1::2]]) == b"REGISTER"
    assert story.flow.conflicts == 8


def test_what_was_acknowledged_is_not_said_anew() -> None:
    story = Story().handshake()
    story.from_client(b"REGISTER")
    story.from_server()
    story.from_client(b"OPTIONS ", seq=story.sent - 8)
    assert story.heard() == b"REGISTER"
    assert story.flow.conflicts == 0


def test_reading_anew_is_bounded_so_that_small_packets_cannot_buy_great_work() -> None:
    story = Story().handshake()
    base = story.sent
    for _ in range(60):
        story.from_client(b"x" * 1000)
    story.found.clear()
    for turn in range(200):
        story.from_client(bytes([turn]), seq=base)
    again = sum(len(each.data) for each in story.found)
    assert again <= REREADS * 60_000 + 200
    assert len(story.found) >= 199  # and yet each is read


def test_a_forged_or_decoy_reset_ends_no_reading() -> None:
    story = Story().handshake()
    story.from_client(b"one ")
    for offset in (-4, 1, 70_000):
        story.reset_from_client(seq=story.sent + offset)
    assert not story.flow.closed
    story.reset_from_client()  # exact, with a lifetime too short to arrive
    assert story.flow.closed
    story.from_client(b"two")
    assert story.heard() == b"one two"
    assert not story.flow.closed
    story.from_server()
    assert story.flow.proven


def test_a_decoy_fin_ends_no_reading() -> None:
    story = Story().handshake()
    story.from_client(b"one ", flags=ACK | FIN)
    story.from_server(flags=ACK | FIN)
    story.sent -= 1
    story.from_client(b"two")
    assert story.heard() == b"one two"


def test_a_forged_syn_changes_nothing_until_it_is_answered() -> None:
    story = Story().handshake()
    story.from_client(b"one ")
    story.from_server()
    story.from_client(flags=SYN, seq=123_456)
    story.from_server(flags=SYN | ACK, seq=5, ack=999)
    story.from_client(b"two")
    assert story.heard() == b"one two"
    assert story.flow.proven


def test_an_answered_syn_begins_anew() -> None:
    story = Story().handshake()
    story.from_client(b"one")
    again = Story(story.streams, client_seq=99_000_000, server_seq=7).handshake()
    again.from_client(b"two")
    assert again.pieces() == [(b"two", False)]
    assert not again.flow.proven


def test_a_forged_syn_before_the_answer_does_not_lose_the_real_one() -> None:
    story = Story()
    story.from_client(flags=SYN, ack=0)
    story.from_client(flags=SYN, seq=555_555)
    story.from_server(flags=SYN | ACK)
    story.from_client(b"REGISTER")
    story.from_server()
    assert story.heard() == b"REGISTER"
    assert story.flow.proven


def test_blind_bytes_far_away_are_strays_and_cut_nothing() -> None:
    story = Story().handshake()
    story.from_client(b"one ")
    story.from_server()
    choose = random.Random(3)
    for _ in range(300):
        story.from_client(b"x" * 1000, seq=story.sent + choose.randrange(200_000, 4_000_000_000))
    story.from_client(b"two")
    assert story.heard() == b"one two"
    assert story.streams.strays == 300
    assert story.streams.held_bytes < 1000


def test_a_spoofed_first_segment_does_not_blind_us_to_the_real_flow() -> None:
    story = Story()
    story.from_client(b"forged", seq=3_000_000_000)
    story.from_server(b"hello")
    story.from_client(b"REGISTER")
    assert story.pieces()[-1] == (b"REGISTER", True)


def test_in_a_capture_of_one_direction_two_segments_that_agree_are_believed() -> None:
    story = Story()
    story.from_client(b"one")
    story.sent += 500_000_000
    story.from_client(b"two")
    story.from_client(b"three")
    assert story.pieces() == [(b"one", True), (b"three", True)]


def test_segments_that_linux_drops_for_their_flags_are_not_read() -> None:
    story = Story().handshake()
    base = story.sent
    for flags in (0, FIN, SYN | FIN, SYN | FIN | ACK, RST, RST | ACK):
        story.from_client(b"decoy", flags=flags, seq=base)
    story.from_client(b"real")
    assert story.heard() == b"real"


def test_a_hole_with_a_budgets_worth_behind_it_hides_nothing() -> None:
    story = Story(Streams(StreamsConfig(max_pending_bytes_per_flow=4000))).handshake()
    base = story.sent
    for number in range(1, 100):
        story.from_client(bytes([number]) * 100, seq=base + number * 100)
    story.from_client(bytes(100), seq=base)
    assert {byte for each in story.found for byte in each.data} == set(range(100))
    assert story.streams.gaps


# --- Differing texts beyond a hole: one reading, and a mark -----------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([(4, b"aaaa"), (4, b"bbbb")], b"....aaaa"),
        ([(4, b"aaaa"), (5, b"bb")], b"....aaaa"),
        ([(5, b"aa"), (4, b"bbbb")], b"....bbbb"),
        ([(4, b"aa"), (4, b"bbbb")], b"....bbbb"),
        ([(4, b"aaaa"), (6, b"bbbb")], b"....aaaabb"),
        ([(6, b"aaaa"), (4, b"bbbb")], b"....bbbbaa"),
        ([(5, b"aaa"), (0, b"xxxxxx")], b"xxxxxxaa"),
    ],
)
def test_differing_overlaps_are_read_as_linux_reads_them_and_marked(
    pieces: list[tuple[int, bytes]], expected: bytes
) -> None:
    story = Story().handshake()
    base = story.sent
    for offset, data in pieces:
        story.from_client(data, seq=base + offset)
    if pieces[-1][0]:
        story.from_client(b"....", seq=base)
    assert story.heard() == expected
    assert story.flow.conflicts


def test_closed_flows_linger_only_so_long() -> None:
    story = Story().handshake()
    story.reset_from_client()
    other = Story(story.streams, port=40001)
    other.at = 600 * SECOND
    other.handshake()
    assert len(story.streams) == 1
    assert story.streams.expired == 1
