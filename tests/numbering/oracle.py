"""The five dial plans of the table, and what phonenumberslite's own functions say of a number."""

from __future__ import annotations

import phonenumbers
from phonenumbers import PhoneNumberType

from sipguard.call import NumberClass
from sipguard.numbering.plan import DialPlan

EXTENSIONS = ("6XX",)
PLANS = {
    "US": DialPlan(country="US", area="212", outside=("9",), tech=("1234#",), extensions=EXTENSIONS),
    "GB": DialPlan(country="GB", area="20", outside=("9",), tech=("1234#",), extensions=EXTENSIONS),
    "DE": DialPlan(country="DE", area="30", outside=("0",), tech=("1234#",), extensions=EXTENSIONS),
    "AU": DialPlan(country="AU", area="2", outside=("0",), tech=("1234#",), extensions=EXTENSIONS),
    "IN": DialPlan(country="IN", area="11", outside=("0",), tech=("1234#",), extensions=EXTENSIONS),
}
KINDS = {
    PhoneNumberType.FIXED_LINE: NumberClass.GEOGRAPHIC,
    PhoneNumberType.MOBILE: NumberClass.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: NumberClass.FIXED_OR_MOBILE,
    PhoneNumberType.TOLL_FREE: NumberClass.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE: NumberClass.PREMIUM,
    PhoneNumberType.SHARED_COST: NumberClass.SHARED_COST,
    PhoneNumberType.PERSONAL_NUMBER: NumberClass.PERSONAL,
    PhoneNumberType.VOIP: NumberClass.OTHER,
    PhoneNumberType.PAGER: NumberClass.OTHER,
    PhoneNumberType.UAN: NumberClass.OTHER,
    PhoneNumberType.VOICEMAIL: NumberClass.OTHER,
    PhoneNumberType.UNKNOWN: NumberClass.UNALLOCATED,
}


def known(e164: str) -> tuple[NumberClass, str]:
    """Give class and country as the library itself reads them; the country is empty where it knows none."""
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return NumberClass.UNALLOCATED, ""
    if phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) != e164:
        return NumberClass.UNALLOCATED, ""
    region = phonenumbers.region_code_for_number(number) or ""
    kind = KINDS[phonenumbers.number_type(number)] if region else NumberClass.UNALLOCATED
    return kind, "" if region == "001" else region
