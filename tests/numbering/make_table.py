"""Write `dialled.tsv`: two thousand dialled strings under five plans, with number, class and country.

The E.164 number is known because each string is made from it; class and country are phonenumberslite's own
(`oracle.py`), but where the column `differs` says why they were set by hand. Nothing of `sipguard.numbering` that reads
is used. Rows: plan, leg (site: as a phone dials; trunk: as the PBX sends), dialled, E.164, class, country, differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberType

from sipguard.call import NumberClass
from tests.numbering.oracle import PLANS, known

TABLE = Path(__file__).with_name("dialled.tsv")
ROWS = 400  # for each plan

HOME = {"US": "1", "GB": "44", "DE": "49", "AU": "61", "IN": "91"}
ABROAD = {"US": "011", "GB": "00", "DE": "00", "AU": "0011", "IN": "00"}
TRUNK = {"US": "1", "GB": "0", "DE": "0", "AU": "0", "IN": "0"}
LOCAL = {"US": "5550123", "GB": "79460018", "DE": "23125000", "AU": "98765432", "IN": "23456789"}
TYPES = (
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.MOBILE,
    PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.TOLL_FREE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.VOIP,
    PhoneNumberType.PERSONAL_NUMBER,
    PhoneNumberType.UAN,
)


class Row(NamedTuple):
    """One line of the table."""

    plan: str
    leg: str
    dialled: str
    e164: str
    kind: str
    country: str
    differs: str


S, G, P = NumberClass.SATELLITE, NumberClass.GLOBAL, NumberClass.PREMIUM
# The library has no class for satellites and networks of no country, and calls these mobile, VoIP or unknown.
BY_HAND = {
    "+870773111632": (S, "", "Inmarsat"),
    "+881612345678": (S, "", "Iridium"),
    "+881812345678": (S, "", "Globalstar"),
    "+8816212345678": (S, "", "Iridium"),
    "+8821612345678": (S, "", "Thuraya"),
    "+8821312345": (S, "", "EMSAT"),
    "+8823212345": (G, "", "ships"),
    "+8829912345": (G, "", "aircraft"),
    "+883510012345": (G, "", "iNum"),
    "+883120123456": (G, "", "international network"),
    "+878101234567890": (G, "", "universal personal telecommunications"),
    "+979123456789": (P, "", ""),
    "+80012345678": (NumberClass.TOLL_FREE, "", ""),
    "+80812345678": (NumberClass.SHARED_COST, "", ""),
    "+12129761234": (P, "US", "exchange 976 is information services"),
    "+62868123456": (S, "ID", "0868 is satellite telephones"),
    "+8617401234567": (S, "CN", "1740 is Tiantong"),
    "+999123456789": (NumberClass.UNALLOCATED, "", "reserved country code"),
    "+2101234567": (NumberClass.UNALLOCATED, "", "spare country code"),
    "+180955501234": (NumberClass.FIXED_OR_MOBILE, "DO", "a digit too many changes no call"),
    "+4490987900001": (P, "GB", "a digit too many changes no call"),
}
# FIELD: the destinations that carriers name first.
FRAUD = [
    "+37120000001",
    "+37061234567",
    "+381601234567",
    "+25261234567",
    "+252612345678",
    "+243991234567",
    "+242061234567",
    "+6857212345",
    "+6787712345",
    "+6745551234",
    "+68672001234",
    "+69072123",
    "+18765550123",
    "+12645550123",
    "+12425550123",
    "+23563012345",
    "+2203012345",
    "+23225123456",
    "+224601123456",
    "+5352345678",
    "+231770123456",
    "+9607712345",
    "+881612345678",
]


def expected(e164: str) -> tuple[str, str, str]:
    """Give class, country, and why they are not the library's."""
    kind, country = known(e164)
    if e164 not in BY_HAND:
        return kind, country, ""
    hand_kind, hand_country, why = BY_HAND[e164]
    return hand_kind, hand_country, why if (hand_kind, hand_country) != (kind, country) else ""


def examples(country: str) -> list[str]:
    found = [phonenumbers.example_number_for_type(country, kind) for kind in TYPES]
    numbers = [phonenumbers.format_number(n, phonenumbers.PhoneNumberFormat.E164) for n in found if n is not None]
    return list(dict.fromkeys(numbers))


def world() -> list[str]:
    """List numbers abroad: those of fraud and by hand first, then a fixed and a mobile one of every country."""
    every = [number for country in sorted(phonenumbers.SUPPORTED_REGIONS) for number in examples(country)[:2]]
    return list(dict.fromkeys([*FRAUD, *BY_HAND, *every]))


def spaced(digits: str, sign: str) -> str:
    return sign.join(digits[at : at + 3] for at in range(0, len(digits), 3))


