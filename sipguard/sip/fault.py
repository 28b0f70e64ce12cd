"""Every way in which a SIP message can be wrong, by name.

A fault is a value on a message, never an exception: the message is still read as far as a PBX would read it. Nothing is
parsed here. `BENIGN` tells the faults that honest devices are known to show from those that none should.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias


class Fault(StrEnum):
    """One thing that is not as RFC 3261 has it. The values are stable names, shown to operators."""

    # Not read as a message at all (only on `Unparsable`).
    NOT_SIP = "not-sip"  # nothing in it claims to be SIP: HTTP, SSDP, STUN, RTP, noise
    KEEPALIVE = "keepalive"  # at most 64 bytes of nothing but CR, LF, NUL and blanks (RFC 5626 section 3.5.1)

    # The start line (RFC 3261 section 7.1, 7.2).
    LEADING_CRLF = "leading-crlf"  # empty lines before the start line, which section 7.5 has receivers skip
    LEADING_JUNK = "leading-junk"  # blanks or NUL before the start line, which PBXs are known to skip
    BAD_START_LINE = "bad-start-line"  # claims to be SIP, but is neither a request line nor a status line
    START_LINE_SPACING = "start-line-spacing"  # more or less than one SP between or after its parts
    ODD_METHOD_CASE = "odd-method-case"  # a known method not in capitals; PBXs take `Invite` for INVITE
    BAD_VERSION = "bad-version"  # not SIP/2.0
    BAD_STATUS_CODE = "bad-status-code"  # not three digits between 100 and 699; `code` is then 0
    BAD_REQUEST_URI = "bad-request-uri"  # blanks, angle brackets, illegal characters, or unreadable
    REQUEST_URI_HEADERS = "request-uri-headers"  # `?name=value` in a Request-URI (section 19.1.1)

    # The shape of the head (section 7.3).
    NO_BLANK_LINE = "no-blank-line"  # the head is not ended; all there is was read as head
    BARE_LF = "bare-lf"  # a line that ends with LF alone
    BARE_CR = "bare-cr"  # a line that ends with CR alone
    FOLDED = "folded"  # a header continued on the next line
    SPACE_BEFORE_COLON = "space-before-colon"
    BAD_HEADER_LINE = "bad-header-line"  # a line without a colon or a name; it is skipped
    BAD_HEADER_NAME = "bad-header-name"  # a name that is no token
    NUL_BYTE = "nul-byte"  # a NUL in the head that is no quoted pair
    NOT_UTF8 = "not-utf8"  # the head is not UTF-8
    OVERLONG_LINE = "overlong-line"  # a line of more than 8,192 bytes
    OVERLONG_HEAD = "overlong-head"  # a head of more than 65,536 bytes; only these were read
    OVERLONG_MESSAGE = "overlong-message"  # more than 65,535 bytes in all
    TOO_MANY_HEADERS = "too-many-headers"  # more than 256; beyond, only what identifies and authenticates is read

    TOO_MANY_PARAMETERS = "too-many-parameters"  # more than 64 in a From, To, Via or Contact; the rest is unread
    TOO_MANY_ENTRIES = "too-many-entries"  # more than 128 in Via or Contact; the rest is unread

    # Headers that must be there (section 8.1.1), and only once (section 7.3.1).
    MISSING_VIA = "missing-via"
    MISSING_FROM = "missing-from"
    MISSING_TO = "missing-to"
    MISSING_CALL_ID = "missing-call-id"
    MISSING_CSEQ = "missing-cseq"
    MISSING_MAX_FORWARDS = "missing-max-forwards"  # as RFC 2543 had it
    DUPLICATE_FROM = "duplicate-from"
    DUPLICATE_TO = "duplicate-to"
    DUPLICATE_CALL_ID = "duplicate-call-id"
    DUPLICATE_CSEQ = "duplicate-cseq"
    DUPLICATE_CONTENT_LENGTH = "duplicate-content-length"
    DUPLICATE_HEADER = "duplicate-header"  # another header that allows one value only (Max-Forwards, Expires, ...)

    # What the headers say (section 20 and 25).
    BAD_VIA = "bad-via"
    NO_MAGIC_COOKIE = "no-magic-cookie"  # the topmost branch is missing or does not start with z9hG4bK (RFC 2543)
    EMPTY_BRANCH = "empty-branch"  # the topmost branch is the cookie and nothing else
    BAD_CSEQ = "bad-cseq"  # no number below 2^31 and a method
    CSEQ_METHOD_MISMATCH = "cseq-method-mismatch"  # CSeq names another method than the request line
    BAD_CALL_ID = "bad-call-id"  # blanks or other characters that a Call-ID may not have
    BAD_FROM = "bad-from"  # From is no address: quotes, brackets, display name, URI or parameters are wrong
    BAD_TO = "bad-to"
    BAD_CONTACT = "bad-contact"
    NO_FROM_TAG = "no-from-tag"  # as RFC 2543 had it
    DUPLICATE_PARAMETER = "duplicate-parameter"  # a From, To or topmost Via parameter given twice
    NUMBER_OUT_OF_RANGE = "number-out-of-range"  # Max-Forwards, Expires, Retry-After or Warning beyond what it may say
    BAD_DATE = "bad-date"  # not an RFC 1123 date in GMT (section 20.17)
    BAD_CREDENTIALS = "bad-credentials"  # Digest credentials without username, realm or uri

    # The body (section 18.3, 20.14).
    CONTENT_LENGTH_INVALID = "content-length-invalid"  # no number, or more than ten digits; all there is is body
    CONTENT_LENGTH_MISMATCH = "content-length-mismatch"  # fewer bytes than it says; what is there is body
    TRAILING_OCTETS = "trailing-octets"  # more bytes than it says; they are cut off

    @property
    def benign(self) -> bool:
        """Tell whether honest devices are known to show it, or the RFC bids receivers to bear it."""
        return self in BENIGN


Faults: TypeAlias = tuple[Fault, ...]

KEEPALIVE = (Fault.KEEPALIVE,)
"""The faults of what keeps a way through a NAT open, and is nothing else."""

BENIGN = frozenset(
    {
        Fault.KEEPALIVE,
        Fault.LEADING_CRLF,
        Fault.FOLDED,
        Fault.SPACE_BEFORE_COLON,
        Fault.NOT_UTF8,
        Fault.MISSING_MAX_FORWARDS,
        Fault.NO_MAGIC_COOKIE,
        Fault.NO_FROM_TAG,
        Fault.TRAILING_OCTETS,
    }
)
"""Faults that say nothing against their sender. Used for membership only, never iterated for a result."""
