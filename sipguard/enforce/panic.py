"""Opens everything at once, whichever back end closed it, without a daemon: what `sipguard off` falls back to."""

from __future__ import annotations

import shutil

from sipguard.enforce import loader, queueing
from sipguard.enforce.base import Layout
from sipguard.enforce.ipsets import Ipsets
from sipguard.enforce.programs import Programs
from sipguard.enforce.tools import run_nft
from sipguard.errors import AdapterError

_SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


def panic_off() -> None:
    """Remove our table, our chains and our sets; all is tried, whatever one of them says. Raises AdapterError."""
    faults = []
    for program, open_one in (
        ("nft", _open_nftables),
        ("iptables-save", _open_iptables),
        ("iptables-nft-save", queueing.remove),
    ):
        if shutil.which(program) is None and shutil.which(program, path=_SYSTEM_PATH) is None:
            continue
        try:
            open_one()
        except AdapterError as error:
            faults.append(error.what)
    if faults:
        raise AdapterError("off", "; ".join(faults))


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
