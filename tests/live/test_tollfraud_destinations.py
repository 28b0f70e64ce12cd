"""Where calls may go and what they cost: refused at the phone, unheard of at the carrier, the rule named."""

from __future__ import annotations

import pytest

from tests.lab.calls.stage import Stage, connect
from tests.lab.wait import until
from tests.live.tolls import CHEAP, DEAR, DECK, EXPENSIVE, MICROS, scene

# the first of them may have to fetch a Debian
pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(1500)]

HOME = "902079460555"
UNPRICED = "900299123456"  # Greenland
POLICY = """
[calls]
deny = ["SO"]
highest_rate = "0.50"
unknown_rate = false
[[calls.rule]]
accounts = ["1002"]
international = false
"""


def test_what_the_policy_closes_is_refused_by_name_and_no_carrier_hears_of_it(exchange: Stage) -> None:
    with scene(exchange, "closed", more=POLICY + "[limits]\nmisdials = 200\n") as site:
        phone, other, carrier = site.phone(), site.phone("1002"), site.carrier()
        for number, rule in (
            (f"{EXPENSIVE}0001", "calls.deny[0]"),
            (f"{DEAR}0001", "calls.highest_rate"),
            (UNPRICED, "calls.unknown_rate"),
        ):
            assert site.refused(phone, number) == 403, rule
            assert rule in site.alert("call-refused", rule)["text"]
        assert site.refused(other, f"{CHEAP}0001") == 403
        site.alert("call-refused", "calls.rule[0].international")
        site.through(phone, f"{CHEAP}0001", carrier)
        site.through(other, HOME, carrier)


def test_who_dials_too_many_closed_numbers_is_put_under_quarantine(exchange: Stage) -> None:
    with scene(exchange, "misdials", more=POLICY) as site:
        phone, carrier = site.phone(), site.carrier()
        for number in range(4):
            assert site.refused(phone, f"{EXPENSIVE}000{number}") == 403
        site.through(phone, HOME, carrier)
        assert site.refused(phone, f"{EXPENSIVE}0009") == 403
        site.alert("quarantine", "1001")
        assert site.refused(phone, HOME) == 403
        site.guard.cli("release", "1001")
        site.through(phone, HOME, carrier)


def test_calls_cost_what_the_file_says_and_one_with_errors_changes_nothing(exchange: Stage) -> None:
    with scene(exchange, "deck") as site:
        phone, carrier = site.phone(), site.carrier()
        prices = exchange.world.directory / "deck.csv"
        inside, outside = connect(phone, f"{DEAR}0001", carrier)
        site.answered()
        until(lambda: site.running[0]["cost"] >= 2 * MICROS, "a call of some seconds")
        assert site.sheet("calls")["currency"] == "EUR"
        assert " EUR so far" in site.guard.cli("calls")
        inside.hang_up()
        outside.hung_up()
        prices.write_text(DECK.replace("371,Latvia,0.06", "371,Latvia,six"))
        site.guard.ask("reload")
        assert "line 3" in site.alert("rates-refused")["text"]
        assert site.guard.ask("status")["keeper"]["rates"]["prefixes"] == 4
        prices.write_text(DECK.replace("371,Latvia,0.06,0,1,1", "371,Latvia,0.06,7,1,1"))
        site.guard.ask("reload")
        inside, outside = connect(phone, f"{CHEAP}0001", carrier)
        (row,) = site.answered()
        assert row["cost"] // MICROS == 7
