"""What a policy wants of the shell, as plain values. Pure."""

from __future__ import annotations

from sipguard.model import Role
from sipguard.policy.schema import Policy


def host_names(policy: Policy) -> list[tuple[Role, str]]:
    """List the host names that a policy wants resolved, with the role that their addresses are to have."""
    found = [(Role.ALLOWED, name) for name in policy.allowed_names]
    found += [(Role.ALLOWED, name) for site in policy.sites for name in site.names]
    found += [(Role.TRUNK, name) for trunk in policy.trunks for name in trunk.names]
    return list(dict.fromkeys(found))
