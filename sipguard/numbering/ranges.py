"""Ranges of E.164 that belong to no country, or that phonenumberslite does not tell apart: data, and nothing else.

Sources: ITU-T, List of Recommendation E.164 assigned country codes (position on 15 December 2016, annex to Operational
Bulletin 1114), with the identification codes of +881, +882 and +883; Inmarsat's plan (Operational Bulletin 830, 1
February 2005); NANPA on exchange 976; the national plans named below. Compared with libphonenumber 9.0.42 in November
2026, which has no satellite class and calls these mobile or VoIP.
"""

from __future__ import annotations

from typing import Final

from sipguard.call import NumberClass

_KINDS: Final = {
    NumberClass.SATELLITE: (
        "870",  # Inmarsat, single access code
        "871",  # Inmarsat by ocean until 2008; withdrawn, still in price lists
        "872",
        "873",
        "874",
        "881",  # GMSS: 0, 1 ICO, 2, 3 Ellipso (spare), 6, 7 Iridium, 8, 9 Globalstar
        "88213",  # EMSAT
        "88216",  # Thuraya
        "88220",  # Garuda Mobile (ACeS)
    ),
    NumberClass.GLOBAL: (
        "878",  # universal personal telecommunications
        "882",  # international networks, among them those of ships (32, 42) and aircraft (98, 99)
        "883",
        "888",  # disaster relief; given back
    ),
    NumberClass.PREMIUM: ("979",),  # international premium rate service (ITU-T E.169.2)
    NumberClass.TOLL_FREE: ("800",),  # universal international freephone (ITU-T E.169.1)
    NumberClass.SHARED_COST: ("808",),  # international shared cost service (ITU-T E.169.3)
}

RANGES: Final[dict[str, NumberClass]] = {prefix: kind for kind, prefixes in _KINDS.items() for prefix in prefixes}
"""Digits after the plus to their class; their country is none."""

LENGTHS: Final = (5, 3)
"""How long the prefixes are, longest first."""

FIRST_DIGITS: Final = frozenset({"8", "9"})
"""The first digits that any of them has."""

NATIONAL: Final[dict[str, NumberClass]] = dict.fromkeys(
    (
        "62868",  # Indonesia: PSN's satellite telephones
        "861349",  # China: China Satcom
        "861740",  # China: Tiantong
    ),
    NumberClass.SATELLITE,
)
"""Ranges within a country that are of another class than its metadata says."""

NATIONAL_LENGTHS: Final = (6, 5)

DIRECTORY: Final = "118"
"""Short codes of four to six digits that begin so are directory enquiries (ECTRA/REC(97)01): paid, and put through."""

NANP_PREMIUM_EXCHANGE: Final = "976"
"""The three digits after any NANP area code that belong to paid information services."""
