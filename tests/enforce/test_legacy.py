"""A host with iptables-legacy: rules by root before the start, then sets only, by a user without root's lock."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sipguard.address import parse_network
from sipguard.capture.gate import Gate
from sipguard.decide.ledger import Ledger
from sipguard.enforce import chains, gatechains
from sipguard.enforce.alive import AliveInIpset
from sipguard.enforce.base import Layout
from sipguard.enforce.gaterules import BITS
from sipguard.enforce.hanging import Rules
from sipguard.enforce.ipsets import Ipsets
from sipguard.enforce.legacy import locked
from sipguard.enforce.monitor import Monitor
from sipguard.enforce.programs import Hooks, Programs
from sipguard.enforce.rehanger import GLANCE_LEGACY, Rehanger
from sipguard.errors import AdapterError
from sipguard.model import SECOND, Held, SetName
from tests.enforce.spaces import Cable, arrives, cable, inside, now, passes, run

pytestmark = pytest.mark.root

NAMES = ("iptables", "iptables-save", "iptables-restore")
LAYOUT = Layout(
    backend="iptables", scope="except", closed=True, pbx=tuple(map(parse_network, ("10.9.0.0/24", "2001:db8:9::/64")))
)


class Servant(Programs):
    """As the unit's user: the lock is not his."""

    @staticmethod
    def may_write() -> bool:
        return False

    def restore(self, version: int, text: str) -> None:
        raise AssertionError("he tried")

    def lay(self, version: int, text: str, hooks: Hooks, tails: Hooks) -> None:
        raise AssertionError("he tried")


@pytest.fixture
def legacy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cable]:
    """Make iptables the legacy one, as an operator's `update-alternatives` does, and a cable to try it on."""
    for name in NAMES:
        for family in ("", "6"):
            program = name.replace("ip", f"ip{family}", 1)
            there = Path("/usr/sbin") / program.replace("tables", "tables-legacy")
            if not there.exists():
                pytest.skip("no iptables-legacy here")
            (tmp_path / program).symlink_to(there)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with cable() as made, inside(made.pbx):
        yield made


def saved() -> list[str]:
    """Give our rules of both families, in order, with the words of each in an order of our own."""
    text = run("iptables-save") + run("ip6tables-save")
    return [" ".join(sorted(line.split())) for line in text.splitlines() if "SIPGUARD" in line and line[0] == "-"]


def held(seconds: int = 60) -> Held:
    return Held(SetName.BLOCKED, parse_network("192.0.2.2"), now() + seconds * SECOND)


def test_rules_are_put_in_place_once_by_root_and_then_bans_come_and_go_without_him(legacy: Cable) -> None:
    stranger, pbx = legacy.open(legacy.stranger, "192.0.2.2"), legacy.open(legacy.pbx, "192.0.2.1", 5060)
    guard = Ipsets(Layout(backend="iptables"), now, Servant())
    with pytest.raises(AdapterError, match="sipguard rules"):
        guard.install()
    root = Ipsets(Layout(backend="iptables"), now)
    root.lay()
    before = saved()
    assert guard.legacy()
    guard.install()
    assert passes(stranger, pbx, ("192.0.2.1", 5060))
    assert guard.hold(held()).ok
    assert not arrives(stranger, pbx, ("192.0.2.1", 5060))
    root.lay()
    assert not arrives(stranger, pbx, ("192.0.2.1", 5060)), "another start of the helper frees nobody"
    guard.uninstall()
    assert passes(stranger, pbx, ("192.0.2.1", 5060))
    assert saved() == before
    root.uninstall()
    assert not saved()
    assert "sipguard" not in run("ipset", "list")
    for each in (guard, root):
        each.close()


def test_observing_stops_nobody_though_the_rules_stand(legacy: Cable) -> None:
    stranger, pbx = legacy.open(legacy.stranger, "192.0.2.2"), legacy.open(legacy.pbx, "192.0.2.1", 5060)
    root = Ipsets(Layout(backend="iptables", closed=True, stranger_rate=10), now)
    root.lay()
    for observe in (True, False, True):
        guard = Ipsets(Layout(backend="iptables", closed=True, stranger_rate=10, observe=observe), now, Servant())
        guard.install()
        assert arrives(stranger, pbx, ("192.0.2.1", 5060), seconds=1.0) is observe
        guard.close()
    root.close()


def test_the_gates_rules_stand_and_hold_nobody_but_while_somebody_judges(legacy: Cable) -> None:
    stranger, pbx = legacy.open(legacy.stranger, "192.0.2.2"), legacy.open(legacy.pbx, "192.0.2.1", 5060)
    to, request = ("192.0.2.1", 5060), b"REGISTER sip:192.0.2.1 SIP/2.0\r\n"
    layout = Layout(backend="iptables")  # whatever the policy wants of the gate
    root, guard, alive = Ipsets(layout, now), Ipsets(layout, now, Servant()), AliveInIpset()
    root.lay()
    guard.install()
    assert Rules(layout, Servant()).ungated() == ""
    gate = Gate(layout.queues[0], BITS)
    assert passes(stranger, pbx, to, request)
    assert gate.read(64) == []
    alive.say(now())
    stranger.sendto(request, to)
    assert select.select([gate], [], [], 5)[0]
    assert [frame.packet.endswith(request) for frame in gate.read(64)] == [True]
    alive.unsay()
    assert passes(stranger, pbx, to, request)
    alive.say(now())
    guard.uninstall()  # as `off` does without root: the sets are emptied
    assert passes(stranger, pbx, to, request)
    assert gate.read(64) == []
    for each in (guard, root, alive, gate):
        each.close()


