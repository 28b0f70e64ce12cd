"""What the compiler is shown before it compiles for good: every recording, as `sipguard replay` takes it.

Run by `scripts/compile` in the copy of the project, with modules that count which way they go. The traffic of the bench
is not among it.
"""

from __future__ import annotations

from pathlib import Path

from sipguard.capture import files
from sipguard.policy.load import load
from sipguard.policy.schema import Policy
from sipguard.replay import Replay, lines


def main() -> None:
    for capture in sorted(Path("pcaps").glob("*/*/traffic.pcap*")):
        text = capture.with_name("policy.toml")
        policy = load(text.read_text(encoding="utf-8")) if text.exists() else Policy()
        for _ in lines(Replay(policy), files.read(capture)):
            pass


if __name__ == "__main__":
    main()
