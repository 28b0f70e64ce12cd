"""Asterisk as a plain process in the PBX's namespace: a back-to-back user agent between phones and two carriers.

It comes from a Debian of its own (`scripts/asterisk-root`), whose root it sees; its files lie in the world's directory.
Three extensions with passwords; the carriers are known by address, may challenge the PBX, and may call. What becomes of
a number stands in `_DIALPLAN`. The manager (AMI) listens on loopback only.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.lab.errors import LabError
from tests.lab.process import Running
from tests.lab.wait import until
from tests.lab.world import Host, HostPlan, World

PROJECT = Path(__file__).resolve().parents[2]
EXTENSIONS: Mapping[str, str] = {str(number): f"Yq4-{number}-river" for number in range(1001, 1004)}
CARRIER = HostPlan("carrier", "203.0.113.10", "2001:db8:c0:1::10", ("203.0.113.0/25", "2001:db8:c0::/48"))
STRANGER = HostPlan("attacker", "203.0.113.166", "2001:db8:66:1::66", ("203.0.113.128/25", "2001:db8:66::/48"))
FIRST_CARRIER = "203.0.113.10"
SECOND_CARRIER = "203.0.113.20"
CARRIERS_V6 = ("2001:db8:c0:1::10", "2001:db8:c0:1::20")
TRUNK_USER = "4420794600"
TRUNK_PASSWORD = "Hn8-trunk-amber"
MANAGER_PORT = 5038
MANAGER_USER = "guard"
MANAGER_SECRET = "Lk2-manager-slate"
LOCAL_NUMBER = "+44207946000"
"""The site's own numbers are this and one digit more: 1 to 3 ring 1001 to 1003, 8 and 9 are sent on abroad."""
FORWARD_TARGET = "+37120000001"

_MODULES = """
app_dial app_echo app_stack bridge_builtin_features bridge_holding bridge_native_rtp bridge_simple bridge_softmix
chan_pjsip codec_alaw codec_ulaw func_callerid func_channel func_logic func_pjsip_endpoint func_strings pbx_config
pbx_spool res_musiconhold res_pjproject res_pjsip res_pjsip_authenticator_digest res_pjsip_caller_id
res_pjsip_diversion res_pjsip_endpoint_identifier_ip res_pjsip_endpoint_identifier_user res_pjsip_header_funcs
res_pjsip_logger res_pjsip_nat res_pjsip_outbound_authenticator_digest res_pjsip_pubsub res_pjsip_refer
res_pjsip_registrar res_pjsip_rfc3326 res_pjsip_sdp_rtp res_pjsip_session res_rtp_asterisk res_security_log
res_sorcery_astdb res_sorcery_config res_sorcery_memory res_timing_timerfd
"""

_DIALPLAN = r"""
[internal]
exten => _100[1-3],1,Dial(PJSIP/${EXTEN},30)
exten => _112,1,Goto(out,${EXTEN},1)
exten => _999,1,Goto(out,${EXTEN},1)
exten => _911,1,Goto(out,${EXTEN},1)
exten => _000,1,Goto(out,${EXTEN},1)
exten => _9112,1,Goto(out,${EXTEN:1},1)
exten => _9911,1,Goto(out,${EXTEN:1},1)
exten => _9999,1,Goto(out,${EXTEN:1},1)
exten => _9000,1,Goto(out,${EXTEN:1},1)
exten => _112X.,1,Goto(out,${EXTEN},1)
exten => _9X.,1,Goto(number,${EXTEN:1},1)
exten => _0X.,1,Goto(number,${EXTEN},1)
exten => _+X.,1,Goto(number,${EXTEN},1)

[number]
exten => _00X.,1,Goto(out,+${EXTEN:2},1)
exten => _0Z.,1,Goto(out,+44${EXTEN:1},1)
exten => _+X.,1,Goto(out,${EXTEN},1)

[out]
exten => _[+0-9].,1,Dial(PJSIP/${EXTEN}@trunk1,60)
 same => n,GotoIf($["${DIALSTATUS}" = "CHANUNAVAIL" | "${DIALSTATUS}" = "CONGESTION"]?second)
 same => n,Hangup()
 same => n(second),Dial(PJSIP/${EXTEN}@trunk2,60)
 same => n,Hangup()

[from-trunk]
exten => _+44207946000[1-3],1,Dial(PJSIP/100${EXTEN:-1},30)
; sent on, saying by whom (Diversion)
exten => +442079460008,1,Set(REDIRECTING(from-num,i)=1003)
 same => n,Set(REDIRECTING(to-num,i)=FORWARD)
 same => n,Set(REDIRECTING(reason)=cfu)
 same => n,Goto(out,FORWARD,1)
; sent on without a word
exten => +442079460009,1,Goto(out,FORWARD,1)
"""


