#!/usr/bin/env python3
"""Write places.mmdb: where the documentation's addresses are, for the cases that have a link to it. No real place."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from sipguard.address import parse_network  # noqa: E402 - the path must be known first
from sipguard.geo.mmdb import write  # noqa: E402 - the path must be known first

PLACES = (
    ("198.51.100.0/25", "DE", 64500),
    ("198.51.100.128/26", "DE", 64501),
    ("198.51.100.192/27", "DE", 64502),
    ("198.51.100.224/27", "DE", 64503),
    ("203.0.113.0/25", "SO", 64510),
    ("203.0.113.128/26", "FR", 64511),
    ("203.0.113.192/26", "FR", 64512),
    ("2001:db8:20::/48", "DE", 64500),
    ("2001:db8:66::/48", "SO", 64510),
)


def database() -> bytes:
    """Return the file."""
    networks = (
        (parse_network(text), {"country": {"iso_code": country}, "autonomous_system_number": system})
        for text, country, system in PLACES
    )
    return write(networks, kind="sipguard-cases", description="Documentation addresses", built=1_700_000_000)


if __name__ == "__main__":
    (HERE / "places.mmdb").write_bytes(database())
