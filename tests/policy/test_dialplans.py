"""Dial plans arrive where they are used, and every mistake in them is told with its key and line."""

from __future__ import annotations

import pytest

from sipguard.errors import PolicyError
from sipguard.numbering.plan import Bare, DialPlan
from sipguard.policy.load import load

GOOD = """
[numbering]
country = "DE"
area = "30"
outside = ["0"]
extensions = ["2XX"]

[[dialplan]]
name = "E.164"
bare = "international"
tech = ["1234#"]

[[site]]
name = "Berlin"
addresses = ["192.0.2.0/24"]

[[trunk]]
name = "Carrier"
addresses = ["198.51.100.1"]
dialplan = "E.164"
"""


def test_plans_arrive() -> None:
    policy = load(GOOD)
    assert policy.numbering == DialPlan("DE", "30", ("0",), extensions=("2XX",))
    assert [(named.name, named.plan) for named in policy.dialplans] == [
        ("E.164", DialPlan(bare=Bare.INTERNATIONAL, tech=("1234#",)))
    ]
    assert (policy.sites[0].dialplan, policy.trunks[0].dialplan) == ("default", "E.164")


@pytest.mark.parametrize(
    ("old", "new", "where", "line", "words"),
    [
        ('"DE"', '"UK"', "numbering.country", 3, 'did you mean "GB"'),
        ('"DE"', '"de"', "numbering.country", 3, "two capital letters"),
        ('"DE"', '"XX"', "numbering.country", 3, "no country with telephone numbers"),
        ('country = "DE"\n', "", "numbering.area", 3, "name the country"),
        ('"30"', '"+49"', "numbering.area", 4, "digits"),
        ('["0"]', '["+"]', "numbering.outside[0]", 5, "digits"),
        ('["2XX"]', '["2[0-9]+"]', "numbering.extensions[0]", 6, "an X for any digit"),
        ('["2XX"]', '["2XX", "2XX"]', "numbering.extensions[1]", 6, "the same as"),
        ('name = "E.164"', 'name = "default"', "dialplan[0].name", 9, "[numbering]"),
        ('name = "E.164"\n', "", "dialplan[0].name", 8, "is missing"),
        ('bare = "international"', 'bare = "abroad"', "dialplan[0].bare", 10, "international"),
        ('bare = "international"', 'country = "ZZ"', "dialplan[0].country", 10, "no country"),
        ('dialplan = "E.164"', 'dialplan = "E164"', "trunk[0].dialplan", 20, "no [[dialplan]]"),
        ("[[site]]", '[[dialplan]]\nname = "e.164"\n[[site]]', "dialplan[1].name", 14, "same as dialplan[0].name"),
    ],
)
def test_every_mistake_is_told(old: str, new: str, where: str, line: int, words: str) -> None:
    assert old in GOOD
    with pytest.raises(PolicyError) as caught:
        load(GOOD.replace(old, new, 1))
    said = {problem.key: problem for problem in caught.value.problems}
    assert where in said, said
    assert said[where].line == line
    assert words in f"{said[where].what} {said[where].hint}"
