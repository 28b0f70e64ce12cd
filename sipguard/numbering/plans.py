"""The dial plans of a policy, by trunk and by site."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sipguard.numbering.plan import NONE, DialPlan
from sipguard.numbering.read import Numbering
from sipguard.numbering.world import World


def at_home(plan: DialPlan, default: DialPlan) -> DialPlan:
    """Give a named plan with the default one's country and area where it names no country."""
    if plan.country != NONE:
        return plan
    return replace(plan, country=default.country, area=default.area if plan.area == NONE else plan.area)


class Plans:
    """Gives the `Numbering` for a trunk or a site; one that is not known, or names no plan, has the default one.

    To a trunk that names no plan the default is dialled without outside line and extensions, for both end at the PBX:
    in Germany a 0 taken off again would make 0 44 of 00 44. `trunks` and `sites` tell which plan each names. A named
    plan without a country is in that of the default one, and in its area.
    """

    __slots__ = ("_sites", "_to_trunks", "_trunks", "default")

    def __init__(
        self,
        default: DialPlan,
        named: Mapping[str, DialPlan] | None = None,
        *,
        trunks: Mapping[str, str] | None = None,
        sites: Mapping[str, str] | None = None,
        also_emergency: Iterable[str] = (),
        world: World | None = None,
    ) -> None:
        shared = World() if world is None else world
        also = tuple(also_emergency)
        self.default = Numbering(default, shared, also)
        self._to_trunks = Numbering(replace(default, outside=(), extensions=()), shared, also)
        read = {name: Numbering(at_home(plan, default), shared, also) for name, plan in (named or {}).items()}
        self._trunks = {name: read[plan] for name, plan in (trunks or {}).items() if plan in read}
        self._sites = {name: read[plan] for name, plan in (sites or {}).items() if plan in read}

    def of_trunk(self, name: str) -> Numbering:
        """Give how numbers are dialled to a trunk; "" for one that is not listed."""
        return self._trunks.get(name, self._to_trunks)

    def of_site(self, name: str) -> Numbering:
        """Give how numbers are dialled at a site; "" for elsewhere."""
        return self._sites.get(name, self.default)
