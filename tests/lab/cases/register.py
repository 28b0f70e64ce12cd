"""Credentials shown to the registrar: by the honest, who are to be left alone, and by guessers, who are not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from tests.lab.cases.case import Case, Lab
from tests.lab.cases.ordinary import expect
from tests.lab.client import Challenge, Client, credentials
from tests.lab.kamailio import ACCOUNTS, WEAK_ACCOUNT, WEAK_PASSWORD, Settings
from tests.lab.tools import sipvicious
from tests.lab.world import Host

VICTIM = "1002"
RIGHT = ACCOUNTS[VICTIM]
OFFICE = "198.51.100.77"
# svcrack 0.3.8 says qop=auth without nc and cnonce where no qop was offered, and then cannot find a password
WITH_QOP = Settings(qop=True)


def honest_wrong_password(lab: Lab) -> None:
    """Someone types a password wrong four times, then right."""
    with lab.recording(), Client(lab.world.phone, lab.world.pbx.v4, port=5060) as client:
        for password in ("zw7-1002-quiet", "Zw7-1002", "Zw7-1002-quite", "Zw7-1002 quiet"):
            expect(client.register(VICTIM, password).code, 401)
        expect(client.register(VICTIM, RIGHT).code, 200)


def one_wrong(lab: Lab) -> None:
    """One wrong password, then the right one."""
    with lab.recording(), Client(lab.world.phone, lab.world.pbx.v4, port=5060) as client:
        expect(client.register(VICTIM, "mistyped").code, 401)
        expect(client.register(VICTIM, RIGHT).code, 200)


def guessing_fast(lab: Lab) -> None:
    """Forty wrong passwords by svcrack, which gives up when nothing more comes back."""
    with lab.recording():
        svcrack(lab, "1200-1239")


def guessing_fast_finds(lab: Lab) -> None:
    """Svcrack tries a range with the right password in it."""
    with lab.recording():
        said = svcrack(lab, "1100-1139")
    expect(WEAK_PASSWORD in said, wanted=True)


def svcrack(lab: Lab, passwords: str) -> str:
    """Run svcrack on the weak account over a range of numeric passwords, and return what it said."""
    return sipvicious(lab.world.attacker, "svcrack", "-u", WEAK_ACCOUNT, "-r", passwords, lab.world.pbx.v4)


def guessing_tcp(lab: Lab) -> None:
    """Six guesses whole, six in odd pieces, four in one segment, on one connection; the last is right."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, tcp=True) as client:
        for number in range(6):
            expect(client.register(VICTIM, f"guess-{number}").code, 401)
        for number, size in enumerate((1, 4, 7, 64, 200, 333)):
            for piece in pieces(guess(client, client.challenge(VICTIM), f"piece-{number}"), size):
                client.send(piece)
            expect(client.receive().code, 401)
        challenge = client.challenge(VICTIM)
        together = [guess(client, challenge, password) for password in ("a", "b", "c", RIGHT)]
        client.send(b"".join(together))
        expect([client.receive().code for _ in together], [401, 401, 401, 200])


def pieces(data: bytes, size: int) -> list[bytes]:
    """Cut the first line into pieces of `size`, and the rest into pieces of 100 at least, to keep the capture small."""
    head = data.index(b"\r\n") + 2
    rest = max(size, 100)
    cuts = [*range(0, head, size), *range(head, len(data), rest), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(cuts)]


def guess(client: Client, challenge: Challenge, password: str, user: str = VICTIM) -> bytes:
    """Return one REGISTER that shows `password` for `challenge`, unlike any the client has sent before."""
    answer = credentials(challenge, "REGISTER", f"sip:{client.domain}", user, password)
    return client.request("REGISTER", user, expires=300, authorization=answer, cseq=2)


