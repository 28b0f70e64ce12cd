"""What the fuzzer starts from: messages made here, and those of the corpus where there is one.

The list is the same in every run over the same corpus: files in order of their names, each message once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

MAX_SEED = 16_384

_METHODS = b"INVITE ACK BYE CANCEL OPTIONS REGISTER PRACK SUBSCRIBE NOTIFY PUBLISH INFO REFER MESSAGE UPDATE".split()
_SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n"
_DIGEST = (
    b'username="1001",realm="pbx.example.com",nonce="5f2b",uri="sip:pbx.example.com",'
    b'response="0123456789abcdef0123456789abcdef",algorithm=MD5,cnonce="c1",qop=auth,nc=00000001'
)

# A message in a frame of a capture, whatever carried it there.
_IN_A_FRAME = re.compile(
    rb"(?:[A-Z]{3,9} (?:sips?|tel):[^\r\n]{0,512} SIP/2\.0|SIP/2\.0 [1-6][0-9]{2} )[^\0]{20,16384}"
)


def _message(start: bytes, method: bytes, extra: tuple[bytes, ...], body: bytes) -> bytes:
    lines = (
        start,
        b"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-524287-1;rport",
        b'From: "Alice" <sip:1001@pbx.example.com;transport=udp>;tag=8a7b6c5d',
        b"To: <sip:1002@pbx.example.com>",
        b"Call-ID: ZTY4ZmFhN2Q1ODQ2@192.0.2.10",
        b"CSeq: 2 " + method,
        b"Max-Forwards: 70",
        b"Contact: <sip:1001@192.0.2.10:5060>;expires=3600",
        *extra,
        b"Content-Length: %d" % len(body),
    )
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def made() -> Iterator[bytes]:
    """Make messages of every method and many codes, with and without credentials, challenges and bodies."""
    for method in _METHODS:
        start = method + b" sip:1002@pbx.example.com SIP/2.0"
        body = _SDP if method == b"INVITE" else b""
        yield _message(start, method, (), body)
        yield _message(start, method, (b"Authorization: Digest " + _DIGEST,), body)
    challenge = b'Digest realm="pbx",nonce="n1",algorithm=SHA-256,qop="auth,auth-int",stale=TRUE'
    for code in (100, 180, 200, 401, 407, 486, 503):
        headers = (b"WWW-Authenticate: " + challenge + b", Basic realm=x", b"Warning: 399 pbx no", b"Retry-After: 5")
        yield _message(b"SIP/2.0 %d Reason" % code, b"INVITE", headers, _SDP)
    compact = _message(b"INVITE tel:+15550100;phone-context=x SIP/2.0", b"INVITE", (), _SDP)
    for long, short in ((b"Via", b"v"), (b"From", b"F"), (b"To", b"t"), (b"Call-ID", b"i"), (b"Content-Length", b"l")):
        compact = compact.replace(b"\n" + long + b":", b"\n" + short + b" : ")
    yield compact
    yield compact.replace(b"\r\n", b"\n")
    yield _message(b"SUBSCRIBE urn:service:sos SIP/2.0", b"SUBSCRIBE", (b"Event: reg",), b"").replace(b";", b"\r\n ;")
    yield from (
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),
    )


def of_corpus(corpus: Path) -> Iterator[bytes]:
    """Find the messages in the torture files and the captures; none where there is no corpus."""
    for path in sorted(corpus.rglob("*")):
        if path.suffix == ".dat":
            yield path.read_bytes()
        elif "pcap" in path.name and path.is_file():
            yield from (match[0] for match in _IN_A_FRAME.finditer(path.read_bytes()[: 8 * 2**20]))


def seeds(corpus: Path | None) -> list[bytes]:
    """Give all seeds, each once, cut to `MAX_SEED` bytes."""
    found = dict.fromkeys(made())
    if corpus is not None and corpus.is_dir():
        found.update(dict.fromkeys(seed[:MAX_SEED] for seed in of_corpus(corpus)))
    return list(found)
