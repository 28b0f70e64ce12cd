"""Strangers who are known by how they write, by what they dial, and by what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from tests.lab.cases.case import Case, Lab
from tests.lab.cases.ordinary import expect
from tests.lab.cases.register import WITH_QOP, svcrack
from tests.lab.client import Client
from tests.lab.kamailio import ACCOUNTS
from tests.lab.tools import sipsak, sipvicious

TAIL = "442037690237"
_OTHERS = ("203.0.113.67", "203.0.113.130", "198.51.100.99")

# --- Fingerprints -----------------------------------------------------------------------------------------------------


def tools(lab: Lab) -> None:
    """Let svmap ask the PBX over UDP, and nmap ask what service is there, over TCP."""
    pbx, attacker = lab.world.pbx, lab.world.attacker
    with lab.recording():
        sipvicious(attacker, "svmap", "-p5060", pbx.v4)
        attacker.run("nmap", "-n", "-Pn", "-sT", "-sV", "-p5060", pbx.v4, seconds=120.0, check=False)


def namesakes(lab: Lab) -> None:
    """Ask as sipsak does, and as devices whose names attackers bear as well; one has a Call-ID of digits."""
    pbx, phone = lab.world.pbx, lab.world.phone
    with lab.recording():
        sipsak(phone, "-s", f"sip:{pbx.v4}:5060")
        for agent in ("Asterisk PBX 18.9", "FPBX", "eyeBeam release 3006o stamp 17551", "CSipSimple", "Zoiper rv2.10"):
            with Client(phone, pbx.v4, agent=agent) as client:
                client.ask(client.request("OPTIONS", "100", call_id="681270918"))
        with Client(phone, pbx.v4, port=5060) as client:
            expect(client.register("1001", ACCOUNTS["1001"]).code, 200)


def without_an_agent(lab: Lab) -> None:
    """Let svwar enumerate in its compact mode, in which it names no agent."""
    with lab.recording():
        sipvicious(lab.world.attacker, "svwar", "-c", "-e1000-1003", "-m", "REGISTER", "--force", lab.world.pbx.v4)


def guess_in_a_tag(lab: Lab) -> None:
    """Let svcrack find a password."""
    with lab.recording():
        svcrack(lab, "1125-1135")


# --- Dialling ---------------------------------------------------------------------------------------------------------


def dial(client: Client, uris: Iterable[str]) -> None:
    """Call each URI without credentials; what is challenged is acknowledged and left at that."""
    for uri in uris:
        call_id, branch = client.fresh("call"), client.fresh("branch")
        request = client.request(
            "INVITE", "100", uri=uri.replace("@", f"@{client.domain}"), call_id=call_id, branch=branch
        )
        reply = client.ask(request)
        client.acknowledge(reply, "100", to="100", call_id=call_id, branch=branch)


def dialling(lab: Lab) -> None:
    """Dial one number under five prefixes, each from another port."""
    with lab.recording():
        for number, head in enumerate(("00", "000", "900", "9011", "+")):
            with Client(lab.world.attacker, lab.world.pbx.v4, port=6000 + number) as client:
                dial(client, [f"sip:{head}{TAIL}@"])


def redialling(lab: Lab) -> None:
    """Dial one number eight times, and once without its prefix; and two others that end alike but for a digit."""
    again = [f"sip:00{TAIL}@"] * 8
    with lab.recording(), Client(lab.world.phone, lab.world.pbx.v4, port=5060) as client:
        dial(client, [*again, f"sip:{TAIL}@", "sip:00442037690238@", "sip:00442037690239@"])


def dialling_in_disguise(lab: Lab) -> None:
    """Write the number with separators, escapes, parameters and a password, in mixed case, and redial in between."""
    uris = (
        "sip:00-44-2037.690.237@", "SIP:%30%30%3044(20)37690237;phone-context=x@", "sip:0044-2037690237@",
        "Sip:+442037690237:secret@",
    )  # fmt: skip
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        dial(client, uris)


def dialling_together(lab: Lab) -> None:
    """Dial one number under one prefix each from three addresses."""
    with lab.recording():
        for address, head in zip(_OTHERS, ("00", "900", "0+"), strict=True):
            host = lab.world.phone if address.startswith("198") else lab.world.attacker
            with Client(host, lab.world.pbx.v4, address=address, port=5060) as client:
                dial(client, [f"sip:{head}{TAIL}@"])


# --- Malformed --------------------------------------------------------------------------------------------------------

BROKEN: tuple[Callable[[bytes], bytes], ...] = (
    lambda request: b"\0\0" + request,
    lambda request: request.replace(b"OPTIONS sip", b"oPTIONS sip", 1),
    lambda request: request.replace(b"\r\nTo: ", b"\r\nTo: <sip:other@example.net>\r\nTo: ", 1),
    lambda request: request.replace(b" OPTIONS\r\n", b" INVITE\r\n", 1),
    lambda request: request.replace(b"Content-Length: 0", b"Content-Length: 900", 1),
    lambda request: request.replace(b"lab phone", b"lab\0phone", 1),
    lambda request: request.replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1),
)


def broken(lab: Lab, count: int) -> None:
    """Send requests, each wrong in another way; some are answered, and nobody waits for that."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        for twist in BROKEN[:count]:
            client.send(twist(client.request("OPTIONS", "100")))
        client.ask(client.request("OPTIONS", "100"))


