"""All scenes of calls that are recorded in `pcaps/calls/`."""

from __future__ import annotations

from tests.lab.calls import diverted, endings, plain

CASES = (*plain.CASES, *diverted.CASES, *endings.CASES)
