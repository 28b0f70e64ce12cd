"""What must be true of rules and limits of calls together with the rest: names that are somebody's, places that exist.

Reads the document as written, as the other checks of the whole do (`checks.py`); passes over what is wrong by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from sipguard.policy.complaint import Complaint
from sipguard.policy.leaf import nearest
from sipguard.policy.lines import Path

# ISO 3166-1 alpha-2, and what numbering plans beside it know: Ascension (AC), Tristan da Cunha (TA), Kosovo (XK).
_COUNTRIES = frozenset(
    """
    AC AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA
    CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB
    GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG
    KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV
    MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB
    SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TA TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM
    US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
    """.split()  # noqa: SIM905 - a table of words
)
_MEANT = {"UK": "GB", "EN": "GB", "EL": "GR", "EU": "each country by itself", "SU": "RU", "YU": "RS"}
_CODE = re.compile(r"[A-Z]{2}")
_LISTS = ("countries", "allow", "deny", "home")


def call_complaints(document: dict[str, Any], is_zone: Callable[[str], bool] | None) -> Iterator[Complaint]:
    """Say what is wrong between rules, limits and the names they use. `is_zone` knows the host's time zones."""
    rules, limits = _rules(document, "calls"), _rules(document, "limits")
    calls = _table(document.get("calls"))
    for path, rule in (*rules, *limits):
        for key in ("groups", "sites", "trunks"):
            yield from _unknown(document, (*path, key), rule.get(key), key.removesuffix("s"))
    everybody: list[tuple[Path, dict[str, Any]]] = [(("calls",), calls), *rules]
    for path, rule in (*everybody, *limits):
        for key in _LISTS:
            yield from _nowhere((*path, key), rule.get(key))
    for path, rule in everybody:
        yield from _at_odds(path, rule)
        if rule.get("international") is False and not calls.get("home") and not _plan_country(document):
            what = "closes nothing while no country is home"
            yield Complaint((*path, "international"), what, 'write country = "DE" under [numbering]')
    for path, rule in limits:
        if not any(isinstance(each, list) and each for each in rule.values()):
            yield Complaint(path, "names nobody", "for all, change [limits.account] and the like")
    yield from _same_groups(document)
    zone = calls.get("zone")
    if isinstance(zone, str) and is_zone is not None and not is_zone(zone):
        yield Complaint(("calls", "zone"), "is no time zone of this host", 'like "Europe/Berlin", or "local"')


def _plan_country(document: dict[str, Any]) -> str:
    country = _table(document.get("numbering")).get("country", "none")
    return country if isinstance(country, str) and country != "none" else ""


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _rules(document: dict[str, Any], key: str) -> list[tuple[Path, dict[str, Any]]]:
    rules = _table(document.get(key)).get("rule")
    return [((key, "rule", at), _table(rule)) for at, rule in enumerate(rules)] if isinstance(rules, list) else []


def _names(document: dict[str, Any], kind: str) -> list[str]:
    items = document.get(kind)
    names = [_table(item).get("name") for item in items] if isinstance(items, list) else []
    return [name for name in names if isinstance(name, str)]


def _unknown(document: dict[str, Any], path: Path, named: object, kind: str) -> Iterator[Complaint]:
    known = _names(document, kind)
    for position, name in enumerate(named if isinstance(named, list) else []):
        if isinstance(name, str) and name not in known:
            folded = {each.casefold(): each for each in known}
            near = folded.get(nearest(name, list(folded)), "")
            hint = f'did you mean "{near}"?' if near else f"as in the name of a [[{kind}]], capitals and all"
            yield Complaint((*path, position), f"is no {kind} of this policy", hint)


def _nowhere(path: Path, places: object) -> Iterator[Complaint]:
    for position, place in enumerate(places if isinstance(places, list) else []):
        if isinstance(place, str) and _CODE.fullmatch(place) and place not in _COUNTRIES:
            meant = _MEANT.get(place, "")
            hint = f"write {meant}" if meant else "two capital letters of ISO 3166-1"
            yield Complaint((*path, position), "is no country", hint)


def _at_odds(path: Path, rule: dict[str, Any]) -> Iterator[Complaint]:
    """Find words that take each other back."""
    allow, deny = rule.get("allow"), rule.get("deny")
    for position, place in enumerate(deny if isinstance(deny, list) else []):
        if isinstance(allow, list) and isinstance(place, str) and place in allow:
            yield Complaint((*path, "deny", position), "is the same as", other=(*path, "allow", allow.index(place)))
    if rule.get("countries") and isinstance(rule.get("international"), bool):
        yield Complaint((*path, "international"), "cannot be said beside", "leave one out", (*path, "countries"))


def _same_groups(document: dict[str, Any]) -> Iterator[Complaint]:
    seen: dict[str, Path] = {}
    groups = document.get("group")
    for position, group in enumerate(groups if isinstance(groups, list) else []):
        name = _table(group).get("name")
        if isinstance(name, str):
            path: Path = ("group", position, "name")
            first = seen.setdefault(name.casefold(), path)
            if first != path:
                yield Complaint(path, "is the same as", "reports must be able to tell them apart", first)
