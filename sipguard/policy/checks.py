"""What must be true of several settings together.

A check of one table runs as soon as that table's own values are good. The checks of the whole document read it as
written and pass over what is wrong by itself, so that one mistake neither hides another nor makes a false one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sipguard.address import Network
from sipguard.decide import ladder
from sipguard.detect import accounts, credentials, enumeration, networks
from sipguard.numbering.plan import DEFAULT, NONE
from sipguard.numbering.world import countries
from sipguard.policy.callchecks import call_complaints
from sipguard.policy.complaint import Complaint
from sipguard.policy.leaf import NETWORK, PLACE, Leaf
from sipguard.policy.lines import Path
from sipguard.policy.tree import Entry, Table, policy_tree
from sipguard.policy.units import UnfitError, write_duration


def document_complaints(document: dict[str, Any], is_zone: Callable[[str], bool] | None) -> Iterator[Complaint]:
    """Say what is wrong between settings that are each good by themselves; `is_zone` knows the host's time zones."""
    yield from _repeated(document, policy_tree(), ())
    yield from _same_labels(document)
    yield from _same_names(document)
    yield from _overlaps(document)
    yield from _too_wide(document)
    yield from _shut_out(document)
    yield from _spared_sip(document)
    yield from _unknown_plans(document)
    yield from _unknown_countries(document)
    yield from call_complaints(document, is_zone)


# --- One table --------------------------------------------------------------------------------------------------------


def _ladder_in_order(settings: ladder.Config) -> None:
    if settings.first > settings.maximum:
        longest = write_duration(settings.maximum)
        raise UnfitError("is longer than ban.maximum", f"at most {longest}, or a longer maximum", ("first",))


def _slow_above_fast(fast: str) -> Callable[[Any], None]:
    """Want more for a finding in the slow window than in the fast one, or the slow one has nothing left to find."""
    slow = f"slow_{fast}"

    def check(settings: Any) -> None:
        least, most = getattr(settings, slow), getattr(settings, fast)
        if least > most:
            return
        if least == getattr(type(settings)(), slow):  # the default: so it is the other that was changed
            raise UnfitError(f"is not below {slow}", f"at most {least - 1}, or more {slow}", (fast,))
        raise UnfitError(f"is not above {fast}", f"at least {most + 1}, or fewer {fast}", (slow,))

    return check


TABLE_CHECKS: dict[type, Callable[[Any], None]] = {
    ladder.Config: _ladder_in_order,
    **dict.fromkeys((credentials.Config, accounts.Config, networks.Config), _slow_above_fast("failures")),
    enumeration.Config: _slow_above_fast("accounts"),
}


# --- The document -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """A network or host name where it is written."""

    path: Path
    value: Network | str


def _read(leaf: Leaf, value: object) -> object:
    try:
        return leaf.read(value)
    except UnfitError:
        return None


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _places(document: dict[str, Any], key: str, leaf: Leaf = PLACE) -> Iterator[_Place]:
    """Go through a list of places, or through those of an array of tables; what is no place is passed over."""
    for position, item in enumerate(_items(document.get(key))):
        path: Path = (key, position)
        if isinstance(item, dict):
            inner = enumerate(_items(item.get("addresses")))
            found = [_Place((*path, "addresses", number), _read(leaf, place)) for number, place in inner]  # type: ignore[arg-type]
        else:
            found = [_Place(path, _read(leaf, item))]  # type: ignore[arg-type]
        yield from (place for place in found if place.value is not None)


def _repeated(document: dict[str, Any], table: Table, path: Path) -> Iterator[Complaint]:
    """No list holds the same value twice, however it is written."""
    for entry in table.entries:
        if entry.key in document:
            yield from _repeated_in(document[entry.key], entry, (*path, entry.key))


def _repeated_in(value: object, entry: Entry, path: Path) -> Iterator[Complaint]:
    if entry.table is not None:
        if isinstance(value, dict):
            yield from _repeated(value, entry.table, path)
        for position, item in enumerate(_items(value)):
            if isinstance(item, dict):
                yield from _repeated(item, entry.table, (*path, position))
    elif entry.leaf is not None and entry.count is not None:
        seen: dict[object, int] = {}
        for position, item in enumerate(_items(value)):
            read = _read(entry.leaf, item)
            if read is not None and seen.setdefault(read, position) != position:
                yield Complaint((*path, position), "is the same as", other=(*path, seen[read]))


def _same_labels(document: dict[str, Any]) -> Iterator[Complaint]:
    yield from _same_labels_of(document, ("site", "trunk"))
    yield from _same_labels_of(document, ("feed",))
    yield from _same_labels_of(document, ("dialplan",))


def _same_labels_of(document: dict[str, Any], keys: tuple[str, ...]) -> Iterator[Complaint]:
    seen: dict[str, Path] = {}
    for key in keys:
        for position, item in enumerate(_items(document.get(key))):
            label = item.get("name") if isinstance(item, dict) else None
            if isinstance(label, str):
                path: Path = (key, position, "name")
                first = seen.setdefault(label.casefold(), path)
                if first != path:
                    yield Complaint(path, "is the same as", "reports must be able to tell them apart", first)


