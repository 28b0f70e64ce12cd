"""A policy is told in a few plain lines, and what is dangerous in it stands among them."""

from __future__ import annotations

from sipguard.policy.describe import describe
from sipguard.policy.load import load
from sipguard.policy.schema import Policy

FORGOTTEN = "an old ban is forgotten after 30 days"


def test_the_default_is_told_in_seven_lines_before_those_on_calls() -> None:
    assert describe(Policy())[:7] == [
        "The guard only watches: it says what it would do and blocks nothing.",
        "It reads SIP on ports 5060, 5061, 5080 and 50600 of this host.",
        "Any address may send SIP, until it is found attacking.",
        "Who fails with 5 passwords within 10 minutes is banned.",
        f"A ban lasts 1 hour at first, 4 times as long each further time, 30 days at most; {FORGOTTEN}.",
        "It would close the SIP ports to the banned address; while the guard only watches, it is announced, no more.",
        "Who is slowed down may send 5 messages a second.",
    ]


def test_what_is_allowed_is_named_up_to_a_few() -> None:
    places = ", ".join(f"'192.0.2.{number}'" for number in range(9))
    lines = describe(load(f"allowed = [{places}, 'home.example']\n"))
    assert "Never banned: 192.0.2.0, 192.0.2.1, 192.0.2.2, 192.0.2.3 and 6 more." in lines


def test_sites_and_trunks_are_called_by_name() -> None:
    sites = "".join(f"[[site]]\nname='Site {number}'\naddresses=['192.0.2.{number}']\n" for number in range(6))
    lines = describe(load(sites + "[[trunk]]\nname='Carrier'\naddresses=['198.51.100.0/28', 'sip.example.net']\n"))
    assert "Trunks, never banned: Carrier (198.51.100.0/28 and sip.example.net)." in lines
    assert next(line for line in lines if line.startswith("Sites")).endswith("Site 3 (192.0.2.3) and 2 more.")


def test_a_policy_that_lets_in_only_trunks_is_warned_of() -> None:
    lines = describe(load("strangers='closed'\nmode='enforce'\n[[trunk]]\nname='C'\naddresses=['198.51.100.1']\n"))
    assert "Only trunks are named: no phone outside this host can register or call." in lines
    assert "Only the addresses named here may send SIP; everybody else is shut out." in lines
    assert lines[0] == "The guard acts: who is found attacking is banned in the kernel."


def test_what_is_switched_off_or_bent_is_told() -> None:
    text = "pbx=['192.0.2.1']\n[detect]\nsamekey.enabled=false\ncredentials={failures=1, then='report'}\n"
    lines = describe(load(text + "[ban]\nfactor=1\n[enforcement]\nscope='all'\nthrottle_rate=1\n"))
    assert "Switched off: samekey." in lines
    assert "Who fails with 1 password within 10 minutes is reported, no more." in lines
    assert "A ban lasts 1 hour." in lines
    assert "Who is slowed down may send 1 message a second." in lines
    assert lines[1].endswith("of this host, and of 192.0.2.1.")


def test_the_gate_is_told_and_that_there_is_none_where_the_back_end_has_none() -> None:
    waits = "Strangers' packets, and calls that leave, wait until they are judged (where the kernel can queue)."
    assert waits in describe(load("mode='enforce'"))
    assert waits not in describe(load("mode='enforce'\ngate=false\n"))
    said = describe(load("mode='enforce'\n[enforcement]\nbackend='dryrun'\n"))
    assert "No packet waits to be judged: the back end dryrun cannot hold any." in said
    assert waits in describe(load("mode='enforce'\n[enforcement]\nbackend='iptables'\n"))


def test_a_ban_is_not_told_as_if_everybody_were_shut_out() -> None:
    said = describe(load("mode='enforce'"))
    assert "It closes the SIP ports to the banned address, and to nobody else." in said
    said = describe(load("mode='enforce'\n[enforcement]\nscope='all'\n"))
    assert "It closes all ports of this host to the banned address, and to nobody else." in said


