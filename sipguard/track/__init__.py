"""SIP messages to events: all protocol state lives here; pure."""
