"""Whoever is left out of hearing an event would have found nothing in it."""

from __future__ import annotations

import pytest

from sipguard.address import parse_address
from sipguard.detect.catalogue import Detector, Detectors
from sipguard.detect.listeners import Listeners
from sipguard.event import Answered, Asked, Event, Rang, Standing, Unread
from sipguard.model import Transport
from sipguard.policy.schema import Policy
from sipguard.sip.grammar import METHODS
from sipguard.sip.message import SipRequest, SipResponse, Unparsable
from sipguard.sip.parser import parse
from tests.detect.asking import STRANGER, request
from tests.engine.story import PBX

SOURCE = parse_address(STRANGER)
MADE = Detectors()
MADE.adopt(Policy().detect)
ALL = MADE.all
BAD = (("User-Agent: a phone", "User-Agent: friendly-scanner"), ("CSeq: 1", "CSeq: 1\r\nCSeq: 2"))


def asked(number: int, method: str, standing: Standing) -> Asked:
    uri = f"sip:0001{number % 7}555123456@{PBX}"
    message = parse(request(number, method, uri, change=BAD))
    assert isinstance(message, SipRequest)
    target = parse_address(PBX)
    return Asked(
        number, SOURCE, 5062, Transport.UDP, message, standing, target, 5060, proven=True, shown=True, repeated=False
    )


def answered(number: int, standing: Standing, kind: type[Answered | Rang]) -> Answered | Rang:
    code = b"180 Ringing" if kind is Rang else b"404 Not Found"
    sent = request(number, "INVITE").partition(b"\r\n")[2]
    message = parse(b"SIP/2.0 " + code + b"\r\n" + sent)
    assert isinstance(message, SipResponse)
    if kind is Rang:
        return Rang(number, SOURCE, message, standing, proven=True)
    return Answered(number, SOURCE, 5062, Transport.UDP, message, standing, proven=True)


def unread(number: int, standing: Standing) -> Unread:
    message = parse(b"\0\x01 nonsense %d" % number)
    assert isinstance(message, Unparsable)
    return Unread(number, SOURCE, 5062, Transport.TCP, message.raw, message.faults, standing, proven=True)


def events(standing: Standing) -> list[Event]:
    """Give what would make any detector speak that listens, were it a stranger's."""
    made: list[Event] = []
    for number in range(0, 400, 4):
        made += [asked(number, method, standing) for method in METHODS.values()]
        made += [answered(number + 1, standing, Answered), answered(number + 2, standing, Rang)]
        made.append(unread(number + 3, standing))
    return made


@pytest.mark.parametrize("detector", ALL, ids=[type(each).__module__.rpartition(".")[2] for each in ALL])
@pytest.mark.parametrize("standing", list(Standing))
def test_who_is_left_out_would_have_found_nothing(detector: Detector, standing: Standing) -> None:
    listeners = Listeners([detector])
    for event in events(standing):
        handle = detector.handlers.get(type(event))
        if handle is not None and not listeners.of(event):
            assert not handle(event)


def test_strangers_of_whom_everybody_wants_to_hear_are_heard_of() -> None:
    found = [
        finding for event in events(Standing.STRANGER) for each in Listeners(ALL).of(event) for finding in each(event)
    ]
    assert {"fingerprint", "malformed", "dialplan", "spam"} <= {finding.detector for finding in found}


def test_a_method_that_nobody_knows_goes_to_those_who_want_all() -> None:
    event = asked(1, "INVITE", Standing.STRANGER)
    event.request.method = "BREW"
    known = {type(each.__self__).__module__ for each in Listeners(ALL).of(event)}  # type: ignore[attr-defined]
    assert "sipguard.detect.fingerprint" in known
    assert "sipguard.detect.dialplan" not in known
