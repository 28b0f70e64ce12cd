"""Text of a policy to values and back: durations, sizes, networks, host names.

Every reader takes a text and gives a value or raises `UnfitError`, whose words say what is wanted and never repeat
what was written: problems may be shown to more people than the policy. Nothing here knows of keys or lines.
"""

from __future__ import annotations

import ipaddress
import re

from sipguard.address import Network, parse_network
from sipguard.model import DAY, HOUR, MILLISECOND, MINUTE, SECOND, Span


class UnfitError(ValueError):
    """A value cannot be used: `what` is wrong, `hint` how to put it right, `at` the path below the value's own key."""

    def __init__(self, what: str, hint: str = "", at: tuple[str | int, ...] = ()) -> None:
        self.what = what
        self.hint = hint
        self.at = at
        super().__init__(what)


# --- Durations --------------------------------------------------------------------------------------------------------

UNITS: tuple[tuple[str, str, Span], ...] = (
    ("d", "day", DAY),
    ("h", "hour", HOUR),
    ("m", "minute", MINUTE),
    ("s", "second", SECOND),
    ("ms", "millisecond", MILLISECOND),
)
_ONE_EACH = "".join(rf"([0-9]{{1,9}}{short})?" for short, _, _ in UNITS)
DURATION_PATTERN = rf"(?=[0-9]){_ONE_EACH}"
DURATION_WANTED = 'a duration like "10m", "1h30m", "90s" or "7d"'
_DURATION = re.compile(DURATION_PATTERN)


def parse_duration(text: str) -> Span:
    """Read `1h30m`: whole numbers of d, h, m, s, ms, the larger first, each once. Raises UnfitError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise UnfitError(f"is not {DURATION_WANTED}", "whole numbers with d, h, m, s or ms, the larger unit first")
    parts = zip(match.groups(), UNITS, strict=True)
    return sum(int(part.removesuffix(short)) * span for part, (short, _, span) in parts if part)


def write_duration(span: Span) -> str:
    """Write a whole number of milliseconds as `parse_duration` reads it; what is below a millisecond is cut off."""
    parts, rest = _split(span)
    return "".join(f"{count}{short}" for count, short, _ in parts) or f"{rest // MILLISECOND}ms"


def say_duration(span: Span) -> str:
    """Say a length of time in words: `1 hour 30 minutes`."""
    parts, _ = _split(span)
    return " ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, _, word in parts) or "no time"


def _split(span: Span) -> tuple[list[tuple[int, str, str]], Span]:
    parts = []
    for short, word, size in UNITS:
        count, span = divmod(span, size)
        if count:
            parts.append((count, short, word))
    return parts, span


# --- Sizes ------------------------------------------------------------------------------------------------------------

_SIZES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
SIZE_PATTERN = r"[0-9]{1,12}(B|KiB|MiB|GiB)"
SIZE_WANTED = 'a size like "64KiB" or "32MiB"'
_SIZE = re.compile(SIZE_PATTERN)


def parse_size(text: str) -> int:
    """Read `64KiB` as bytes; units are B, KiB, MiB, GiB, in just this writing. Raises UnfitError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UnfitError(f"is not {SIZE_WANTED}", "a whole number with B, KiB, MiB or GiB")
    unit = match.group(1)
    return int(text.removesuffix(unit)) * _SIZES[unit]


def write_size(size: int) -> str:
    """Write bytes in the largest unit that gives a whole number."""
    unit = next(unit for unit in ("GiB", "MiB", "KiB", "B") if size % _SIZES[unit] == 0 and (size or unit == "B"))
    return f"{size // _SIZES[unit]}{unit}"


# --- Money -----------------------------------------------------------------------------------------------------------

MONEY_PATTERN = r"[0-9]{1,9}(\.[0-9]{1,6})?"
MONEY_WANTED = 'money like 50 or "0.35"'
_MONEY = re.compile(MONEY_PATTERN)
_MICROS = 1_000_000


