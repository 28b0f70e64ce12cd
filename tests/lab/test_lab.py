"""The laboratory does what the live tests rely on."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.capture import recording
from tests.lab.cases.broken import BROKEN, DECOYS, decoy_header, twisted
from tests.lab.cases.case import Lab
from tests.lab.cases.catalogue import CASES
from tests.lab.cases.register import RIGHT, svcrack
from tests.lab.client import Client
from tests.lab.errors import LabError
from tests.lab.fixtures import lab_stage, lab_world  # noqa: F401 - fixtures
from tests.lab.kamailio import ACCOUNTS
from tests.lab.spoof import Spoofer
from tests.lab.wait import until
from tests.lab.world import World, world

PCAPS = Path(__file__).resolve().parents[2] / "pcaps"
root = pytest.mark.root
kamailio = pytest.mark.lab


@root
@kamailio
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize("family", ["v4", "v6"])
def test_a_phone_registers_with_the_right_password_only(lab_stage: Lab, family: str, *, tcp: bool) -> None:  # noqa: F811
    server = getattr(lab_stage.world.pbx, family)
    with Client(lab_stage.world.phone, server, tcp=tcp) as client:
        assert client.register("1001", "wrong").code == 401
        assert client.register("1001", ACCOUNTS["1001"]).code == 200


@root
@kamailio
def test_a_nonce_from_before_a_restart_is_refused_without_stale(lab_stage: Lab) -> None:  # noqa: F811
    with Client(lab_stage.world.phone, lab_stage.world.pbx.v4) as client:
        challenge = client.challenge("1001")
        lab_stage.server.restart()
        reply = client.attempt(challenge, "1001", ACCOUNTS["1001"])
        assert (reply.code, reply.challenge.stale) == (401, False)


@root
@kamailio
def test_svcrack_gets_an_answer_to_every_guess(lab_stage: Lab, tmp_path: Path) -> None:  # noqa: F811
    lab_stage.path = tmp_path / "traffic.pcap"
    with lab_stage.recording():
        svcrack(lab_stage, "1200-1203")
    assert lab_stage.path.read_bytes().count(b"SIP/2.0 401 ") >= 5


@root
@kamailio
def test_kamailio_judges_every_guess_that_is_written_wrongly(lab_stage: Lab) -> None:  # noqa: F811
    with Client(lab_stage.world.attacker, lab_stage.world.pbx.v4) as client:
        ways = {**BROKEN, **DECOYS, "decoy header": decoy_header(client)}
        judged = {way: (twisted(client, twist, "wrong"), twisted(client, twist, RIGHT)) for way, twist in ways.items()}
    assert judged == dict.fromkeys(ways, (401, 200))


@root
def test_a_forged_source_reaches_the_pbx(lab_world: World) -> None:  # noqa: F811
    with lab_world.pbx.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.settimeout(5.0)
        listening.bind((lab_world.pbx.v4, 5060))
        with Spoofer(lab_world.attacker) as spoofer:
            spoofer.send((lab_world.phone.v4, 5060), (lab_world.pbx.v4, 5060), b"forged")
        assert listening.recvfrom(100) == (b"forged", (lab_world.phone.v4, 5060))


@root
def test_a_host_answers_for_all_addresses_of_its_networks(lab_world: World, tmp_path: Path) -> None:  # noqa: F811
    with recording(lab_world.pbx, tmp_path / "all.pcap") as made:
        for source, target in (("203.0.113.200", "192.0.2.10"), ("2001:db8:66:ffff::1", "2001:db8:0:1::10")):
            family = socket.AF_INET6 if ":" in source else socket.AF_INET
            with (
                lab_world.pbx.socket(family, socket.SOCK_STREAM) as listening,
                lab_world.attacker.socket(family, socket.SOCK_STREAM) as asking,
            ):
                listening.bind((target, 5060))
                listening.listen()
                asking.settimeout(5.0)
                asking.bind((source, 0))
                asking.connect((target, 5060))
    assert made.packets >= 6


@root
def test_what_a_world_started_is_gone_when_it_is_left() -> None:
    with world() as made:
        sleeper = made.phone.start("sleep", "1000")
        names, directory = [host.namespace for host in made.hosts.values()], made.directory
        until(directory.exists, "the directory")
    left = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    assert not sleeper.alive
    assert not directory.exists()
    assert not [name for name in names if name in left]


@root
def test_a_command_that_is_late_is_an_error(lab_world: World) -> None:  # noqa: F811
    with pytest.raises(LabError, match="sleep"):
        lab_world.phone.run("sleep", "60", seconds=0.1)


def test_every_case_of_the_catalogue_has_its_capture_and_its_readme() -> None:
    lacking = [
        case.name
        for case in CASES
        if not (PCAPS / case.name / "traffic.pcap").exists()
        or case.purpose not in (PCAPS / case.name / "README.md").read_text()
    ]
    assert lacking == []


@pytest.mark.parametrize("path", sorted(PCAPS.glob("*/*/make.py")), ids=lambda path: path.parent.name)
def test_a_synthetic_capture_is_made_again_byte_for_byte(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "pcaps" / "family" / "case" / "make.py"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(path.read_bytes())
    for shared in PCAPS.glob("*.py"):
        (tmp_path / "pcaps" / shared.name).write_bytes(shared.read_bytes())
    subprocess.run([sys.executable, str(copy)], check=True, timeout=120)
    made = sorted(copy.parent.glob("traffic.pcap*"))
    assert [each.name for each in made] == [each.name for each in sorted(path.parent.glob("traffic.pcap*"))]
    assert [_plain(each) for each in made] == [_plain(path.with_name(each.name)) for each in made]


def _plain(path: Path) -> bytes:
    """Give what a capture holds; how it is packed may differ from one zlib to the next."""
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content
