"""What the gate lets through to a PBX, counted by the kernel behind it; and clients that send many things at once."""

from __future__ import annotations

import re
import select
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.lab.cases.register import guess
from tests.lab.client import Client, credentials
from tests.lab.kamailio import ACCOUNTS
from tests.lab.world import Host
from tests.live.traffic import VICTIM

COUNTING = """
table inet behind {{
    counter passed {{}}
    chain input {{
        type filter hook input priority 0; policy accept;
        {family} saddr {address} meta l4proto {{ tcp, udp }} th dport 5060 {match} counter name passed
    }}
}}
"""


class Passed:
    """How many packets of an address have reached the PBX's own ports."""

    def __init__(self, host: Host) -> None:
        self._host = host

    @property
    def count(self) -> int:
        """Read the counter."""
        listed = self._host.run("nft", "list", "counter", "inet", "behind", "passed").stdout
        found = re.search(r"packets (\d+)", listed)
        assert found, listed
        return int(found[1])


@contextmanager
def counting(host: Host, address: str, match: str = "") -> Iterator[Passed]:
    """Count what comes from an address (or network) behind every rule of the guard's."""
    path = f"/tmp/{host.namespace}-behind.nft"  # noqa: S108 - named after a namespace of this test's own
    with open(path, "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(COUNTING.format(family="ip6" if ":" in address else "ip", address=address, match=match))
    host.run("nft", "-f", path)
    try:
        yield Passed(host)
    finally:
        host.run("nft", "delete", "table", "inet", "behind")
        host.run("rm", path)


def volley(clients: Sequence[Client], count: int, *, same_key: bool = False, user: str = VICTIM) -> list[bytes]:
    """Make so many different guesses for one challenge, given out to the clients in turn."""
    challenge = clients[0].challenge(user)
    made = []
    for number in range(count):
        client = clients[number % len(clients)]
        if same_key:
            answer = credentials(challenge, "REGISTER", f"sip:{client.domain}", user, f"wrong {number}")
            made.append(
                client.request(
                    "REGISTER", user, call_id="one-key", branch="one", tag="one", cseq=9, authorization=answer
                )
            )
        else:
            made.append(guess(client, challenge, f"wrong {number}", user))
    return made


def fire(clients: Sequence[Client], shots: Sequence[bytes]) -> None:
    """Send all at once, nobody waiting for an answer."""
    if clients[0].tcp:
        clients[0].send(b"".join(shots))
        return
    for number, shot in enumerate(shots):
        clients[number % len(clients)].send(shot)


def final_answers(clients: Sequence[Client], seconds: float = 3.0) -> int:
    """Count the final answers that come until none has come for a while."""
    sockets = {client.socket: client for client in clients}
    found = 0
    while ready := select.select(list(sockets), [], [], seconds)[0]:
        for each in ready:
            data = each.recv(65_535)
            found += len(re.findall(rb"SIP/2\.0 [2-6]\d\d ", data))
            if not data:
                sockets.pop(each)
    return found


def boot(clients: Sequence[Client], users: Sequence[str], seconds: float = 20.0) -> dict[str, int]:
    """Register all lines at once as phones do, each repeating its request like RFC 3261 says; gives the last codes."""
    lines = {}
    for client, user in zip(clients, users, strict=True):
        client.send(client.request("REGISTER", user, call_id=f"boot-{user}", cseq=1))
    codes: dict[str, int] = {}
    waits: dict[str, tuple[float, float, bytes, Client]] = {}
    begun = time.monotonic()
    for client, user in zip(clients, users, strict=True):
        challenge = client.receive(call_id=f"boot-{user}").challenge
        answer = credentials(challenge, "REGISTER", f"sip:{client.domain}", user, ACCOUNTS[user])
        lines[user] = client.request("REGISTER", user, call_id=f"boot-{user}", cseq=2, authorization=answer, expires=60)
    for client, user in zip(clients, users, strict=True):
        client.send(lines[user])
        waits[user] = (time.monotonic() + 0.5, 0.5, lines[user], client)
    while waits and time.monotonic() - begun < seconds:
        ready = select.select([each[3].socket for each in waits.values()], [], [], 0.05)[0]
        for user, (due, wait, line, client) in list(waits.items()):
            if client.socket in ready:
                codes[user] = client.receive(call_id=f"boot-{user}").code
                del waits[user]
            elif time.monotonic() > due:
                client.send(line)
                waits[user] = (time.monotonic() + 2 * wait, 2 * wait, line, client)
    return codes
