"""A stranger sweeps within dialogs of his own making; a carrier nobody named speaks in calls that there are."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crowd import HOUR, MINUTE, PBX, PORT, SECOND, Crowd, Device
from synthetic import message

METHODS = ("OPTIONS", "INVITE", "SUBSCRIBE", "MESSAGE")
CARRIER, STRANGER = "198.51.100.99", "203.0.113.66"

made = Crowd()


def say(at: int, sender: str, method: str, user: str, call: str, tags: tuple[str, str], status: str) -> None:
    """Let the PBX or somebody else ask, each at port 5060, and the other one answer; `tags`: of From and To."""
    source, target = ((PBX, PORT), (CARRIER, PORT)) if sender == PBX else ((sender, PORT), (PBX, PORT))
    given = tags[1] or f"{call}to"
    via = f"Via: SIP/2.0/UDP {source[0]};branch=z9hG4bK{call}{at // SECOND}"
    common = [via, f"From: <sip:1001@{source[0]}>;tag={tags[0]}", f"Call-ID: {call}", f"CSeq: {at // SECOND} {method}"]
    to = f"To: <sip:{user}@{target[0]}>"
    asked = f"{to};tag={tags[1]}" if tags[1] else to
    contact = f"Contact: <sip:1001@{source[0]}>"
    made.add(
        at,
        source,
        target,
        message([f"{method} sip:{user}@{target[0]} SIP/2.0", *common, asked, contact, "User-Agent: telephone"]),
    )
    made.add(at + 400, target, source, message([f"SIP/2.0 {status}", *common, f"{to};tag={given}"]))


Device(made, "198.51.100.20", 5060, "2001").register(0)
say(61 * MINUTE, PBX, "INVITE", "4930123", "outgoing", ("ours", ""), "200 OK")
say(62 * MINUTE, CARRIER, "INVITE", "4930456", "incoming", ("theirs", ""), "200 OK")
for minute in range(91, 180, 30):  # each keeps its call alive, under a short number
    say(minute * MINUTE, CARRIER, "INVITE", "1001", "outgoing", ("outgoingto", "ours"), "200 OK")
    say(minute * MINUTE + SECOND, CARRIER, "INVITE", "1001", "incoming", ("theirs", "incomingto"), "200 OK")
for number in range(24):
    user, method = str(1000 + 37 * number), METHODS[number % 4]
    at = 2 * HOUR + 20 * SECOND * number
    say(at, STRANGER, method, user, f"none{number}", (f"from{number}", f"to{number}"), "481 Call Does Not Exist")
made.write(__file__)
