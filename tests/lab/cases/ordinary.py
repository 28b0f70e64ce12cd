"""Honest traffic: nothing may come of it."""

from __future__ import annotations

from tests.lab.cases.case import Case, Lab
from tests.lab.client import Client
from tests.lab.errors import LabError
from tests.lab.kamailio import ACCOUNTS
from tests.lab.tools import sipp_arguments, sipsak


def registrations(lab: Lab) -> None:
    """Six phones register, refresh with the nonce they know, and go."""
    pbx, phone = lab.world.pbx, lab.world.phone
    with lab.recording():
        phones = [Client(phone, pbx.v4, address=f"198.51.100.{20 + n}", port=5060) for n in range(4)]
        phones.append(Client(phone, pbx.v4, address="198.51.100.24", tcp=True))
        phones.append(Client(phone, pbx.v6))
        for user, client in zip(ACCOUNTS, phones, strict=False):
            call_id = client.fresh("call")
            challenge = client.ask(client.request("REGISTER", user, expires=300, call_id=call_id)).challenge
            for cseq, expires in ((2, 300), (3, 300), (4, 0)):
                reply = client.attempt(challenge, user, ACCOUNTS[user], call_id=call_id, cseq=cseq, expires=expires)
                expect(reply.code, 200)
            client.close()


def calls(lab: Lab) -> None:
    """Two SIPp phones register; one calls the other three times."""
    with lab.recording():
        call(lab, ("1001", "198.51.100.21", 5061), ("1002", "198.51.100.22", 5062), times=3)


def call(lab: Lab, caller: tuple[str, str, int], called: tuple[str, str, int], *, times: int = 1) -> None:
    """Let two phones (user, address, port) register, and one call the other. Raises LabError unless every call ends."""
    phone, target, passwords = lab.world.phone, f"{lab.world.pbx.v4}:5060", lab.server.settings.accounts
    for user, address, port in (caller, called):
        phone.run(
            *sipp_arguments("register", address, port, calls=1),
            "-s", user, "-au", user, "-ap", passwords[user], target,
        )  # fmt: skip
    answering = phone.start(*sipp_arguments("called", *called[1:], calls=times))
    user = caller[0]
    phone.run(
        *sipp_arguments("caller", *caller[1:], calls=times), "-r", "2", "-d", "500", "-s", called[0],
        "-key", "caller", user, "-au", user, "-ap", passwords[user], target,
    )  # fmt: skip
    expect(answering.wait(seconds=20.0), 0)


def keepalives(lab: Lab) -> None:
    """Keep a registered phone's hole open by CRLF, and ask OPTIONS as a monitoring host does."""
    pbx, phone = lab.world.pbx, lab.world.phone
    with lab.recording():
        for tcp in (False, True):
            with Client(phone, pbx.v4, tcp=tcp) as client:
                expect(client.register("1001", ACCOUNTS["1001"]).code, 200)
                for _ in range(5):
                    client.send(b"\r\n\r\n")
                    if tcp:  # Kamailio answers the ping (RFC 5626 section 4.4.1) on streams only
                        expect(client.socket.recv(16), b"\r\n")
        for _ in range(5):
            sipsak(phone, "-s", f"sip:{pbx.v4}")


def expect(seen: object, wanted: object) -> None:
    """Raise LabError unless the scene went as written; a recording of something else is worth nothing."""
    if seen != wanted:
        raise LabError(f"expected {wanted!r}, saw {seen!r}")


CASES = (
    Case(
        "ordinary/registrations",
        registrations,
        "Six phones (four UDP, one TCP, one IPv6) register, refresh with the nonce they know, and unregister.",
        "own client, Kamailio with nonces bound to the source address",
        "any finding, decision or action",
    ),
    Case(
        "ordinary/calls",
        calls,
        "Two phones register; one calls the other three times. Each INVITE is challenged by 407 and repeated.",
        "SIPp with the scenarios in `tests/lab/sipp`",
        "any finding, decision or action",
        tools=("SIPp",),
    ),
    Case(
        "ordinary/keepalives",
        keepalives,
        "CRLF keep-alives over UDP and TCP, and a monitor that asks OPTIONS.",
        "own client, sipsak",
        "any finding, decision or action",
        tools=("sipsak",),
    ),
)
