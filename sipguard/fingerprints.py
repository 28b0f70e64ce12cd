"""What the tools of attackers look like on the wire: one table, data and no code.

Each `Sign` says where to look (`Where`), what stands there, and how sure that makes us of the tool, from 1 to 10. Signs
of one tool add up, so what others share too (a Call-ID of digits) may stand here with a low number. Nothing that honest
devices call themselves is listed as an agent, whatever tools hide behind it; only facts seen on the wire or in the
documentation of the tools belong here. `detect/fingerprint.py` reads the table, and the policy adds to it.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple


class Tool(StrEnum):
    """The tools, as findings and the policy call them."""

    SIPVICIOUS = "sipvicious"
    SUNDAYDDR = "sundayddr"
    SIPPTS = "sippts"
    SIPCLI = "sipcli"
    NMAP = "nmap"
    SMAP = "smap"
    SIVUS = "sivus"
    SIPSCAN = "sipscan"
    SIPARMYKNIFE = "siparmyknife"
    IWAR = "iwar"
    GULP = "gulp"
    BOTNET = "botnet"
    GUESSER = "guesser"  # whoever tries several passwords under one nonce
    SIPSAK = "sipsak"
    VAXSIP = "vaxsip"
    LISTED = "listed"  # by the policy


class Where(Enum):
    """What a sign is looked for in: header values as sent, unfolded and stripped, and what is made of them."""

    AGENT = "agent"  # User-Agent
    URI = "request URI"
    FROM = "From"
    TAG = "From tag"  # `detect/fingerprint.py` also reads what SIPVicious writes into it
    BRANCH = "branch"
    CALL_ID = "Call-ID"
    CSEQ = "CSeq"
    CONTACT = "Contact"
    ORDER = "order of headers"  # their names in full and in lower case, each once, with a blank between
    ORIGIN = "session's origin"  # the first word of the session description's o= line
    SESSION = "session's name"  # its s= line
    NONCE = "nonce"  # nothing to compare: `detect/fingerprint.py` counts what is sent under one


class Sign(NamedTuple):
    """One thing to be seen of a tool. `pattern` matches the value as a whole, whatever its case."""

    tool: Tool
    where: Where
    pattern: bytes
    certainty: int


_REST = rb".*+"

SIGNS: tuple[Sign, ...] = (
    # SIPVicious (svmap, svwar, svcrack) and what was made of it; its From tag is read by the detector.
    Sign(Tool.SIPVICIOUS, Where.AGENT, rb"friendly-(?:scanner|request)" + _REST, 10),
    Sign(Tool.SIPVICIOUS, Where.AGENT, rb"sipvicious" + _REST, 10),
    Sign(Tool.SIPVICIOUS, Where.FROM, rb'"?sipvicious"?\s*+<' + _REST, 10),
    Sign(Tool.SIPVICIOUS, Where.FROM, rb"[^<]*+<sip:100@1\.1\.1\.1[>:;]" + _REST, 8),
    Sign(Tool.SIPVICIOUS, Where.CONTACT, rb"<?sip:1(?:00|23)@1\.1\.1\.1\b" + _REST, 8),
    Sign(Tool.SIPVICIOUS, Where.TAG, rb"3206210844", 10),  # svcrack, before its first guess
    Sign(Tool.SIPVICIOUS, Where.SESSION, rb"svwar", 8),
    # Its headers as they come since it runs under Python 3, before that, and in its compact mode without an agent.
    Sign(
        Tool.SIPVICIOUS,
        Where.ORDER,
        rb"via max-forwards to from (?:user-agent )?call-id contact cseq accept content-length" + _REST,
        5,
    ),
    Sign(
        Tool.SIPVICIOUS,
        Where.ORDER,
        rb"via content-length from accept (?:user-agent )?to contact cseq call-id max-forwards" + _REST,
        5,
    ),
    Sign(
        Tool.SIPVICIOUS,
        Where.ORDER,
        rb"via to from call-id contact cseq max-forwards accept content-length" + _REST,
        5,
    ),
    Sign(Tool.SIPVICIOUS, Where.BRANCH, rb"z9hG4bK-[0-9]{5,10}", 2),
    Sign(Tool.SIPVICIOUS, Where.CALL_ID, rb"[0-9]{6,25}", 1),
    Sign(Tool.SIPVICIOUS, Where.CONTACT, rb"sip:[^<>;]++", 1),
    # The botnet of 2010 and its heirs, made of SIPVicious.
    Sign(Tool.SUNDAYDDR, Where.AGENT, rb"sunday(?:ddr|addr)" + _REST, 10),
    Sign(Tool.SUNDAYDDR, Where.FROM, rb'"?sipsscuser"?\s*+<' + _REST, 10),
    Sign(Tool.SUNDAYDDR, Where.BRANCH, rb"zqwehwebK-" + _REST, 10),
    # sippts: a branch of 71 characters and no cookie, whatever it calls itself.
    Sign(Tool.SIPPTS, Where.AGENT, rb"pplsip" + _REST, 10),
    Sign(Tool.SIPPTS, Where.AGENT, rb"sipptk" + _REST, 10),
    Sign(Tool.SIPPTS, Where.BRANCH, rb"(?!z9hG4bK)[0-9a-z]{71}", 8),
    Sign(Tool.SIPPTS, Where.SESSION, rb"sippts", 8),
    Sign(
        Tool.SIPPTS,
        Where.ORDER,
        rb"via from to contact call-id (?:(?:proxy-)?authorization )?cseq max-forwards user-agent allow" + _REST,
        4,
    ),
    # sipcli, a dialler for Windows that lives on stolen minutes.
    Sign(Tool.SIPCLI, Where.AGENT, rb"sipcli/" + _REST, 10),
    Sign(Tool.SIPCLI, Where.SESSION, rb"sipcli", 9),
    Sign(Tool.SIPCLI, Where.ORIGIN, rb"sipcli-session", 9),
    # nmap's probe for services, and those that copied it.
    Sign(Tool.NMAP, Where.URI, rb"sip:nm2?(?:@nm2?)?", 8),
    Sign(Tool.NMAP, Where.FROM, rb"[^<]*+<sip:nm(?:@nm)?>" + _REST, 8),
    Sign(Tool.NMAP, Where.AGENT, rb"nmap\b" + _REST, 10),
    Sign(Tool.NMAP, Where.CALL_ID, rb"50000", 3),
    Sign(Tool.NMAP, Where.CSEQ, rb"42 OPTIONS", 3),
    # Others, by what they call themselves.
    Sign(Tool.SMAP, Where.AGENT, rb"smap\b" + _REST, 9),
    Sign(Tool.SIVUS, Where.AGENT, rb"sivus\b" + _REST, 9),
    Sign(Tool.SIPSCAN, Where.AGENT, rb"sip-?scan" + _REST, 9),
    Sign(Tool.SIPARMYKNIFE, Where.AGENT, rb"siparmyknife\b" + _REST, 9),
    Sign(Tool.IWAR, Where.AGENT, rb"iwar\b" + _REST, 9),
    Sign(Tool.GULP, Where.AGENT, rb"gulp", 9),
    Sign(Tool.BOTNET, Where.FROM, rb'"?ccxllrlflgig"?\s*+<' + _REST, 9),
    # Tools and libraries that honest people use as well: not enough by themselves.
    Sign(Tool.SIPSAK, Where.AGENT, rb"sipsak" + _REST, 7),
    Sign(Tool.VAXSIP, Where.AGENT, rb"vax(?:sip|ip)useragent" + _REST, 6),
)