def test_a_guard_that_only_watches_is_not_told_as_if_it_shut_anybody_out() -> None:
    lines = describe(load("strangers='closed'\nallowed=['192.0.2.1']\n[enforcement]\nscope='all'\n"))
    assert "Only the addresses named here may send SIP; everybody else would be shut out." in lines
    assert not any("closes" in line or "is shut out" in line for line in lines)


def test_guessing_that_is_not_looked_for_is_not_said_to_be_banned() -> None:
    lines = describe(load("detect.credentials.enabled=false"))
    assert "Switched off: credentials." in lines
    assert not any("passwords" in line for line in lines)


# --- Calls ------------------------------------------------------------------------------------------------------------


def test_the_default_is_told_for_calls() -> None:
    assert "\n".join(describe(Policy())[7:]) == (
        "No country is set (numbering.country): only international numbers are read, and of emergency numbers only "
        "those named here and the general ones are known.\n"
        "Calls may go anywhere, at any price.\n"
        "One account may spend 40.00 of your currency within an hour and 100.00 of your currency within a day, all "
        "over one trunk 200.00 of your currency and 500.00 of your currency; calls beyond that would be refused, and "
        "running ones hung up.\n"
        "One account may have 4 calls at a time that cost 0.40 of your currency a minute or more.\n"
        "No price list is named (rates.deck): a minute abroad is taken to cost 0.25 of your currency, one to a "
        "premium or satellite number 2.00 of your currency.\n"
        "An account would be kept from calling for 1 day by accountnets, costlycalls, passwordfound and "
        "limits.misdials; sipguard release ends that.\n"
        "Emergency calls (112, 911, 999 and 000, and the country's own) are never refused or counted."
    )


def test_a_dial_plan_is_told_and_no_warning_of_its_lack() -> None:
    lines = describe(load("[numbering]\ncountry='DE'\narea='30'\noutside=['0', '9']\n[calls]\nhome=['DE', 'AT']\n"))
    assert "Numbers are read as they are dialled in DE, area code 30, with 0 or 9 for an outside line." in lines
    assert "Not abroad: DE and AT." in lines
    assert not any("No country" in line for line in lines)


def test_destinations_are_told_for_all_and_for_some() -> None:
    text = (
        "[numbering]\ncountry='DE'\n[calls]\ninternational=false\ndeny=['premium', '+882']\n[[group]]\nname='Sales'\n"
        "accounts=['1001']\n[[calls.rule]]\ngroups=['Sales']\ninternational=true\n"
        "[[calls.rule]]\nhours='19:00-07:00'\nweekdays=['sat']\noutbound=false\nallow=['=+493012345678']\n"
    )
    lines = describe(load(text))
    assert "Calls: none abroad; none to premium and +882." in lines
    assert "For Sales: also abroad." in lines
    assert "For everybody at 19:00-07:00 on sat: none leaves; always to =+493012345678." in lines


def test_money_is_told_in_the_currency_of_the_deck() -> None:
    text = "mode='enforce'\n[rates]\ndeck='/etc/sipguard/rates.csv'\ncurrency='EUR'\n[calls]\nhighest_rate='0.5'\n"
    lines = describe(
        load(text + "[limits.account]\nspend_day={warn=5, critical=20}\n[limits.site]\nminutes={critical=9}\n")
    )
    assert "Calls: none above 0.50 EUR a minute; none whose price the rates do not know." in lines
    assert "Calls cost what /etc/sipguard/rates.csv says." in lines
    assert any("20.00 EUR within a day" in line and "are refused" in line for line in lines)
    assert next(line for line in lines if line.startswith("Limits of your own")).endswith("site.minutes.")


def test_what_a_carrier_allows_is_told() -> None:
    lines = describe(load("[[trunk]]\nname='C'\naddresses=['198.51.100.1']\nchannels=30\ndaily_spend='200'\n"))
    assert "C allows 30 calls at a time and 200.00 a day; the guard stops 10 % before." in lines


def test_nobody_is_said_to_be_kept_from_calling_where_nothing_does() -> None:
    text = "[limits]\nmisdials=0\n[detect]\naccountnets.then='report'\npasswordfound.enabled=false\n"
    lines = describe(load(text + "costlycalls.then='report'\n"))
    assert not any("kept from calling" in line for line in lines)
