"""Which column of a rate deck is what: the names that billing programs and carriers give them, or a careful guess.

Promises: never raises; a column is given a role only for a name in `ALIASES`, or, without any header, where exactly one
column can be meant. Names are those of ASTPP ("Connect Cost", "Per Minute Cost", "Increment"), A2Billing
(`dialprefix`, `rateinitial`, `initblock`, `billingblock`, `connectcharge`), CGRateS (`Prefix`, `ConnectFee`,
`RateUnit`, `RateIncrement`), Kazoo (`rate_cost`, `rate_surcharge`, `rate_increment`, `rate_minimum`), Yeastar
("Match Prefix", "Billable Unit(s)", "Initial Time(s)") and of carriers' price lists, as their documentation of 2018 to
2026 has them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from sipguard.numbering import currencies
from sipguard.numbering.deckcells import CellError, amount
from sipguard.numbering.decktext import Row

SEARCHED = 60
"""Rows that a header is looked for in: some lists begin with a page of terms."""


class Role(StrEnum):
    """What a column says."""

    PREFIX = "prefix"
    COUNTRY_CODE = "country code"
    AREA = "area code"
    NAME = "destination"
    RATE = "rate"
    UNIT = "rate unit"  # how many seconds the rate is for, where not 60
    CONNECT = "connect fee"
    INITIAL_COST = "initial cost"  # what the first seconds cost instead of the rate (Yeastar)
    INITIAL_TIME = "initial time"
    FIRST = "first increment"
    STEP = "next increment"
    BOTH = "increments"
    EFFECTIVE = "effective date"
    END = "end date"
    CURRENCY = "currency"
    DIRECTION = "direction"
    FREE = "free seconds"
    INTERVAL = "interval start"  # from which second on the row's price holds (CGRateS)


# Without spaces and signs, in small letters; of the columns with one role the first alias listed wins.
ALIASES: dict[Role, str] = {
    Role.PREFIX: "prefix prefixes dialprefix dialcode dialcodes dialingcode dialingcodes diallingcode dialingprefix"
    " destinationprefix destinationcode destprefix destcode matchprefix matchpattern numberprefix networkprefix"
    " rateprefix prefixcode countrycodeareacode fullcode breakoutcode calledprefix e164prefix e164 code codes digits"
    " vorwahl präfix indicatif préfixe prefijo prefisso",
    Role.COUNTRY_CODE: "countrycode countrycodes cc countryprefix",
    Role.AREA: "areacode areacodes citycode citycodes areaprefix ndc area",
    Role.NAME: "destination destinationname destinations description dest destname destinationdescription"
    " countrynetwork"
    " zone zonename prefixname breakout network name ratename region location comment label ziel destino"
    " country countryname land",
    Role.RATE: "rate rates ratecost newrate currentrate perminutecost permincost costperminute costpermin costmin"
    " rateperminute ratepermin ratemin rateminute perminuterate perminute minuterate minuteprice priceperminute"
    " pricepermin pricemin perminuteprice rateinitial sellrate sellingrate retailrate price newprice price1 cost charge"
    " tariff amountperminute preis preismin minutenpreis preisprominute prix precio tarif prezzo"
    " buyrate buyingrate internalratecost pvtratecost",
    Role.UNIT: "rateunit billableunit billingunit",
    Role.CONNECT: "connectfee connectionfee connectcost connectioncost connectcharge connectioncharge"
    " connection setupfee"
    " setupcharge setupcost setup callsetup callsetupfee ratesurcharge surcharge ratecall ratepercall percall flagfall"
    " initialcharge sessionfee startfee verbindungsentgelt",
    Role.INITIAL_COST: "initialcost",
    Role.INITIAL_TIME: "initialtime",
    Role.FIRST: "firstincrement initialincrement initincrement 1stincrement initialbillingincrement"
    " firstbillingincrement"
    " initblock initialblock firstblock interval1 firstinterval initialinterval initialperiod rateminimum minimum"
    " minduration minimumduration minimalduration minimaltimecharge minimumtime mintime minimumchargeseconds"
    " buyrateinitblock",
    Role.STEP: "nextincrement subsequentincrement additionalincrement recurringincrement subincrement secondincrement"
    " 2ndincrement billingblock nextblock subsequentblock intervaln nextinterval rateincrement billingstep"
    " nextbillingincrement incrementseconds increment interval buyrateincrement",
    Role.BOTH: "increments billingincrement billingincrements billing billinginterval billingterms billingcycle"
    " minimumincrement minincr minincrement minnext callincrement chargeincrement rounding taktung takt",
    Role.EFFECTIVE: "effectivedate effective effectivefrom rateeffectivedate newrateeffectivedate dateeffective"
    " validfrom validafter startdate activationdate activationtime activefrom fromdate begindate date gültigab",
    Role.END: "enddate stopdate expirydate expirationdate expiry expires validto validuntil validtill effectivetill"
    " effectiveto effectiveuntil enddateexclusive",
    Role.CURRENCY: "currency currencycode currencyname curr ccy währung devise moneda valuta",
    Role.DIRECTION: "direction",
    Role.FREE: "includedseconds gracetime graceperiod grace ratenochargetime freeseconds freetime",
    Role.INTERVAL: "groupintervalstart intervalstart",
}
_RANKED: dict[str, tuple[Role, int]] = {
    name: (role, rank) for role, names in ALIASES.items() for rank, name in enumerate(names.split())
}
_CENTS = frozenset({"cent", "cents", "ct", "cts", "pence"})
_WORDS = re.compile(r"[^\W_]+")
_PRICED = (Role.RATE, Role.CONNECT, Role.INITIAL_COST)


class Columns(NamedTuple):
    """Where each role's column is, from 0; `cents`: roles whose prices are hundredths; `currency` the header names."""

    at: dict[Role, int]
    names: list[str]
    cents: frozenset[Role] = frozenset()
    currency: str = ""
    unused: tuple[str, ...] = ()  # columns that say something there is another column for


