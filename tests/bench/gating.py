"""The section on the gate: how much longer a request takes for being held, judged, and let go.

Strangers and PBX are sockets in this process, on one core, so that one clock times a request from its sending until the
PBX's socket has it. The other core is that of whoever holds packets: nobody, a bare reader that accepts all, and the
real `sipguard run`, in turn, again and again, with the same requests. What is told is the time, and what is added by
each reader to the time without one.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from statistics import median

from sipguard.model import MICROSECOND, SECOND
from tests.bench.outcome import Section, percentile
from tests.lab.wait import until
from tests.lab.world import Host, HostPlan, World, world
from tests.live.guard import IPTABLES, Guard, shut

_STRANGERS = HostPlan("attacker", "203.0.113.66", "2001:db8:66:1::66", ("198.18.0.0/15",))  # RFC 2544: for benchmarks
_SENDERS = 1_000  # each in a /24 of his own; nobody is in a hurry, nobody is a neighbour
_PREPARING_SECONDS = 0.5  # not counted: caches, and the guard's own start
_QUEUE = 77
_PKTINFO = 8  # IP_PKTINFO, ip(7); the socket module of Python 3.11 has no name for it
_LATE_NS = 200_000_000  # how long the last request is waited for
_RULE = ("PREROUTING", "-p", "udp", "--dport", "5060", "-j", "NFQUEUE", "--queue-num", str(_QUEUE), "--queue-bypass")
_REQUEST = (
    "{method} sip:{to}pbx.example.net SIP/2.0\r\n"
    "Via: SIP/2.0/UDP {ip}:5060;branch=z9hG4bK{number}b;rport\r\nMax-Forwards: 70\r\n"
    "From: <sip:{user}@pbx.example.net>;tag=t{number}\r\nTo: <sip:{user}@pbx.example.net>\r\n"
    "Call-ID: {number}@{ip}\r\nCSeq: 1 {method}\r\nContact: <sip:{user}@{ip}:5060>\r\nUser-Agent: a phone\r\n"
    "Accept: application/sdp\r\nAllow: INVITE, ACK, OPTIONS, CANCEL, BYE, SUBSCRIBE, NOTIFY, INFO, REFER\r\n"
    "Content-Length: 0\r\n\r\n"
)
_ANSWER = (
    "SIP/2.0 {status}\r\nVia: SIP/2.0/UDP {ip}:5060;branch=z9hG4bK{number}b;rport=5060;received={ip}\r\n"
    "From: <sip:{user}@pbx.example.net>;tag=t{number}\r\nTo: <sip:{user}@pbx.example.net>;tag=p{number}\r\n"
    "Call-ID: {number}@{ip}\r\nCSeq: 1 {method}\r\nServer: pbx\r\n{more}Content-Length: 0\r\n\r\n"
)
_CALL_ID = b"Call-ID: "


class Line:
    """Strangers and a PBX that answers them. `delays` are those from sending to arriving, in nanoseconds."""

    def __init__(self, made: World) -> None:
        self.target = (made.pbx.v4, 5060)
        self.outside = made.attacker.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.pbx = made.pbx.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.outside.bind(("0.0.0.0", 5060))  # in a namespace; it sends from many addresses
        self.pbx.bind(self.target)
        for each in (self.outside, self.pbx):
            each.setblocking(False)
        self.number = 0
        self.delays: list[int] = []
        self.trips: list[int] = []
        self.lost = 0
        self._sent: dict[int, int] = {}

    def close(self) -> None:
        """Close the sockets."""
        self.outside.close()
        self.pbx.close()

    def run(self, rate: int, seconds: float) -> None:
        """Send so many requests a second, each when it is due; nothing is done meanwhile but to look for arrivals."""
        self.delays, self.trips, self._sent = [], [], {}
        gap, began = SECOND // rate, time.monotonic_ns()
        for step in range(int(rate * seconds)):
            while time.monotonic_ns() < began + step * gap:
                self._look()
            self._send()
        ended = time.monotonic_ns()
        while len(self.trips) < len(self._sent) and time.monotonic_ns() < ended + _LATE_NS:
            self._look()
        self.lost = len(self._sent) - len(self.trips)

    def _send(self) -> None:
        self.number += 1
        number, ip, user, method = self.number, _address(self.number), _user(self.number), _method(self.number)
        to = f"{user}@" if method == "OPTIONS" else ""
        text = _REQUEST.format(method=method, to=to, number=number, ip=ip, user=user).encode()
        source = struct.pack("=i4s4s", 0, socket.inet_aton(ip), b"\0\0\0\0")  # struct in_pktinfo
        self._sent[number] = time.monotonic_ns()
        self.outside.sendmsg([text], [(socket.IPPROTO_IP, _PKTINFO, source)], 0, self.target)

    def _look(self) -> None:
        try:
            data, whence = self.pbx.recvfrom(65_535)
        except BlockingIOError:
            data, whence = b"", ("", 0)
        now = time.monotonic_ns()
        if data:
            number = _number(data)
            if number in self._sent:  # else it is from before, and so late that nobody waited for it
                self.delays.append(now - self._sent[number])
            self.pbx.sendto(_answer(number), whence)
        try:
            data = self.outside.recv(65_535)
        except BlockingIOError:
            return
        began = self._sent.get(_number(data))
        if began is not None:
            self.trips.append(time.monotonic_ns() - began)


def _number(data: bytes) -> int:
    begin = data.index(_CALL_ID) + len(_CALL_ID)
    return int(data[begin : begin + 12].partition(b"@")[0])


def _address(number: int) -> str:
    sender = number % _SENDERS
    return f"198.{18 + (sender >> 8 & 1)}.{sender & 255}.{1 + (sender >> 9)}"


def _user(number: int) -> str:
    return str(1_000 + number % _SENDERS)


def _method(number: int) -> str:
    return "OPTIONS" if number // _SENDERS % 2 else "REGISTER"


def _answer(number: int) -> bytes:
    method = _method(number)
    status = "200 OK" if method == "OPTIONS" else "401 Unauthorized"
    more = "" if method == "OPTIONS" else f'WWW-Authenticate: Digest realm="pbx", nonce="n{number}", algorithm=MD5\r\n'
    said = {"status": status, "more": more, "ip": _address(number), "user": _user(number)}
    return _ANSWER.format(number=number, method=method, **said).encode()


# --- Who holds packets ------------------------------------------------------------------------------------------------


def gate_section(rate: int, seconds: float, rounds: int, *, iptables: bool = False) -> Section:
    """Let each hold packets in turn, so many times; gives the time of all rounds together."""
    name, what = ("gate-iptables", ", back end iptables") if iptables else ("gate", "")
    section = Section(name, f"The gate{what}: {rate:,} requests/s of strangers", ("who holds packets", *_COLUMNS))
    with world((_STRANGERS,)) as made, _other_core() as theirs:
        directory = made.directory / "guard"
        directory.mkdir()
        guard = Guard(made.pbx, directory, more=IPTABLES if iptables else "")
        guard.start()
        _pin(guard.process.pid, theirs)
        _pin(guard.keeper, theirs)
        line = Line(made)
        held: dict[str, list[int]] = {name: [] for name in ("nobody", "bare reader", "sipguard")}
        trips: dict[str, list[int]] = {name: [] for name in held}
        busy: list[float] = []
        try:
            for _ in range(rounds):
                for name, holding in _holders(made, guard, theirs).items():
                    with holding() as pid:
                        line.run(rate, _PREPARING_SECONDS)
                        before = _worked(pid)
                        line.run(rate, seconds)
                        if name == "sipguard":
                            busy.append((_worked(pid) - before) / (rate * seconds))
                    held[name] += line.delays
                    trips[name] += line.trips
                    section.data.setdefault("lost", {}).setdefault(name, []).append(line.lost)
        finally:
            line.close()
        _say(section, held, trips)
        _say_guard(section, guard, busy)
        guard.stop()
    return section


_COLUMNS = ("median", "p99", "added, median", "added, p99", "answer, median", "answer, p99")


def _holders(made: World, guard: Guard, core: int) -> Mapping[str, Callable[[], AbstractContextManager[int]]]:
    return {
        "nobody": lambda: _nobody(guard),
        "bare reader": lambda: _bare(made.pbx, guard, core),
        "sipguard": lambda: _guarded(made.pbx, guard),
    }


@contextmanager
def _nobody(guard: Guard) -> Iterator[int]:
    guard.ask("off")
    yield os.getpid()


@contextmanager
def _bare(pbx: Host, guard: Guard, core: int) -> Iterator[int]:
    guard.ask("off")
    reader = pbx.start("nice", "-n", "-10", sys.executable, "-m", "tests.bench.bare", str(_QUEUE))
    try:
        until(lambda: "ready" in reader.output, "the bare reader")
        _pin(reader.pid, core)
        pbx.run("iptables-nft", "-t", "mangle", "-A", *_RULE)
        yield reader.pid
    finally:
        pbx.run("iptables-nft", "-t", "mangle", "-D", *_RULE, check=False)
        reader.stop()


@contextmanager
def _guarded(pbx: Host, guard: Guard) -> Iterator[int]:
    guard.ask("on")
    until(lambda: shut(pbx), "the gate shut")
    yield guard.process.pid


@contextmanager
def _other_core() -> Iterator[int]:
    """Keep to one core, and leave another to whoever holds packets; the same one where there is no other."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield max(allowed)
    finally:
        os.sched_setaffinity(0, allowed)