def test_where_rules_that_hold_were_not_to_be_had_the_guard_says_so_and_bans_all_the_same(
    legacy: Cable, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger, pbx = legacy.open(legacy.stranger, "192.0.2.2"), legacy.open(legacy.pbx, "192.0.2.1", 5060)
    unknown = gatechains.probe(Layout(), 4).replace("-j NFQUEUE --queue-num 5060 --queue-bypass", "-j NOSUCH")
    layout = Layout(backend="iptables", gate="iptables")
    root, guard = Ipsets(layout, now), Ipsets(layout, now, Servant())
    with monkeypatch.context() as patched:
        patched.setattr(gatechains, "probe", lambda _layout, _version: unknown)
        root.lay()
    assert "NFQUEUE" not in run("iptables-save")
    assert "sipguard rules" in Rules(layout, Servant()).ungated()
    guard.install()
    assert guard.hung()
    assert guard.hold(held()).ok
    assert not arrives(stranger, pbx, ("192.0.2.1", 5060))
    root.lay()
    assert Rules(layout, Servant()).ungated() == ""
    for each in (guard, root):
        each.close()


def test_the_library_writes_the_rules_that_the_program_writes(legacy: Cable) -> None:
    pytest.importorskip("iptc", reason="the extra `legacy` is not installed")
    root = Ipsets(LAYOUT, now)
    root.lay()
    by_program = saved()
    root.uninstall()
    root.close()
    run("iptables", "-t", "raw", "-A", "PREROUTING", "-s", "192.0.2.99", "-j", "DROP")
    # In a process of its own: the library keeps hold of the namespace that it was loaded in.
    lay = (
        "import time; from tests.enforce.test_legacy import LAYOUT, Ipsets, now; "
        "from sipguard.enforce.legacy import Legacy; made = Ipsets(LAYOUT, now, Legacy()); {}"
    )
    for _twice in range(2):
        subprocess.run([sys.executable, "-c", lay.format("made.lay()")], check=True, timeout=60)
        assert saved() == by_program
    servant = Ipsets(LAYOUT, now, Servant())
    assert servant.hung()
    servant.close()
    subprocess.run([sys.executable, "-c", lay.format("made.uninstall()")], check=True, timeout=60)
    assert not saved()
    assert "192.0.2.99" in run("iptables-save", "-t", "raw"), "other rules stay"


COMMAND = "from sipguard.cli.main import main; main()"


def test_the_command_puts_the_rules_in_place_and_does_nothing_where_they_are_not_legacy(
    legacy: Cable, tmp_path: Path
) -> None:
    pytest.importorskip("iptc", reason="the extra `legacy` is not installed")
    (old := tmp_path / "old.toml").write_text('[enforcement]\nbackend = "iptables"\n')
    (new := tmp_path / "new.toml").write_text('[enforcement]\nbackend = "nftables"\n')
    assert legacy
    for policy, there in ((new, False), (old, True), (old, True)):
        subprocess.run([sys.executable, "-c", COMMAND, "rules", str(policy)], check=True, timeout=60)
        assert bool(saved()) is there
    guard = Ipsets(Layout(backend="iptables"), now, Servant())
    guard.install()
    assert guard.hung()
    guard.close()
    new.write_text("nonsense = 1\n")
    command = [sys.executable, "-c", COMMAND, "rules", str(new)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 78
    assert "Traceback" not in done.stderr


def test_a_lock_that_another_never_lets_go_is_not_waited_for_without_end(tmp_path: Path) -> None:
    lock = tmp_path / "xtables.lock"
    with locked(lock):
        pass
    with lock.open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(AdapterError, match="holds"), locked(lock, 0.1):
            raise AssertionError("two at once")
        fcntl.flock(other, fcntl.LOCK_UN)
        with locked(lock, 0.1):
            pass


def test_rules_that_somebody_flushes_are_looked_for_every_ten_seconds_and_not_each_second(legacy: Cable) -> None:
    root = Ipsets(Layout(backend="iptables"), now)
    root.lay()
    guard, monitor, none = Ipsets(Layout(backend="iptables"), now, Servant()), Monitor(), Ledger(1)
    guard.install()
    mending = Rehanger(guard, monitor, now(), enforce=True, removing=True)
    at = now() + GLANCE_LEGACY
    assert mending.step(at, none) is None
    run("iptables", "-t", "raw", "-F")
    assert mending.step(at + GLANCE_LEGACY, none)
    tries = 0
    for second in range(30):
        try:
            mending.step(at + GLANCE_LEGACY + second * SECOND, none)
        except AdapterError:
            tries += 1
    assert tries == 3
    root.lay()
    mending.step(at + 5 * GLANCE_LEGACY, none)
    assert mending.restored == 1
    for each in (guard, root, monitor):
        each.close()
    assert legacy


def test_static_rules_heed_the_set_that_says_whether_they_act() -> None:
    for version in (4, 6):
        text = chains.render(Layout(static=True, closed=True), version)
        for chain in ("SIPGUARD-BANS", "SIPGUARD-CLOSED"):
            first = next(line for line in text.splitlines() if line.startswith(f"-A {chain} "))
            assert "acting" in first
