"""Guessing by those who know how guards read: odd spelling, and nonces that a guard may take for an excuse."""

from __future__ import annotations

import time

from tests.lab.cases.case import Case, Lab
from tests.lab.cases.ordinary import expect
from tests.lab.cases.register import RIGHT, VICTIM, WITH_QOP, guess, guessing_fast
from tests.lab.client import Challenge, Client, credentials
from tests.lab.errors import LabError
from tests.lab.kamailio import ACCOUNTS

MANY = 30
AGE_SECONDS = 61.0
PREFIXES = (b"\r\n", b"\r\n\r\n", b"\n", b" ", b"\t", b"\0", b"\r\n \t", b"\0\0\0\r\n")


def compact_odd_case(lab: Lab) -> None:
    """Ten guesses, none spelled as the one before; the last is right, so that all were judged."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        for number in range(10):
            password = RIGHT if number == 9 else f"guess-{number}"
            client.send(odd(client, client.challenge(VICTIM), password, number))
            expect(client.receive().code, 200 if number == 9 else 401)


def odd(client: Client, challenge: Challenge, password: str, number: int) -> bytes:
    """Return a REGISTER that says the same as any other, in compact, folded and strangely cased headers."""
    domain = client.domain
    answer = credentials(challenge, "REGISTER", f"sip:{domain}", VICTIM, password)
    authorization = (
        f"Authorization: {answer}",
        f"authorization:{answer}",
        f"AUTHORIZATION \t: {answer}",
        "Authorization: " + answer.replace(", ", ",\r\n "),
        "aUtHoRiZaTiOn:\r\n\t" + answer.replace(", ", ","),
        "Authorization: " + answer.replace("Digest", "dIGEST"),
        "Authorization: " + answer.replace("Digest ", "Digest   ").replace(", ", " , "),
        "Authorization: " + answer.replace("username=", "UserName=").replace("nonce=", "NONCE="),
        "Authorization: " + answer.replace("response=", "Response =").replace("realm=", "realm = "),
        f"authorization : {answer}",
    )[number]
    lines = [
        f"REGISTER sip:{domain} SIP/2.0",
        f"v: SIP/2.0/UDP {client.address}:{client.port};branch=z9hG4bK{client.fresh('branch')};rport",
        f'f: "o\'dd \\" name" <sip:{VICTIM}@{domain}>;tag={number}',
        f"t:<sip:{VICTIM}@{domain}>",
        f'i:odd"{number}"\'{client.fresh("call")}',
        "cseq:2    REGISTER",
        f"m: <sip:{VICTIM}@{client.address}:{client.port}>",
        authorization,
        "mAX-fORWARDS : 70",
        "l:0",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def leading_bytes(lab: Lab) -> None:
    """Each guess begins with bytes that are no SIP; those that Kamailio swallows are sent again until it answers."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        for number, prefix in enumerate(PREFIXES):
            challenge = client.challenge(VICTIM)
            client.send(prefix + guess(client, challenge, f"guess-{number}"))
            expect(client.receive().code, 401)


def nonce_aged(lab: Lab) -> None:
    """Thirty nonces, one a second; a minute later each is used for one guess. Kamailio judges all of them."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        nonces: list[Challenge] = []
        while len(nonces) < MANY:
            nonces.append(client.challenge(VICTIM))
            time.sleep(1.0)  # the case is about time: a nonce is made of the second it is given out in
        time.sleep(AGE_SECONDS)
        guess_with(client, nonces)


def nonce_from_elsewhere(lab: Lab) -> None:
    """Guess over UDP with a nonce that came over a TCP connection before anybody looked."""
    with Client(lab.world.attacker, lab.world.pbx.v4, tcp=True) as before:
        challenge = before.challenge(VICTIM)
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        guess_with(client, [challenge] * MANY)


def nonce_accepted_reuse(lab: Lab) -> None:
    """Register an account of the attacker's own, and guess at another with the nonce that was accepted."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        challenge = client.challenge("1001")
        expect(client.attempt(challenge, "1001", ACCOUNTS["1001"]).code, 200)
        guess_with(client, [challenge] * MANY)


def guess_with(client: Client, nonces: list[Challenge]) -> None:
    """One guess a nonce, whatever new ones are offered; the last is right, and must be accepted."""
    if len(nonces) < 2:
        raise LabError("one guess is no guessing")
    *wrong, last = nonces
    for number, nonce in enumerate(wrong):
        expect(client.attempt(nonce, VICTIM, f"guess-{number}").code, 401)
    expect(client.attempt(last, VICTIM, RIGHT).code, 200)


_GUESSER = "the guesser going unseen; an action against any other"

CASES = (
    Case(
        "evasion/compact-odd-case",
        compact_odd_case,
        "Ten guesses in compact, folded and strangely cased headers, with quotes in the Call-ID. The last is right, "
        "and accepted: Kamailio reads them all.",
        "own client",
        _GUESSER,
    ),
    Case(
        "evasion/leading-bytes",
        leading_bytes,
        "Eight guesses, each after other leading bytes (CRLF, LF, space, tab, NUL). Kamailio answers each.",
        "own client",
        _GUESSER,
    ),
    Case(
        "evasion/nonce-aged",
        nonce_aged,
        "Thirty nonces are fetched, and each is used for one guess more than a minute later. The last guess is right, "
        "and accepted: a nonce is good for nonce_expire (300 s).",
        "own client",
        _GUESSER,
    ),
    Case(
        "evasion/nonce-from-elsewhere",
        nonce_from_elsewhere,
        "Thirty guesses with a nonce that nobody saw given out. The last guess is right, and accepted.",
        "own client; the nonce was fetched over TCP before the recording began",
        _GUESSER,
    ),
    Case(
        "evasion/nonce-accepted-reuse",
        nonce_accepted_reuse,
        "A source registers its own account, and uses the accepted nonce for thirty guesses at another account. The "
        "last guess is right, and accepted.",
        "own client",
        _GUESSER,
    ),
    Case(
        "exempt/allowed-source",
        guessing_fast,
        "svcrack guesses as in register/guessing-fast, but from an address that the policy allows.",
        "svcrack -u 1099 -r 1200-1239; Kamailio offers qop=auth",
        "a ban of the allowed address",
        tools=("SIPVicious",),
        settings=WITH_QOP,
        wish="policy.toml allows 203.0.113.66",
    ),
)