def guessing_ipv6_hopping(lab: Lab) -> None:
    """Each guess comes from another /128 of one /64."""
    with lab.recording():
        for number in range(12):
            address = f"2001:db8:66:1:{number * 4099 % 65536:x}::{number + 1:x}"
            with Client(lab.world.attacker, lab.world.pbx.v6, address=address) as client:
                expect(client.register(VICTIM, f"guess-{number}").code, 401)


def guessing_port_hopping(lab: Lab) -> None:
    """Each guess comes from another port than the challenge it answers."""
    with lab.recording():
        for number in range(12):
            with Client(lab.world.attacker, lab.world.pbx.v4, port=20000 + 2 * number) as asking:
                challenge = asking.challenge(VICTIM)
            with Client(lab.world.attacker, lab.world.pbx.v4, port=20001 + 2 * number) as client:
                expect(client.attempt(challenge, VICTIM, f"guess-{number}").code, 401)


def four_under_one_key(lab: Lab) -> None:
    """Four different responses under one branch, Call-ID and CSeq; Kamailio judges each, and the last is right."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        challenge = client.challenge(VICTIM)
        codes = []
        for password in ("first", "second", "third", RIGHT):
            answer = credentials(challenge, "REGISTER", f"sip:{client.domain}", VICTIM, password)
            codes.append(
                client.ask(
                    client.request(
                        "REGISTER",
                        VICTIM,
                        authorization=answer,
                        expires=300,
                        call_id="one-call",
                        branch="onebranch",
                        tag="onetag",
                        cseq=2,
                    )
                ).code
            )
        expect(codes, [401, 401, 401, 200])


def invite_guessing(lab: Lab) -> None:
    """Ten wrong passwords in Proxy-Authorization of INVITEs, each 407 acknowledged."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        challenge = client.challenge(VICTIM, method="INVITE", to="1001")
        for number in range(10):
            call_id, branch = client.fresh("call"), client.fresh("branch")
            answer = credentials(challenge, "INVITE", f"sip:1001@{client.domain}", VICTIM, f"guess-{number}")
            reply = client.ask(
                client.request(
                    "INVITE", VICTIM, to="1001", authorization=answer, proxy=True, call_id=call_id, branch=branch
                )
            )
            expect(reply.code, 407)
            client.acknowledge(reply, VICTIM, to="1001", call_id=call_id, branch=branch)
            challenge = reply.challenge


def phones_of_a_site(host: Host, server: str) -> list[tuple[str, Client]]:
    """Three phones alone, one with three lines on one port, six behind one office address on six ports."""
    users = list(ACCOUNTS)
    alone = [(users[n], Client(host, server, address=f"198.51.100.{30 + n}", port=5060)) for n in range(3)]
    lines = Client(host, server, address="198.51.100.40", port=5060)
    three = [(user, lines) for user in users[3:6]]
    office = [(users[6 + n], Client(host, server, address=OFFICE, port=10000 + n)) for n in range(6)]
    return [*alone, *three, *office]


def show_old_nonces(phones: Sequence[tuple[str, Client]], nonces: Sequence[Challenge]) -> None:
    """All show what they know (401, no stale), and only then do all answer the new challenge (200)."""
    refused = []
    for (user, client), nonce in zip(phones, nonces, strict=True):
        reply = client.attempt(nonce, user, ACCOUNTS[user], cseq=3)
        expect((reply.code, reply.challenge.stale), (401, False))
        refused.append(reply)
    for (user, client), reply in zip(phones, refused, strict=True):
        expect(client.attempt(reply.challenge, user, ACCOUNTS[user], cseq=4).code, 200)


def stale_after_restart(lab: Lab) -> None:
    """Phones are registered; the PBX restarts; all refresh with the nonce they know."""
    phones = phones_of_a_site(lab.world.phone, lab.world.pbx.v4)
    with lab.recording():
        nonces = [client.challenge(user) for user, client in phones]
        for (user, client), nonce in zip(phones, nonces, strict=True):
            expect(client.attempt(nonce, user, ACCOUNTS[user]).code, 200)
        lab.server.restart()
        show_old_nonces(phones, nonces)


