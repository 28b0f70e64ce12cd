"""Attackers' tools: a stranger's request is written as only a known tool of attackers writes.

What it sees
    Requests of strangers, compared with a table of signs (`sipguard/fingerprints.py`): what the tool calls itself, and
    how it writes, whatever it calls itself: SIPVicious's order of headers (both generations, and the compact one
    without an agent), its decimal Call-ID and its From tag, which is decoded into the target, the extension or the fact
    that a guess stands in it; svcrack's fixed tag; sippts's branch; sipcli's session description; nmap's probe. Signs
    of one tool add up; from `certainty` on they make a finding, at the first request. Several passwords under one nonce
    count as such a sign, too. Whether the guess in a tag was right is said when the PBX answers it with 200.

Why it matters
    Scanners that come once an hour from many addresses stay below every counter; one packet is all there is to see.

Known false alarms
    None known with the default `certainty`. Agents that honest devices bear as well (FPBX, Asterisk PBX, Zoiper,
    eyeBeam, CSipSimple) are not in the table; sipsak and the VaxVoIP library are, but not enough by themselves. An
    auditor whom you have asked to look at your PBX is found; list his address under `allowed`.

Ways around it
    Another agent, other tags and another order of headers: whoever rewrites the tool is seen by what he does only. Who
    scans over UDP proves no address, so he is throttled, not banned. Where a device is registered nobody is looked at.

Options
    enabled, certainty, agents, ignored, sources, then

References
    The tools' own sources and public captures of them; RFC 3261 sections 20.41 (User-Agent) and 19.3 (tags).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Any, ClassVar, TypeAlias

from sipguard.address import sender_key, show, subject_of
from sipguard.constraint import Between, Count, Described, Matching
from sipguard.event import Answered, Asked, Event, Standing
from sipguard.fingerprints import SIGNS, Sign, Tool, Where
from sipguard.model import Account, Consequence, Finding
from sipguard.sip.message import SipRequest
from sipguard.table import Table, neighbourhood

NAME = "fingerprint"
_NOTHING: tuple[Finding, ...] = ()
_STRANGER = Standing.STRANGER
_SHOWN = 64
_CERTAIN = 10
_REUSED = 8
"""Different answers to one nonce that make a sign: more than a person sends who mistypes a password in one second."""

_REMEMBERED = 500
_SHORT = 400
"""Values of agents and of orders of headers whose signs are remembered, and the longest that are, in bytes."""

# createTag of SIPVicious: the hexadecimal form of what it is about, a byte 1, and a random number in decimal.
_TAG = re.compile(rb"((?:[2-9a-f][0-9a-f])+)01(?:3[0-9]){5,10}")
_WRITTEN = Sign(Tool.SIPVICIOUS, Where.TAG, b"", _CERTAIN)
_REUSE = Sign(Tool.GUESSER, Where.NONCE, b"", 8)
_TARGET = re.compile(rb"([0-9a-f]{8})([0-9a-f]{1,4})")

Agent = Annotated[str, Matching(r"[!-~]([ -~]{0,62}[!-~])?", "1 to 64 printable ASCII characters")]
Evidence: TypeAlias = tuple[tuple[str, str | int], ...]
_Read: TypeAlias = Callable[[SipRequest], "bytes | None"]


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.fingerprint]`."""

    enabled: Annotated[bool, Described("Whether attackers' tools are recognised by how they write")] = True
    certainty: Annotated[
        int, Between(1, 10), Described("How sure, of 10, the signs must be; below 8 honest tools are found as well")
    ] = 8
    agents: Annotated[
        tuple[Agent, ...], Count(0, 1000), Described("Beginnings of User-Agent that are attackers' here, in any case")
    ] = ()
    ignored: Annotated[tuple[Tool, ...], Count(0, 100), Described("Tools of the table that are not looked for")] = ()
    sources: Annotated[int, Between(100, 1_000_000), Described("The most guesses and nonces remembered at once")] = (
        10_000
    )
    then: Annotated[Consequence, Described("What becomes of a source that is found")] = Consequence.BLOCK


class _Reused:
    """The nonce that a source answered last, as a hash with what else goes into the answer, and how often it varied."""

    __slots__ = ("answer", "answers", "mark")

    def __init__(self, mark: bytes, answer: bytes) -> None:
        self.mark = mark
        self.answer = answer
        self.answers = 1


