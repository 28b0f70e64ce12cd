"""A real back-to-back user agent does what the guard counts on when it hangs up a call, and what frauds count on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lab.agent import Agent
from tests.lab.asterisk import STRANGER
from tests.lab.calls.stage import Stage, connect, dial
from tests.lab.capture import recording
from tests.lab.spoof import Spoofer
from tests.lab.wait import until

# the first of them may have to fetch a Debian
pytestmark = [pytest.mark.root, pytest.mark.lab("tcpdump", "tshark"), pytest.mark.timeout(1500)]


def test_a_call_goes_through_and_leaves_nothing_behind(calls: Stage) -> None:
    carrier = calls.carrier()
    inside, outside = connect(calls.phone("1001"), "90037167000001", carrier)
    assert calls.server.channels == 2
    assert outside.call_id != inside.call_id
    carrier.send(outside.text("BYE"))
    inside.hung_up()
    until(lambda: calls.server.channels == 0, "no channel left")


def test_a_wrong_password_calls_nobody(calls: Stage) -> None:
    phone = calls.phone("1001")
    phone.password = "wrong"
    inside = dial(phone, "90037167000001")
    assert inside.final().code == 401
    assert calls.server.channels == 0


@pytest.mark.parametrize("cseq", [1, 2])
def test_a_bye_with_a_cseq_not_above_the_last_ends_nothing(calls: Stage, cseq: int) -> None:
    phone, carrier = calls.phone("1001"), calls.carrier()
    inside, outside = connect(phone, "90037167000001", carrier)
    assert phone.request(inside.text("BYE", cseq=cseq)).code == 500
    assert calls.server.channels == 2
    inside.hang_up()
    outside.hung_up()


def test_a_bye_with_a_wrong_tag_is_answered_481_and_ends_nothing(calls: Stage) -> None:
    phone, carrier = calls.phone("1001"), calls.carrier()
    inside, outside = connect(phone, "90037167000001", carrier)
    assert phone.request(inside.text("BYE", cseq=9).replace(inside.remote, f"{inside.remote}x")).code == 481
    assert calls.server.channels == 2
    inside.hang_up()
    outside.hung_up()


def test_a_bye_as_from_the_phone_makes_the_pbx_hang_up_on_the_trunk(calls: Stage) -> None:
    phone, carrier = calls.phone("1001"), calls.carrier()
    inside, outside = connect(phone, "90037167000001", carrier)
    with Spoofer(calls.world.pbx) as spoofer:
        spoofer.send((phone.address, 5060), (phone.server, 5060), inside.text("BYE").encode())
    outside.hung_up()
    assert phone.receive(lambda m: m.method == "BYE", "the answer to a BYE that it did not send").code == 200


def test_a_right_bye_from_any_address_is_believed(calls: Stage) -> None:
    phone, carrier = calls.phone("1001"), calls.carrier()
    inside, outside = connect(phone, "90037167000001", carrier)
    with Spoofer(calls.world.attacker) as spoofer:
        spoofer.send((STRANGER.v4, 5060), (phone.server, 5060), inside.text("BYE").encode())
    outside.hung_up()


def test_over_tcp_a_bye_as_the_next_bytes_of_the_stream_does_the_same(calls_over_tcp: Stage, tmp_path: Path) -> None:
    pbx, path = calls_over_tcp.world.pbx, tmp_path / "tcp.pcap"
    with recording(pbx, path, expression="tcp port 5060"):
        phone, carrier = calls_over_tcp.phone("1001", tcp=True), calls_over_tcp.carrier(tcp=True)
        inside, outside = connect(phone, "90037167000001", carrier)
        until(lambda: b"ACK sip:" in path.read_bytes(), "the ACK in the capture")
        with Spoofer(pbx) as spoofer:
            spoofer.follow(
                (phone.address, 5060), (phone.server, 5060), inside.text("BYE").encode(), upto(path, phone)
            )  # fmt: skip
        outside.hung_up()


def test_the_manager_hangs_up_both_ends(calls: Stage) -> None:
    inside, outside = connect(calls.phone("1001"), "90037167000001", calls.carrier())
    calls.server.manager("Hangup", Channel="/^PJSIP/1001-.*$/")
    inside.hung_up()
    outside.hung_up()


def upto(path: Path, phone: Agent) -> tuple[int, int]:
    """Read how far a phone's connection has got: its next sequence number, and what it has acknowledged."""
    command = [
        "tshark",
        "-n",
        "-r",
        str(path),
        "-o",
        "tcp.relative_sequence_numbers:FALSE",
        "-Y",
        f"ip.src == {phone.address}",
    ]
    done = subprocess.run(
        [*command, "-T", "fields", "-e", "tcp.nxtseq", "-e", "tcp.ack"],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    read = [tuple(int(part) for part in line.split("\t")) for line in done.stdout.splitlines()]
    return max(sent for sent, _ in read), max(acknowledged for _, acknowledged in read)
