"""Names of currencies: ISO 4217 codes, and the signs that stand for one of them alone."""

from __future__ import annotations

_CODES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF"
    " CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD"
    " HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD"
    " MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN"
    " PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY"
    " TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG"
)
_MANY_UNITS = "CLP COP HUF IDR IQD IRR JPY KRW LAK LBP MMK MNT NGN PYG RWF TZS UGX UZS VND XAF XOF"

CODES = frozenset(_CODES.split())

SIGNS = {
    "€": "EUR",
    "£": "GBP",
    "₹": "INR",
    "₽": "RUB",
    "₺": "TRY",
    "₩": "KRW",
    "₪": "ILS",
    "₴": "UAH",
    "₦": "NGN",
    "₫": "VND",
    "฿": "THB",
    "₱": "PHP",
    "zł": "PLN",
    "kč": "CZK",
    "r$": "BRL",
    "us$": "USD",
    "a$": "AUD",
    "ca$": "CAD",
}
"""A sign alone, in small letters, and what it stands for."""

MANY_UNITS = frozenset(_MANY_UNITS.split())
"""Where a minute costs tens to thousands."""


def named(text: str) -> str | None:
    """Give the code that a cell names: "" for an empty cell, None for what is no currency, "$" for some dollar."""
    plain = text.strip().strip("()[]").strip()
    if not plain:
        return ""
    if plain.upper() in CODES:
        return plain.upper()
    return "$" if plain == "$" else SIGNS.get(plain.lower())


def parted(price: str) -> tuple[str, str]:
    """Take the currency off a price: "0.05 EUR", "€0,05", "USD 0.05" to the number and the code ("$", "" for none)."""
    text = price.strip()
    if not text or (text[0] in "0123456789.,-+" and text[-1] in "0123456789.,"):
        return text, ""
    letters = "".join(sign for sign in text if sign not in "0123456789.,-+' \u00a0\u202f\u2019")
    code = named(letters)
    if not code or letters not in text:
        return text, ""
    return text.replace(letters, "", 1).strip(), code
