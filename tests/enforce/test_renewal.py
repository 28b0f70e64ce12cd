"""A renewal of the banned networks that fails is not forgotten, whatever the back end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from sipguard.enforce.renewal import AGAIN, Renewal
from sipguard.enforce.sides import QUIET
from sipguard.errors import AdapterError
from sipguard.model import SECOND, Instant


@dataclass
class Kernel:
    """What leaves something to a renewal, and refuses it so often."""

    overdue: Instant = 0
    refusals: int = 0
    begun: int = 0

    def renew(self) -> Iterator[None]:
        self.begun += 1
        self.overdue = 0
        yield
        if self.refusals:
            self.refusals -= 1
            raise AdapterError("kernel", "no memory")
        yield


def test_nothing_is_begun_before_networks_have_been_quiet_and_then_it_goes_on_to_its_end() -> None:
    kernel, renewal = Kernel(), Renewal()
    assert not renewal.step(SECOND, kernel, kernel.renew)
    kernel.overdue = SECOND
    assert not renewal.step(SECOND + QUIET - 1, kernel, kernel.renew)
    assert [renewal.step(SECOND + QUIET, kernel, kernel.renew) for _ in range(4)] == [True, True, True, False]
    assert (renewal.done, renewal.running, kernel.begun) == (1, False, 1)


def test_one_that_failed_is_tried_again_after_a_minute_and_no_sooner() -> None:
    kernel, renewal = Kernel(overdue=1, refusals=1), Renewal()
    assert renewal.step(SECOND, kernel, kernel.renew)
    with pytest.raises(AdapterError, match="no memory"):
        renewal.step(SECOND, kernel, kernel.renew)
    assert not renewal.running
    assert not renewal.step(SECOND + AGAIN, kernel, kernel.renew)
    later = SECOND + AGAIN + QUIET
    assert [renewal.step(later, kernel, kernel.renew) for _ in range(4)] == [True, True, True, False]
    assert (renewal.done, kernel.begun) == (1, 2)


def test_one_that_is_left_off_does_nothing_more() -> None:
    kernel, renewal = Kernel(overdue=1), Renewal()
    assert renewal.step(SECOND, kernel, kernel.renew)
    renewal.drop()
    assert not renewal.step(SECOND, kernel, kernel.renew)
    assert renewal.done == 0
