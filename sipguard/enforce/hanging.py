"""Our chains of iptables in their places: hung in, looked at, taken out. Sets are not this module's business.

Rules of iptables-legacy are *static*: changing them needs root's lock, so they stand whether bans are in force or not,
and heed the set `acting`; those of the gate stand there whatever the policy wants, and heed `alive`. Without root they
are only looked at; `sipguard rules` has put them in place before.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from sipguard.enforce import chains, gatechains
from sipguard.enforce.base import Layout
from sipguard.enforce.programs import Programs
from sipguard.errors import AdapterError

_WITHOUT = "the rules of iptables-legacy hold no packet; as root: sipguard rules"


class Rules:
    """The rules of one layout, for both families."""

    def __init__(self, layout: Layout, programs: Programs) -> None:
        self._layout = layout
        self.programs = programs

    @cached_property
    def static(self) -> bool:
        """Whether this is iptables-legacy. Raises AdapterError."""
        return self.programs.legacy()

    def lay(self) -> None:
        """Put them in their places; done twice it is the same. Raises AdapterError."""
        if self.static and not self.programs.may_write():
            if not self.hung():
                raise AdapterError("iptables", "our rules are not as they must be; as root: sipguard rules")
            return
        layout = self._standing(gated=not self._untaken()) if self.static else self._layout
        for version in (4, 6):
            self.programs.lay(version, chains.render(layout, version), chains.HOOKS, chains.TAILS)

    def hung(self) -> bool:
        """Tell whether the kernel's chains lead to ours, and ours have all their rules. Raises AdapterError."""
        if not self.static:
            return self._stands(self._layout)
        return any(self._stands(self._standing(gated=gated)) for gated in (True, False))

    def ungated(self) -> str:
        """Say why no packet can be held here; empty where it can. Raises AdapterError."""
        if self.static and not self.programs.may_write():
            return "" if self._stands(self._standing(gated=True)) else _WITHOUT
        return self._untaken()

    def take_out(self) -> bool:
        """Remove them; nothing is wrong when there are none. False where they are not ours to remove."""
        if not self.programs.may_write() and self.static:
            return not self.programs.ours()
        for version in (4, 6) if self.programs.ours() else ():
            self.programs.take_out(version, chains.removal(), (*chains.HOOKS, *chains.TAILS))
        return True

    def _standing(self, *, gated: bool) -> Layout:
        """Give the layout of static rules: whether they act is another's word."""
        return replace(self._layout, static=True, observe=False, gate="iptables" if gated else "")

    def _stands(self, layout: Layout) -> bool:
        hooks = (*chains.HOOKS, *chains.TAILS)
        return all(self.programs.complete(version, hooks, chains.render(layout, version)) for version in (4, 6))

    def _untaken(self) -> str:
        """Say what the kernel has against rules that hold packets; they are tried where nothing leads to them."""
        try:
            for version in (4, 6):
                try:
                    self.programs.restore(version, gatechains.probe(self._layout, version))
                finally:
                    self.programs.restore(version, gatechains.probed())
        except AdapterError as error:
            return f"iptables cannot hold packets here: {error.what}"
        return ""
