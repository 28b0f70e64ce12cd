"""`sipguard rates`: errors by line, what a number costs, and exit codes that scripts can go by."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = "import sys; sys.argv[0] = 'sipguard'; from sipguard.cli.main import main; main()"
GOOD = (
    "prefix,destination,rate,connect fee,increments,currency\n44,UK,0.01,0,60/6,GBP\n252,Somalia,0.955,0.1,60/60,GBP\n"
)


def sipguard(*args: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CODE, *map(str, args)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def deck(tmp_path: Path) -> Path:
    path = tmp_path / "rates.csv"
    path.write_text(GOOD)
    return path


def test_a_good_list_is_summed_up(deck: Path) -> None:
    ran = sipguard("rates", "check", deck, cwd=deck.parent)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Somalia" in ran.stdout
    told = json.loads(sipguard("rates", "check", deck, "--json", cwd=deck.parent).stdout)
    assert (told["ok"], told["rows"], told["prefixes"], told["currency"]) == (True, 2, 2, "GBP")
    assert told["dearest"][0] == {
        "prefix": "252",
        "destination": "Somalia",
        "per_minute": "0.955",
        "connect": "0.10",
        "first": 60,
        "step": 60,
    }


def test_every_error_is_a_line_and_nothing_of_it_acts_on_the_terminal(deck: Path) -> None:
    deck.write_text(GOOD + "x\x1b[31m,y,1,0,1/1,GBP\n45,\x1b]0;z,abc,0,1/1,GBP\n")
    ran = sipguard("rates", "check", deck, cwd=deck.parent)
    assert ran.returncode == 1
    assert f"{deck}:4: error: prefix" in ran.stderr
    assert f"{deck}:5: error: rate" in ran.stderr
    assert "\x1b" not in ran.stderr + ran.stdout
    assert json.loads(sipguard("rates", "check", deck, "--json", cwd=deck.parent).stdout)["error_count"] == 2


def test_a_number_costs_what_its_longest_prefix_says(deck: Path) -> None:
    ran = sipguard("rates", "find", "00252 61 123 4567", "--deck", deck, "--json", cwd=deck.parent)
    told = json.loads(ran.stdout)
    assert (ran.returncode, told["number"], told["rate"]["prefix"], told["risk"]) == (0, "+252611234567", "252", 9)
    assert told["cost"] == {"1": "1.055", "5": "4.875", "60": "57.40"}
    shown = sipguard("rates", "find", "+252611234567", "--deck", deck, cwd=deck.parent).stdout
    assert "57.40 GBP" in shown
    assert "9 of 10 (Somalia)" in shown


def test_a_number_without_a_price_and_wrong_usage_are_exit_codes(deck: Path) -> None:
    assert sipguard("rates", "find", "+4930123456", "--deck", deck, cwd=deck.parent).returncode == 1
    assert sipguard("rates", "find", "bob", "--deck", deck, cwd=deck.parent).returncode == 2
    assert sipguard("rates", "find", "+44", "--deck", deck.parent / "none.csv", cwd=deck.parent).returncode == 2
    assert sipguard("rates", "check", deck.parent, cwd=deck.parent).returncode == 2


@pytest.mark.skipif(Path("/etc/sipguard/policy.toml").exists(), reason="this host's own policy comes first")
def test_the_policy_names_list_and_currency(deck: Path) -> None:
    deck.write_text("prefix,rate,increments\n44,0.01,1/1\n")
    conf = deck.parent / "conf"
    conf.mkdir()
    (conf / "policy.toml").write_text(f'[rates]\ndeck = "{deck}"\ncurrency = "CHF"\n')
    told = json.loads(sipguard("rates", "find", "+442079460000", "--json", cwd=deck.parent).stdout)
    assert (told["currency"], told["cost"]["60"]) == ("CHF", "0.60")
    assert sipguard("check", cwd=deck.parent).returncode == 0
    deck.write_text("prefix,rate\n44,0.01\n45,-1\n")
    ran = sipguard("check", cwd=deck.parent)
    assert ran.returncode == 78
    assert f"{deck}:3: rate: '-1' is less than nothing" in ran.stderr
    told = json.loads(sipguard("check", "--json", cwd=deck.parent).stdout)
    assert (told["ok"], told["file"], told["problems"][0]["line"]) == (False, str(deck), 3)
    deck.unlink()
    ran = sipguard("check", cwd=deck.parent)
    assert (ran.returncode, "cannot be read" in ran.stderr) == (78, True)
