"""Strangers who look around and try no password."""

from __future__ import annotations

from tests.lab.cases.case import Case, Lab
from tests.lab.kamailio import Settings
from tests.lab.tools import sipvicious


def svmap(lab: Lab) -> None:
    """Three ports are asked; two are closed, and the kernel says so by ICMP."""
    with lab.recording():
        sipvicious(lab.world.attacker, "svmap", "-p5060-5062", lab.world.pbx.v4)


def svwar_register(lab: Lab) -> None:
    """Sixteen extensions are asked for by REGISTER."""
    with lab.recording():
        sipvicious(lab.world.attacker, "svwar", "-e1000-1015", "-m", "REGISTER", lab.world.pbx.v4)


def svwar_invite(lab: Lab) -> None:
    """Sixteen extensions are asked for by INVITE."""
    with lab.recording():
        sipvicious(lab.world.attacker, "svwar", "-e1000-1015", "-m", "INVITE", "--force", lab.world.pbx.v4)


_NEVER = "a failed credential: nobody showed one"

CASES = (
    Case(
        "scan/svmap",
        svmap,
        "A scanner asks OPTIONS on ports 5060 to 5062. The requests to closed ports come back quoted in ICMP errors.",
        "svmap",
        f"{_NEVER}; the SIP inside the ICMP errors read as a packet",
        tools=("SIPVicious",),
    ),
    Case(
        "scan/svwar-register",
        svwar_register,
        "Extensions are enumerated by REGISTER without credentials: 401 for those that exist, 404 for others.",
        "svwar -m REGISTER",
        _NEVER,
        tools=("SIPVicious",),
        settings=Settings(unknown_is_404=True),
    ),
    Case(
        "scan/svwar-invite",
        svwar_invite,
        "Extensions are enumerated by INVITE without credentials: 407 for those that exist, 404 for others.",
        "svwar -m INVITE --force",
        _NEVER,
        tools=("SIPVicious",),
        settings=Settings(unknown_is_404=True),
    ),
)
