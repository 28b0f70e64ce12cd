"""What the machine says of itself, told once in a while: packets lost, holds that the kernel refused."""

from __future__ import annotations

from collections.abc import Sequence

from sipguard.model import MINUTE, Action, Alert, Enforced, Instant, Sensor, SensorKind

_NOTHING: tuple[Action, ...] = ()


class Senses:
    """Counts all, and tells each kind at most once a minute."""

    __slots__ = ("_alerted", "_counts", "_refused")

    def __init__(self) -> None:
        self._counts = dict.fromkeys(("enforce_failed", *SensorKind), 0)
        self._alerted: dict[SensorKind, Instant] = {}
        self._refused: Instant = -MINUTE

    def sensed(self, at: Instant, sensor: Sensor) -> Sequence[Action]:
        """Take a count of something lost, unreadable or dropped."""
        self._counts[sensor.kind] += sensor.count
        told = self._alerted.get(sensor.kind)
        if told is not None and at - told < MINUTE:
            return _NOTHING
        self._alerted[sensor.kind] = at
        return (Alert(at, str(sensor.kind), *_said(sensor)),)

    def refused(self, at: Instant, enforced: Enforced) -> Sequence[Action]:
        """Take what the kernel did not take."""
        self._counts["enforce_failed"] += 1
        if at - self._refused < MINUTE:
            return _NOTHING
        self._refused = at
        held = enforced.hold
        text = f"the kernel did not take {held.network} into the set {held.set}: {enforced.why}"
        return (Alert(at, "enforce-failed", str(held.network), text),)

    def counters(self) -> dict[str, int]:
        """Give how much of each was counted."""
        return {str(name): count for name, count in self._counts.items()}


def _said(sensor: Sensor) -> tuple[str, str]:
    """Give whom it is about, and what to say of it."""
    if sensor.kind is SensorKind.FLOOD:
        return sensor.about, f"{sensor.count} dropped that came too fast"
    if sensor.kind is SensorKind.GATE_LOST and sensor.about:
        text = (
            "packets were to wait and came to no queue. Unless another rule of mangle has dropped them, they passed "
            "unjudged and unread: this one has met as many, and overwrites the guard's bits of the mark. Give it a mask"
        )
        return "", f"{sensor.count} {text} without 0xa0000000: {sensor.about}"
    return sensor.about, f"{sensor.count} lost or unread ({sensor.kind})"
