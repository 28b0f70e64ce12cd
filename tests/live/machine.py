"""A Debian with a real systemd in a container, in a network namespace of the lab, with the unit and the project in it.

The Debian is made once by debootstrap and kept; what a test does in it is written to memory and forgotten. Interpreter
packages are those of the running tests, shown read-only inside; so both must have the same Python.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.lab.errors import LabError
from tests.lab.process import Running
from tests.lab.wait import until
from tests.lab.world import World

PROJECT = Path(__file__).resolve().parents[2]
SUITES = {(3, 11): "bookworm", (3, 13): "trixie"}
PACKAGES = "systemd,systemd-sysv,dbus,python3,nftables,iptables,iproute2,procps"
MIRROR = os.environ.get("SIPGUARD_TEST_MIRROR", "http://deb.debian.org/debian")
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


class Machine:
    """A booted container. Commands run inside; files under `etc` are its /etc/sipguard."""

    def __init__(self, world: World, nspawn: Running, etc: Path) -> None:
        self.world = world
        self.etc = etc
        self._nspawn = nspawn
        until(lambda: bool(self._leader()) or not nspawn.alive, "a container", seconds=60)
        self._init = self._leader()
        if not self._init:
            pytest.skip(f"needs a host on which systemd-nspawn can boot: {nspawn.output}{nspawn.errors}")

    def _leader(self) -> str:
        """Find the process that is number one inside, once it has become systemd."""
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        try:
            for number in children.read_text().split():
                name = Path(f"/proc/{number}/comm").read_text().strip()
                inside = re.search(r"^NSpid:.*\t1$", Path(f"/proc/{number}/status").read_text(), re.MULTILINE)
                if name == "systemd" and inside:
                    return number
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return ""

    def run(self, *command: str, code: int | None = 0, seconds: float = 60.0) -> str:
        """Run a command inside to its end; returns what it wrote. Raises LabError for another exit code."""
        done = subprocess.run(
            ["nsenter", "-t", self._init, "-m", "-u", "-i", "-n", "-p", "-C", "--root", "--wd", *command],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=seconds,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
        )
        if code is not None and done.returncode != code:
            raise LabError(f"{' '.join(command)}: {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def systemctl(self, *arguments: str, code: int | None = 0) -> str:
        """Run systemctl; what it wrote, without the line's end."""
        try:
            return self.run("systemctl", "--no-pager", *arguments, code=code).strip()
        except LabError as error:
            raise LabError(f"{error}\n{self.journal()}") from error

    def shown(self, name: str) -> str:
        """Return a property of our unit."""
        return self.systemctl("show", "-P", name, "sipguard.service")

    def booted(self) -> bool:
        """Tell whether the system has come up."""
        return self.systemctl("is-system-running", code=None) in ("running", "degraded")

    def journal(self) -> str:
        """Return what our unit has logged."""
        return self.run("journalctl", "--no-pager", "-u", "sipguard.service")

    def off(self) -> None:
        """Switch it off."""
        self.systemctl("poweroff", code=None)
        with contextlib.suppress(LabError):
            self._nspawn.wait(seconds=20)
        self._nspawn.stop()


@contextlib.contextmanager
def machine(world: World) -> Iterator[Machine]:
    """Yield a booted system in the PBX's namespace, the unit installed and not started. One at a time on this host."""
    root = _root()
    with (root.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        etc = world.directory / "etc"
        etc.mkdir(mode=0o755)
        nspawn = world.registry.start(
            "machine", ["env", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", *_command(world, root, etc)]
        )
        made = Machine(world, nspawn, etc)
        try:
            until(made.booted, "the system up", seconds=120)
            made.run("systemd-sysusers", "sipguard.conf")
            yield made
        finally:
            made.off()


def _root() -> Path:
    """Give the directory of a Debian, made now if need be; skips the test where that is impossible."""
    suite = SUITES.get(sys.version_info[:2])
    if suite is None:
        pytest.skip(f"needs a Debian with {PYTHON}")
    base = Path(os.environ.get("SIPGUARD_TEST_ROOT", "/var/cache/sipguard-test"))
    root = base / f"{suite}-{zlib.crc32(PACKAGES.encode()):08x}"
    try:
        base.mkdir(parents=True, exist_ok=True)
        with (base / "making").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not root.exists():
                _bootstrap(suite, root)
    except OSError as error:
        pytest.skip(f"needs a place for a Debian: {error}")
    return root


def _bootstrap(suite: str, root: Path) -> None:
    fresh = root.with_name(f"{root.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(fresh), MIRROR]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=900)
    except subprocess.TimeoutExpired:
        pytest.skip("needs a Debian, and debootstrap did not end within 15 minutes")
    if done.returncode:
        pytest.skip(f"needs a Debian, and debootstrap could not make one: {done.stdout.strip()[-200:]}")
    fresh.rename(root)


def _command(world: World, root: Path, etc: Path) -> Sequence[str]:
    """Write the command line: everything of ours is shown read-only, but the policy's directory."""
    opt = world.directory / "opt"
    (opt / "bin").mkdir(parents=True)
    (opt / "lib" / PYTHON / "site-packages").mkdir(parents=True)
    (opt / "bin" / "python3").symlink_to("/usr/bin/python3")
    (opt / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = true\n")
    script = opt / "bin" / "sipguard"
    script.write_text("#!/opt/sipguard/bin/python3 -P\nfrom sipguard.cli.main import main\nmain()\n")
    script.chmod(0o755)
    shown = {
        opt: "/opt/sipguard",
        Path(sysconfig.get_path("purelib")): f"/opt/sipguard/lib/{PYTHON}/site-packages",
        PROJECT / "sipguard": "/usr/lib/python3/dist-packages/sipguard",
        PROJECT / "systemd" / "sipguard.service": "/etc/systemd/system/sipguard.service",
        PROJECT / "systemd" / "sipguard.sysusers": "/usr/lib/sysusers.d/sipguard.conf",
    }
    return [
        "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--directory", str(root), "--volatile=overlay",
        f"--network-namespace-path=/run/netns/{world.pbx.namespace}", "--capability=CAP_NET_ADMIN",
        *(f"--bind-ro={source}:{target}" for source, target in shown.items()), f"--bind={etc}:/etc/sipguard",
        "--kill-signal=SIGRTMIN+3", "--link-journal=no", "--console=pipe", "--boot",
    ]  # fmt: skip