def injected(lab: Lab) -> None:
    """Send what has no Call-ID and no CSeq from ever other ports, compact and folded, and SQL in From, escaped."""
    for number in range(4):
        with Client(lab.world.attacker, lab.world.pbx.v4, port=6100 + number) as client:
            request = re.sub(rb"(Call-ID|CSeq): [^\n]*\n", b"", client.request("OPTIONS", "100"))
            client.send(request.replace(b"Via: ", b"v:\r\n ").replace(b"From: ", b"f : "))
    with Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        client.send(
            client.request("REGISTER", "100").replace(b"From: <sip:100", b"f: <sip:100%27%20oR%20%271%27=%271", 1)
        )
        client.ask(client.request("OPTIONS", "100"))


def injecting(lab: Lab) -> None:
    """Record it."""
    with lab.recording():
        injected(lab)


_INNOCENT = "an action against the phone at 198.51.100.20"

CASES = (
    Case(
        "fingerprint/fires",
        tools,
        "svmap asks for OPTIONS, and nmap asks what service stands behind the port: each is known by one packet.",
        "svmap; nmap 7.93 -sT -sV",
        "a ban: svmap came over UDP, and nmap's connection had proved nothing when its probe came",
        tools=("SIPVicious",),
    ),
    Case(
        "fingerprint/below",
        namesakes,
        "An operator's sipsak, and devices that call themselves what attackers like to call themselves; one signs on.",
        "sipsak -s; own client with the agents Asterisk PBX, FPBX, eyeBeam, CSipSimple, Zoiper",
        _INNOCENT,
        tools=("sipsak",),
    ),
    Case(
        "fingerprint/evasion",
        without_an_agent,
        "SIPVicious in its compact mode names no agent, and abbreviates its headers. Their order, the Call-ID and the "
        "From tag say who it is, and which extension it asks for.",
        "svwar -c -m REGISTER",
        "an action against anybody else",
        tools=("SIPVicious",),
    ),
    Case(
        "fingerprint/guess-found",
        guess_in_a_tag,
        "svcrack writes each guess into its From tag; one is right.",
        "svcrack -u 1099 -r 1125-1135; Kamailio offers qop=auth",
        "a guess, right or wrong, in any finding",
        tools=("SIPVicious",),
        settings=WITH_QOP,
        wish="fingerprints and guesses are only reported here, so that svcrack gets as far as the password",
    ),
    Case(
        "dialplan/fires",
        dialling,
        "One number in London is dialled as 00…, 000…, 900…, 9011… and +…, each from another port.",
        "own client",
        "a ban: nothing proves the address of who only calls over UDP",
    ),
    Case(
        "dialplan/below",
        redialling,
        "Somebody redials one number eight times, tries it once without the prefix, and dials its two neighbours.",
        "own client",
        _INNOCENT,
    ),
    Case(
        "dialplan/evasion",
        dialling_in_disguise,
        "The same number under three prefixes with separators, escapes, parameters and a password in the URI.",
        "own client",
        "counting the number with other separators as another prefix",
    ),
    Case(
        "dialplan/evasion-together",
        dialling_together,
        "Three addresses of three networks dial one number under one prefix each; one prefix is none that a person "
        "dials (0+).",
        "own client",
        "blame for the first two: only who speaks when it is known is found",
    ),
    Case(
        "malformed/fires",
        lambda lab: broken(lab, len(BROKEN)),
        "Seven requests, each wrong in another way: NUL before the method, its odd case, a second To that contradicts "
        "the first, CSeq naming another method, a Content-Length beyond the datagram, NUL in a header, a version 7.0.",
        "own client",
        "a ban",
    ),
    Case(
        "malformed/below",
        lambda lab: broken(lab, 3),
        "The first three of those.",
        "own client",
        "any action",
    ),
    Case(
        "malformed/evasion",
        injecting,
        "Requests without Call-ID and CSeq from ever other ports, folded and abbreviated, of which none is a copy of "
        "another though they have no key to tell them apart; then SQL in From, escaped.",
        "own client",
        "a ban",
    ),
)
