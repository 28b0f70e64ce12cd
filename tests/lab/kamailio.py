"""Kamailio as a plain process in a namespace: registrar and proxy with digest authentication for a few accounts.

REGISTER is challenged with 401, everything else that makes a dialog with 407; calls between registered accounts are
relayed and stay on the route; OPTIONS to the PBX itself is answered 200. Its files lie in the world's directory.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.process import Running
from tests.lab.wait import until
from tests.lab.world import Host, World

REALM = "pbx.example"
ACCOUNTS: Mapping[str, str] = {str(number): f"Zw7-{number}-quiet" for number in range(1001, 1013)}
WEAK_ACCOUNT = "1099"
WEAK_PASSWORD = "1132"


@dataclass(frozen=True, slots=True)
class Settings:
    """How the PBX behaves. `bind_nonce`: a nonce is good from one source address only (auth_checks=8).

    `nonce_expire_seconds` is Kamailio's own default. With `unknown_is_404` an unknown user is told so at once, and can
    be told from a known one; without it all are challenged. `symmetric`: answers go to the port that was sent
    from, even without rport. `open_calls`: calls need no credential, from whomever they come. `gateway`: the address
    that is called for whatever is no account here, calls for help by `urn:service:sos` (RFC 5031) included.
    """

    accounts: Mapping[str, str] = field(default_factory=lambda: {**ACCOUNTS, WEAK_ACCOUNT: WEAK_PASSWORD})
    bind_nonce: bool = True
    nonce_expire_seconds: int = 300
    unknown_is_404: bool = False
    qop: bool = False
    nonce_count: bool = False
    one_time_nonce: bool = False
    udp_workers: int = 2
    symmetric: bool = True
    port: int = 5060
    open_calls: bool = False
    gateway: str = ""


_MODULES = (
    "tm", "tmx", "sl", "rr", "pv", "maxfwd", "textops", "siputils", "xlog", "kex", "usrloc", "registrar",
    "htable", "auth",
)  # fmt: skip

_ROUTES = r"""
request_route {
    if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
    SYMMETRY
    if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
    if (has_totag()) {
        if (loose_route()) { t_relay(); exit; }
        if (is_method("ACK")) { if (t_check_trans()) { t_relay(); } exit; }
        sl_send_reply("481", "Call Does Not Exist");
        exit;
    }
    if (is_method("ACK")) { exit; }
    t_check_trans();
    if (is_method("OPTIONS")) { sl_send_reply("200", "Keepalive"); exit; }
    if (is_method("REGISTER")) { route(REGISTRATION); exit; }
    route(CALL);
}

route[REGISTRATION] {
    UNKNOWN_REGISTRANT
    if (!pv_www_authenticate("REALM", "$sht(accounts=>$au)", "0")) {
        www_challenge("REALM", "QOP");
        exit;
    }
    if ($au != $tU) { sl_send_reply("403", "Forbidden"); exit; }
    save("location");
    exit;
}

