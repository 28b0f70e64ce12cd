"""A guarded PBX whose calls cost money: phones that dial, carriers, a price list, and a count of what reached them.

Limits are scaled to seconds, prices to whole units: a call to `DEAR` costs 1.00 a second.
"""

from __future__ import annotations

import contextlib
import json
import socket
import zlib
from collections.abc import Iterator
from typing import Any

from tests.lab.agent import Agent
from tests.lab.asterisk import EXTENSIONS, FIRST_CARRIER, SECOND_CARRIER
from tests.lab.calls.stage import Stage, connect
from tests.lab.client import credentials
from tests.lab.errors import LabError
from tests.lab.wait import until
from tests.lab.world import Host
from tests.live.guard import Guard, guarding

MICROS = 1_000_000
CHEAP = "9003716700"
"""Dialled so, with four digits more: Latvia at 0.06 a minute, not expensive."""
DEAR = "9003712000"
"""The same at 60 a minute, by the second."""
EXPENSIVE = "9002526112"
"""The same in Somalia: 0.60 a minute."""
DECK = """prefix,destination,rate,connect fee,first increment,next increment
44,United Kingdom,0.01,0,1,1
371,Latvia,0.06,0,1,1
3712000,Latvia special,60,0,1,1
252,Somalia,0.60,0,60,60
"""
POLICY = """
[numbering]
country = "GB"
outside = ["9"]
[rates]
deck = "{deck}"
currency = "EUR"
[[trunk]]
name = "Carrier"
addresses = ["{first}"]
[[trunk]]
name = "Spare"
addresses = ["{second}"]
"""
OPEN = """
[limits.account]
spend_call = {}
spend_hour = {}
spend_day = {}
expensive_concurrent = {}
expensive_numbers = {}
[limits.trunk]
spend_call = {}
spend_hour = {}
spend_day = {}
expensive_concurrent = {}
expensive_numbers = {}
[limits.number]
expensive_concurrent = {}
"""
"""No limit but those on the number of cheap calls."""
_ROOM = 1 << 22


class Invites:
    """Counts the calls whose INVITE reaches a host by UDP (IPv4), each once however often it is repeated."""

    def __init__(self, host: Host) -> None:
        self._socket = host.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        self._socket.setblocking(False)
        self._seen: set[bytes] = set()

    def close(self) -> None:
        """Stop counting."""
        self._socket.close()

    @property
    def count(self) -> int:
        """How many have come by now."""
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, origin = self._socket.recvfrom(65536)
                message = packet[(packet[0] & 15) * 4 + 8 :]
                if origin[2] != socket.PACKET_OUTGOING and message.startswith(b"INVITE "):
                    self._seen.add(message.partition(b"\r\nCall-ID: ")[2].partition(b"\r\n")[0])
        return len(self._seen)


class Scene:
    """One guard at work on an Asterisk. Agents made here are closed with it."""

    def __init__(self, stage: Stage, guard: Guard, invites: Invites) -> None:
        self.stage = stage
        self.guard = guard
        self._invites = invites
        self._series = zlib.crc32(guard.directory.name.encode())  # the PBX knows what it was asked before

    @property
    def invites(self) -> int:
        """How many calls have reached the carriers' host, each once."""
        return self._invites.count

    def phone(self, user: str = "1001", *, tcp: bool = False) -> Agent:
        """Return a registered phone that the guard knows as such."""
        address, password = f"198.51.100.{20 + int(user) % 10}", EXTENSIONS[user]
        host, pbx = self.stage.world.phone, self.stage.world.pbx.v4
        made = self._agent(Agent(host, pbx, user, password, address=address, tcp=tcp, series=self._next()))
        made.register()
        until(lambda: any(row["registered"] for row in self.json("accounts", user)["accounts"]), f"{user} being known")
        return made

    def carrier(self, address: str = FIRST_CARRIER, *, tcp: bool = False) -> Agent:
        """Return a carrier's switch."""
        host, pbx = self.stage.world.hosts["carrier"], self.stage.world.pbx.v4
        return self._agent(Agent(host, pbx, "switch", address=address, tcp=tcp, listen=tcp, series=self._next()))

    def _agent(self, made: Agent) -> Agent:
        return self.stage.kept.enter_context(made)

    def _next(self) -> int:
        self._series += 10_000
        return self._series

    def json(self, *arguments: str) -> Any:
        """Ask the guard, as a script would."""
        return json.loads(self.guard.cli(*arguments, "--json"))

    def sheet(self, verb: str) -> Any:
        """Ask for `calls`, `accounts` or `limits`, without the cost of starting a command."""
        return self.guard.ask(verb, name="", account="", scope="", limit=100)

    @property
    def running(self) -> list[dict[str, Any]]:
        """The calls that the guard knows to be going on."""
        found: list[dict[str, Any]] = self.sheet("calls")["calls"]
        return found

    def answered(self, count: int = 1) -> list[dict[str, Any]]:
        """Wait until so many calls are known to be answered, and give what is known of them."""
        until(lambda: len([each for each in self.running if each["answered"]]) == count, f"{count} calls being known")
        return self.running

    def idle(self) -> None:
        """Wait until nobody calls any more, as the PBX and the guard see it."""
        until(lambda: self.stage.server.channels == 0, "Asterisk without calls")
        until(lambda: not self.running, "the guard knowing of no call")

    def alerts(self, kind: str) -> list[dict[str, Any]]:
        """List the alerts of a kind so far."""
        return [line for line in self.guard.events() if line.get("alert") == kind]

    def alert(self, kind: str, text: str = "") -> dict[str, Any]:
        """Wait for an alert of a kind that says something, and give it."""
        found: list[dict[str, Any]] = []

        def told() -> bool:
            found[:] = [line for line in self.alerts(kind) if text in line["text"]]
            return bool(found)

        until(told, f"an alert {kind} with {text!r}")
        return found[0]

    def refused(self, phone: Agent, number: str) -> int:
        """Dial, be refused, and give the code; no INVITE of it may reach a carrier."""
        before = self.invites
        leg = phone.call(number)
        answer = leg.final()
        if answer.code in (401, 407):
            proof = credentials(answer.challenge, "INVITE", leg.uri, phone.user, phone.password)
            leg.invite(f"{'Proxy-' * (answer.code == 407)}Authorization: {proof}\r\n")
            answer = leg.final()
        if self.invites != before:
            raise LabError(f"{number} has reached a carrier")
        return answer.code

    def through(self, phone: Agent, number: str, carrier: Agent) -> None:
        """Call, be answered, and hang up again."""
        inside, outside = connect(phone, number, carrier)
        inside.hang_up()
        outside.hung_up()


@contextlib.contextmanager
def scene(stage: Stage, name: str, *, more: str = "", deck: str = DECK, top: str = "") -> Iterator[Scene]:
    """Yield a guard with prices beside an Asterisk that has no calls; `more` are tables of the policy."""
    prices = stage.world.directory / f"{name}.csv"
    prices.write_text(deck)
    policy = POLICY.format(deck=prices, first=FIRST_CARRIER, second=SECOND_CARRIER) + more
    with (
        contextlib.ExitStack() as kept,
        contextlib.closing(Invites(stage.world.hosts["carrier"])) as invites,
        guarding(stage.world, name, top=top, more=policy) as guard,
    ):
        made = Scene(Stage(stage.world, stage.server, kept), guard, invites)
        until(lambda: bool(guard.ask("status")["keeper"]["rates"]["prefixes"]), "the prices being read")
        try:
            yield made
        finally:
            stage.server.hang_up_all()
