"""What the gate would have held, where it may hold nothing; and the telling of what would have become of that.

`waits` says in words of the engine what `enforce/gaterules.py` says in the kernel's; a test holds them side by side.
Decides nothing about a packet: that is asked of the same code that judges held ones.
"""

from __future__ import annotations

from sipguard.address import Address, subject_of
from sipguard.decide.exempt import Exempt
from sipguard.decide.ledger import Ledger
from sipguard.intake import Heard
from sipguard.model import MINUTE, Alert, Instant, SetName, VerdictKind
from sipguard.sip import tokens
from sipguard.table import Table
from sipguard.track.sides import Side
from sipguard.window import paced

TOLD_MOST = 1_000
"""Senders that are remembered to have been told of."""
EACH_MINUTE = 60
"""Alerts; what is beyond is counted. A crowd of forged senders must not drown everything else that is told."""

_WORDS = {
    VerdictKind.DROP: "a packet of {} would have been dropped at the gate",
    VerdictKind.DEFER: "a guess of {} would have been kept back at the gate until others are answered",
}


class Rehearsal:
    """`untold` counts what was passed over in telling."""

    __slots__ = ("_due", "_exempt", "_ledger", "_told", "untold")

    def __init__(self, exempt: Exempt, ledger: Ledger) -> None:
        self._exempt = exempt
        self._ledger = ledger
        self._told: Table[tuple[VerdictKind, bytes], Instant] = Table(TOLD_MOST, TOLD_MOST // 8)
        self._due: Instant = 0
        self.untold = 0

    def waits(self, heard: Heard, side: Side) -> bool:
        """Tell whether the kernel would hold what this message came in."""
        start, ledger = heard.message.raw[:4], self._ledger
        if side is not Side.FAR:
            return side is Side.PBX and start in tokens.LEAVING and not ledger.free(heard.target)
        watched = ledger.until(SetName.WATCHED, subject_of(heard.source)) is not None
        if heard.flow is not None:  # it is held by connection: all that its client says
            return (heard.source, heard.source_port) == heard.flow.client and not self._exempt.passes(heard.source)
        if len(heard.message.raw) < tokens.SHORT or start == tokens.ANSWER:
            return False
        known = ledger.trusts(heard.source) or self._exempt.passes(heard.source)
        return watched or not known or start not in tokens.HARMLESS

    def told(self, at: Instant, source: Address, kind: VerdictKind) -> list[Alert]:
        """Give what the operator is told of a verdict: of each sender and kind once a minute, of a crowd less.

        Of refused calls nothing: who refuses tells that, and why.
        """
        place = subject_of(source)
        key = (kind, place.address)
        before = self._told.get(key)
        if kind not in _WORDS or (before is not None and at - before < MINUTE):
            return []
        due = paced(self._due, at, EACH_MINUTE, MINUTE)
        if due - at > MINUTE:
            self.untold += 1
            return []
        self._due = due
        self._told.renew(key, at, source)
        return [Alert(at, f"would-{kind}", str(place), _WORDS[kind].format(place))]

    def counters(self) -> dict[str, int]:
        """Give how often nothing was told, as too much was told already."""
        return {"would_untold": self.untold}
