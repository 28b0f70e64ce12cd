"""The section on the ban: from the deciding packet, the PBX's last 401, to the first packet that the kernel drops.

The guard is the real one, `sipguard run` in the PBX's namespace. Attacker and PBX are two sockets in this process, so
that one clock times both; the attacker sends on, a packet each 0.1 ms or so, leaving the processor to others between
them, and what the PBX's socket still got tells which packet was the first to be dropped.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from pathlib import Path

from sipguard.address import show
from sipguard.control import client
from tests.bench import memory
from tests.bench.outcome import Section, percentile
from tests.lab.errors import LabError
from tests.lab.wait import until
from tests.lab.world import ATTACKER, BRIDGE, World, world
from tests.live.guard import Guard

_FAILURES = 5
_PATIENCE_SECONDS = 60.0  # a machine that is worth a bench may be busy
_PAUSE_SECONDS = 0.003
_GAP_SECONDS = 0.000_05  # between his packets once he is found out; the system makes some 0.1 ms of it
_TRIAL_SECONDS = 0.2  # about what one takes
_CALMING = 24
_FLOOD = 5_000  # packets a second of another stranger
_GIVE_UP_NS = 500_000_000
_HEAD = (
    "REGISTER sip:pbx.example.net SIP/2.0\r\nVia: SIP/2.0/UDP {ip}:5060;branch=z9hG4bK{number}a{ip};rport\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:1001@pbx.example.net>;tag=t{number}\r\nTo: <sip:1001@pbx.example.net>\r\n"
    "Call-ID: call-{ip}\r\nCSeq: {number} REGISTER\r\nContact: <sip:1001@{ip}:5060>\r\n"
    "User-Agent: a phone\r\n{more}Content-Length: 0\r\n\r\n"
)
_CREDENTIAL = (
    'Authorization: Digest username="1001", realm="pbx", nonce="{nonce}", uri="sip:pbx.example.net", '
    'response="{number:032x}", algorithm=MD5\r\n'
)
_ANSWER = (
    "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP {ip}:5060;branch=z9hG4bK{number}a{ip};rport=5060\r\n"
    "From: <sip:1001@pbx.example.net>;tag=t{number}\r\nTo: <sip:1001@pbx.example.net>;tag=p{number}\r\n"
    "Call-ID: call-{ip}\r\nCSeq: {number} REGISTER\r\nServer: pbx\r\n"
    'WWW-Authenticate: Digest realm="pbx", nonce="{nonce}", algorithm=MD5\r\nContent-Length: 0\r\n\r\n'
)


def ban_section(trials: int, spoofed: int) -> Section:
    """Have so many guessers banned, on a quiet line and beside a flood; then, with `spoofed`, forge so many sources."""
    section = Section("ban", "From the deciding packet to the kernel dropping the next one", ("what", "value"))
    with world((ATTACKER,)) as made:
        directory = made.directory / "guard"
        directory.mkdir()
        guard = Guard(made.pbx, directory, more="[neighbours]\nenabled = false\n")  # all guessers are of one /24
        guard.launch()
        until(lambda: _ready(guard), "the guard answering", seconds=_PATIENCE_SECONDS)
        idle = _resident(guard.process.pid)
        with (
            made.pbx.socket(socket.AF_INET, socket.SOCK_DGRAM) as pbx,
            made.pbx.socket(socket.AF_INET, socket.SOCK_DGRAM) as unread,
        ):
            unread.bind((made.pbx.v4, 5061))
            pbx.bind((made.pbx.v4, 5060))
            pbx.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            quiet = [_trial(made, pbx, f"203.0.113.{number}", calm=True) for number in range(1, trials + 1)]
            _say_delays(section, "quiet", quiet)
            count = str(int(_FLOOD * (trials + 5) * _TRIAL_SECONDS))
            other = made.attacker.start(
                sys.executable, "-m", "tests.bench.sender", made.pbx.v4, "5061", str(_FLOOD), count
            )
            until(lambda: _flooded(guard), "the flood being read", seconds=_PATIENCE_SECONDS)
            busy = [_trial(made, pbx, f"203.0.113.{100 + number}", calm=False) for number in range(1, trials + 1)]
            other.stop()
            _say_delays(section, f"beside {_FLOOD:,} packets/s", busy)
        section.rows.append(("packet process, RSS idle", f"{idle / 1e6:.1f} MB"))
        section.data["idle_bytes"] = idle
        if spoofed:
            _flood(made, guard, section, spoofed)
        guard.stop()
    section.notes.append("of a flooding stranger the rules copy 1,000 packets/s to the tap, until he is throttled")
    section.notes.append("the guesser sends on from the deciding packet, some ten packets a millisecond")
    return section


def _ready(guard: Guard) -> bool:
    if not guard.process.alive:
        raise LabError(f"the guard ended: {guard.process.output}{guard.process.errors}")
    try:
        return bool(guard.packet.get("pid") == guard.process.pid)
    except client.NotRunningError:
        return False


def _flooded(guard: Guard) -> bool:
    return int(guard.packet["counters"]["frames"]) > _FLOOD // 100  # then it is found, and throttled


def _say_delays(section: Section, line: str, results: list[tuple[int, int] | None]) -> None:
    cut = [result for result in results if result is not None]
    delays, passed = [delay for delay, _ in cut], [count for _, count in cut]
    data: dict[str, int] = {"trials": len(results), "banned": len(cut)}
    section.data[line] = data
    section.rows.append((f"{line}: guessers banned", f"{len(cut)} of {len(results)}"))
    if not cut:
        return
    for name, share in (("median", 0.5), ("90th percentile", 0.9), ("slowest", 1.0)):
        value = percentile(delays, share)
        section.rows.append((f"{line}: to the first dropped packet, {name}", f"{value / 1000:,.0f} µs"))
        data[f"{name.replace(' ', '_')}_ns"] = value
    section.rows.append((f"{line}: his packets that passed meanwhile, median", f"{percentile(passed, 0.5)}"))


def _trial(made: World, pbx: socket.socket, address: str, *, calm: bool) -> tuple[int, int] | None:
    """Guess until the fifth failure, then send on; gives nanoseconds to the first dropped packet, and what passed."""
    with made.attacker.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
        attacker.bind((address, 5060))
        attacker.connect((made.pbx.v4, 5060))
        pbx.settimeout(2)
        for _ in range(_CALMING if calm else 0):  # until the tap wakes up for each packet again
            attacker.send(b"\r\n\r\n")
            pbx.recv(65535)
            time.sleep(_PAUSE_SECONDS)
        nonce = f"nonce-of-{address}-{time.monotonic_ns():x}"
        decided = 0
        for number in range(_FAILURES + 1):
            more = _CREDENTIAL.format(nonce=nonce, number=number) if number else ""
            attacker.send(_HEAD.format(ip=address, number=number, more=more).encode())
            pbx.recv(65535)
            answer = _ANSWER.format(ip=address, number=number, nonce=nonce).encode()
            time.sleep(_PAUSE_SECONDS)  # as if the PBX thought about it; the tap has been read
            decided = time.monotonic_ns()
            pbx.sendto(answer, (address, 5060))
        return _first_dropped(attacker, pbx, decided)


def _first_dropped(attacker: socket.socket, pbx: socket.socket, decided: int) -> tuple[int, int] | None:
    """Send numbered packets until the PBX's socket gets none of the last ones."""
    times: list[int] = []
    pbx.setblocking(False)
    got = -1
    while time.monotonic_ns() - decided < _GIVE_UP_NS:
        for _ in range(4):
            times.append(time.monotonic_ns())
            attacker.send(b"OPTIONS sip:%d SIP/2.0\r\n\r\n" % (len(times) - 1))
            time.sleep(_GAP_SECONDS)
        newest = _newest(pbx)
        got = max(got, newest)
        if newest < 0 and len(times) > got + 32:
            return times[got + 1] - decided, got + 1
    return None


