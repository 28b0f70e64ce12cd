"""Our chains of iptables in their places: hung in, looked at, taken out. Sets are not this module's business.

Rules of iptables-legacy are *static*: changing them needs root's lock, so they stand whether bans are in force or not,
and heed the set `acting`. Without root they are only looked at; `sipguard rules` has put them in place before.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from sipguard.enforce import chains
from sipguard.enforce.base import Layout
from sipguard.enforce.programs import Programs
from sipguard.errors import AdapterError


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
        for version in (4, 6):
            self.programs.restore(version, self._text(version))
            for table, hook, chain in chains.HOOKS:
                self.programs.hook(version, table, hook, chain)

    def hung(self) -> bool:
        """Tell whether the kernel's chains lead to ours, and ours have all their rules. Raises AdapterError."""
        return all(self.programs.complete(version, chains.HOOKS, self._text(version)) for version in (4, 6))

    def take_out(self) -> bool:
        """Remove them; nothing is wrong when there are none. False where they are not ours to remove."""
        if not self.programs.may_write() and self.static:
            return not self.programs.ours()
        for version in (4, 6) if self.programs.ours() else ():
            for table, hook, chain in chains.HOOKS:
                self.programs.unhook(version, table, hook, chain)
            self.programs.restore(version, chains.removal())
        return True

    def _text(self, version: int) -> str:
        if self.static:
            return chains.render(replace(self._layout, static=True, observe=False), version)
        return chains.render(self._layout, version)
