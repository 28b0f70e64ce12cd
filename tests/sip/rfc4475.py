"""RFC 4475 as a table: `rfc4475.txt` has a line for each message, `MORE` has what fits no column.

The keys of `MORE` are the names in `READERS`, or "header NAME" and "headers NAME".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from sipguard.sip.message import Fault, SipMessage, SipRequest, SipResponse
from sipguard.sip.uri import Uri, address_of, parse_uri


class Row(NamedTuple):
    """What one message must read as, as it stands in the table."""

    name: str
    section: str
    syntax: str
    start: str
    uri: str
    vias: str
    cseq: str
    cseq_method: str
    from_tag: str
    to_tag: str
    body: str
    faults: frozenset[Fault]


def rows() -> list[Row]:
    """Read the table."""
    lines = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    split = [line.split() for line in lines if not line.startswith("#")]
    return [Row._make((*words[:11], frozenset(map(Fault, words[11:])))) for words in split]


def _address(name: str) -> Callable[[SipMessage], tuple[bytes, bytes, tuple[tuple[bytes, bytes], ...]]]:
    return lambda message: address_of(message.header(name) or b"")


def _contact_uri(message: SipMessage) -> Uri:
    uri = parse_uri(message.contacts[0].uri)
    assert uri is not None
    return uri


def _request_uri(message: SipMessage) -> Uri:
    assert isinstance(message, SipRequest)
    uri = parse_uri(message.uri)
    assert uri is not None
    return uri


def _reason(message: SipMessage) -> bytes:
    assert isinstance(message, SipResponse)
    return message.reason


def _request(message: SipMessage) -> SipRequest:
    assert isinstance(message, SipRequest)
    return message


READERS: Mapping[str, Callable[[SipMessage], object]] = {
    "body-end": lambda m: m.body[-24:],
    "body-start": lambda m: m.body[:45],
    "branches": lambda m: [via.branch for via in m.vias if via is not None],
    "call-id": lambda m: m.call_id,
    "contact.display": lambda m: _address("contact")(m)[0],
    "contact.expires": lambda m: m.contacts[0].expires,
    "contact.params": lambda m: _address("contact")(m)[2],
    "contact.uri-params": lambda m: _contact_uri(m).params,
    "contact.user": lambda m: _contact_uri(m).user,
    "contacts": lambda m: [contact.uri for contact in m.contacts],
    "content-length": lambda m: m.content_length,
    "cseq-method": lambda m: m.cseq_method,
    "expires": lambda m: m.expires,
    "from-tag": lambda m: m.from_tag,
    "from.display": lambda m: _address("from")(m)[0],
    "from.params": lambda m: _address("from")(m)[2],
    "from.uri": lambda m: _address("from")(m)[1],
    "from.user": lambda m: m.from_user,
    "media": lambda m: None if m.sdp is None else [(one.kind, one.port, one.address) for one in m.sdp.media],
    "method": lambda m: _request(m).method,
    "reason": _reason,
    "received": lambda m: None if m.via is None else m.via.received,
    "schemes": lambda m: [one.scheme for one in m.credentials],
    "sent-by": lambda m: [via.host for via in m.vias if via is not None],
    "to.display": lambda m: _address("to")(m)[0],
    "to.params": lambda m: _address("to")(m)[2],
    "to.uri": lambda m: _address("to")(m)[1],
    "to.user": lambda m: m.to_user,
    "top-host": lambda m: None if m.via is None else m.via.host,
    "transports": lambda m: [via.transport for via in m.vias if via is not None],
    "uri": lambda m: _request(m).uri,
    "uri.headers": lambda m: _request_uri(m).headers,
    "uri.host": lambda m: _request_uri(m).host,
    "uri.opaque": lambda m: _request_uri(m).opaque,
    "uri.params": lambda m: _request_uri(m).params,
    "uri.password": lambda m: _request_uri(m).password,
    "uri.scheme": lambda m: _request_uri(m).scheme,
    "uri.user": lambda m: _request_uri(m).user,
}


def read(message: SipMessage, what: str) -> object:
    """Ask a message for one thing that `MORE` names."""
    word, _, name = what.partition(" ")
    if word == "header":
        return message.header(name)
    if word == "headers":
        return message.headers(name)
    return READERS[what](message)


_INTERESTING = "!interesting-Method0123456789_*+`.%indeed'~"
_UNUSUAL = b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
_WEIRD = b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"

MORE: Mapping[str, Mapping[str, object]] = {
    "wsinv": {
        "from.display": b'J Rosenberg \\"',
        "from.uri": b"sip:jdrosen@example.com",
        "to.user": b"vivekg",
        "branches": [b"390skdjuw", b"z9hG4bK9ikj8", b"z9hG4bK30239"],
        "transports": ["UDP", "TCP", "UDP"],
        "sent-by": [b"192.0.2.2", b"spindle.example.com", b"192.168.255.111"],
        "header max-forwards": b"0068",
        "header subject": b"",
        "header newfangledheader": b"newfangled value continued newfangled value",
        "header unknownheaderwithunusualvalue": b";;,,;;,;",
        "header route": b"<sip:services.example.com;lr;unknownwith=value;unknown-no-value>",
        "contact.display": b'Quoted string ""',
        "contact.params": ((b"newparam", b"newvalue"), (b"secondparam", b""), (b"q", b"0.33")),
        "contacts": [b"sip:jdrosen@example.com"],
    },
    "intmeth": {
        "method": _INTERESTING,
        "cseq-method": _INTERESTING,
        "uri": b"sip:" + _UNUSUAL + b":" + _WEIRD + b"@example.com",
        "uri.user": _UNUSUAL,
        "uri.password": _WEIRD,
        "uri.host": b"example.com",
        "to.display": b"BEL:\x07 NUL:\x00 DEL:\x7f",
        "to.user": _UNUSUAL,
        "from.display": b"token1~` token2'+_ token3*%!.-",
        "from.params": ((b"fromparam''~+*_!.-%", "работающий".encode()), (b"tag", b"_token~1'+`*%!-.")),
        "call-id": b"intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{",
        "header extensionheader-!.%*+_`'~": "\ufeff大停電".encode(),
    },
    "esc01": {
        "uri.user": b"sips:user@example.com",
        "uri.host": b"example.net",
        "to.user": b"user",
        "from.user": b"I have spaces",
        "contact.user": b"caller",
        "contact.uri-params": ((b"lr", b""), (b"name", b"value%41")),
    },
    "escnull": {
        "to.user": b"null-\x00-null",
        "from.user": b"null-\x00-null",
        "contacts": [b"sip:%00@host5.example.com", b"sip:%00%00@host5.example.com"],
    },
    "esc02": {
        "to.display": b"%Z%45",
        "branches": [b"z9hG4bK209%fzsnel234"],
        "contacts": [b"sip:alias1@host1.example.com", b"sip:alias3@host3.example.com"],
        "header c%6fntact": b"<sip:alias2@host2.example.com>",
    },
    "lwsdisp": {"from.display": b"caller", "from.uri": b"sip:caller@example.com"},
    "longreq": {
        "from.user": b"amazinglylongcallername" * 5,
        "from-tag": b"12" + b"982" * 50 + b"424",
        "call-id": b"longreq.one" + b"really" * 20 + b"longcallid",
        "top-host": b"sip33.example.com",
    },
    "dblreq": {
        "call-id": b"dblreq.0ha0isndaksdj99sdfafnl3lk233412",
        "contacts": [b"sip:j.user@host.example.com"],
    },
    "semiuri": {"uri.user": b"user;par=u@example.net", "uri.host": b"example.com", "uri.params": ()},
    "transports": {"transports": ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]},
    "mpart01": {
        "call-id": b"3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..",
        "body-start": b"--7a9cbec02ceef655\r\nContent-Type: text/plain\r\n"[:45],
        "body-end": b"\r\n--7a9cbec02ceef655--\r\n",
        "sent-by": [b"127.0.0.1"],
    },
    "unreason": {"reason": "= 2**3 * 5**2 но сто девяносто девять - простое".encode()},
    "noreason": {"reason": b""},
    "badinv01": {"contacts": [b"sip:joe@example.org"]},
    "clerr": {"content-length": 9999},
    "ncl": {"content-length": None},
    "scalar02": {"expires": 2**32 - 1, "contact.expires": 2**32 - 1},
    "scalarlg": {"received": b"192.0.2.129"},
    "quotbal": {"to.uri": b"sip:j.user@example.com"},
    "ltgtruri": {"uri.user": b"user"},
    "lwsruri": {"uri": b"sip:user@example.com; lr", "uri.params": ((b"lr", b""),)},
    "escruri": {"uri.headers": b"Route=%3Csip:example.com%3E", "uri.host": b"example.com"},
    "badaspec": {"to.display": b"Watson, Thomas", "to.uri": b"sip:t.watson@example.org"},
    "baddn": {"from.display": b"Bell, Alexander", "from.uri": b"sip:a.g.bell@example.com"},
    "bigcode": {"reason": b"better not break the receiver"},
    "badbranch": {"branches": [b"z9hG4bK"]},
    "unkscm": {"uri.scheme": "nobodyknowsthisscheme", "uri.opaque": b"totallyopaquecontent"},
    "novelsc": {"uri.scheme": "soap.beep"},
    "unksm2": {
        "to.uri": b"isbn:2983792873",
        "from.uri": b"http://www.example.com",
        "contacts": [b"name:John_Smith"],
    },
    "bext01": {
        "header require": b"nothingSupportsThis, nothingSupportsThisEither",
        "header proxy-require": b"noProxiesSupportThis, norDoAnyProxiesSupportThis",
    },
    "invut": {"header content-type": b"application/unknownformat", "media": None},
    "regaut01": {"schemes": [b"nooneknowsthisscheme"]},
    "multi01": {"call-id": b"multi01.98asdh@192.0.2.1", "headers cseq": (b"5 INVITE", b"59 INVITE")},
    "mcl01": {"headers content-length": (b"13", b"5"), "body-start": b"There's no wa"},
    "bcast": {"sent-by": [b"192.0.2.198", b"255.255.255.255"]},
    "zeromf": {"header max-forwards": b"0"},
    "cparam01": {
        "contacts": [b"sip:+19725552222@gw1.example.net"],
        "contact.params": ((b"unknownparam", b""),),
        "contact.uri-params": (),
    },
    "cparam02": {
        "contacts": [b"sip:+19725552222@gw1.example.net;unknownparam"],
        "contact.params": (),
        "contact.uri-params": ((b"unknownparam", b""),),
    },
    "regescrt": {"contacts": [b"sip:user@example.com?Route=%3Csip:sip.example.com%3E"]},
    "sdp01": {
        "header accept": b"text/nobodyKnowsThis",
        "media": [(b"audio", 49217, b"192.0.2.5"), (b"video", 3227, b"192.0.2.5")],
    },
    "inv2543": {
        "from.user": b"+13035551111",
        "to.user": b"+16505552222",
        "to.params": ((b"user", b"phone"),),
        "header record-route": b"<sip:UserB@example.com;maddr=ss1.example.com>",
    },
}