def find(rows: Sequence[Row]) -> tuple[int, Columns] | None:
    """Find the header among the first rows: its place, and what it says; None when there is none."""
    for place, row in enumerate(rows[:SEARCHED]):
        columns = _read(row.cells)
        if Role.RATE in columns.at and (Role.PREFIX in columns.at or Role.COUNTRY_CODE in columns.at):
            return place, columns
    return None


def _read(cells: Sequence[str]) -> Columns:
    at: dict[Role, int] = {}
    ranks: dict[Role, int] = {}
    cents, currency, unused = set[Role](), "", list[str]()
    for place, cell in enumerate(cells[:200]):
        known = _role(cell)
        if known is None:
            continue
        role, rank, code, hundredths = known
        if role in at:
            better = rank < ranks[role]
            if role in _PRICED:
                unused.append((cells[at[role]] if better else cell).strip())
            if not better:
                continue
            cents.discard(role)
        at[role], ranks[role] = place, rank
        currency = code or currency
        if hundredths:
            cents.add(role)
    return Columns(at, [cell.strip() for cell in cells], frozenset(cents), currency, tuple(unused))


def _role(header: str) -> tuple[Role, int, str, bool] | None:
    """Give role, rank among its aliases, currency, and whether it is in cents; None for a name that says nothing."""
    text = header.strip().lower().replace("(s)", "")[:200]
    words = _WORDS.findall(text)
    found = _RANKED.get("".join(words))
    if found is not None:
        return (*found, "", False)
    sign = next((code for sign, code in currencies.SIGNS.items() if sign in text), "$" if "$" in text else "")
    codes = [word.upper() for word in words if word.upper() in currencies.CODES]
    plain = [word for word in words if word not in _CENTS and word.upper() not in currencies.CODES]
    found = _RANKED.get("".join(plain))
    if found is None or found[0] not in _PRICED:
        return None
    return (*found, codes[0] if codes else sign, any(word in _CENTS for word in words))


# --- Without a header -------------------------------------------------------------------------------------------------

_DIGITS = re.compile(r"\+?[0-9 ]{1,18}")
_PAIR = re.compile(r"[0-9]{1,4}/[0-9]{1,4}(?:/[0-9]{1,4})?")


def guess(rows: Sequence[Row]) -> Columns | None:
    """Give the columns of a file without a header, where only one column can be each; None where that is not so."""
    sample = [row.cells for row in rows[:SEARCHED] if not row.broken]
    width = min(map(len, sample), default=0)
    at: dict[Role, list[int]] = {}
    for place in range(width):
        role = _looks(["" if place >= len(cells) else cells[place].strip() for cells in sample])
        if role is not None:
            at.setdefault(role, []).append(place)
    whole, priced = at.get(Role.PREFIX, []), at.get(Role.RATE, [])
    if len(whole) != 1 or len(priced) != 1 or len(at.get(Role.BOTH, [])) > 1:
        return None
    found = {role: places[0] for role, places in at.items() if role is not Role.NAME or len(places) == 1}
    return Columns(found, [f"column {place + 1}" for place in range(width)])


def _looks(cells: Sequence[str]) -> Role | None:
    if not all(cells):
        return None
    if all(map(_DIGITS.fullmatch, cells)):
        return Role.PREFIX
    if all(map(_PAIR.fullmatch, cells)):
        return Role.BOTH
    if all(map(_priced, cells)):
        return Role.RATE
    return Role.NAME if not any(map(_priced, cells)) else None


def _priced(cell: str) -> bool:
    try:
        amount(currencies.parted(cell)[0])
    except CellError:
        return False
    return True
