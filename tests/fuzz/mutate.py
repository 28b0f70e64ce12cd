"""Ways to spoil a message. Each takes a random source, the message and another one, and gives a new one.

What an attacker would try is here too: a header said twice, a length that lies, a number without end, names and methods
in odd spellings. Results are at most `MAX_LENGTH` bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeAlias

MAX_LENGTH = 70_000

Mutation: TypeAlias = Callable[[Random, bytes, bytes], bytes]

_TOKENS = (
    b"\r\n", b"\n", b"\r", b"\0", b"\r\n\r\n", b"\r\n ", b" ", b"\t", b"\\", b'"', b"<", b">", b";", b",", b"=", b":",
    b"@", b"%", b"%00", b"?", b"[", b"]", b"*", b"\xff", b"\xc3\xa9", b"SIP/2.0", b"sip:", b";tag=", b";branch=",
    b"Digest ", b'=""', b"-1", b"0", b"4294967296", b"9" * 5000, b"\r\nl: 3\r\n", b"\r\nl : 0\r\n", b"\r\ni:\r\n",
    b"\r\nAuthorization: Digest username=x,", b"\r\nContent-Length: 99999999999\r\n", b"\r\n\r\nBYE sip:x SIP/2.0\r\n",
)  # fmt: skip


def flip(random: Random, data: bytes, _: bytes) -> bytes:
    """Change one bit in up to eight bytes."""
    spoiled = bytearray(data)
    for _flip in range(random.randint(1, 8)):
        if spoiled:
            spoiled[random.randrange(len(spoiled))] ^= 1 << random.randrange(8)
    return bytes(spoiled)


def insert(random: Random, data: bytes, _: bytes) -> bytes:
    """Put something that means something somewhere."""
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice(_TOKENS) + data[at:]


def prepend(random: Random, data: bytes, _: bytes) -> bytes:
    """Put something before the start line."""
    return random.choice(_TOKENS) * random.randint(1, 3) + data


def truncate(random: Random, data: bytes, _: bytes) -> bytes:
    """Cut the end off."""
    return data[: random.randrange(len(data) + 1)]


def remove(random: Random, data: bytes, _: bytes) -> bytes:
    """Cut a piece out."""
    at = random.randrange(len(data) + 1)
    return data[:at] + data[at + random.randint(1, 40) :]


def splice(random: Random, data: bytes, other: bytes) -> bytes:
    """Go on in another message."""
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


def follow(_: Random, data: bytes, other: bytes) -> bytes:
    """Put another message behind."""
    return data + other


def duplicate_line(random: Random, data: bytes, _: bytes) -> bytes:
    """Say a line again, somewhere."""
    lines = data.split(b"\r\n")
    lines.insert(random.randrange(len(lines) + 1), random.choice(lines))
    return b"\r\n".join(lines)


def steal_line(random: Random, data: bytes, other: bytes) -> bytes:
    """Take a line of another message in."""
    lines = data.split(b"\r\n")
    lines.insert(random.randrange(len(lines) + 1), random.choice(other.split(b"\r\n")))
    return b"\r\n".join(lines)


def swap_case(random: Random, data: bytes, _: bytes) -> bytes:
    """Turn capitals small and small ones capital in a stretch."""
    at = random.randrange(len(data) + 1)
    end = at + random.randint(1, 60)
    return data[:at] + data[at:end].swapcase() + data[end:]


def line_ends(random: Random, data: bytes, _: bytes) -> bytes:
    """End some or all lines another way."""
    return data.replace(b"\r\n", random.choice((b"\n", b"\r", b"\r\n ", b"\n\r", b"\0\r\n")), random.choice((1, 3, -1)))


def lie(random: Random, data: bytes, _: bytes) -> bytes:
    """Announce another length."""
    length = random.choice((b"0", b"1", b"-5", b"65537", b"00000000012", b"9" * 30, b"x", b"", b"12, 12"))
    name, found, rest = data.partition(b"Content-Length:")
    return name + found + b" " + length + rest[rest.find(b"\r") :] if found else data


def blow_up(random: Random, data: bytes, _: bytes) -> bytes:
    """Say a short piece very often: what is not linear shows here."""
    at = random.randrange(len(data) + 1)
    end = at + random.randint(1, 24)
    return data[:at] + data[at:end] * random.randint(100, 3000) + data[end:]


COMMON: tuple[Mutation, ...] = (
    flip, flip, insert, insert, insert, prepend, truncate, remove, splice, follow, duplicate_line, steal_line,
    swap_case, line_ends, lie,
)  # fmt: skip


def mutate(random: Random, seeds: list[bytes]) -> bytes:
    """Make one spoiled message: one to four mutations of a seed; one in a hundred is blown up."""
    data = random.choice(seeds)
    for _ in range(random.choice((1, 1, 2, 2, 3, 4))):
        data = random.choice(COMMON)(random, data, random.choice(seeds))
    if random.random() < 0.01:
        data = blow_up(random, data, b"")
    return data[:MAX_LENGTH]
