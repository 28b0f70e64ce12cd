"""The adapters' part of the policy: where files lie, how much the tap may buffer, how often names are looked up.

Plain frozen data. Adapters never see these classes, they are handed the values; nothing here changes a decision.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, TypeAlias

from sipguard.constraint import Between, ByteSize, Described, DurationBetween, Matching, PortNumber
from sipguard.model import DAY, MINUTE, SECOND, Span

KIB = 1024
MIB = 1024 * KIB

AbsolutePath: TypeAlias = Annotated[str, Matching(r"/[^\x00-\x1f\x7f]{1,1000}", "an absolute path")]
# sun_path holds 108 bytes with its closing NUL (unix(7)).
SocketPath: TypeAlias = Annotated[str, Matching(r"/[\x21-\x7e]{1,106}", "an absolute path of at most 107 characters")]
# useradd(8): what Debian accepts without --badname.
GroupName: TypeAlias = Annotated[str, Matching(r"[a-z_][a-z0-9_-]{0,31}", "the name of a group")]


NO_FILE = "none"
FilePath: TypeAlias = Annotated[str, Matching(r"(none|/[^\x00-\x1f\x7f]{1,1000})", '"none" or an absolute path')]


# systemd.exec(5): what LoadCredential= calls a credential is a file's name.
SecretPlace: TypeAlias = Annotated[
    str,
    Matching(
        r"(none|/[^\x00-\x1f\x7f]{1,1000}|credential:[A-Za-z0-9_][A-Za-z0-9_.-]{0,100})",
        '"none", an absolute path, or "credential:" and the name of a credential of systemd\'s',
    ),
]
HostName: TypeAlias = Annotated[str, Matching(r"[A-Za-z0-9._:-]{1,253}", "an address or a host name")]
UserName: TypeAlias = Annotated[str, Matching(r"[A-Za-z0-9_.@-]{1,100}", "the name of a user")]


class LogLevel(StrEnum):
    """From which severity on the log gets a line."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How a line of the log looks."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Store:
    """Settings of `[store]`."""

    path: Annotated[AbsolutePath, Described("The database of bans, offences and trust.")] = (
        "/var/lib/sipguard/sipguard.db"
    )


@dataclass(frozen=True, slots=True)
class Control:
    """Settings of `[control]`."""

    socket: Annotated[SocketPath, Described("Where the commands reach the running guard.")] = (
        "/run/sipguard/control.sock"
    )
    group: Annotated[GroupName, Described("The group whose members may give orders without being root.")] = "sipguard"


@dataclass(frozen=True, slots=True)
class Tap:
    """Settings of `[tap]`."""

    group: Annotated[
        int,
        Between(1, 65535),
        Described("The kernel's NFLOG group that packets are read from; change it when another program has it."),
    ] = 5060
    buffer: Annotated[
        int,
        ByteSize(256 * KIB, 1024 * MIB),
        Described("How much the kernel holds for the guard during a burst, before packets go unseen (never unsent)."),
    ] = 32 * MIB


@dataclass(frozen=True, slots=True)
class Names:
    """Settings of `[names]`."""

    refresh: Annotated[
        Span,
        DurationBetween(10 * SECOND, DAY),
        Described("How often host names are looked up again; the last good answer is kept when that fails."),
    ] = 5 * MINUTE


@dataclass(frozen=True, slots=True)
class Geoip:
    """Settings of `[geoip]`; the files are read when the guard starts and when it reads its policy again."""

    country: Annotated[FilePath, Described("A maxminddb file that says the country of an address.")] = NO_FILE
    asn: Annotated[FilePath, Described("One that says its autonomous system; it may be the same file.")] = NO_FILE

    @property
    def files(self) -> tuple[str, ...]:
        """Give the files, each once."""
        return tuple(dict.fromkeys(file for file in (self.country, self.asn) if file != NO_FILE))


@dataclass(frozen=True, slots=True)
class Log:
    """Settings of `[log]`."""

    level: Annotated[LogLevel, Described("From which severity on the log gets a line.")] = LogLevel.INFO
    format: Annotated[LogFormat, Described("Text for people, JSON lines for programs.")] = LogFormat.TEXT


@dataclass(frozen=True, slots=True)
class Ami:
    """Settings of `[ami]`; used where `secret` is not "none"."""

    host: Annotated[HostName, Described("Where Asterisk's manager interface listens.")] = "127.0.0.1"
    port: Annotated[PortNumber, Described("Its port.")] = 5038
    user: Annotated[UserName, Described('A manager with "read = call" and "write = call" (manager.conf).')] = "sipguard"
    secret: Annotated[SecretPlace, Described("The file that holds its secret; proven, never sent.")] = NO_FILE

    @property
    def used(self) -> bool:
        """Tell whether calls may be hung up by it."""
        return self.secret != NO_FILE


@dataclass(frozen=True, slots=True)
class Esl:
    """Settings of `[esl]`; used where `secret` is not "none"."""

    host: Annotated[HostName, Described("Where FreeSWITCH's event socket listens.")] = "127.0.0.1"
    port: Annotated[PortNumber, Described("Its port.")] = 8021
    user: Annotated[UserName, Described('A user of its directory, like "guard@example.com", or "none".')] = NO_FILE
    secret: Annotated[
        SecretPlace, Described("The file that holds its password, which is sent: keep the socket on this host.")
    ] = NO_FILE

    @property
    def login(self) -> str:
        """Give the user, empty for none."""
        return "" if self.user == NO_FILE else self.user

    @property
    def used(self) -> bool:
        """Tell whether calls may be hung up by it."""
        return self.secret != NO_FILE


@dataclass(frozen=True, slots=True)
class Shell:
    """All that the adapters are told; each field is a table of the policy."""

    store: Store = field(default_factory=Store)
    control: Control = field(default_factory=Control)
    tap: Tap = field(default_factory=Tap)
    names: Names = field(default_factory=Names)
    geoip: Geoip = field(default_factory=Geoip)
    ami: Ami = field(default_factory=Ami)
    esl: Esl = field(default_factory=Esl)
    log: Log = field(default_factory=Log)

    @property
    def managed(self) -> bool:
        """Tell whether the PBX itself can be asked to hang up."""
        return self.ami.used or self.esl.used