def _pin(pid: int, core: int) -> None:
    os.sched_setaffinity(pid, {core})


def _worked(pid: int) -> int:
    """Read for how many nanoseconds a process has been on a core."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


# --- What it gave -----------------------------------------------------------------------------------------------------


def _say(section: Section, held: Mapping[str, list[int]], trips: Mapping[str, list[int]]) -> None:
    shares = {"median": 0.5, "p99": 0.99}
    base = {name: percentile(held["nobody"], share) for name, share in shares.items()}
    added: dict[str, dict[str, int]] = {}
    for who, delays in held.items():
        found = {name: percentile(delays, share) for name, share in shares.items()}
        added[who] = {name: found[name] - base[name] for name in shares}
        answers = {name: percentile(trips[who], share) for name, share in shares.items()}
        values = (*found.values(), *added[who].values(), *answers.values())
        section.rows.append((who, *(f"{value / MICROSECOND:,.0f} µs" for value in values)))
        section.data[who] = {
            "requests": len(delays),
            **{f"{name}_ns": value for name, value in found.items()},
            **{f"added_{name}_ns": value for name, value in added[who].items()},
            **{f"answer_{name}_ns": value for name, value in answers.items()},
        }
    ratios = {name: added["sipguard"][name] / max(1, added["bare reader"][name]) for name in shares}
    section.data["ratio"] = {name: round(value, 2) for name, value in ratios.items()}
    said = ", ".join(f"{name} {value:.2f}" for name, value in ratios.items())
    section.notes.append(f"added delay, sipguard to the bare reader: {said}")


def _say_guard(section: Section, guard: Guard, busy: list[float]) -> None:
    counters, kernel = guard.packet["counters"], guard.packet["kernel"]
    wanted = ("gate_accept", "gate_drop", "gate_defer", "gate_refuse")
    section.data["guard"] = {name: counters[name] for name in wanted} | {"unheld": kernel.get("unheld", 0)}
    section.data["guard"]["busy_ns_per_request"] = round(median(busy))
    section.notes.append(
        f"sipguard: {median(busy) / 1000:.0f} µs of its core for a request and its answer; "
        + ", ".join(
            f"{name} {value:,}" for name, value in section.data["guard"].items() if name != "busy_ns_per_request"
        )
    )
    section.notes.append("requests and answers are made on another core; the time is until the PBX's socket has it")
