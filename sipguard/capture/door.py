"""The gate as the packet loop has it: both queues, open or not, and a verdict for each frame that was read.

Promises: what arrives never raises; a queue that fails is closed with the other, told of once, and can be opened again
(meanwhile everything passes). Calls come before strangers, so that a crowd of these never keeps a call waiting long.
Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sipguard.capture.gate import Gate
from sipguard.errors import AdapterError
from sipguard.model import ACCEPTED, Action, Frame, Sensor, Verdict, VerdictKind
from sipguard.netfilter import nfqueue

CALLS_AT_ONCE = 128
STRANGERS_AT_ONCE = 64

_VALUES = {VerdictKind.ACCEPT: nfqueue.ACCEPT, VerdictKind.MASK: nfqueue.ACCEPT}


class Door:
    """Begins closed, which means that nothing is held. `refuse` sends an answer to the request in a packet."""

    def __init__(self, refuse: Callable[[bytes, int], None]) -> None:
        self._refuse = refuse
        self._gates: tuple[Gate, ...] = ()
        self._crowded = False
        self.fault = ""

    @property
    def held(self) -> bool:
        """Tell whether the queues are bound."""
        return bool(self._gates)

    def open(self, queues: tuple[int, int], forget: int) -> None:
        """Bind the queues (strangers, calls), if they are not; `forget` are the mark's bits that our rules set.

        Never raises: another process may have them, then `fault` says so.
        """
        if [gate.queue for gate in self._gates] == [queues[1], queues[0]]:
            return
        self.close()
        self.fault = ""
        made: list[Gate] = []
        try:
            made.append(Gate(queues[1], forget))
            made.append(Gate(queues[0], forget))
        except AdapterError as error:
            self.fault = error.what
            for gate in made:
                gate.close()
            return
        self._gates = tuple(made)

    def close(self, *, forget: bool = False) -> None:
        """Let everything pass that is held, and give the queues back; done twice it is the same.

        With `forget`, nobody wants them any more, and `fault` is none.
        """
        for gate in self._gates:
            gate.close()
        self._gates = ()
        self.fault = "" if forget else self.fault

    @property
    def gates(self) -> Sequence[Gate]:
        """The queues, to be waited for."""
        return self._gates

    def read(self, heard: Callable[[Gate], bool]) -> Sequence[Frame]:
        """Give frames that wait for their verdict, calls first, of the queues that something was heard of.

        One of each queue, as most come alone; more of them once there was something twice in a row.
        """
        frames: list[Frame] = []
        try:
            for gate, limit in zip(self._gates, (CALLS_AT_ONCE, STRANGERS_AT_ONCE), strict=False):
                if heard(gate):
                    frames += gate.read(limit if self._crowded else 1)
        except AdapterError as error:
            self.fault = error.what
            self.close()
            return ()
        self._crowded = bool(frames)
        return frames

    def answer(self, frame: Frame, said: Sequence[Action]) -> None:
        """Give the verdict on a frame that was read, the last of what was said of it; without one it passes.

        Never raises.
        """
        verdict = said[-1] if said else ACCEPTED
        if not isinstance(verdict, Verdict):
            verdict = ACCEPTED
        value = nfqueue.ACCEPT if verdict is ACCEPTED else _VALUES.get(verdict.kind, nfqueue.DROP)
        for gate in self._gates:
            if gate.owns(frame.ticket):
                gate.answer(frame.ticket, value, verdict.packet)
        if value == nfqueue.DROP and verdict.kind is VerdictKind.REFUSE:
            self._refuse(frame.packet, verdict.code)

    def sensors(self) -> Sequence[Sensor]:
        """Give what passed unjudged since the last time this was asked."""
        return [sensor for gate in self._gates for sensor in gate.sensors()]

    def counters(self) -> dict[str, int]:
        """Give what both queues have counted since they were bound."""
        counts: dict[str, int] = {}
        for gate in self._gates:
            for name, count in gate.counters().items():
                counts[name] = counts.get(name, 0) + count
        return counts