def _newest(pbx: socket.socket) -> int:
    newest = -1
    while True:
        try:
            data = pbx.recv(65535)
        except BlockingIOError:
            return newest
        if data.startswith(b"OPTIONS sip:"):
            newest = int(data.split()[1][4:])


def _flood(made: World, guard: Guard, section: Section, sources: int) -> None:
    """Send from forged sources, and the PBX's answers, as fast as this process can."""
    made.pbx.run("ip", "route", "add", "default", "via", made.attacker.v4, "dev", BRIDGE, "onlink")
    made.attacker.run("ip", "route", "add", "blackhole", "0.0.0.0/1")  # answers to forged addresses end there
    sent = 0
    began = time.monotonic()
    with (
        made.attacker.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as forging,
        made.pbx.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as answering,
    ):
        for number in range(1, sources + 1):
            for outbound, packet in memory.conversation(number):
                with contextlib.suppress(OSError):  # some forged addresses can be no target
                    if outbound:
                        answering.sendto(packet, (show(packet[16:20]), 0))
                    else:
                        forging.sendto(packet, (made.pbx.v4, 0))
                    sent += 1
    took = time.monotonic() - began
    frames = int(guard.packet["counters"]["frames"])
    after = _resident(guard.process.pid)
    section.rows.append((f"packet process, RSS after {sources:,} forged sources", f"{after / 1e6:.1f} MB"))
    section.rows.append(("packets sent for that, a second", f"{sent / took:,.0f}"))
    section.rows.append(("frames that reached the engine", f"{frames:,} of {sent:,}"))
    section.data["flood"] = {"sources": sources, "after_bytes": after, "sent": sent, "frames": frames}


def _resident(pid: int) -> int:
    """Read a process's resident bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
