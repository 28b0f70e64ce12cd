"""Stores that are closed when the test ends, however it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from sipguard.store.database import Store


@pytest.fixture
def opened() -> Iterator[Callable[..., Store]]:
    """Open a `Store` with the arguments of its constructor."""
    with ExitStack() as at_the_end:

        def make(*args: Any, **caps: Any) -> Store:
            store = Store(*args, **caps)
            at_the_end.callback(store.close)
            return store

        yield make
