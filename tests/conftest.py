"""What every test may ask for, and what becomes of a test whose needs this machine does not meet: it is skipped, aloud.

`root` marks what needs root and network namespaces; `lab` what needs a SIP server and tools, by default those below,
otherwise the commands named in the mark (`pytest.mark.lab("tshark")`).

What needs root runs against real clocks: a phone gives up, a gate opens, a limit is reached. Where such a test fails
while a hypervisor kept the processors from us, it is repeated, aloud, and may not fail three times.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.lab.processor import Moment, moment, starved
from tests.stores import opened

__all__ = ["opened"]

PROJECT = Path(__file__).resolve().parent.parent
LAB_COMMANDS = ("kamailio", "sipp")
SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"  # where a user's PATH does not look, and Kamailio, nft and ip are

# `fast` takes the same examples each time: what is red stays red. `deep` looks for new ones.
settings.register_profile(
    "fast", max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "deep", max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


@functools.cache
def lack_of_root() -> str:
    """Tell why network namespaces cannot be made here; empty where they can."""
    if os.geteuid() != 0:
        return "needs root"
    if lacking := lack_of_commands(("nft", "ip", "unshare")):
        return lacking
    tried = subprocess.run(
        ["unshare", "--net", "nft", "list", "ruleset"], capture_output=True, text=True, check=False, timeout=60
    )
    return "" if tried.returncode == 0 else f"needs network namespaces and nftables: {tried.stderr.strip()}"


def lack_of_commands(commands: tuple[str, ...]) -> str:
    """Name the commands that are not installed; empty where all are."""
    path = os.environ.get("PATH", os.defpath) + SBIN
    missing = [command for command in commands if shutil.which(command, path=path) is None]
    return f"needs {', '.join(missing)}" if missing else ""


_BEGAN = pytest.StashKey[Moment]()


def kept_from_us(item: pytest.Item) -> bool:
    """Tell whether a test that has just run had too little of the processors to prove anything."""
    return starved(item.stash[_BEGAN], moment())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have what needs root repeated where it failed for want of a processor; of nothing else is that an excuse."""
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(pytest.mark.flaky(reruns=2, condition=functools.partial(kept_from_us, item)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run, before any fixture is made for it."""
    item.stash[_BEGAN] = moment()
    lacking = lack_of_root() if item.get_closest_marker("root") else ""
    for mark in item.iter_markers("lab"):
        lacking = lacking or lack_of_commands(mark.args or LAB_COMMANDS)
    if lacking:
        pytest.skip(lacking)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once, in plain words, what was left out and how to run it."""
    reasons = Counter(
        str(report.longrepr[2]).removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    if not reasons:
        return
    terminalreporter.section("not run")
    for reason, count in sorted(reasons.items()):
        terminalreporter.line(f"{count:5} {reason}")
    if reasons["needs root"]:
        terminalreporter.line("To run those too: sudo scripts/test")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Give the directory of real captures, kept outside the project: $SIPGUARD_CORPUS or ../shared/corpus."""
    path = Path(os.environ.get("SIPGUARD_CORPUS", PROJECT.parent / "shared" / "corpus"))
    if not path.is_dir():
        pytest.skip("needs the corpus of real captures")
    return path
