"""Who is refused gains nothing: no way through a closed firewall, nothing to a third address, no more than he sent.

Counted by rules of this test's own, before and behind all others in the PBX's namespace.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.lab.cases.case import Lab
from tests.lab.client import Challenge, Client, credentials
from tests.lab.errors import LabError
from tests.lab.kamailio import ACCOUNTS
from tests.lab.wait import until
from tests.lab.world import Host
from tests.live.guard import Guarding
from tests.live.test_gate import NETS, counted

pytestmark = [pytest.mark.root, pytest.mark.lab]

CHALLENGE = Challenge("pbx.lab", "a nonce that nobody gave him")
THIRD = "203.0.113.250"
FORGED = (
    ("Via: SIP/2.0/UDP ", f"Via: SIP/2.0/UDP {THIRD};maddr={THIRD};received={THIRD};x="),
    ("Max-Forwards: 70\r\n", f"Max-Forwards: 70\r\nRecord-Route: <sip:{THIRD};lr>\r\nRoute: <sip:{THIRD};lr>\r\n"),
    ("Contact: <sip:", f"Contact: <sip:9@{THIRD}>, <sip:"),
)
COUNTING = """
table inet ledger {{
    counter came {{}}
    counter left {{}}
    counter strayed {{}}
    chain first {{
        type filter hook prerouting priority -400; policy accept;
        ip saddr {who} counter name came
    }}
    chain last {{
        type filter hook postrouting priority 400; policy accept;
        oifname "lo" accept
        ip daddr {who} counter name left
        ip daddr {third} counter name strayed
    }}
}}
table inet host {{
    chain in {{
        type filter hook input priority 0; policy {policy};
        iifname "lo" accept
        ct state established,related accept
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Account:
    """Bytes, headers and all: of one address what came, to it what left, and what left for a third one."""

    came: int
    left: int
    strayed: int


class Ledger:
    """What went to and fro since the last time that this was asked."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def settle(self) -> Account:
        """Read and begin anew."""
        listed = self._host.run("nft", "reset", "counters", "table", "inet", "ledger").stdout
        found = dict(re.findall(r"counter (\w+) \{\s+packets \d+ bytes (\d+)", listed))
        return Account(*(int(found[name]) for name in ("came", "left", "strayed")))


@contextmanager
def ledger(host: Host, who: str, *, policy: str = "accept") -> Iterator[Ledger]:
    """Count what goes to and from an address; with the policy `drop` the host lets in what it knows, and no more."""
    path = f"/tmp/{host.namespace}-ledger.nft"  # noqa: S108 - named after a namespace of this test's own
    with open(path, "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(COUNTING.format(who=who, third=THIRD, policy=policy))
    host.run("nft", "-f", path)
    try:
        yield Ledger(host)
    finally:
        host.run("nft", "delete", "table", "inet", "ledger")
        host.run("nft", "delete", "table", "inet", "host")
        host.run("rm", path)


def forged(request: bytes) -> bytes:
    """Name a third address wherever an answer might be looked for."""
    text = request.decode()
    for place, instead in FORGED:
        assert place in text
        text = text.replace(place, instead, 1)
    return text.encode()


def refused(client: Client, *, call: str = "c") -> bytes:
    """Write a call of an account that may not call from here, with a right credential, naming a third address."""
    challenge = client.challenge("1004", method="INVITE", to="1005")
    answer = credentials(challenge, "INVITE", "sip:1005@" + client.domain, "1004", ACCOUNTS["1004"])
    return client.request("INVITE", "1004", to="1005", cseq=2, authorization=answer, proxy=True, call_id=call)


def test_who_is_refused_aloud_gets_no_more_than_he_sent_and_nobody_else_gets_anything(
    stage: Lab, guarded: Guarding
) -> None:
    world, address = stage.world, "198.51.100.71"
    with (
        guarded(world, "aloud", more=NETS) as guard,
        ledger(world.pbx, address) as book,
        Client(world.phone, world.pbx.v4, address=address) as client,
    ):
        request = refused(client)
        book.settle()
        for text in (request, request, forged(request)):
            client.send(text)
        until(lambda: counted(guard, "gate_refuse") == 3, "three refusals")
        until(lambda: guard.packet["gate"]["refusals_sent"] == 3, "three answers")
        said = book.settle()
        print(said)  # noqa: T201 - for -rP
        assert 0 < said.left <= said.came
        assert said.strayed == 0


def test_who_is_masked_on_tcp_gets_no_more_than_he_sent_and_his_connection_goes_on(
    stage: Lab, guarded: Guarding
) -> None:
    world, address = stage.world, "198.51.100.72"
    with (
        guarded(world, "masked", more=NETS) as guard,
        ledger(world.pbx, address) as book,
        Client(world.phone, world.pbx.v4, address=address, tcp=True) as client,
    ):
        request = refused(client)
        book.settle()
        for number in range(5):
            client.send(request.replace(b"Call-ID: c", b"Call-ID: c%d" % number))
        until(lambda: counted(guard, "gate_mask") >= 1, "calls being overwritten")
        with pytest.raises(LabError):
            client.receive(seconds=1.0)
        said = book.settle()
        print(said)  # noqa: T201 - for -rP
        assert said.left <= said.came
        assert said.strayed == 0
        assert client.register("1004", ACCOUNTS["1004"]).code == 200


def test_behind_a_closed_firewall_nobody_makes_himself_a_way_in(stage: Lab, guarded: Guarding) -> None:
    world, address = stage.world, "203.0.113.160"
    with (
        guarded(world, "behind", more=NETS + '[refuse]\ndestinations = ["+252"]\n') as guard,
        ledger(world.pbx, address, policy="drop") as book,
        Client(world.attacker, world.pbx.v4, address=address) as client,
    ):
        book.settle()
        made = credentials(CHALLENGE, "INVITE", "sip:1005@" + client.domain, "1004", ACCOUNTS["1004"])
        for number, to in enumerate(("1005", "0025261000", "112")):
            request = client.request("INVITE", "1004", to=to, authorization=made, proxy=True, call_id=f"hole{number}")
            for text in (request, forged(request)):
                client.send(text)
        until(lambda: sum(counted(guard, f"gate_{kind}") for kind in ("accept", "drop", "refuse")) >= 6, "verdicts")
        for port in (5060, 5061):
            client.send(client.request("OPTIONS", "monitor", uri=f"sip:{world.pbx.v4}:{port}"))
        with pytest.raises(LabError):
            client.receive(seconds=1.0)
        with world.attacker.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
            stream.settimeout(1.0)
            stream.bind((address, 0))
            with pytest.raises(TimeoutError):
                stream.connect((world.pbx.v4, 5060))
        said = book.settle()
        assert said.came > 0
        assert (said.left, said.strayed) == (0, 0)
        assert f"src={address}" not in world.pbx.run("conntrack", "-L", check=False).stdout
