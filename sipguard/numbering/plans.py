"""The dial plans of a policy, by trunk and by site."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sipguard.numbering.plan import DialPlan, NamedPlan
from sipguard.numbering.read import Numbering
from sipguard.numbering.world import World


class Plans:
    """Gives the `Numbering` for a trunk or a site; one that is not known, or names no plan, has the default one.

    `trunks` and `sites` tell which plan each names. A named plan without a country is in that of the default one, and
    in its area.
    """

    __slots__ = ("_sites", "_trunks", "default")

    def __init__(
        self,
        default: DialPlan,
        named: Iterable[NamedPlan],
        trunks: Mapping[str, str],
        sites: Mapping[str, str],
        *,
        also_emergency: Iterable[str] = (),
        world: World | None = None,
    ) -> None:
        shared = World() if world is None else world
        also = tuple(also_emergency)
        self.default = Numbering(default, shared, also)
        read = {one.name: Numbering(_at_home(one.plan, default), shared, also) for one in named}
        self._trunks = {name: read[plan] for name, plan in trunks.items() if plan in read}
        self._sites = {name: read[plan] for name, plan in sites.items() if plan in read}

    def of_trunk(self, name: str) -> Numbering:
        """Give how numbers are dialled to a trunk."""
        return self._trunks.get(name, self.default)

    def of_site(self, name: str) -> Numbering:
        """Give how numbers are dialled at a site."""
        return self._sites.get(name, self.default)


def _at_home(plan: DialPlan, default: DialPlan) -> DialPlan:
    if plan.country:
        return plan
    return replace(plan, country=default.country, area=plan.area or default.area)
