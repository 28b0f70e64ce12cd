"""Accounts that the policy ties to networks, and right passwords from elsewhere."""

from __future__ import annotations

from tests.lab.cases.case import Case, Lab
from tests.lab.cases.ordinary import expect
from tests.lab.cases.register import pieces
from tests.lab.client import Client, credentials
from tests.lab.kamailio import ACCOUNTS

BOUND, FREE = "1001", "1002"
_WISH = "account 1001 belongs to 198.51.100.0/24 and 2001:db8:20::/48"


def fires(lab: Lab) -> None:
    """Register one account at home, then elsewhere, and another, that is not listed, elsewhere too."""
    with lab.recording():
        for host, user in ((lab.world.phone, BOUND), (lab.world.attacker, BOUND), (lab.world.attacker, FREE)):
            with Client(host, lab.world.pbx.v4, port=5060) as client:
                expect(client.register(user, ACCOUNTS[user]).code, 200)


def below(lab: Lab) -> None:
    """Use the account all over its networks; elsewhere it is asked for, and guessed at, but not got."""
    with lab.recording():
        for address in ("198.51.100.1", "198.51.100.254"):
            with Client(lab.world.phone, lab.world.pbx.v4, address=address, port=5060) as client:
                expect(client.register(BOUND, ACCOUNTS[BOUND]).code, 200)
        with Client(lab.world.phone, lab.world.pbx.v6) as client:
            expect(client.register(BOUND, ACCOUNTS[BOUND]).code, 200)
        with Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
            client.challenge(BOUND)
            expect(client.register(BOUND, "guess").code, 401)


def evasion(lab: Lab) -> None:
    """Come by TCP in small pieces, with short and odd headers, a refusal to stay, and over IPv6."""
    uri = f"sip:{lab.world.pbx.v4}"
    with lab.recording():
        with Client(lab.world.attacker, lab.world.pbx.v4, tcp=True) as client:
            answer = credentials(client.challenge(BOUND), "REGISTER", uri, BOUND, ACCOUNTS[BOUND])
            request = client.request("REGISTER", BOUND, expires=300, authorization=answer, cseq=2)
            for long, short in ((b"Via:", b"v:"), (b"From:", b"f :"), (b"To:", b"t:"), (b"Call-ID:", b"i:")):
                request = request.replace(long, short, 1)
            for piece in pieces(request.replace(b"Authorization:", b"aUTHORIZATION:\r\n "), 7):
                client.send(piece)
            expect(client.receive().code, 200)
        with Client(lab.world.attacker, lab.world.pbx.v6) as client:
            expect(client.register(BOUND, ACCOUNTS[BOUND], expires=0).code, 200)


CASES = (
    Case(
        "accountnets/fires",
        fires,
        "An account is registered at home and, with the right password, from elsewhere; another one is not listed.",
        "own client",
        "an action against the account at home, or against the account that is not listed",
        wish=_WISH,
    ),
    Case(
        "accountnets/below",
        below,
        "An account is used from both ends of its network and over IPv6; from elsewhere it is guessed at, wrongly.",
        "own client",
        "any finding of `accountnets`: nobody elsewhere had the right password",
        wish=_WISH,
    ),
    Case(
        "accountnets/evasion",
        evasion,
        "The right password from elsewhere by TCP in pieces with compact headers, and by IPv6 to unregister.",
        "own client",
        "either of the two uses passing unseen",
        wish=_WISH,
    ),
)