def _same_names(document: dict[str, Any]) -> Iterator[Complaint]:
    seen: dict[str, Path] = {}
    for key in ("site", "trunk"):
        for place in _places(document, key):
            if isinstance(place.value, str):
                first = seen.setdefault(place.value, place.path)
                if first[:2] != place.path[:2]:
                    yield Complaint(place.path, "is the same as", _ONE_OWNER, first)


def _overlaps(document: dict[str, Any]) -> Iterator[Complaint]:
    """No address belongs to two sites or trunks.

    Sorted, a network is followed by those inside it, so what encloses the present one is a stack; n log n steps.
    """
    placed = [
        (place.value, place.path)
        for key in ("site", "trunk")
        for place in _places(document, key)
        if isinstance(place.value, Network)
    ]
    order = {path: number for number, (_, path) in enumerate(placed)}
    enclosing: list[tuple[Network, Path]] = []
    for network, path in sorted(placed, key=lambda item: (len(item[0].address), item[0], order[item[1]])):
        while enclosing and not enclosing[-1][0].covers(network.address):
            enclosing.pop()
        other = next((where for _, where in reversed(enclosing) if where[:2] != path[:2]), None)
        if other is not None:
            first, second = sorted((path, other), key=lambda where: order[where])
            yield Complaint(second, "overlaps", _ONE_OWNER, first)
        enclosing.append((network, path))


_ONE_OWNER = "an address belongs to one site or trunk"

# Wider than this is no list of known parties any more: private use is 10.0.0.0/8 (RFC 1918) and fc00::/7 (RFC 4193).
_WIDEST = {4: 8, 6: 7}


def _too_wide(document: dict[str, Any]) -> Iterator[Complaint]:
    for key, leaf in (("pbx", NETWORK), ("allowed", PLACE), ("site", PLACE), ("trunk", PLACE)):
        for place in _places(document, key, leaf):
            if isinstance(place.value, Network) and place.value.prefix < _WIDEST[place.value.version]:
                yield Complaint(
                    place.path,
                    "takes in so many strangers that it would switch the guard off",
                    f'/{_WIDEST[place.value.version]} is the widest; to ban nobody, write mode = "observe"',
                )


def _shut_out(document: dict[str, Any]) -> Iterator[Complaint]:
    if document.get("strangers") == "closed" and not any(document.get(key) for key in ("allowed", "site", "trunk")):
        yield Complaint(
            ("strangers",),
            "would shut out every phone: nothing is allowed",
            "list your networks under allowed or as [[site]] first",
        )


_SIP_PORTS = [5060, 5061, 5080, 50600]  # the default of `ports`


def _spared_sip(document: dict[str, Any]) -> Iterator[Complaint]:
    """Find SIP ports that a ban would leave open: it would be none."""
    enforcement = document.get("enforcement")
    if not isinstance(enforcement, dict) or enforcement.get("scope") != "except":
        return
    ports = _items(document.get("ports", _SIP_PORTS))
    for position, port in enumerate(_items(enforcement.get("except_ports"))):
        if port in ports:
            path: Path = ("enforcement", "except_ports", position)
            yield Complaint(path, "is a port that the PBX listens on for SIP", "a ban must close those", ("ports",))


def _unknown_plans(document: dict[str, Any]) -> Iterator[Complaint]:
    """Find sites and trunks that name a dial plan which is not there."""
    known: list[object] = [DEFAULT]
    for position, plan in enumerate(_items(document.get("dialplan"))):
        name = plan.get("name") if isinstance(plan, dict) else None
        if name == DEFAULT:
            yield Complaint(("dialplan", position, "name"), "is what [numbering] is called", "any other name will do")
        known.append(name)
    for key in ("site", "trunk"):
        for position, party in enumerate(_items(document.get(key))):
            wanted = party.get("dialplan", DEFAULT) if isinstance(party, dict) else DEFAULT
            if isinstance(wanted, str) and wanted not in known:
                yield Complaint((key, position, "dialplan"), "is no [[dialplan]] of this policy", "its name, as there")


_OFTEN_MEANT = {"UK": "GB", "EN": "GB", "EL": "GR"}


def _unknown_countries(document: dict[str, Any]) -> Iterator[Complaint]:
    """Find plans in countries that nothing is known of, and area codes of no country."""
    numbering = document.get("numbering")
    plans: list[tuple[Path, Any]] = [(("numbering",), numbering)]
    plans += [(("dialplan", position), plan) for position, plan in enumerate(_items(document.get("dialplan")))]
    home = numbering.get("country", NONE) if isinstance(numbering, dict) else NONE
    for path, plan in plans:
        if not isinstance(plan, dict):
            continue
        country, area = plan.get("country", NONE), plan.get("area", NONE)
        if isinstance(country, str) and _COUNTRY.fullmatch(country) and country not in countries():
            meant = _OFTEN_MEANT.get(country)
            hint = f'did you mean "{meant}"?' if meant else "ISO 3166-1 has the codes"
            yield Complaint((*path, "country"), "is no country with telephone numbers of its own", hint)
        if isinstance(area, str) and area.isdigit() and country == home == NONE:
            yield Complaint((*path, "area"), "is an area code of no country", "name the country as well")


_COUNTRY = re.compile(r"[A-Z]{2}")
