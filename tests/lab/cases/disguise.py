"""Guessing behind something else: an own account, another name, another method, another header, another port."""

from __future__ import annotations

import socket

from tests.lab.cases.case import Case, Lab
from tests.lab.cases.ordinary import expect
from tests.lab.cases.register import RIGHT, VICTIM, guess
from tests.lab.client import Client, Reply, credentials
from tests.lab.kamailio import ACCOUNTS, Settings

OWN = "1001"
METHODS = ("SUBSCRIBE", "MESSAGE", "PUBLISH", "NOTIFY", "INFO", "REFER", "UPDATE", "BYE", "FROBNICATE")
LISTENING = 6060


def spraying(lab: Lab) -> None:
    """Try one common password on every account, and on some that do not exist."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        for user in (*ACCOUNTS, "2001", "2002"):
            expect(client.register(user, "Summer2023").code, 401)


def spraying_accepted_nonce(lab: Lab) -> None:
    """Register an own account, and with the accepted nonce try one password on each of sixty others."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        challenge = client.challenge(OWN)
        expect(client.attempt(challenge, OWN, ACCOUNTS[OWN]).code, 200)
        for user in range(1002, 1062):
            expect(client.attempt(challenge, str(user), "Summer2023").code, 401)


def own_success_between(lab: Lab) -> None:
    """Guess at one account, and register an own one after every second guess."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        for number in range(30):
            expect(client.register(VICTIM, f"guess-{number}").code, 401)
            if number % 2:
                expect(client.register(OWN, ACCOUNTS[OWN]).code, 200)


def other_user_claimed(lab: Lab) -> None:
    """Write one's own name into From and To, and guess at another's in the credentials: 403 says it was right."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        for number in range(10):
            password = RIGHT if number == 9 else f"guess-{number}"
            answer = credentials(client.challenge(OWN), "REGISTER", f"sip:{client.domain}", VICTIM, password)
            reply = client.ask(client.request("REGISTER", OWN, authorization=answer, expires=300, cseq=2))
            expect(reply.code, 403 if number == 9 else 401)


def odd_methods(lab: Lab) -> None:
    """Guess with a different method each time, one of them unheard of; the last is right: 404, not 407."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        for number, method in enumerate((*METHODS, "MESSAGE")):
            right = number == len(METHODS)
            challenge = client.challenge(VICTIM, method=method, to=OWN)
            password = RIGHT if right else f"guess-{number}"
            answer = credentials(challenge, method, f"sip:{OWN}@{client.domain}", VICTIM, password)
            reply = client.ask(client.request(method, VICTIM, to=OWN, authorization=answer, proxy=True, cseq=2))
            expect(reply.code, 404 if right else 407)


def false_success(lab: Lab) -> None:
    """Guess four times, then have nonsense credentials answered by something that is no challenge; nine times over.

    Kamailio answers OPTIONS without a look at them, lets every PRACK with credentials pass, and refuses for want of
    Max-Forwards before it authenticates.
    """
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        for turn, (method, hops, code) in enumerate(3 * (("OPTIONS", 70, 200), ("PRACK", 70, 404), ("INVITE", 0, 483))):
            for number in range(4):
                expect(client.register(VICTIM, f"guess-{turn}-{number}").code, 401)
            expect(unjudged(client, method, hops).code, code)


def unjudged(client: Client, method: str, hops: int) -> Reply:
    """Send a request with a live nonce and a wrong password, which the PBX answers without judging it."""
    call_id, branch = client.fresh("call"), client.fresh("branch")
    answer = credentials(client.challenge(VICTIM), method, f"sip:{OWN}@{client.domain}", VICTIM, "nonsense")
    request = client.request(
        method, VICTIM, to=OWN, authorization=answer, proxy=True, call_id=call_id, branch=branch, cseq=2
    )
    reply = client.ask(request.replace(b"Max-Forwards: 70", f"Max-Forwards: {hops}".encode()))
    if method == "INVITE":
        client.acknowledge(reply, VICTIM, to=OWN, call_id=call_id, branch=branch, cseq=2)
    return reply


def answers_to_another_port(lab: Lab) -> None:
    """Guess from ever new ports, and have all answers sent to one other: Via says so, and no rport asks otherwise."""
    attacker, pbx = lab.world.attacker, lab.world.pbx
    with lab.recording(), attacker.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.settimeout(5.0)
        listening.bind((attacker.v4, LISTENING))
        for number in range(10):
            with Client(attacker, pbx.v4, port=30000 + number) as client:
                redirected(client, client.request("REGISTER", VICTIM, expires=300))
                challenge = Reply(401, listening.recv(65535).decode()).challenge
                redirected(client, guess(client, challenge, f"guess-{number}"))
                expect(listening.recv(65535)[:11], b"SIP/2.0 401")


def redirected(client: Client, request: bytes) -> None:
    """Send a request whose Via names the listening port and has no rport."""
    request = request.replace(b";rport", b"", 1)
    client.send(request.replace(f":{client.port};branch".encode(), f":{LISTENING};branch".encode(), 1))


_GUESSER = "the guesser going unseen; an action against any other"

CASES = (
    Case(
        "register/spraying",
        spraying,
        "One password is tried on twelve accounts, and on two that do not exist.",
        "own client",
        _GUESSER,
    ),
    Case(
        "evasion/spraying-accepted-nonce",
        spraying_accepted_nonce,
        "A source registers its own account, and with the accepted nonce tries one password on each of sixty others: "
        "whatever excuse an accepted nonce gives, it must not be one for each account.",
        "own client",
        _GUESSER,
    ),
    Case(
        "evasion/own-success-between",
        own_success_between,
        "A source guesses at one account, and registers its own after every second guess. Both have the same nonce "
        "within a second, so that most guesses are made with one that was accepted.",
        "own client",
        "a success of one account clearing the failures of another",
    ),
    Case(
        "evasion/other-user-claimed",
        other_user_claimed,
        "From and To name the attacker's own account, the credentials another's. The last guess is right, which "
        "Kamailio tells by a 403.",
        "own client",
        _GUESSER,
    ),
    Case(
        "evasion/odd-methods",
        odd_methods,
        "Ten guesses by SUBSCRIBE, MESSAGE, PUBLISH, and others; one method does not exist. Kamailio challenges and "
        "judges all of them. The last is right: 404, for the called account has no phone.",
        "own client",
        _GUESSER,
    ),
    Case(
        "evasion/false-success",
        false_success,
        "After every four guesses comes a request whose credentials Kamailio does not judge: OPTIONS (200), PRACK "
        "(404: module auth lets it pass), INVITE with Max-Forwards 0 (483).",
        "own client",
        "one of those taken for a success that clears the failures",
    ),
    Case(
        "evasion/answers-to-another-port",
        answers_to_another_port,
        "Guesses from ever new ports; Via names another port and has no rport, so that all answers go there.",
        "own client; Kamailio without force_rport",
        _GUESSER,
        settings=Settings(symmetric=False),
    ),
)
