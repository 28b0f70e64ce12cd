"""sipguard: a SIP edge firewall and toll-fraud guard. Start with `model.py`, then `engine.py`."""
