"""Strangers who call, knock, flood and write without any password, and those who stay just below."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from tests.lab.cases.case import Case, Lab
from tests.lab.cases.ordinary import expect
from tests.lab.client import Client
from tests.lab.kamailio import ACCOUNTS, Settings
from tests.lab.tools import sipp_arguments, sipvicious
from tests.lab.wait import until

_CALLED = "198.51.100.22"
_SHORT = {b"Via": b"v", b"From": b"f", b"To": b"t", b"Call-ID": b"i", b"Contact": b"m", b"Content-Length": b"l"}


@contextlib.contextmanager
def ringing(lab: Lab, calls: int) -> Iterator[None]:
    """Have a SIPp phone registered as 1001 that rings and answers."""
    phone, target = lab.world.phone, f"{lab.world.pbx.v4}:5060"
    phone.run(
        *sipp_arguments("register", _CALLED, 5062, calls=1),
        "-s", "1001", "-au", "1001", "-ap", ACCOUNTS["1001"], target,
    )  # fmt: skip
    answering = phone.start(*sipp_arguments("called", _CALLED, 5062, calls=calls))
    until(lambda: b":5062 " in phone.run("ss", "-lnu").stdout.encode(), "the phone listening")
    yield
    answering.stop()


def disguised(request: bytes) -> bytes:
    """Write a request in compact and oddly cased headers, folded, with quotes in its Call-ID."""
    head, blank, body = request.partition(b"\r\n\r\n")
    for name, short in _SHORT.items():
        fold = b" " if name in (b"Via", b"Content-Length") else b"\r\n "  # Kamailio does not read these two folded
        head = re.sub(rb"^%s: " % name, short + b":" + fold, head, flags=re.MULTILINE)
    head = re.sub(rb"^i:\r\n (\S+)", rb'i:\r\n "\1"!', head, flags=re.MULTILINE)
    return head.replace(b"Max-Forwards", b"mAX-fORWARDS").replace(b"CSeq", b"cSEQ") + blank + body


# --- Ghost calls ------------------------------------------------------------------------------------------------------


def ghost_fires(lab: Lab) -> None:
    """Let svwar call 1000 to 1002 at a PBX that asks callers for nothing; the phone of 1001 rings."""
    with lab.recording(), ringing(lab, 5):
        sipvicious(lab.world.attacker, "svwar", "-e1000-1002", "-m", "INVITE", "--force", lab.world.pbx.v4)


def ghost_below(lab: Lab) -> None:
    """Call five extensions without a credential; every call is challenged, and left at that."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as caller:
        for extension in range(1001, 1006):
            caller.challenge("100", method="INVITE", to=str(extension))


def ghost_evasion(lab: Lab) -> None:
    """Ring 1001 with a credential that nobody asked for, in compact, oddly cased and folded headers."""
    with (
        lab.recording(),
        ringing(lab, 5),
        Client(lab.world.attacker, lab.world.pbx.v4, port=5071) as caller,
    ):
        invented = 'Digest username="1001", realm="pbx.example", nonce="0", uri="sip:1001", response="0"'
        request = caller.request("INVITE", "100", to="1001", authorization=invented, proxy=True)
        caller.send(disguised(request.replace(b"INVITE sip:1001@", b"INVITE sip:%31%30%30%31@")))
        expect(caller.receive().code, 200)


# --- Sweeps -----------------------------------------------------------------------------------------------------------


def sweep(lab: Lab, last: int) -> None:
    """Let svwar ask OPTIONS for extensions from 1000 on; it asks for an invented one first."""
    with lab.recording():
        sipvicious(lab.world.attacker, "svwar", f"-e1000-{last}", "-m", "OPTIONS", "--force", lab.world.pbx.v4)


# --- Floods -----------------------------------------------------------------------------------------------------------


def flood(lab: Lab, methods: tuple[str, ...], *, tcp: bool = False) -> None:
    """Send one request for each method named, as fast as they are answered."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, tcp=tcp) as sender:
        for method in methods:
            sender.ask(sender.request(method, "100"))


# --- Messages ---------------------------------------------------------------------------------------------------------


def messages(lab: Lab, recipients: int) -> None:
    """Write to some users, twice each."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as sender:
        for number in range(2 * recipients):
            sender.ask(sender.request("MESSAGE", "100", to=str(1001 + number % recipients)))


def messages_disguised(lab: Lab) -> None:
    """Write to six users from six ports, in compact, oddly cased and folded headers, three of them over TCP."""
    for number in range(6):
        with (
            contextlib.nullcontext(),
            Client(lab.world.attacker, lab.world.pbx.v4, port=6000 + number, tcp=number > 2) as sender,
        ):
            request = disguised(sender.request("MESSAGE", "100", to=str(1001 + number)))
            for piece in (request[:40], request[40:]) if sender.tcp else (request,):
                sender.send(piece)
            sender.receive()


def spam_evasion(lab: Lab) -> None:
    """Record the disguised messages."""
    with lab.recording():
        messages_disguised(lab)


# --- Canaries ---------------------------------------------------------------------------------------------------------


def canary_fires(lab: Lab) -> None:
    """Let svwar enumerate 1005 to 1009; 1008 is nobody's."""
    with lab.recording():
        sipvicious(lab.world.attacker, "svwar", "-e1005-1009", "-m", "REGISTER", "--force", lab.world.pbx.v4)


