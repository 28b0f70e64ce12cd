"""Datagrams with a victim's address as their source: the victim must not pay for them."""

from __future__ import annotations

from dataclasses import replace

from tests.lab.cases.case import Case, Lab
from tests.lab.cases.ordinary import expect
from tests.lab.cases.register import RIGHT, VICTIM, guess
from tests.lab.client import Client
from tests.lab.errors import LabError
from tests.lab.kamailio import Settings
from tests.lab.spoof import Spoofer

FORGED = 30
_TRIES = 20


def victim(lab: Lab) -> None:
    """Register a phone, send forged REGISTERs with invented nonces "from" it, and let it refresh as if nothing were."""
    pbx, attacker = lab.world.pbx, lab.world.attacker
    with (
        lab.recording(),
        Client(lab.world.phone, pbx.v4, port=5060) as phone,
        Client(attacker, pbx.v4, port=5060) as liar,
        Spoofer(attacker) as spoofer,
    ):
        expect(phone.register(VICTIM, RIGHT).code, 200)
        real = liar.challenge(VICTIM)  # bound to the attacker's own address: good for nobody else
        for number in range(FORGED):
            nonce = replace(real, nonce=real.nonce[:-4] + f"{number:04d}") if number % 2 else real
            spoofer.send((phone.address, 5060), (pbx.v4, 5060), guess(liar, nonce, f"guess-{number}"))
        expect(phone.register(VICTIM, RIGHT).code, 200)


def victim_shared_nonce(lab: Lab) -> None:
    """Phone and attacker ask within one second and get one nonce; the attacker guesses with it "from" the phone."""
    pbx, attacker = lab.world.pbx, lab.world.attacker
    with (
        lab.recording(),
        Client(lab.world.phone, pbx.v4, port=5060) as phone,
        Client(attacker, pbx.v4, port=5060) as liar,
        Spoofer(attacker) as spoofer,
    ):
        for _ in range(_TRIES):
            shared = phone.challenge(VICTIM)
            if liar.challenge(VICTIM).nonce == shared.nonce:
                break
        else:
            raise LabError("phone and attacker never got the same nonce")
        for number in range(FORGED):
            spoofer.send((phone.address, 5060), (pbx.v4, 5060), guess(liar, shared, f"guess-{number}"))
        expect(phone.attempt(shared, VICTIM, RIGHT).code, 200)


_NEVER = "a ban of the phone at 198.51.100.20, or a quarantine of its account"

CASES = (
    Case(
        "spoofed/victim",
        victim,
        "Thirty REGISTERs with wrong credentials are sent by an attacker under a registered phone's address and port.",
        "own client; raw socket in the attacker's namespace",
        f"{_NEVER}, or a throttle of it, for it is registered",
    ),
    Case(
        "spoofed/victim-shared-nonce",
        victim_shared_nonce,
        "Kamailio's default nonce is the same for everybody within a second. The attacker asks in the same second as "
        "the phone, and then guesses under the phone's address with the nonce that was sent to both.",
        "own client; raw socket in the attacker's namespace; Kamailio with unbound nonces",
        _NEVER,
        settings=Settings(bind_nonce=False),
    ),
)
