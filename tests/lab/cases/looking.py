"""Looking for accounts, and what comes of guessing: a password that fits."""

from __future__ import annotations

import time

from tests.lab.cases.case import Case, Lab
from tests.lab.cases.ordinary import expect
from tests.lab.cases.register import RIGHT, VICTIM
from tests.lab.cases.strangers import disguised
from tests.lab.client import Client
from tests.lab.kamailio import ACCOUNTS, Settings
from tests.lab.tools import sipvicious

_PATIENCE = 33.0
_TELLING = Settings(unknown_is_404=True)


# --- Looking for accounts ---------------------------------------------------------------------------------------------


def looking_fires(lab: Lab) -> None:
    """Let svwar ask for 41 extensions by REGISTER; the PBX says which there are."""
    with lab.recording():
        sipvicious(lab.world.attacker, "svwar", "-e1000-1040", "-m", "REGISTER", lab.world.pbx.v4)


def looking_below(lab: Lab) -> None:
    """Ask for nineteen accounts that are not there; meanwhile every phone that is there registers from one address."""
    with (
        lab.recording(),
        Client(lab.world.attacker, lab.world.pbx.v4) as client,
        Client(lab.world.phone, lab.world.pbx.v4) as office,
    ):
        for number in range(19):
            expect(client.register(str(2000 + number), "none").code, 404)
        for user, password in ACCOUNTS.items():
            expect(office.register(user, password).code, 200)


def looking_evasion(lab: Lab) -> None:
    """Ask over TCP for thirty accounts, in compact, folded and oddly cased headers, cut into pieces of seven bytes."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, tcp=True) as client:
        for number in range(30):
            request = disguised(client.request("REGISTER", str(2000 + number), expires=300))
            for at in range(0, len(request), 7):
                client.send(request[at : at + 7])
            expect(client.receive().code, 404)


def looking_challenged(lab: Lab) -> None:
    """Ask a PBX that challenges for every name for thirty; who moves the time on, after 33 s, is a phone."""
    with lab.recording():
        for number in range(30):
            with Client(lab.world.attacker, lab.world.pbx.v4, port=6000 + number) as client:
                client.challenge(str(1000 + number), method=("REGISTER", "INVITE", "SUBSCRIBE")[number % 3])
        time.sleep(_PATIENCE)
        with Client(lab.world.phone, lab.world.pbx.v4) as phone:
            expect(phone.register("1001", ACCOUNTS["1001"]).code, 200)


# --- A password that fits ---------------------------------------------------------------------------------------------


def found_fires(lab: Lab) -> None:
    """Guess six times, and have it right the seventh time."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        for number in range(6):
            expect(client.register(VICTIM, f"guess-{number}").code, 401)
        expect(client.register(VICTIM, RIGHT).code, 200)


def found_below(lab: Lab) -> None:
    """Mistype four times, and have it right the fifth time."""
    with lab.recording(), Client(lab.world.phone, lab.world.pbx.v4, port=5060) as client:
        for number in range(4):
            expect(client.register(VICTIM, f"slip-{number}").code, 401)
        expect(client.register(VICTIM, RIGHT).code, 200)


def found_evasion(lab: Lab) -> None:
    """Try one password on one account after the other, each from another port, until it fits one."""
    attacker, pbx = lab.world.attacker, lab.world.pbx
    others = [user for user in ACCOUNTS if user != VICTIM]
    with lab.recording():
        for number, user in enumerate((*others, VICTIM)):
            with Client(attacker, pbx.v4, port=6000 + number) as client:
                expect(client.register(user, RIGHT).code, 200 if user == VICTIM else 401)


CASES = (
    Case(
        "enumeration/fires",
        looking_fires,
        "Extensions 1000 to 1040 are asked for by REGISTER without credentials: 401 for those that exist, 404 for "
        "others. All of it is UDP, and could be somebody else's.",
        "svwar -m REGISTER",
        "a ban: nothing here proves whose datagrams they are",
        tools=("SIPVicious",),
        settings=_TELLING,
    ),
    Case(
        "enumeration/below",
        looking_below,
        "Nineteen accounts are asked for that are not there, one below the limit; twelve phones register from one "
        "address.",
        "own client",
        "an action against anybody",
        settings=_TELLING,
    ),
    Case(
        "enumeration/evasion",
        looking_evasion,
        "Thirty accounts are asked for over TCP, in compact, folded and oddly cased headers, in pieces of seven bytes.",
        "own client",
        "the scan going unseen; what is done by TCP is proven, so a ban is right",
        settings=_TELLING,
    ),
    Case(
        "enumeration/evasion-challenged",
        looking_challenged,
        "Thirty extensions are asked for, by three methods and each from another port, at a PBX that challenges for "
        "every name. None of the challenges is taken up; a phone registers 33 s later.",
        "own client",
        "an action against the phone; a ban of the scanner, whose datagrams could be another's",
    ),
    Case(
        "passwordfound/fires",
        found_fires,
        "Six guesses within milliseconds, and the seventh is right.",
        "own client",
        "trust in the guesser",
        wish="nobody is banned for guessing, so that all of the story is heard",
    ),
    Case(
        "passwordfound/below",
        found_below,
        "Somebody mistypes a password four times, and has it right the fifth time.",
        "own client",
        "an action against the person, or against the account",
        wish="nobody is banned for guessing, so that all of the story is heard",
    ),
    Case(
        "passwordfound/evasion",
        found_evasion,
        "One password is tried on one account after the other, each time from another port, until it fits one.",
        "own client",
        "trust in the guesser",
        wish="nobody is banned for guessing, so that all of the story is heard",
    ),
)
