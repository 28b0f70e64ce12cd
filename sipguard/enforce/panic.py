"""Opens what a back end closed, whichever it was, without it: what `sipguard off` falls back to."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from sipguard.enforce import loader, queueing
from sipguard.enforce.base import Layout
from sipguard.enforce.ipsets import Ipsets
from sipguard.enforce.programs import Programs
from sipguard.enforce.tools import run_nft
from sipguard.errors import AdapterError

_SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


def panic_off() -> None:
    """Remove our table, our chains and our sets; all is tried, whatever one of them says. Raises AdapterError."""
    if faults := _open(_NFTABLES, _IPTABLES, _QUEUEING):
        raise AdapterError("off", faults)


def open_others(backend: str) -> str:
    """Remove what an earlier guard has left that had another back end; gives what is wrong, if anything is."""
    return _open(*(each for name, each in (("nftables", _NFTABLES), ("iptables", _IPTABLES)) if name != backend))


def _open(*ways: tuple[str, Callable[[], object]]) -> str:
    faults = []
    for program, open_one in ways:
        if shutil.which(program) is None and shutil.which(program, path=_SYSTEM_PATH) is None:
            continue
        try:
            open_one()
        except AdapterError as error:
            faults.append(error.what)
    return "; ".join(faults)


def _open_nftables() -> None:
    loader.open_all(run_nft)


def _open_iptables() -> None:
    if not Programs().ours():
        return
    rules = Ipsets(Layout(), lambda: 0)
    try:
        rules.uninstall()
    finally:
        rules.close()


_NFTABLES = ("nft", _open_nftables)
_IPTABLES = ("iptables-save", _open_iptables)
_QUEUEING = ("iptables-nft-save", queueing.remove)
