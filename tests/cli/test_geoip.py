"""`sipguard geoip` as a command: what it makes, what it refuses, and that a refusal leaves the old database alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import maxminddb
import pytest

from sipguard.geo import mmdb
from tests.cli.conftest import CODE, ROOT

RIPE = """\
2|ripencc|1700000000|3|19830705|20231114|+0100
ripencc|*|ipv4|*|2|summary
ripencc|DE|ipv4|192.0.2.0|256|20200101|allocated|abc
ripencc|FR|ipv4|5.0.0.0|16777216|20200101|assigned|def
ripencc|NL|ipv6|2001:600::|23|20200101|allocated|ghi
"""
ARIN = """\
2|arin|1700000001|1|19830705|20231115|-0500
arin|US|ipv4|198.51.100.0|768|20200101|allocated|abc
"""


def sipguard(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CODE, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    ripe, arin = tmp_path / "ripe", tmp_path / "arin"
    ripe.write_text(RIPE, encoding="utf-8")
    arin.write_text(ARIN, encoding="utf-8")
    return ripe, arin


def test_a_database_is_made_of_several_registries_and_found_good(tmp_path: Path, files: tuple[Path, Path]) -> None:
    out = tmp_path / "country.mmdb"
    made = sipguard("geoip", "build", out, *files)
    assert made.returncode == 0, made.stderr
    assert "4 countries" in made.stderr
    with maxminddb.open_database(out) as found:
        assert found.get("192.0.2.255") == {"country": {"iso_code": "DE"}}
        assert found.get("198.51.102.255") == {"country": {"iso_code": "US"}}
        assert found.get("198.51.103.0") is None
        assert found.get("2001:601::1") == {"country": {"iso_code": "NL"}}
        assert found.metadata().build_epoch == 1_700_006_400
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arin", "country.mmdb", "ripe"]
    checked = sipguard("geoip", "check", out, "--ask", "192.0.2.7", "--ask", "9.9.9.9")
    assert checked.returncode == 0, checked.stderr
    assert "days old" in checked.stderr
    assert "DE, no known system" in checked.stdout
    assert "no known country, no known system" in checked.stdout
    told = json.loads(sipguard("geoip", "check", out, "--json").stdout)
    assert told["built"] == "2023-11-15"
    assert told["countries"] >= 1


@pytest.mark.parametrize(
    "spoiled", ["", "<html>not found</html>", RIPE.rpartition("ripencc|NL")[0].replace("|3|", "|300|")]
)
def test_a_bad_file_is_refused_and_the_old_database_stays(
    tmp_path: Path, files: tuple[Path, Path], spoiled: str
) -> None:
    out = tmp_path / "country.mmdb"
    assert sipguard("geoip", "build", out, *files).returncode == 0
    before = out.read_bytes()
    files[0].write_text(spoiled, encoding="utf-8")
    ran = sipguard("geoip", "build", out, *files)
    assert ran.returncode == 2
    assert str(files[0]) in ran.stderr
    assert "Traceback" not in ran.stderr
    assert out.read_bytes() == before


def test_the_same_file_twice_and_a_place_that_cannot_be_written_are_refused(
    tmp_path: Path, files: tuple[Path, Path]
) -> None:
    assert sipguard("geoip", "build", tmp_path / "o.mmdb", files[0], files[0]).returncode == 2
    assert sipguard("geoip", "build", tmp_path / "none" / "o.mmdb", *files).returncode == 2
    assert sipguard("geoip", "build", tmp_path / "o.mmdb", tmp_path / "missing").returncode == 2
    assert not (tmp_path / "o.mmdb").exists()


def test_check_refuses_what_is_no_database_and_what_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.mmdb").write_bytes(b"GIF89a")
    assert sipguard("geoip", "check", tmp_path / "x.mmdb").returncode == 2
    assert sipguard("geoip", "check", tmp_path / "missing.mmdb").returncode == 2
    empty = tmp_path / "empty.mmdb"
    empty.write_bytes(mmdb.write([], kind="empty", description="", built=1))
    assert sipguard("geoip", "check", empty).returncode == 1
    assert sipguard("geoip", "check", empty, "--ask", "nowhere").returncode == 2


def test_replay_goes_by_the_databases_that_are_named_and_refuses_one_that_is_not_there(tmp_path: Path) -> None:
    case = ROOT / "pcaps" / "geography" / "fires"
    common = ("replay", case / "traffic.pcap", "--policy", case / "policy.toml", "--json")
    assert "geography" in sipguard(*common, "--geoip", case / "places.mmdb").stdout
    without = sipguard(*common)
    assert without.returncode == 0
    assert "geography" not in without.stdout
    assert sipguard(*common, "--geoip", tmp_path / "missing.mmdb").returncode == 2
    policy = tmp_path / "policy.toml"
    named = f'[geoip]\ncountry = "{case / "places.mmdb"}"\nasn = "{tmp_path / "missing.mmdb"}"\n'
    policy.write_text(named + (case / "policy.toml").read_text(encoding="utf-8"), encoding="utf-8")
    ran = sipguard("replay", case / "traffic.pcap", "--policy", policy, "--json")
    assert "geography" in ran.stdout
    assert "goes on without it" in ran.stderr
