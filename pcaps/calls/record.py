#!/usr/bin/env python3
"""Record the calls that are made through a real Asterisk: `pcaps/calls/record.py [case ...]`.

Without names those that have no capture yet; with names just those, anew. Needs root, and fetches Asterisk the first
time (`scripts/asterisk-root`). Writes traffic.pcap and README.md. `calls.toml` is written by hand from the capture, and
is wrong as soon as that is recorded anew; `scripts/golden` writes what the guard says.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.lab.asterisk import asterisk_root  # noqa: E402 - the path must be known first
from tests.lab.calls.catalogue import CASES  # noqa: E402 - the path must be known first
from tests.lab.calls.stage import EXPRESSION, CallCase, stage  # noqa: E402 - the path must be known first
from tests.lab.errors import LabError  # noqa: E402 - the path must be known first
from tests.lab.tools import versions  # noqa: E402 - the path must be known first

ADDRESSES = (
    "- **Addresses**: PBX 192.0.2.10; phones 1001 to 1003 at 198.51.100.21 to .23; carriers 203.0.113.10 and .20; "
    "a stranger at 203.0.113.166. All SIP is on port 5060."
)
ADDRESSES_V6 = (
    "- **Addresses**: PBX 2001:db8:0:1::10; phone 1001 at 2001:db8:20:1::21; carrier 2001:db8:c0:1::10. All SIP is on "
    "port 5060."
)


def main(names: list[str]) -> int:
    """Record what is named, and return the exit code."""
    known = {case.name.removeprefix("calls/"): case for case in CASES}
    if unknown := [name for name in names if name not in known]:
        print(f"no such case: {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    chosen = [known[name] for name in names] or [case for case in CASES if not capture(case).exists()]
    failed = 0
    for case in chosen:
        try:
            print(f"{case.name}: {record(case)} packets", flush=True)
        except LabError as error:
            failed += 1
            print(f"{case.name}: {error}", file=sys.stderr, flush=True)
    return 1 if failed else 0


def capture(case: CallCase) -> Path:
    """Return where the capture of a case stands."""
    return HERE.parent / case.name / "traffic.pcap"


def record(case: CallCase) -> int:
    """Play a case, keep its capture and README, and return the number of packets. Raises LabError."""
    path = capture(case)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    try:
        with stage(case.settings, fresh) as scene:
            case.play(scene)
        if scene.recorded is None:
            raise LabError("the scene recorded nothing")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    (path.parent / "README.md").write_text(readme(case))
    return scene.recorded.packets


def readme(case: CallCase) -> str:
    """Return the README of a case."""
    asterisk = (asterisk_root() / "version").read_text().split("+")[0]
    tools = versions()
    agents = case.agents.format(sipp=tools["SIPp"])
    name = case.name.removeprefix("calls/")
    lines = [
        f"# {case.name}",
        "",
        case.purpose,
        "",
        f"- **Made with**: {case.how}; {asterisk} (chan_pjsip) between the legs; {agents}; tcpdump {tools['tcpdump']}.",
        f"- **Recorded** on the PBX's bridge, all legs in one file (`{EXPRESSION}`),",
        f"  by `pcaps/calls/record.py {name}`; no guard was running.",
        ADDRESSES_V6 if case.settings.v6 else ADDRESSES,
        "- **Truth**: `calls.toml`, read from the capture by hand; money by `../rates.csv`.",
        "- **Licence**: Apache-2.0, own recording.",
        f"- **Must not happen**: {case.never}.",
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
