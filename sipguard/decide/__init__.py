"""Findings to decisions: exemptions, the ladder of bans, the ledger of what is in force; pure."""
