"""The literal list of all recorded cases."""

from __future__ import annotations

from tests.lab.cases import (
    accountnets,
    broken,
    disguise,
    evasion,
    looking,
    ordinary,
    probing,
    register,
    scan,
    spoofed,
    strangers,
    tlsprobe,
)
from tests.lab.cases.case import Case

CASES: tuple[Case, ...] = (
    *accountnets.CASES,
    *looking.CASES,
    *ordinary.CASES,
    *probing.CASES,
    *register.CASES,
    *scan.CASES,
    *spoofed.CASES,
    *evasion.CASES,
    *disguise.CASES,
    *broken.CASES,
    *strangers.CASES,
    *tlsprobe.CASES,
)