class Detector:
    """Compares; remembers only which requests carried a guess in their tag, and the nonces that were answered."""

    __slots__ = (
        "_agents",
        "_beside",
        "_config",
        "_groups",
        "_guesses",
        "_orders",
        "_reused",
        "_sessions",
        "_tags",
        "handlers",
    )

    strangers: ClassVar = frozenset({Asked})

    def __init__(self, config: Config) -> None:
        self._config = config
        signs = [*(sign for sign in SIGNS if sign.tool not in config.ignored), *_listed(config.agents)]
        alone, beside = _apart(signs, config.certainty)
        self._agents = _remembering(_groups([sign for sign in alone if sign.where is Where.AGENT]))
        self._orders = _remembering(_groups([sign for sign in alone if sign.where is Where.ORDER]))
        elsewhere = {Where.AGENT, Where.ORDER} | _IN_BODIES
        self._groups = _groups([sign for sign in alone if sign.where not in elsewhere])
        self._sessions = _groups([sign for sign in alone if sign.where in _IN_BODIES])
        self._beside = _groups(beside)
        self._tags = Tool.SIPVICIOUS not in config.ignored
        self._guesses: Table[tuple[bytes, bytes, int, bytes], tuple[Account, bool]] = Table(
            config.sources, config.sources // 8
        )
        self._reused: Table[bytes, _Reused] = Table(config.sources, config.sources // 8, neighbourhood)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            Asked: self._asked,
            Answered: self._answered,
        }

    def _asked(self, event: Asked) -> Sequence[Finding]:
        if event.standing is not _STRANGER or event.repeated:
            return _NOTHING
        request = event.request
        seen = self._signs(request)
        told: Evidence = ()
        if self._tags:
            found = _TAG.fullmatch(request.from_tag)
            if found is not None:
                seen.append(_WRITTEN)
                told = self._told(event, bytes.fromhex(found[1].decode("ascii")))
        if request.credentials and self._is_reused(event):
            seen.append(_REUSE)
        if not seen:
            return _NOTHING
        _compare(request, self._beside, seen)
        seen.sort(key=_place)
        return self._weighed(event, seen, told)

    def _signs(self, request: SipRequest) -> list[Sign]:
        seen: list[Sign] = [*self._agents(request.header("user-agent") or b""), *self._orders(request.order)]
        _compare(request, self._groups, seen)
        if request.body_present:
            _compare(request, self._sessions, seen)
        return seen

    def _weighed(self, event: Asked, seen: list[Sign], told: Evidence) -> Sequence[Finding]:
        sure: dict[Tool, int] = {}
        for sign in seen:
            sure[sign.tool] = sure.get(sign.tool, 0) + sign.certainty
        tool = max(sure, key=lambda each: sure[each])
        if sure[tool] < self._config.certainty:
            return _NOTHING
        return (self._finding(event, tool, min(sure[tool], _CERTAIN), seen, told),)

    def _finding(self, event: Asked, tool: Tool, certainty: int, seen: list[Sign], told: Evidence) -> Finding:
        by = ", ".join(dict.fromkeys(sign.where.value for sign in seen if sign.tool is tool))
        evidence: Evidence = (
            ("tool", str(tool)),
            ("known_by", by),
            ("method", event.request.method),
            ("transport", str(event.transport)),
            ("agent", _text(event.request.header("user-agent") or b"")),
            *told,
        )
        return Finding(event.at, NAME, subject_of(event.source), str(tool), certainty, event.shown, evidence)

    # --- Guesses ------------------------------------------------------------------------------------------------------

    def _told(self, event: Asked, data: bytes) -> Evidence:
        """Say what stands in a From tag of SIPVicious, but for a guess: of that only that there was one."""
        request = event.request
        user, colon, _ = data.partition(b":")
        if user and b":%b@" % user in (request.header("from") or b""):
            if not colon:
                return (("extension", _text(user)),)
            credentials = request.credentials
            if credentials:
                key = (sender_key(event.source), request.call_id, request.cseq, request.branch)
                account = Account(_text(user), _text(credentials[0].realm))
                self._guesses.put(key, (account, event.shown), event.source)
            return (("extension", _text(user)), ("guess", "one was in it"))
        target = _TARGET.fullmatch(data)
        if target is None:
            return ()
        return (("target", f"{show(bytes.fromhex(target[1].decode('ascii')))}:{int(target[2], 16)}"),)

    def _answered(self, event: Answered) -> Sequence[Finding]:
        if not len(self._guesses):
            return _NOTHING
        response = event.response
        if not 200 <= response.code < 300 or response.cseq_method != "REGISTER":
            return _NOTHING
        key = (sender_key(event.source), response.call_id, response.cseq, response.branch)
        known = self._guesses.pop(key)
        if known is None:
            return _NOTHING
        account, shown = known
        evidence: Evidence = (("tool", str(Tool.SIPVICIOUS)), ("account", str(account)), ("guess", "it was right"))
        return (
            Finding(event.at, NAME, subject_of(event.source), "right guess", _CERTAIN, shown, evidence, (account,)),
        )

    def _is_reused(self, event: Asked) -> bool:
        """Tell whether a source answers one nonce in several ways, which takes several passwords.

        Without a cnonce the answer follows from nonce, user, password, method and URI (RFC 7616 section 3.4.1).
        """
        sent = event.request.credentials[0]
        if sent.cnonce or not sent.response:
            return False
        what = (sent.nonce, sent.username, sent.realm, sent.uri, event.request.method.encode("latin-1"))
        mark = blake2b(b"\0".join(what), digest_size=12).digest()
        answer = blake2b(sent.response, digest_size=12).digest()
        key = sender_key(event.source)
        known = self._reused.get(key)
        if known is None:
            self._reused.put(key, _Reused(mark, answer), event.source)
            return False
        if known.mark != mark:
            known.mark, known.answer, known.answers = mark, answer, 1
        elif known.answer != answer:
            known.answer = answer
            known.answers += 1
        return known.answers >= _REUSED

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {
            "fingerprint_guesses": len(self._guesses),
            "fingerprint_guesses_evicted": self._guesses.evicted,
            "fingerprint_nonces": len(self._reused),
            "fingerprint_nonces_evicted": self._reused.evicted,
        }