@dataclass(frozen=True, slots=True)
class AsteriskSettings:
    """How the PBX behaves. `identity` are the pjsip options by which a trunk is told who calls; `udp`: it listens.

    With `v6` it and its carriers speak IPv6 and nothing else.
    """

    extensions: Mapping[str, str] = field(default_factory=lambda: dict(EXTENSIONS))
    trunk_tcp: bool = False
    udp: bool = True
    v6: bool = False
    identity: Mapping[str, str] = field(default_factory=dict)


def asterisk_root() -> Path:
    """Give the Debian that Asterisk is run from, made now if need be; skips the test where that is impossible."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    try:
        done = subprocess.run(
            [PROJECT / "scripts" / "asterisk-root"], check=False, capture_output=True, text=True, timeout=1200
        )
    except subprocess.TimeoutExpired:
        pytest.skip("needs Asterisk, and scripts/asterisk-root did not end within 20 minutes")
    if done.returncode:
        pytest.skip(f"needs Asterisk, and scripts/asterisk-root could not fetch one: {done.stderr.strip()[-200:]}")
    return Path(done.stdout.strip())


def configuration(settings: AsteriskSettings, pbx: Host) -> dict[str, str]:
    """Return the files of its configuration directory, by name."""
    return {
        "asterisk.conf": _asterisk(),
        "modules.conf": _section("modules", ["autoload=no", *(f"load = {name}.so" for name in _MODULES.split())]),
        "logger.conf": _section("logfiles", ["console => notice,warning,error,verbose,security"]),
        "extensions.conf": _DIALPLAN.replace("FORWARD", FORWARD_TARGET),
        "pjsip.conf": "".join(_pjsip(settings, pbx)),
        "manager.conf": _section("general", ["enabled=yes", "bindaddr=127.0.0.1", f"port={MANAGER_PORT}"])
        + _section(MANAGER_USER, [f"secret={MANAGER_SECRET}", "read=all", "write=all", "permit=127.0.0.1/32"]),
        "rtp.conf": _section("general", ["rtpstart=20000", "rtpend=20200", "icesupport=no"]),
    }


def _section(name: str, lines: list[str]) -> str:
    return "\n".join([f"[{name}]", *lines, "", ""])


def _asterisk() -> str:
    directories = {"astetcdir": "etc", "astdbdir": "db", "astspooldir": "spool", "astrundir": "run", "astlogdir": "log"}
    return _section("directories", [f"{name} => /srv/lab/{place}" for name, place in directories.items()]) + _section(
        "options", ["verbose=3", "dumpcore=no", "hideconnect=yes"]
    )


def _pjsip(settings: AsteriskSettings, pbx: Host) -> Iterator[str]:
    for kind in ("udp", "tcp") if settings.udp else ("tcp",):
        where = f"[{pbx.v6}]" if settings.v6 else pbx.v4
        yield _section(kind, ["type=transport", f"protocol={kind}", f"bind={where}:5060"])
    common = ["type=endpoint", "disallow=all", "allow=alaw", "direct_media=no", "rtp_symmetric=no"]
    if settings.v6:
        common.append("rtp_ipv6=yes")
    for user, password in settings.extensions.items():
        yield _section(
            user, [*common, "context=internal", f"auth={user}", f"aors={user}", f"callerid=Desk {user} <{user}>"]
        )
        yield _section(user, ["type=auth", "auth_type=userpass", f"username={user}", f"password={password}"])
        yield _section(user, ["type=aor", "max_contacts=1", "remove_existing=yes"])
    yield _section(
        "carrier", ["type=auth", "auth_type=userpass", f"username={TRUNK_USER}", f"password={TRUNK_PASSWORD}"]
    )
    transport = "\\;transport=tcp" if settings.trunk_tcp else ""
    told = [f"{name}={value}" for name, value in settings.identity.items()]
    carriers = CARRIERS_V6 if settings.v6 else (FIRST_CARRIER, SECOND_CARRIER)
    for trunk, address in zip(("trunk1", "trunk2"), carriers, strict=True):
        way = f"transport={'tcp' if settings.trunk_tcp else 'udp'}"
        yield _section(trunk, [*common, *told, way, "context=from-trunk", "outbound_auth=carrier", f"aors={trunk}"])
        where = f"[{address}]" if settings.v6 else address
        yield _section(trunk, ["type=aor", f"contact=sip:{where}:5060{transport}"])
        yield _section(trunk, ["type=identify", f"endpoint={trunk}", f"match={address}"])


class Asterisk:
    """One Asterisk, on one of the PBX's addresses over UDP and TCP."""

    def __init__(self, host: Host, root: Path, directory: Path, settings: AsteriskSettings) -> None:
        self.settings = settings
        self._host = host
        self._root = root
        self._directory = directory
        self._process: Running | None = None

    @property
    def log(self) -> str:
        """What it has said since its last start."""
        return self._process.output + self._process.errors if self._process else ""

    def start(self) -> None:
        """Start it and return when it answers. Raises LabError when it ends, or does not within 30 s."""
        for name in ("etc", "db", "spool/outgoing", "spool/tmp", "run", "log"):
            (self._directory / name).mkdir(parents=True, exist_ok=True)
        for name, text in configuration(self.settings, self._host).items():
            (self._directory / "etc" / name).write_text(text)
        # `ip netns exec` has given it mounts of its own, which end with it
        script = (
            'mount --bind "$2" "$1/srv/lab" && mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev" &&'
            ' exec chroot "$1" /usr/sbin/asterisk -f -n -C /srv/lab/etc/asterisk.conf'
        )
        process = self._host.start("sh", "-c", script, "asterisk", str(self._root), str(self._directory))
        self._process = process
        until(lambda: "Asterisk Ready." in self.log or not process.alive, "Asterisk ready")
        if not process.alive:
            raise LabError(f"Asterisk ended: {self.log[-2000:]}")

    def stop(self) -> None:
        """End it; its registrations and calls are gone."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def manager(self, action: str, **fields: str) -> str:
        """Carry out one manager action, and return its answer. Raises LabError when it is refused."""
        with self._host.socket(socket.AF_INET, socket.SOCK_STREAM) as line:
            line.settimeout(10.0)
            line.connect(("127.0.0.1", MANAGER_PORT))
            self._say(line, "Login", Username=MANAGER_USER, Secret=MANAGER_SECRET, Events="off")
            return self._say(line, action, **fields)

    def command(self, text: str) -> str:
        """Carry out a console command, and return what it printed."""
        return "\n".join(re.findall(r"^Output: (.*?)\r?$", self.manager("Command", Command=text), re.MULTILINE))

    def call_file(self, name: str, lines: Mapping[str, str]) -> None:
        """Put a call file into its spool, complete at once."""
        fresh = self._directory / "spool" / "tmp" / name
        fresh.write_text("".join(f"{key}: {value}\n" for key, value in lines.items()))
        fresh.rename(self._directory / "spool" / "outgoing" / name)

    @property
    def channels(self) -> int:
        """How many channels it has: none between calls."""
        found = re.search(r"(\d+) active channels?", self.command("core show channels count"))
        return int(found.group(1)) if found else -1

    def hang_up_all(self) -> None:
        """End all its calls, the callers' side first: one whose carrier ends is sent to the next."""
        until(lambda: not self._hang_up("PJSIP/1"), "Asterisk without callers")
        until(lambda: not self._hang_up(""), "Asterisk without calls")

    def _hang_up(self, beginning: str) -> list[str]:
        listed = self.command("core show channels concise").splitlines()
        names = [line.partition("!")[0] for line in listed if "!" in line and line.startswith(beginning)]
        for name in names:
            self.command(f"channel request hangup {name}")
        return names

    def _say(self, line: socket.socket, action: str, **fields: str) -> str:
        asked = "".join(f"{key}: {value}\r\n" for key, value in {"Action": action, **fields}.items())
        line.sendall(f"{asked}\r\n".encode())
        heard = b""
        while b"\r\n\r\n" not in heard.partition(b"Response: ")[2]:
            more = line.recv(65536)
            if not more:
                raise LabError(f"the manager hung up after {action}")
            heard += more
        text = heard.decode(errors="replace").partition("Response: ")[2]
        if not text.startswith("Success"):
            raise LabError(f"the manager on {action}: {text.strip()}")
        return text


@contextlib.contextmanager
def asterisk(world: World, settings: AsteriskSettings | None = None) -> Iterator[Asterisk]:
    """Yield an Asterisk that answers in the PBX's namespace; skips the test where there is none to be had."""
    directory = world.directory / "asterisk"
    directory.mkdir(exist_ok=True)
    server = Asterisk(world.pbx, asterisk_root(), directory, settings or AsteriskSettings())
    server.start()
    try:
        yield server
    finally:
        server.stop()
