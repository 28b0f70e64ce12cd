"""Destinations that fraud is often paid through: a seed list, as a score from 0 to 10.

Promises: `risk` and `reason` never raise; longest prefix wins; 0 for what the list does not know. It is a score among
others and never a defence by itself: such lists age badly. Of the numbers advertised for fraud in 2017 the ten
countries most often named had 45 %, two years later not 20 % (commsrisk.com, "No Low Risk Destinations Any More",
2020), and ordinary European ranges have been among them since. A number with the score 0 is not a safe one.

Gathered in November 2026 from, by the letters in `_LIST`:

a  what carriers warn their customers of: Latvia, Lithuania, Serbia, Somalia, both Congos, Pacific and Caribbean
   islands, Chad, Gambia, Sierra Leone, Guinea
b  ITU-T E.164 and its list of assigned codes: satellite (+870, +881, +882 13, +882 16), networks without a country
   (+882, +883), international premium rate (+979), shared cost (+808), personal numbers (+878), disaster relief (+888)
c  ComReg (Ireland), direct dialling barred to 13 countries after dialler fraud, September 2004
d  FTC and FCC, one-ring calls from codes that look like domestic ones, 2014 to 2019; FCC on Mauritania, 2019
e  Commsrisk, "What Is New with IRSF Fraud?" and the article above (Cuba, Latvia, Lithuania, Somalia), 2019 and 2020
f  iconX Solutions, the countries most advertised in 2021 and 2022 (Cuba, Dominican Republic, Nigeria, Morocco, Sri
   Lanka, Emirates, Saudi Arabia)
g  Humbug Labs, fraud numbers seen on PBXs (Sao Tome, Cuba), 2011
h  reports of victims: Liberia, 6,800 minutes in 12 hours
i  APT PRF-15/INF-03, number misappropriation in the Pacific, 2015
j  national numbering plans: premium ranges of the United Kingdom (+44 9, +44 70), Germany (+49 900), NANP (900),
   France (+33 89), Italy (+39 89), Spain (+34 80x), Switzerland (+41 90x), Austria (+43 9), Australia (+61 19)
k  Binary Networks (Australia), countries classed by their risk of toll fraud
"""

from __future__ import annotations

from typing import NamedTuple

DATED = "2026-11-22"
"""The day this list was gathered."""


class Risk(NamedTuple):
    """What is known of a prefix: a score from 1 to 10, why, and from which sources (letters, see above)."""

    score: int
    why: str
    sources: str


# Score, sources, prefixes, why.
_LIST: tuple[tuple[int, str, str, str], ...] = (
    # Where no honest call of most offices goes.
    (10, "b", "979", "international premium rate"),
    (9, "b", "870", "satellite: Inmarsat"),
    (9, "b", "8816 8817", "satellite: Iridium"),
    (9, "b", "8818 8819", "satellite: Globalstar"),
    (9, "b", "881", "satellite"),
    (9, "b", "88213 88216", "satellite: Emsat, Thuraya"),
    (9, "b", "882 883", "networks that belong to no country"),
    (8, "b", "878", "personal numbers of no country"),
    (8, "b", "888", "a code without subscribers"),
    (6, "b", "808", "international shared cost"),
    # Africa
    (9, "ae", "252", "Somalia"),
    (8, "a", "235", "Chad"),
    (8, "a", "220", "Gambia"),
    (8, "ad", "232", "Sierra Leone"),
    (8, "a", "224", "Guinea"),
    (8, "a", "242", "Congo (Brazzaville)"),
    (8, "a", "243", "Congo (Kinshasa)"),
    (8, "cg", "239", "Sao Tome and Principe"),
    (8, "c", "269", "Comoros"),
    (8, "cd", "222", "Mauritania"),
    (8, "h", "231", "Liberia"),
    (8, "c", "246", "Diego Garcia"),
    (6, "k", "247", "Ascension"),
    (5, "f", "234", "Nigeria"),
    (4, "f", "212", "Morocco"),
    # Europe
    (8, "ae", "371", "Latvia"),
    (8, "ae", "370", "Lithuania"),
    (7, "a", "381", "Serbia"),
    # Cuba and the Caribbean that has country codes of its own
    (9, "efg", "53", "Cuba"),
    (6, "a", "297 590 596 599", "Caribbean: Aruba, Guadeloupe, Martinique, Curacao and others"),
    (6, "a", "509", "Caribbean: Haiti"),
    # The Caribbean that is dialled like a domestic number: +1 and an area code
    (7, "ad", "1268 1284 1473 1649 1664 1767 1876", "Caribbean, dialled like a domestic number"),
    (7, "adf", "1809 1829 1849", "Dominican Republic, dialled like a domestic number"),
    (6, "a", "1242 1246 1264 1345 1441 1658 1721 1758 1784 1868 1869", "Caribbean, dialled like a domestic number"),
    # The Pacific
    (8, "aci", "672 674 677 681 682 686 688 689 690", "Pacific islands"),
    (7, "ai", "675 676 678 679 680 683 685 687 691 692", "Pacific islands"),
    (6, "k", "670", "Timor-Leste"),
    # Elsewhere
    (4, "f", "94", "Sri Lanka"),
    (3, "f", "966 971", "Saudi Arabia, United Arab Emirates"),
    # Premium ranges of countries that are harmless otherwise
    (8, "j", "1900", "premium rate: NANP"),
    (8, "j", "449", "premium rate: United Kingdom"),
    (7, "j", "4470", "personal numbers of the United Kingdom, priced like premium ones"),
    (8, "j", "49900", "premium rate: Germany"),
    (7, "j", "49137 49180", "shared cost: Germany"),
    (8, "j", "3389", "premium rate: France"),
    (8, "j", "3989", "premium rate: Italy"),
    (8, "j", "34803 34806 34807 34905", "premium rate: Spain"),
    (8, "j", "41900 41901 41906", "premium rate: Switzerland"),
    (8, "j", "43900 43901 43930 43931", "premium rate: Austria"),
    (8, "j", "6119", "premium rate: Australia"),
)
_RISKS: dict[str, Risk] = {
    prefix: Risk(score, why, sources) for score, sources, prefixes, why in _LIST for prefix in prefixes.split()
}
_LONGEST = max(map(len, _RISKS))


def reason(e164: str) -> Risk | None:
    """Give what the list says of "+" and digits, by the longest prefix; None when it says nothing."""
    if not e164.startswith("+"):
        return None
    digits = e164[1 : _LONGEST + 1]
    for size in range(len(digits), 0, -1):
        found = _RISKS.get(digits[:size])
        if found is not None:
            return found
    return None


def risk(e164: str) -> int:
    """Give the score of "+" and digits: 0 (not on the list) to 10."""
    found = reason(e164)
    return found.score if found is not None else 0