route[CALL] {
    UNKNOWN_CALLEE
    CALLER
    GATEWAY
    if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
    record_route();
    if (!t_relay()) { sl_reply_error(); }
    exit;
}
"""

_CALLER = r"""if (!pv_proxy_authenticate("REALM", "$sht(accounts=>$au)", "0")) {
        proxy_challenge("REALM", "QOP");
        exit;
    }
    if ($au != $fU) { sl_send_reply("403", "Forbidden"); exit; }
    consume_credentials();"""

_GATEWAY = r"""if ($ru =~ "^urn:service:sos" || $sht(accounts=>$rU) == $null) {
        $du = "sip:ADDRESS:5060";
        record_route();
        if (!t_relay()) { sl_reply_error(); }
        exit;
    }"""

_UNKNOWN = 'if ($sht(accounts=>${user}) == $null) {{ sl_send_reply("404", "Not Found"); exit; }}'


def configuration(settings: Settings, addresses: tuple[str, ...]) -> str:
    """Return the text of a kamailio.cfg that needs no database and logs to standard error."""
    on_404 = settings.unknown_is_404
    routes = (
        _ROUTES.replace("UNKNOWN_REGISTRANT", _UNKNOWN.format(user="tU") if on_404 else "")
        .replace("UNKNOWN_CALLEE", _UNKNOWN.format(user="rU") if on_404 else "")
        .replace("CALLER\n", f"{'' if settings.open_calls else _CALLER}\n")
        .replace("GATEWAY\n", f"{_GATEWAY.replace('ADDRESS', settings.gateway) if settings.gateway else ''}\n")
        .replace("SYMMETRY", "force_rport();" if settings.symmetric else "")
        .replace("REALM", REALM)
        .replace("QOP", "1" if settings.qop else "0")
    )
    lines = [
        "#!KAMAILIO",
        "debug=1", "log_stderror=yes", "fork=yes", f"children={settings.udp_workers}", "tcp_children=2",
        "auto_aliases=no", "dns=no", "rev_dns=no", "disable_tls=yes", "enable_sctp=no",
        'user_agent_header="User-Agent: pbx"', 'server_header="Server: pbx"',
        *(f"listen={proto}:{_bracketed(address)}:{settings.port}" for proto in ("udp", "tcp") for address in addresses),
        *(f'loadmodule "{module}.so"' for module in _MODULES),
        'modparam("htable", "htable", "accounts=>size=6;")',
        f'modparam("auth", "nonce_expire", {settings.nonce_expire_seconds})',
        f'modparam("auth", "auth_checks_register", {8 if settings.bind_nonce else 0})',
        f'modparam("auth", "auth_checks_no_dlg", {8 if settings.bind_nonce else 0})',
        f'modparam("auth", "auth_checks_in_dlg", {8 if settings.bind_nonce else 0})',
        f'modparam("auth", "nonce_count", {int(settings.nonce_count)})',
        f'modparam("auth", "one_time_nonce", {int(settings.one_time_nonce)})',
        'modparam("registrar", "min_expires", 10)',
        'modparam("usrloc", "db_mode", 0)',
        routes,
        "event_route[htable:mod-init] {",
        *(f'    $sht(accounts=>{user}) = "{password}";' for user, password in settings.accounts.items()),
        "}",
        "",
    ]  # fmt: skip
    return "\n".join(lines)


class Kamailio:
    """One Kamailio; `restart` gives it a new secret, so that every nonce it gave out is unknown to it."""

    def __init__(self, host: Host, directory: Path, settings: Settings) -> None:
        self.settings = settings
        self._host = host
        self._directory = directory
        self._process: Running | None = None

    @property
    def log(self) -> str:
        """What it has logged since its last start."""
        return self._process.errors if self._process else ""

    def start(self) -> None:
        """Start it and return when it answers. Raises LabError when it does not within 10 s."""
        path = self._directory / "kamailio.cfg"
        path.write_text(configuration(self.settings, (self._host.v4, self._host.v6)))
        process = self._host.start(
            "kamailio", "-f", str(path), "-DD", "-E", "-m", "32", "-M", "8", "-Y", str(self._directory)
        )  # fmt: skip
        self._process = process
        until(lambda: self._answers() or not process.alive, "Kamailio answering OPTIONS")
        if not process.alive:
            raise LabError(f"Kamailio ended: {process.errors[-2000:]}")

    def stop(self) -> None:
        """End it; its registrations and nonces are gone."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def _answers(self) -> bool:
        """Ask over the PBX's own address; that goes by loopback, and is not in a recording of the bridge."""
        target = (self._host.v4, self.settings.port)
        with self._host.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.2)
            asking.connect(target)
            here = f"{self._host.v4}:{asking.getsockname()[1]}"
            with contextlib.suppress(OSError):
                asking.send(
                    f"OPTIONS sip:{target[0]} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKready;rport\r\n"
                    f"From: <sip:ready@{target[0]}>;tag=1\r\nTo: <sip:{target[0]}>\r\nCall-ID: ready\r\n"
                    "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n".encode()
                )
                return asking.recv(65535).startswith(b"SIP/2.0 200")
        return False


@contextlib.contextmanager
def kamailio(world: World, settings: Settings | None = None) -> Iterator[Kamailio]:
    """Yield a Kamailio that answers in the PBX's namespace. Raises LabError when it does not come up."""
    directory = world.directory / "kamailio"
    directory.mkdir(exist_ok=True)
    server = Kamailio(world.pbx, directory, settings or Settings())
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
