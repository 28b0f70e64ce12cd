"""Bytes to SIP messages, never an exception; pure."""
