"""Any bytes mean something, a number that was read reads to itself, and nobody hides or is framed by how he dials."""

from __future__ import annotations

import re

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.call import Called, NumberClass
from sipguard.numbering.plan import Bare, DialPlan
from sipguard.numbering.plans import Plans
from sipguard.numbering.read import REMEMBERED, Numbering
from sipguard.numbering.world import World
from tests.numbering.make_table import FRAUD
from tests.numbering.oracle import PLANS, known

E164 = re.compile(r"\+[1-9][0-9]{4,14}")
WORLD = World()
READERS = [Numbering(plan, WORLD) for plan in (*PLANS.values(), DialPlan(), DialPlan("DE", bare=Bare.INTERNATIONAL))]
DIALLED = st.text("0123456789+*#-.() ;@:%", max_size=48).map(str.encode)
HEADS = st.sampled_from(
    [b"sip:", b"sips:", b"tel:", b"tel:+", b"urn:service:sos", b"<sip:+", b"00", b"011", b"+", b"*31#", b""]
)


def read(text: str, country: str = "US") -> Called:
    return Numbering(PLANS[country], WORLD).read(text.encode())


def holds(called: Called) -> None:
    """Say what is true of everything that was read."""
    assert called.dialled.isascii()
    assert not called.dialled or called.dialled.isprintable()
    assert len(called.dialled) <= 64
    assert called.country == "" or re.fullmatch("[A-Z]{2}", called.country)
    assert bool(called.e164) != bool(called.why)
    if called.e164:
        assert E164.fullmatch(called.e164)
        assert called.kind not in {NumberClass.UNREADABLE, NumberClass.EMERGENCY, NumberClass.EXTENSION}


@given(st.one_of(st.binary(max_size=80), st.builds(bytes.__add__, HEADS, DIALLED)))
def test_any_bytes_mean_something(uri: bytes) -> None:
    for reader in READERS:
        called = reader.read(uri)
        holds(called)
        again = reader.read(uri)
        assert again is called or len(uri) > 256
        assert reader.is_emergency(uri) is (called.kind is NumberClass.EMERGENCY)


@given(st.builds(bytes.__add__, HEADS, DIALLED))
def test_a_number_that_was_read_reads_to_itself(uri: bytes) -> None:
    for reader in READERS:
        called = reader.read(uri)
        if called.e164:
            again = reader.read(called.e164.encode())
            assert (again.e164, again.kind, again.country) == (called.e164, called.kind, called.country)


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_class_and_country_are_those_of_the_library_where_it_knows_any(e164: str) -> None:
    kind, country = known(e164)
    called = READERS[-2].read(e164.encode())
    if kind is not NumberClass.UNALLOCATED and not e164.startswith("+8") and called.kind is not NumberClass.SATELLITE:
        assert called.e164 == e164
        assert called.kind in {kind, NumberClass.PREMIUM}  # PREMIUM: exchange 976
        assert called.country == country


