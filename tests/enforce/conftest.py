"""A PBX's host that is strict about what it lets in, and a stranger beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sipguard.enforce.base import Layout
from sipguard.enforce.ipsets import Ipsets
from sipguard.enforce.nft import Nft
from tests.enforce.spaces import Cable, cable, inside, now, run


@pytest.fixture(params=[Nft, Ipsets], ids=["nftables", "iptables"])
def joined(request: pytest.FixtureRequest) -> Iterator[Cable]:
    """Join a stranger and a PBX whose host lets in only what belongs to connections that it knows."""
    with cable() as made, inside(made.pbx):
        kernel: Nft | Ipsets = request.param(Layout(), now)
        kernel.install()
        kernel.close()
        run("nft", "add table inet host; add chain inet host in { type filter hook input priority 0; policy drop; };"
            "add rule inet host in iif lo accept; add rule inet host in icmpv6 type != 1 accept;"
            "add rule inet host in ct state established,related accept")  # fmt: skip
        yield made
