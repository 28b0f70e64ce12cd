"""SIP messages as sent, with their faults, and the look-ups in them. `parser.parse` makes them.

What a message costs is what is asked of it: a look-up is made when it is first asked for, and kept. Every look-up is
total: what is missing or unreadable is None, b"", -1 or (). Header names are asked for in lower case and in full
("call-id"), whatever was sent. Nobody writes to a message but itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from itertools import islice

from sipguard.sip.check import faults_of
from sipguard.sip.digest import Challenge, Credentials, parse_challenges, parse_credentials
from sipguard.sip.fault import BENIGN, Fault, Faults
from sipguard.sip.fields import Contact, Via, read_branch, read_contacts, read_cseq, read_tag, read_via
from sipguard.sip.grammar import HEADER_NAMES, MAX_ENTRIES, METHODS, USUAL_NAMES, number, split_list
from sipguard.sip.head import Sorted, read_carefully, sort_plainly, sort_usual
from sipguard.sip.sdp import Sdp, parse_sdp
from sipguard.sip.uri import user_in, user_of

__all__ = ["BENIGN", "MAX_CREDENTIALS", "Fault", "SipMessage", "SipRequest", "SipResponse", "Unparsable"]

MAX_CREDENTIALS = 32
"""Credentials, and challenges, that are read of one message."""

_UNSORTED = (None, None)
_FOLDING = b" \t"
_usual_name = USUAL_NAMES.get
_CREDENTIALED = frozenset({b"Authorization", b"Proxy-Authorization"})


class Unparsable:
    """Bytes that are no SIP message: `Fault.BAD_START_LINE` in its faults tells malformed SIP from what is not SIP."""

    __slots__ = ("faults", "raw")

    def __init__(self, raw: bytes, faults: Faults) -> None:
        self.raw = raw
        self.faults = faults


class SipMessage:
    """What requests and responses share. Without `headers` given, they are sorted when the first of them is asked for.

    That changes nothing but when the work is done: what the careful way would make of the start line is known to be
    the same (`parser.py`).
    """

    __slots__ = (
        "_body_at",
        "_branch",
        "_call_id",
        "_challenges",
        "_credentials",
        "_cseq",
        "_faults",
        "_first",
        "_from_tag",
        "_more",
        "_noted",
        "_to_tag",
        "_to_user",
        "_usual",
        "raw",
    )

    raw: bytes
    _usual: dict[bytes, bytes] | None
    _first: dict[str, bytes] | None
    _more: dict[str, list[bytes]] | None
    _call_id: bytes | None
    _cseq: tuple[int, str] | None
    _branch: bytes | None
    _from_tag: bytes | None
    _to_tag: bytes | None
    _to_user: bytes | None
    _faults: Faults | None
    _credentials: tuple[Credentials, ...] | None
    _challenges: tuple[Challenge, ...] | None

    def __init__(self, raw: bytes, body_at: int, headers: Sorted | None = None, noted: Faults = ()) -> None:
        self.raw = raw
        self._body_at = body_at
        self._usual = None
        self._first, self._more = headers or _UNSORTED
        self._noted = noted
        self._call_id = self._cseq = self._branch = self._from_tag = self._to_tag = self._to_user = None
        self._faults = self._credentials = self._challenges = None

    def _headers(self) -> dict[str, bytes]:
        """Give the first value of each header."""
        if self._first is None:
            usual = self._usual
            if usual is None:
                usual = self._sort()
            if usual is not None:
                self._first = {HEADER_NAMES[name]: value for name, value in usual.items()}
        return self._first or {}

    def _be_sorted(self) -> None:
        """Find out what the careful way finds, where it is needed: the end of the head, and faults."""
        if self._first is None and self._usual is None:
            self._sort()

    def _sort(self) -> dict[bytes, bytes] | None:
        """Sort the head: gives the headers where all are usual ones, else they stand in `_first` and `_more`."""
        raw = self.raw
        lines = raw[raw.find(b"\r\n") + 2 : self._body_at - 2].splitlines()
        usual = self._usual = sort_usual(lines)
        if usual is not None:
            return usual
        headers = sort_plainly(lines)
        if headers is None:
            head = read_carefully(raw)
            headers = head.first, head.more
            self._body_at = head.body_at
            self._noted = tuple(head.noted)
        self._first, self._more = headers
        return None

    def _value(self, name: str) -> bytes | None:
        """Give the first value of a header as it stands."""
        usual = self._usual
        if usual is None:
            first = self._first
            if first is not None:
                return first.get(name)
            usual = self._sort()
            if usual is None:
                return self._headers().get(name)
        sent = _usual_name(name)
        return None if sent is None else usual.get(sent)

    def header(self, name: str) -> bytes | None:
        """Give the first value of a header that is not empty, unfolded and stripped; None when it is not there."""
        value = self._value(name)
        return None if value is None else value.strip()

    def headers(self, name: str) -> Sequence[bytes]:
        """Give all values of a header in order, one for each line it stands on; lists with commas are not split."""
        value = self._value(name)
        if value is None:
            return ()
        if self._more is None or name not in self._more:
            return (value.strip(),)
        return (value.strip(), *[another.strip() for another in self._more[name]])

    def names(self) -> Sequence[str]:
        """Give the names of the headers that are there, each once, in the order of their first lines."""
        return tuple(self._headers())

    @property
    def order(self) -> bytes:
        """What `names` gives, as one text, with a space between each two."""
        self._be_sorted()
        usual = self._usual
        return " ".join(self.names()).encode("latin-1", "replace") if usual is None else b" ".join(usual).lower()

    def repeats(self) -> Sequence[str]:
        """Give the names of the headers that stand on more than one line, each once."""
        self._be_sorted()
        return () if self._more is None else tuple(self._more)

    def has(self, names: AbstractSet[str]) -> bool:
        """Tell whether every one of these headers is there."""
        return names <= self._headers().keys()

    @property
    def head(self) -> bytes:
        """Everything before the body, as sent, the empty line included."""
        self._be_sorted()
        return self.raw[: self._body_at]

    @property
    def body(self) -> bytes:
        """The body: as many bytes as Content-Length says, all there are when there are fewer or it says nothing."""
        length = self.content_length
        return self.raw[self._body_at :] if length is None else self.raw[self._body_at : self._body_at + length]

    @property
    def body_present(self) -> int:
        """Bytes that follow the head, whatever Content-Length says."""
        self._be_sorted()
        return len(self.raw) - self._body_at

    @property
    def content_length(self) -> int | None:
        """The first Content-Length, None when it is missing or no number of at most ten digits."""
        value = self.header("content-length")
        return int(value) if value is not None and len(value) <= 10 and value.isdigit() else None

    @property
    def call_id(self) -> bytes:
        """The first Call-ID, b"" when there is none."""
        call_id = self._call_id
        if call_id is None:
            usual = self._usual
            value = self._value("call-id") if usual is None else usual.get(b"Call-ID")
            call_id = self._call_id = b"" if value is None else value.strip()
        return call_id

    @property
    def cseq(self) -> int:
        """The CSeq number, 0 to 2^32 - 1 (beyond 2^31 - 1 with a fault), -1 when unreadable."""
        both = self._cseq
        if both is None:
            both = self._cseq = read_cseq(self._value("cseq") or b"")
        return both[0]

    @property
    def cseq_method(self) -> str:
        """The method in CSeq, a known one in capitals, "" when unreadable."""
        both = self._cseq
        if both is None:
            both = self._cseq = read_cseq(self._value("cseq") or b"")
        return both[1]

    def plain_method(self) -> str:
        """Read the method in CSeq, without sorting the head where the first mention of CSeq is plainly its header."""
        if self._first is None and self._usual is None:
            raw = self.raw
            at = raw.find(b"\r\nCSeq: ")
            end = raw.find(b"\r\n", at + 8)
            digits, _, sent = raw[at + 8 : end].partition(b" ")
            method = METHODS.get(sent) if 0 < at < self._body_at and digits.isdigit() and len(digits) < 10 else None
            if method is not None and raw[end + 2] not in _FOLDING and raw[:at].lower().find(b"cseq") < 0:
                self._cseq = int(digits), method
                return method
        return self.cseq_method

    @property
    def branch(self) -> bytes:
        """The branch of the topmost Via."""
        branch = self._branch
        if branch is None:
            usual = self._usual
            value = self._value("via") if usual is None else usual.get(b"Via")
            branch = self._branch = b"" if value is None else read_branch(value)
        return branch

    @property
    def from_tag(self) -> bytes:
        """The tag in From."""
        tag = self._from_tag
        if tag is None:
            usual = self._usual
            value = self._value("from") if usual is None else usual.get(b"From")
            tag = self._from_tag = b"" if value is None else read_tag(value)
        return tag

    @property
    def to_tag(self) -> bytes:
        """The tag in To."""
        tag = self._to_tag
        if tag is None:
            usual = self._usual
            value = self._value("to") if usual is None else usual.get(b"To")
            tag = self._to_tag = b"" if value is None else read_tag(value)
        return tag

    @property
    def from_user(self) -> bytes:
        """The user in From's URI, unescaped; for tel: the number."""
        return self._user("from")

    @property
    def to_user(self) -> bytes:
        """The user in To's URI, unescaped; for tel: the number."""
        user = self._to_user
        if user is None:
            user = self._to_user = self._user("to")
        return user

    def _user(self, name: str) -> bytes:
        return user_in(self._value(name) or b"")

    @property
    def via(self) -> Via | None:
        """The topmost Via, None when missing or unreadable."""
        entries = split_list(self._value("via") or b"")
        return read_via(entries[0]) if entries else None

    @property
    def vias(self) -> tuple[Via | None, ...]:
        """Vias from the top, lists split, None in the place of an unreadable one; at most `MAX_ENTRIES`."""
        entries = (entry for value in self.headers("via") for entry in split_list(value))
        return tuple(map(read_via, islice(entries, MAX_ENTRIES)))

    @property
    def credentials(self) -> tuple[Credentials, ...]:
        """Credentials in Authorization, then in Proxy-Authorization, in order; at most `MAX_CREDENTIALS`."""
        found = self._credentials
        if found is None:
            found = ()
            self._be_sorted()
            if self._usual is None or not _CREDENTIALED.isdisjoint(self._usual):
                values = (*self.headers("authorization"), *self.headers("proxy-authorization"))[:MAX_CREDENTIALS]
                found = tuple([one for value in values for one in parse_credentials(value)])[:MAX_CREDENTIALS]
            self._credentials = found
        return found

    @property
    def challenges(self) -> tuple[Challenge, ...]:
        """Challenges in WWW-Authenticate, then in Proxy-Authenticate, in order; at most `MAX_CREDENTIALS`."""
        found = self._challenges
        if found is None:
            values = (*self.headers("www-authenticate"), *self.headers("proxy-authenticate"))[:MAX_CREDENTIALS]
            if len(values) == 1:
                sets = parse_challenges(values[0])
            else:
                sets = tuple([one for value in values for one in parse_challenges(value)])
            found = self._challenges = sets[:MAX_CREDENTIALS]
        return found

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """Contacts in order; at most `MAX_ENTRIES`."""
        found = (contact for value in self.headers("contact") for contact in read_contacts(value))
        return tuple(islice(found, MAX_ENTRIES))

    @property
    def expires(self) -> int | None:
        """The Expires header in seconds, clipped at 2^32 - 1; None when missing or no number."""
        return number(self._value("expires") or b"")

    @property
    def sdp(self) -> Sdp | None:
        """The session description in the body, alone or as a part of a multipart one; None when there is none."""
        body = self.body
        start = 0 if body.startswith(b"v=0") else body.find(b"\nv=0") + 1
        if not start and not body.startswith(b"v=0"):
            return None
        end = body.find(b"\n--", start)
        return parse_sdp(body[start:] if end < 0 else body[start:end])

    def _kind(self) -> tuple[str, bytes]:
        return "", b""

    @property
    def faults(self) -> Faults:
        """Everything that is wrong with the message, in a fixed order, each once. Costs several times a parse."""
        found = self._faults
        if found is None:
            method, uri = self._kind()
            found = self._faults = faults_of(self, self.noted, method, uri)
        return found

    @property
    def noted(self) -> Faults:
        """The faults met in parsing: of the start line and the shape of headers. A part of `faults`, at little cost."""
        self._be_sorted()
        return self._noted


class SipRequest(SipMessage):
    """A request. `method` is what a PBX takes it for (`Invite` is INVITE), `uri` stands as sent."""

    __slots__ = ("_uri_user", "method", "uri")

    _uri_user: bytes | None

    def __init__(
        self, raw: bytes, method: str, uri: bytes, body_at: int, headers: Sorted | None = None, noted: Faults = ()
    ) -> None:
        SipMessage.__init__(self, raw, body_at, headers, noted)
        self.method = method
        self.uri = uri
        self._uri_user = None

    @property
    def uri_user(self) -> bytes:
        """Whom the request URI names: see `uri.user_of`."""
        user = self._uri_user
        if user is None:
            user = self._uri_user = user_of(self.uri)
        return user

    def _kind(self) -> tuple[str, bytes]:
        return self.method, self.uri


class SipResponse(SipMessage):
    """A response. `code` is 100 to 699, 0 when it is none; `reason` stands as sent."""

    __slots__ = ("code", "reason")

    def __init__(
        self, raw: bytes, code: int, reason: bytes, body_at: int, headers: Sorted | None = None, noted: Faults = ()
    ) -> None:
        SipMessage.__init__(self, raw, body_at, headers, noted)
        self.code = code
        self.reason = reason
