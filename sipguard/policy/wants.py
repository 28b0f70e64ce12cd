"""What a policy wants of the shell, as plain values. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sipguard.constraint import Levels
from sipguard.decide.books import Kind
from sipguard.decide.force import Config as ForceConfig
from sipguard.decide.wallclock import Zone
from sipguard.model import DAY, Instant, Lookups, Names, Role, Span
from sipguard.policy.schema import Policy
from sipguard.track.spending import House


def host_names(policy: Policy) -> list[tuple[Role, str]]:
    """List the host names that a policy wants resolved, with the role that their addresses are to have."""
    found = [(Role.ALLOWED, name) for name in policy.allowed_names]
    found += [(Role.ALLOWED, name) for site in policy.sites for name in site.names]
    found += [(Role.TRUNK, name) for trunk in policy.trunks for name in trunk.names]
    return list(dict.fromkeys(found))


def names_of(policy: Policy, earlier: Policy | None) -> list[Names]:
    """Say the policy's own lists as `Names`, and take back those that an earlier policy had and this one has not."""
    said = {
        (Role.PBX, "policy"): policy.pbx,
        (Role.ALLOWED, "policy"): policy.allowed,
        **{(Role.ALLOWED, f"site {site.name}"): site.networks for site in policy.sites},
        **{(Role.TRUNK, f"trunk {trunk.name}"): trunk.networks for trunk in policy.trunks},
    }
    found = [Names(role, name, networks) for (role, name), networks in said.items()]
    if earlier is not None:
        found += [
            replace(names, networks=()) for names in names_of(earlier, None) if (names.role, names.name) not in said
        ]
        present = frozenset(host_names(policy))
        found += [Names(role, name, ()) for role, name in host_names(earlier) if (role, name) not in present]
    return found


def house_of(policy: Policy, look: Lookups, offset: Callable[[], Span]) -> House:
    """Give what detectors may know of the place; `offset` is the wall clock's, as `Clock` told it."""
    zone = Zone(look.zone(policy.calls.zone))

    def minute(at: Instant) -> int:
        return zone.moment(at + offset()).minute

    return House(policy.home(), minute, policy.calls.zone)


def calls_remembered(policy: Policy) -> Span:
    """Give how long calls that are over still count: the longest window of any limit, a day at least."""
    limits = policy.limits
    tables = limits.account, limits.group, limits.trunk, limits.site, limits.class_, limits.country, limits.number
    said: list[Levels] = [getattr(table, kind) for table in (*tables, *limits.rule) for kind in Kind]
    return max([DAY, *(levels.window for levels in said)])


def force_of(policy: Policy) -> ForceConfig:
    """Give what a policy says of bans, wards and neighbours, as the force takes it."""
    return ForceConfig(policy.ban, policy.ward, policy.neighbours)