def parse_money(text: str) -> int:
    """Read `0.35` as millionths: a point for the fraction, of at most six digits. Raises UnfitError."""
    if _MONEY.fullmatch(text) is None:
        raise UnfitError(
            f"is not {MONEY_WANTED}", "a point for the fraction, at most six digits behind it, no currency"
        )
    whole, _, fraction = text.partition(".")
    return int(whole) * _MICROS + int(fraction.ljust(6, "0"))


def write_money(micros: int) -> str:
    """Write millionths as `parse_money` reads them, with no more digits than needed."""
    whole, fraction = divmod(micros, _MICROS)
    return f"{whole}.{fraction:06}".rstrip("0").rstrip(".") if fraction else str(whole)


# --- Networks and host names ------------------------------------------------------------------------------------------

NETWORK_WANTED = 'a network or an address, like "192.0.2.0/24", "192.0.2.7" or "2001:db8::/32"'
NETWORK_PATTERN = r"([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)(/[0-9]{1,3})?"
_NETWORK = re.compile(NETWORK_PATTERN)


def parse_cidr(text: str) -> Network:
    """Read a network in CIDR form (RFC 4632 3.1, RFC 4291 2.3). Raises UnfitError, also for bits behind it."""
    if _NETWORK.fullmatch(text) is None:
        raise UnfitError(f"is not {NETWORK_WANTED}", _why_no_network(text))
    try:
        return parse_network(text)
    except ValueError:
        return _complain_of(text)


def _complain_of(text: str) -> Network:
    try:
        right = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise UnfitError(f"is not {NETWORK_WANTED}", _why_no_network(text)) from None
    raise UnfitError("has bits set behind its prefix", f'the network is "{right}", the address alone has no "/"')


def _why_no_network(text: str) -> str:
    if re.fullmatch(r"[0-9.]+/[0-9]+(\.[0-9]+){3}", text):
        return 'write the length of the prefix instead of a mask, like "/24"'
    if re.fullmatch(r"([0-9.]+|\[[0-9A-Fa-f:.]+\]):[0-9]+", text):
        return "an address without a port"
    if "%" in text:
        return "an address without an interface"
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9}){3}(/[0-9]+)?", text):
        return "four numbers up to 255 without leading zeros, a prefix up to 32"
    return ""


# RFC 1123 section 2.1 for labels, RFC 2782 for a service's two leading ones; two labels at least, the last no number.
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_SERVICE = r"_[A-Za-z0-9]([A-Za-z0-9-]{0,13}[A-Za-z0-9])?"
NAME_PATTERN = rf"({_SERVICE}\.{_SERVICE}\.)?({_LABEL}\.)+(?![0-9]+\.?$){_LABEL}\.?"
NAME_WANTED = 'a host name like "sip.example.net"'
_NAME = re.compile(NAME_PATTERN)
_LONGEST_NAME = 253  # RFC 1035 section 2.3.4: 255 octets on the wire


def parse_name(text: str) -> str:
    """Read a full host name, or a service's (`_sip._udp.example.net`), lower case, no last dot. Raises UnfitError."""
    name = text.removesuffix(".").lower()
    if _NAME.fullmatch(text) is None or len(name) > _LONGEST_NAME:
        raise UnfitError(f"is not {NAME_WANTED}", _why_no_name(text))
    return name


def _why_no_name(text: str) -> str:
    if not text.isascii():
        return 'write a name with letters beyond a to z in its "xn--" form'
    if "//" in text or text.startswith(("sip:", "sips:")):
        return "the name alone, without a scheme"
    if re.fullmatch(r"[^:]+:[0-9]+", text):
        return "the name alone, without a port"
    if "." not in text:
        return "the full name, with its domain"
    return ""


PLACE_WANTED = 'a network, an address or a host name, like "192.0.2.0/24" or "office.example.net"'
PLACE_PATTERN = f"({NETWORK_PATTERN}|{NAME_PATTERN})"


def parse_place(text: str) -> Network | str:
    """Read a network where it looks like one, else a host name. Raises UnfitError."""
    if re.fullmatch(r"[0-9.]+(/.*)?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(/.*)?", text) or _why_no_network(text):
        return parse_cidr(text)
    try:
        return parse_name(text)
    except UnfitError as unfit:
        raise UnfitError(f"is not {PLACE_WANTED}", unfit.hint) from None
