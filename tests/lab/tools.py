"""The tools of others, as attackers and operators run them, and which versions of them are here."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from tests.lab.world import Host

SCENARIOS = Path(__file__).parent / "sipp"


def sipvicious(host: Host, tool: str, *arguments: str, seconds: float = 60.0) -> str:
    """Run svmap, svwar or svcrack (of this Python's environment) to its end, and return what it said.

    Its exit code says what it found, not whether it worked, and is ignored. It is told its own address, or it would
    ask a name server for it.
    """
    program = Path(sys.executable).parent / f"sipvicious_{tool}"
    done = host.run(str(program), "-x", host.v4, *arguments, seconds=seconds, check=False)
    return done.stdout + done.stderr


def sipsak(host: Host, *arguments: str, seconds: float = 20.0) -> str:
    """Run sipsak, and return what it said. Raises LabError when it got no good answer."""
    done = host.run("sipsak", "-H", host.v4, *arguments, seconds=seconds)
    return done.stdout


def sipp_arguments(scenario: str, address: str, port: int, *, calls: int) -> list[str]:
    """Return the start of a SIPp command line for a scenario in `tests/lab/sipp`."""
    return [
        "sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", address, "-p", str(port), "-m", str(calls),
        "-nostdin", "-timeout", "30s", "-timeout_error",
    ]  # fmt: skip


def versions() -> dict[str, str]:
    """Return name and version of every tool that recordings are made with."""
    return {
        "Kamailio": _word(["kamailio", "-v"], 2),
        "SIPVicious": version("sipvicious"),
        "SIPp": _word(["sipp", "-v"], 1).split("-")[0].removeprefix("v"),
        "sipsak": _word(["sipsak", "-V"], 1),
        "tcpdump": _word(["tcpdump", "--version"], 2),
    }


def _word(command: list[str], index: int) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    words = (done.stdout + done.stderr).split()
    return words[index] if len(words) > index else "unknown"
