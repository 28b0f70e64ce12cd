"""`python -m tests.fuzz [--deep] [--count N] [--seed N] [--jobs N]`: 200,000 messages, or ten million when deep.

Prints what was found; exits 1 when any message broke a claim.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.fuzz.engine import run

PROJECT = Path(__file__).resolve().parent.parent.parent
CI, DEEP = 200_000, 10_000_000


def main() -> int:
    """Run as asked on the command line."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Mutated messages into the SIP reader.")
    parser.add_argument("--deep", action="store_true", help=f"{DEEP:,} messages instead of {CI:,}")
    parser.add_argument("--count", type=int, help="how many messages")
    parser.add_argument("--seed", type=int, default=1, help="another seed gives other messages (default 1)")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes (default: all cores)")
    options = parser.parse_args()
    corpus = Path(os.environ.get("SIPGUARD_CORPUS", PROJECT.parent / "shared" / "corpus"))
    count = options.count or (DEEP if options.deep else CI)
    report = run(count, options.seed, corpus if corpus.is_dir() else None, options.jobs)
    for line in report.lines():
        sys.stdout.write(line + "\n")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