def abroad(plan: str, e164: str) -> list[tuple[str, str]]:
    """Dial a number as an international one, in every way that is usual."""
    prefix, digits, line = ABROAD[plan], e164[1:], PLANS[plan].outside[0]
    return [
        ("trunk", e164),
        ("trunk", prefix + digits),
        ("site", line + prefix + digits),
        ("trunk", f"sip:{e164}@carrier.example;user=phone"),
        ("site", f"sip:{line}{prefix}{digits}@pbx.example"),
        ("trunk", f"tel:+{spaced(digits, '-')}"),
        ("trunk", f"sip:%2b{digits}@carrier.example"),
        ("trunk", f"1234#{prefix}{digits}"),
        ("trunk", f"sip:1234%23{prefix}{digits}@carrier.example"),
        ("site", f"{line}{prefix} {spaced(digits, ' ')}"),
        ("trunk", f"sip:{e164};npdi;cpc=ordinary@carrier.example"),
        ("trunk", f"sips:+{spaced(digits, '.')}@carrier.example:5061"),
        ("site", f"*31#{line}{prefix}{digits}"),
        ("trunk", f"9999#{prefix}{digits}"),  # a technical prefix that nobody declared
        ("trunk", f"{prefix}{digits}#"),
    ]


def at_home(plan: str, e164: str) -> list[tuple[str, str]]:
    """Dial a number of the plan's own country, in every way that is usual."""
    number = e164[1 + len(HOME[plan]) :]
    trunk, line = TRUNK[plan], PLANS[plan].outside[0]
    national = number if plan == "AU" and number[0] == "1" else trunk + number
    return [
        ("trunk", national),
        ("site", line + national),
        ("trunk", e164),
        ("trunk", f"sip:{national}@carrier.example"),
        ("trunk", f"tel:{spaced(national, '-')};phone-context=+{HOME[plan]}"),
        ("trunk", f"tel:{national};phone-context=carrier.example"),
        ("site", f"sip:{line}{spaced(national, '-')}@pbx.example;user=phone"),
        ("trunk", f"({national[:3]}) {national[3:]}"),
        ("trunk", f"1234#{national}"),
        ("trunk", ABROAD[plan] + e164[1:]),
    ]


def special(plan: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Give what is no number, or one in a form of its own: leg, dialled, E.164, class, country."""
    line, code, area = PLANS[plan].outside[0], HOME[plan], PLANS[plan].area
    local = f"+{code}{area}{LOCAL[plan]}"
    kind, country = known(local)
    for leg, dialled in (("trunk", LOCAL[plan]), ("site", line + LOCAL[plan]), ("site", f"sip:{LOCAL[plan]}@pbx")):
        yield leg, dialled, local, kind, country
    yield "trunk", f"tel:{LOCAL[plan]};phone-context=+{code}-{area}", local, kind, country
    for leg, dialled in (("site", "112"), ("trunk", "911"), ("site", "tel:112"), ("site", f"sip:{line}112@pbx")):
        yield leg, dialled, "", NumberClass.EMERGENCY, ""
    yield "trunk", "urn:service:sos.police", "", NumberClass.EMERGENCY, ""
    for name in ("alice", "bob2", "sip:anonymous@pbx", "sip:@pbx", "sip:pbx.example", "", "mailto:a@b", "tel:"):
        yield "site", name, "", NumberClass.UNREADABLE, ""
    for probe in ("++441772285411", "0+441772285407", "9011+442037690237", "sip:112%3b00442037690237@pbx", "112 x"):
        if not probe.startswith(f"{line}+"):
            yield "site", probe, "", NumberClass.UNREADABLE, ""
    for extension in ("600", "sip:699@pbx", "tel:612;phone-context=pbx.example"):
        yield "site", extension, "", NumberClass.EXTENSION, ""
    yield "site", "*98", "", NumberClass.SHORT, ""
    yield "trunk", "+1-800-FLOWERS", "+18003569377", NumberClass.TOLL_FREE, "US"
    yield "trunk", "sip:+12125550100;rn=+252612345678@x", "+252612345678", NumberClass.MOBILE, "SO"


def rows(plan: str) -> Iterator[Row]:
    for leg, dialled, e164, kind, country in special(plan):
        yield Row(plan, leg, dialled, e164, kind, country, "" if e164 else "no number")
    made = [(number, form) for number in examples(plan) for form in at_home(plan, number)]
    prefix = f"+{HOME[plan]}"
    numbers = [number for number in world() if not number.startswith(prefix)]
    forms = len(abroad(plan, "+1"))
    for turn in range(ROWS):  # each number in another form, then each again in the next one
        number = numbers[turn % len(numbers)]
        made.append((number, abroad(plan, number)[(turn + turn // len(numbers)) % forms]))
    for number, (leg, dialled) in made:
        yield Row(plan, leg, dialled, number, *expected(number))


def table() -> str:
    PhoneMetadata.load_all()
    lines = ["\t".join(Row._fields)]
    for plan in PLANS:
        lines += ["\t".join(row) for row in list(dict.fromkeys(rows(plan)))[:ROWS]]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