def stale_after_restart_unseen(lab: Lab) -> None:
    """As above, but the recording begins after the restart: nobody saw those nonces given out."""
    phones = phones_of_a_site(lab.world.phone, lab.world.pbx.v4)
    nonces = [client.challenge(user) for user, client in phones]
    lab.server.restart()
    with lab.recording():
        show_old_nonces(phones, nonces)


def retransmission_storm(lab: Lab) -> None:
    """One wrong credential, sent thirty times byte for byte; each copy is answered."""
    with lab.recording(), Client(lab.world.phone, lab.world.pbx.v4, port=5060) as client:
        challenge = client.challenge(VICTIM)
        request = guess(client, challenge, "mistyped")
        for _ in range(30):
            expect(client.ask(request).code, 401)
        expect(client.register(VICTIM, RIGHT).code, 200)


_GUESSER = "an action against any but the guesser"
_NOBODY = "a ban of anybody"

CASES = (
    Case(
        "register/honest-wrong-password",
        honest_wrong_password,
        "Somebody mistypes a password four times, and has it right the fifth time: one below the threshold.",
        "own client",
        _NOBODY,
    ),
    Case("register/one-wrong", one_wrong, "One wrong password, then the right one.", "own client", _NOBODY),
    Case(
        "register/guessing-fast",
        guessing_fast,
        "svcrack tries forty wrong passwords, each with a fresh nonce.",
        "svcrack -u 1099 -r 1200-1239; Kamailio offers qop=auth",
        _GUESSER,
        tools=("SIPVicious",),
        settings=WITH_QOP,
    ),
    Case(
        "register/guessing-fast-finds",
        guessing_fast_finds,
        "svcrack tries a range of passwords and finds the right one: that success clears nothing of its guilt.",
        "svcrack -u 1099 -r 1100-1139; Kamailio offers qop=auth",
        _GUESSER,
        tools=("SIPVicious",),
        settings=WITH_QOP,
    ),
    Case(
        "register/guessing-tcp",
        guessing_tcp,
        "Guesses on one TCP connection: whole, in pieces of 1 to 333 bytes, and four in one segment of which the last "
        "is right.",
        "own client with TCP_NODELAY, one write a piece",
        _GUESSER,
    ),
    Case(
        "register/guessing-ipv6-hopping",
        guessing_ipv6_hopping,
        "Twelve guesses, each from another /128 of one /64.",
        "own client",
        f"{_GUESSER}'s /64",
    ),
    Case(
        "register/guessing-port-hopping",
        guessing_port_hopping,
        "Twelve guesses, each from another port than the challenge it answers and than any other guess.",
        "own client",
        _GUESSER,
    ),
    Case(
        "register/four-under-one-key",
        four_under_one_key,
        "Four different responses under one branch, Call-ID and CSeq. Kamailio judges each: 401, 401, 401, 200.",
        "own client",
        "the second to fourth taken for retransmissions of the first",
    ),
    Case(
        "register/invite-guessing",
        invite_guessing,
        "Ten wrong passwords in Proxy-Authorization of INVITEs; each 407 is acknowledged and brings the next nonce.",
        "own client",
        _GUESSER,
    ),
    Case(
        "register/stale-after-restart",
        stale_after_restart,
        "Twelve accounts are registered: three phones alone, one with three lines, six behind one office address. The "
        "PBX restarts; all refresh with the nonce they know, are refused by 401 without stale, and then succeed.",
        "own client; Kamailio restarted within the recording",
        _NOBODY,
    ),
    Case(
        "register/stale-after-restart-unseen",
        stale_after_restart_unseen,
        "The same site after the same restart, but nobody saw the old nonces given out.",
        "own client; Kamailio restarted before the recording",
        _NOBODY,
    ),
    Case(
        "register/retransmission-storm",
        retransmission_storm,
        "One wrong credential is sent thirty times, byte for byte, and answered each time; then the right one.",
        "own client",
        "more than one failure counted",
    ),
)
