"""A call for help is known in every form a phone dials it, and nothing else passes for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.decide.dialled import Config, Dialled
from sipguard.numbering.emergency import Emergency
from sipguard.numbering.helplines import BY_COUNTRY, UNKNOWN_COUNTRY
from sipguard.numbering.plan import DialPlan
from sipguard.numbering.world import countries

FORMS = (
    "{0}",
    "0{0}",
    "9{0}",
    "sip:{0}@pbx",
    "sips:{0}@pbx:5061",
    "sip:{0};phone-context=+49@pbx;user=phone",
    "tel:{0}",
    "tel:{0};phone-context=pbx.example",
    "tel:9{0};phone-context=+1",
    "<sip:{0}@pbx>",
)


def knows(text: str, country: str = "none", *also: str, outside: tuple[str, ...] = ()) -> bool:
    return Emergency((DialPlan(country, outside=outside),), also).is_emergency(text.encode())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("country", "number"),
    [("none", number) for number in UNKNOWN_COUNTRY]
    + [("US", "911"), ("GB", "999"), ("DE", "110"), ("DE", "112"), ("AU", "000"), ("AU", "106"), ("IN", "100")]
    + [("FR", "15"), ("CH", "144"), ("JP", "119"), ("NZ", "111"), ("BR", "190"), ("ZA", "10111")],
)
def test_help_is_reached_in_every_form(form: str, country: str, number: str) -> None:
    assert knows(form.format(number), country)


@pytest.mark.parametrize(
    "text",
    [
        "urn:service:sos",
        "URN:Service:SOS",
        "urn:service:sos.ambulance",
        "urn:service:sos.animal-control",
        "sip:1-1-2@x",
    ],
)
def test_the_service_is_known(text: str) -> None:
    assert knows(text)


@pytest.mark.parametrize(
    "text",
    [
        "1120025261234567",
        "112-0025261234567",
        "00112",
        "99911",
        "90911",
        "112#",
        "*67911",
        "+112",
        "112%3b0025261234567",
        "sip:112%00@pbx",
        "sip:112%2c25261@pbx",
        "sip:112@00252612345678@pbx",
        "sip:112;rn=+252612345678@pbx",
        "sip:112;RN@pbx",
        "tel:112;phone-context=+25261234",
        "tel:112;phone-context=+",
        "sip:pbx;user=112",
        "sip:112",
        "urn:service:sosx",
        "urn:service:sos.",
        "urn:service:sos;rn=+252612345678",
        "urn:service:test.sos",
        "\uff11\uff11\uff12",
        "11²",
    ],
)
def test_nothing_hides_behind_a_number_for_help(text: str) -> None:
    assert not knows(text)


def test_another_country_s_number_is_none_here() -> None:
    assert not knows("110", "US")
    assert not knows("100", "DE")
    assert not knows("999", "DE")
    assert not knows("100")  # an extension, as long as nobody has said where the PBX stands
    assert knows("999", "DE", "999")  # the policy's own


def test_the_plan_s_outside_line_counts_and_only_once() -> None:
    assert knows("7911", "US", outside=("7",))
    assert not knows("7911", "US")
    assert not knows("79911", "US", outside=("7",))


def test_every_country_listed_is_one() -> None:
    assert set(BY_COUNTRY) <= countries()
    assert all(number.isdigit() and 2 <= len(number) <= 5 for numbers in BY_COUNTRY.values() for number in numbers)


@given(st.binary(max_size=60), st.text("0123456789", min_size=1, max_size=12))
def test_only_the_number_itself_is_for_help(noise: bytes, digits: str) -> None:
    reader = Emergency((DialPlan("DE"),))
    reader.is_emergency(noise)
    assert reader.is_emergency(digits.encode()) == (
        digits in {"110", "112", "911", *(["0110", "0112", "0911"])} or digits in {"9110", "9112", "9911"}
    )


def test_all_plans_count_where_it_is_not_known_which_one_is_meant() -> None:
    dialled = Dialled(Config(), DialPlan("DE"), [DialPlan("FR"), DialPlan()])
    assert dialled.is_emergency(b"sip:15@pbx")
    assert dialled.is_emergency(b"sip:110@pbx")
    assert dialled.is_emergency(b"sip:999@pbx")  # [refuse] emergency
    assert not dialled.is_emergency(b"sip:119@pbx")
