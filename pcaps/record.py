#!/usr/bin/env python3
"""Record the cases that are made with real tools against a real Kamailio: `pcaps/record.py [family/case ...]`.

Without names all are recorded anew, but for those that already have a capture; with names just those. Needs root.
Writes traffic.pcap and README.md beside each other; `scripts/golden` writes what is expected of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

ADDRESSES = (
    "- **Addresses**: PBX 192.0.2.10 and 2001:db8:0:1::10; strangers in 203.0.113.0/24 and 2001:db8:66::/48; "
    "phones in 198.51.100.0/24 and 2001:db8:20::/48."
)
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tests.lab.cases.case import Case, lab  # noqa: E402 - the path must be known first
from tests.lab.cases.catalogue import CASES  # noqa: E402 - the path must be known first
from tests.lab.errors import LabError  # noqa: E402 - the path must be known first
from tests.lab.tools import versions  # noqa: E402 - the path must be known first


def main(names: list[str]) -> int:
    """Record what is named, and return the exit code."""
    known = {case.name: case for case in CASES}
    if unknown := [name for name in names if name not in known]:
        print(f"no such case: {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    chosen = [known[name] for name in names] or [case for case in CASES if not capture(case).exists()]
    present = versions()
    failed = 0
    for case in chosen:
        try:
            print(f"{case.name}: {record(case, present)} packets", flush=True)
        except LabError as error:
            failed += 1
            print(f"{case.name}: {error}", file=sys.stderr, flush=True)
    return 1 if failed else 0


def capture(case: Case) -> Path:
    """Return where the capture of a case stands."""
    return HERE / case.name / "traffic.pcap"


def record(case: Case, present: dict[str, str]) -> int:
    """Play a case, keep its capture and README, and return the number of packets. Raises LabError."""
    path = capture(case)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    try:
        with lab(case.settings, fresh) as stage:
            case.play(stage)
        if stage.recorded is None:
            raise LabError("the scene recorded nothing")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    (path.parent / "README.md").write_text(readme(case, present))
    return stage.recorded.packets


def readme(case: Case, present: dict[str, str]) -> str:
    """Return the README of a case."""
    tools = ", ".join(f"{name} {present[name]}" for name in ("Kamailio", *case.tools, "tcpdump"))
    binding = "bound to the source address (auth_checks = 8)" if case.settings.bind_nonce else "unbound (the default)"
    lines = [
        f"# {case.name}",
        "",
        case.purpose,
        "",
        f"- **Made with**: {case.how}; {tools}; nonces {binding}, nonce_expire {case.settings.nonce_expire_seconds} s.",
        f"- **Recorded** on the PBX's bridge, both directions, by `pcaps/record.py {case.name}`; no guard was running.",
        ADDRESSES,
        "- **Licence**: Apache-2.0, own recording.",
        f"- **Must not happen**: {case.never}.",
    ]
    if case.wish:
        lines.append(f"- **Policy**: {case.wish}.")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