# --- The table, made ready --------------------------------------------------------------------------------------------

_Fits: TypeAlias = Callable[[bytes], "re.Match[bytes] | None"]
_Group: TypeAlias = tuple[_Read, _Fits, tuple[tuple[Sign, _Fits], ...]]


def _listed(agents: Iterable[str]) -> list[Sign]:
    """Make signs of the agents that the policy lists."""
    return [Sign(Tool.LISTED, Where.AGENT, re.escape(each.encode("ascii")) + b".*+", _CERTAIN) for each in agents]


def _apart(signs: Sequence[Sign], certainty: int) -> tuple[list[Sign], list[Sign]]:
    """Set apart the weakest signs of each tool, which are too few for a finding among themselves.

    They are looked for only where another sign was seen, whosever: honest messages cost that much less.
    """
    alone: list[Sign] = []
    beside: list[Sign] = []
    weak: dict[Tool, int] = {}
    for sign in sorted(signs, key=lambda each: each.certainty):
        if sign.where not in (Where.AGENT, Where.ORDER) and weak.get(sign.tool, 0) + sign.certainty < certainty:
            weak[sign.tool] = weak.get(sign.tool, 0) + sign.certainty
            beside.append(sign)
        else:
            alone.append(sign)
    return alone, beside


def _compare(request: SipRequest, groups: Sequence[_Group], seen: list[Sign]) -> None:
    """Add what is seen of the groups' signs."""
    for read, pattern, signs in groups:
        value = read(request)
        if value and pattern(value):
            seen += [sign for sign, fits in signs if fits(value)]


_Seen: TypeAlias = tuple[Sign, ...]


def _remembering(groups: Sequence[_Group]) -> Callable[[bytes], _Seen]:
    """Make a look-up for the signs of one place that remembers the latest values: devices say the same each time.

    What is too long to be kept is compared each time; so is whatever comes when the memory is full of other things.
    """
    signs = [each for _, _, here in groups for each in here]

    def compare(value: bytes) -> _Seen:
        return tuple([sign for sign, fits in signs if fits(value)])

    remembered = lru_cache(maxsize=_REMEMBERED)(compare)
    return lambda value: remembered(value) if len(value) <= _SHORT else compare(value)


def _groups(signs: Sequence[Sign]) -> tuple[_Group, ...]:
    """Join the signs of each place, so that what is none of them costs one comparison."""
    made: list[_Group] = []
    for where, read in _READ.items():
        here = [sign for sign in signs if sign.where is where]
        if here:
            each = tuple((sign, _compiled(sign.pattern)) for sign in here)
            made.append((read, _compiled(b"|".join(b"(?:%b)" % sign.pattern for sign in here)), each))
    return tuple(made)


def _compiled(pattern: bytes) -> _Fits:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL).fullmatch


def _session_line(kind: bytes) -> _Read:
    """Make a reader for the first line of that kind; no header begins so, so the body need not be found."""
    mark = b"\n" + kind + b"="

    def read(request: SipRequest) -> bytes | None:
        raw = request.raw
        start = raw.find(mark)
        if start < 0:
            return None
        end = raw.find(b"\n", start + 3)
        line = raw[start + 3 : end if end >= 0 else len(raw)].strip()
        return line if kind == b"s" else line.partition(b" ")[0]

    return read


_READ: Mapping[Where, _Read] = {
    Where.AGENT: lambda request: request.header("user-agent"),
    Where.URI: lambda request: request.uri,
    Where.FROM: lambda request: request.header("from"),
    Where.TAG: lambda request: request.from_tag,
    Where.BRANCH: lambda request: request.branch,
    Where.CALL_ID: lambda request: request.call_id,
    Where.CSEQ: lambda request: request.header("cseq"),
    Where.CONTACT: lambda request: request.header("contact"),
    Where.ORDER: lambda request: request.order,
    Where.ORIGIN: _session_line(b"o"),
    Where.SESSION: _session_line(b"s"),
}


_IN_BODIES = frozenset({Where.ORIGIN, Where.SESSION})
_PLACES = {where: place for place, where in enumerate(_READ)}


def _place(sign: Sign) -> int:
    """Put signs in the order of their places, and what has no pattern last."""
    return _PLACES[sign.where] if sign.pattern else len(_PLACES)


def _text(data: bytes) -> str:
    return data[:_SHOWN].decode("utf-8", "backslashreplace")