def canary_below(lab: Lab) -> None:
    """Let svwar enumerate 1001 to 1005, and a registered phone dial 1008 by mistake."""
    with lab.recording(), Client(lab.world.phone, lab.world.pbx.v4, port=5060) as phone:
        expect(phone.register("1001", ACCOUNTS["1001"]).code, 200)
        phone.challenge("1001", method="INVITE", to="1008")
        sipvicious(lab.world.attacker, "svwar", "-e1001-1005", "-m", "REGISTER", "--force", lab.world.pbx.v4)


def canary_evasion(lab: Lab) -> None:
    """Ask for 1008 over TCP in pieces, escaped, in compact, oddly cased and folded headers."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5071, tcp=True) as caller:
        expect(caller.ask(caller.request("OPTIONS", "100", uri=f"sip:{lab.world.pbx.v4}")).code, 200)
        request = caller.request("INVITE", "100", to="1008").replace(b"sip:1008@", b"sip:%31-0-0%38;x=y@", 1)
        request = disguised(request)
        for at in range(0, len(request), 50):
            caller.send(request[at : at + 50])
        expect(caller.receive().code, 407)


_OPEN = Settings(open_calls=True)
_METHODS = ("OPTIONS", "REGISTER", "SUBSCRIBE", "PUBLISH", "MESSAGE", "REFER", "NOTIFY")
_NOBODY_ELSE = "an action against anybody but 203.0.113.66"
_NOTHING = "a finding of this detector"

CASES = (
    Case(
        "ghostcall/fires",
        ghost_fires,
        "A phone rings because a scanner calls it: the PBX asks nobody for a credential.",
        "svwar -m INVITE --force; SIPp phone",
        _NOBODY_ELSE,
        tools=("SIPVicious", "SIPp"),
        settings=_OPEN,
    ),
    Case(
        "ghostcall/below",
        ghost_below,
        "A stranger calls five extensions. Each call is challenged, and none rings.",
        "own client",
        _NOTHING,
    ),
    Case(
        "ghostcall/evasion",
        ghost_evasion,
        "A stranger rings a phone and shows a credential that nobody asked him for. The number is escaped, headers are "
        "compact, oddly cased and folded, and the Call-ID has quotes.",
        "own client; SIPp phone",
        _NOBODY_ELSE,
        tools=("SIPp",),
        settings=_OPEN,
    ),
    Case(
        "sweep/fires",
        lambda lab: sweep(lab, 1011),
        "Twelve extensions and an invented one are asked for by OPTIONS.",
        "svwar -m OPTIONS --force",
        _NOBODY_ELSE,
        tools=("SIPVicious",),
    ),
    Case(
        "sweep/below",
        lambda lab: sweep(lab, 1009),
        "Ten extensions and an invented one are asked for by OPTIONS: one user fewer than makes a finding.",
        "svwar -m OPTIONS --force",
        _NOTHING,
        tools=("SIPVicious",),
    ),
    Case(
        "flood/fires",
        lambda lab: flood(lab, ("OPTIONS",) * 30),
        "Thirty OPTIONS within a moment, where the policy allows twenty in ten seconds.",
        "own client",
        _NOBODY_ELSE,
        wish="a budget of 20, to keep the recording small",
    ),
    Case(
        "flood/below",
        lambda lab: flood(lab, ("OPTIONS",) * 20 + ("REGISTER",) * 20),
        "Twenty OPTIONS and twenty REGISTER within a moment, just what the policy allows in ten seconds.",
        "own client",
        _NOTHING,
        wish="a budget of 20, to keep the recording small",
    ),
    Case(
        "flood/evasion-methods",
        lambda lab: flood(lab, _METHODS * 9, tcp=True),
        "Sixty-three requests within a moment, nine of each of seven methods, over TCP: none is over its own budget.",
        "own client",
        _NOBODY_ELSE,
        wish="a budget of 20, to keep the recording small",
    ),
    Case(
        "spam/fires",
        lambda lab: messages(lab, 5),
        "A stranger writes to five users, twice each.",
        "own client",
        _NOBODY_ELSE,
    ),
    Case(
        "spam/below",
        lambda lab: messages(lab, 4),
        "A stranger writes to four users, twice each.",
        "own client",
        _NOTHING,
    ),
    Case(
        "spam/evasion-disguised",
        spam_evasion,
        "A stranger writes to six users from six ports, half of it over TCP in pieces, all in compact, oddly cased and "
        "folded headers with quotes in the Call-ID.",
        "own client",
        _NOBODY_ELSE,
    ),
    Case(
        "canary/fires",
        canary_fires,
        "A scanner enumerates extensions by REGISTER and comes across one that nobody has.",
        "svwar -m REGISTER --force",
        "a ban: nothing shows that the scanner holds its address",
        tools=("SIPVicious",),
        settings=Settings(unknown_is_404=True),
        wish="1008 is a canary",
    ),
    Case(
        "canary/below",
        canary_below,
        "A scanner enumerates other extensions, and a registered phone dials the canary by mistake.",
        "svwar -m REGISTER --force; own client",
        _NOTHING,
        tools=("SIPVicious",),
        settings=Settings(unknown_is_404=True),
        wish="1008 is a canary",
    ),
    Case(
        "canary/evasion-disguised",
        canary_evasion,
        "A stranger calls the canary over TCP, in pieces, its number escaped and written with separators, in compact, "
        "oddly cased and folded headers.",
        "own client",
        _NOBODY_ELSE,
        wish="1008 is a canary",
    ),
)
