"""Mutated messages into the SIP reader: `python -m tests.fuzz` runs it, `scripts/fuzz` is its door."""