@pytest.mark.parametrize("country", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_every_country_s_own_numbers_are_read(country: str) -> None:
    for kind in phonenumbers.PhoneNumberType.values():
        number = phonenumbers.example_number_for_type(country, kind)
        if number is not None:
            e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            called = Numbering(DialPlan(), WORLD).read(e164.encode())
            assert (called.e164, called.kind, called.country) == (e164, *known(e164))


COUNTRIES_OF_FRAUD = "LV LT RS SO CD CG WS VU KI NR JM AI BS TD GM SL GN CU LR MV"


def test_the_destinations_of_fraud_are_recognised() -> None:
    countries = {read(number).country for number in FRAUD}
    assert countries >= set(COUNTRIES_OF_FRAUD.split())


# --- What an attacker would try ---------------------------------------------------------------------------------------

SOMALIA = "+252612345678"


@pytest.mark.parametrize(
    "dialled",
    [
        "011252612345678",
        "9011252612345678",
        "9 011 (252) 61-234.5678",
        "sip:%30%31%31252612345678@x",
        "*67011252612345678",
        "*67 9 011 252612345678",
        "*72#011252612345678",
        "**67011252612345678",
        "00252612345678",  # another country's prefix
        "252612345678",  # none at all
        "8888#011252612345678",
        "8888*+252612345678",
        "011252612345678#",
        "tel:612345678;phone-context=+252",
        "tel:12345678;phone-context=+252-6",
        "sip:+12125550100;rn=+252612345678@x",
        "sip:+12125550100;x;RN=%2b252612345678@x",
        "<sip:+252612345678@x>",
        " sip:+252612345678@x ",
        "SIP:+252612345678:secret@x",
        "+252612345678@x",
    ],
)
def test_no_form_hides_a_destination(dialled: str) -> None:
    called = read(dialled)
    assert (called.e164, called.country, called.kind) == (SOMALIA, "SO", NumberClass.MOBILE)


@pytest.mark.parametrize("digits", range(1, 120, 7))
def test_digits_too_many_hide_neither_country_nor_class(digits: int) -> None:
    assert read(SOMALIA + "9" * digits).country == "SO"
    assert read("+449098790000" + "1" * digits).kind is NumberClass.PREMIUM
    assert read("09098790000" + "1" * digits, "GB").kind is NumberClass.PREMIUM


@pytest.mark.parametrize("name", ["bob2", "2bob", "1001alice", "252612345678x", "alice", "1-800-", "x1-800-FLOWERS"])
def test_a_name_is_no_number(name: str) -> None:
    assert read(name).kind is not NumberClass.PREMIUM
    assert not read(name).e164


@pytest.mark.parametrize(
    "text", ["sip:a@b@c", "sip:+4930123456@x@y", "h323:+4930123456", "tel:", "sip:@", "sip:x", "++49"]
)
def test_what_cannot_be_read_says_why(text: str) -> None:
    called = read(text)
    assert called.kind is NumberClass.UNREADABLE
    assert called.why


def test_a_flood_of_numbers_leaves_a_bounded_memory_and_what_is_in_use() -> None:
    reader = Numbering(PLANS["US"], WORLD)
    used = reader.read(b"+442079460000")
    for number in range(3 * REMEMBERED):
        reader.read(b"sip:%d@pbx" % number)
        if number % 500 == 0:
            assert reader.read(b"+442079460000") is used
    assert len(reader) <= REMEMBERED
    assert reader.evicted > 0
    before = len(reader)
    reader.read(b"sip:+442079460000@" + b"x" * 1000)
    assert len(reader) == before


# --- Plans ------------------------------------------------------------------------------------------------------------


def test_a_trunk_that_names_no_plan_is_dialled_without_outside_line() -> None:
    plans = Plans(PLANS["DE"], world=WORLD)
    assert plans.of_site("").read(b"00044207946000").country == plans.of_site("any").read(b"00044207946000").country
    assert plans.of_trunk("").read(b"0044 20 7946 0000").e164 == "+442079460000"
    assert plans.of_site("").read(b"000442079460000").e164 == "+442079460000"
    assert plans.of_site("").read(b"612").kind is NumberClass.EXTENSION


def test_a_named_plan_is_its_trunk_s_and_its_site_s_and_at_home_where_the_default_is() -> None:
    named = {"E.164": DialPlan(bare=Bare.INTERNATIONAL), "Paris": DialPlan("FR")}
    plans = Plans(PLANS["DE"], named, trunks={"Carrier": "E.164"}, sites={"Paris": "Paris"}, world=WORLD)
    assert plans.of_trunk("Carrier").read(b"2521234567").country == "SO"
    assert plans.of_trunk("Carrier").read(b"030 23125000").e164 == "+493023125000"
    assert plans.of_trunk("other").read(b"2521234567").country == "DE"
    assert plans.of_site("Paris").read(b"01 23 45 67 89").e164 == "+33123456789"


def test_without_a_country_only_international_numbers_are_read() -> None:
    reader = Numbering(DialPlan(), WORLD)
    assert reader.read(b"2125550100").kind is NumberClass.UNREADABLE
    assert reader.read(b"00442079460000").country == reader.read(b"+442079460000").country == "GB"
    assert reader.read(b"2001").kind is NumberClass.EXTENSION


def test_a_listed_extension_goes_before_a_short_code_and_not_before_help() -> None:
    reader = Numbering(DialPlan("DE", extensions=("11XXX", "XXX")), WORLD)
    assert reader.read(b"11833").kind is NumberClass.EXTENSION
    assert reader.read(b"110").kind is NumberClass.EMERGENCY
    assert Numbering(DialPlan("DE"), WORLD).read(b"11833").kind is NumberClass.PREMIUM
    assert reader.read(b"+11833").kind is not NumberClass.EXTENSION


def test_a_technical_prefix_comes_off_only_before_a_number() -> None:
    reader = Numbering(DialPlan("US", tech=("77777",)), WORLD)
    assert reader.read(b"77777+442079460000").e164 == "+442079460000"
    assert reader.read(b"7777712125550100").e164 == "+12125550100"
    assert not reader.read(b"77777").e164
