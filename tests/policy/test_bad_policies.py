"""Every way to get a policy wrong is told with its key, its line and a hint, all at once."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from sipguard.errors import PolicyError, Problem
from sipguard.policy.load import MOST_PROBLEMS, load


class Bad(NamedTuple):
    """A policy, and for each of its problems: key, line, and words that must stand in what is said."""

    case: str
    text: str
    problems: tuple[tuple[str, int, str], ...]


OFFICE = '[[site]]\nname = "Office"\naddresses = ["192.0.2.0/24", "office.example.net"]\n'

TABLE = [
    Bad("unknown key", "\n[ban]\nfrist = '1h'\n", (("ban.frist", 3, 'did you mean "first"?'),)),
    Bad("unknown table", "[bans]\nfirst = '1h'\n", (("bans", 1, 'did you mean "ban"?'),)),
    Bad("key of another table", "newcomers = 3\n", (("newcomers", 1, "belongs under [detect.credentials]"),)),
    Bad("key below a table", "[ban]\nmode = 'enforce'\n", (("ban.mode", 2, "above the first [table]"),)),
    Bad("unknown key of an item", OFFICE + "colour = 1", (("site[0].colour", 4, "known here: name, addresses"),)),
    Bad("unknown word", "mode = 'enforec'\n", (("mode", 1, 'did you mean "enforce"?'),)),
    Bad("word in capitals", "mode = 'ENFORCE'\n", (("mode", 1, 'did you mean "enforce"?'),)),
    Bad(
        "number as text",
        "[detect.credentials]\nfailures = '5'",
        (("detect.credentials.failures", 2, "without quotes"),),
    ),
    Bad("text as number", "[store]\npath = 5\n", (("store.path", 2, "must be an absolute path, not a number"),)),
    Bad("boolean as number", "[ban]\nfactor = true\n", (("ban.factor", 2, "not true or false"),)),
    Bad("number as boolean", "detect.credentials.enabled = 1", (("detect.credentials.enabled", 1, "true or false"),)),
    Bad("text as boolean", "detect.samekey.enabled = 'true'", (("detect.samekey.enabled", 1, "without quotes"),)),
    Bad("fraction", "[ban]\nfactor = 1.5\n", (("ban.factor", 2, "not a number with a fraction"),)),
    Bad("date as duration", "[ban]\nfirst = 2024-01-01\n", (("ban.first", 2, "not a date"),)),
    Bad("out of range", "ban.factor = 101\n", (("ban.factor", 1, "1 to 100"),)),
    Bad(
        "port out of range", "ports = [\n 5060,\n 65536,\n 0 ]\n", (("ports[1]", 3, "1 to 65535"), ("ports[2]", 4, ""))
    ),
    Bad("no ports", "ports = []\n", (("ports", 1, "is empty"),)),
    Bad("one port without a list", "ports = 5060\n", (("ports", 1, "must be a list, not a number"),)),
    Bad("port twice", "ports = [5060,\n5061,\n5060]\n", (("ports[2]", 3, "same as ports[0] on line 1"),)),
    Bad("duration as number", "[ban]\nfirst = 3600\n", (("ban.first", 2, "in quotes, with its unit"),)),
    Bad("duration without unit", "[ban]\nfirst = '3600'\n", (("ban.first", 2, "is not a duration like"),)),
    Bad("duration in another writing", "[ban]\nfirst = '10 min'\n", (("ban.first", 2, "d, h, m, s or ms"),)),
    Bad("duration out of range", "[ban]\nfirst = '9s'\n", (("ban.first", 2, "10s to 365d"),)),
    Bad("size in another writing", "[tap]\nbuffer = '32MB'\n", (("tap.buffer", 2, "B, KiB, MiB or GiB"),)),
    Bad("size out of range", "[tap]\nbuffer = '2GiB'\n", (("tap.buffer", 2, "256KiB to 1GiB"),)),
    Bad("host bits", "allowed = ['10.1.2.3/8']\n", (("allowed[0]", 1, 'the network is "10.0.0.0/8"'),)),
    Bad("IPv6 host bits", "pbx = ['2001:db8::1/32']\n", (("pbx[0]", 1, 'the network is "2001:db8::/32"'),)),
    Bad("no address", "allowed = ['192.0.2.256']\n", (("allowed[0]", 1, "four numbers up to 255"),)),
    Bad("mask", "allowed = ['192.0.2.0/255.255.255.0']\n", (("allowed[0]", 1, 'like "/24"'),)),
    Bad("address with port", "allowed = ['192.0.2.1:5060']\n", (("allowed[0]", 1, "without a port"),)),
    Bad("prefix too long", "pbx = ['192.0.2.1/33']\n", (("pbx[0]", 1, "a prefix up to 32"),)),
    Bad("name where only networks stand", "pbx = ['pbx.example.net']\n", (("pbx[0]", 1, "is not a network"),)),
    Bad("number as address", "allowed = [167772160]\n", (("allowed[0]", 1, "not a number"),)),
    Bad("host name with a blank", "allowed = ['my office.net']\n", (("allowed[0]", 1, "a host name"),)),
    Bad("host name without domain", "allowed = ['office']\n", (("allowed[0]", 1, "with its domain"),)),
    Bad("host name of a URL", "allowed = ['https://a.example/x']\n", (("allowed[0]", 1, "without a scheme"),)),
    Bad("host name with port", "allowed = ['sip.example.net:5060']\n", (("allowed[0]", 1, "without a port"),)),
    Bad("host name with umlauts", "allowed = ['büro.example']\n", (("allowed[0]", 1, '"xn--"'),)),
    Bad(
        "everybody allowed", "allowed = ['0.0.0.0/0', '::/0']", (("allowed[0]", 1, "observe"), ("allowed[1]", 1, "off"))
    ),
    Bad("half of everybody", "allowed = ['0.0.0.0/1', '128.0.0.0/1']", (("allowed[0]", 1, ""), ("allowed[1]", 1, ""))),
    Bad("everybody in disguise", "allowed = ['::ffff:0:0/96']", (("allowed[0]", 1, "switch the guard off"),)),
    Bad("same network twice", "allowed = ['10.0.0.1', '10.0.0.1/32']", (("allowed[1]", 1, "same as allowed[0]"),)),
    Bad("same name twice", "allowed = ['a.example', 'A.example.']", (("allowed[1]", 1, "same as allowed[0]"),)),
    Bad("site as a plain table", "[site]\nname = 'a'\n", (("site", 1, "begin it with [[site]]"),)),
    Bad("table as an array", "[[ban]]\nfirst = '1h'\n", (("ban", 1, "begin it with [ban]"),)),
    Bad("number for a site", "site = [7]\n", (("site[0]", 1, "must be a table, not a number"),)),
    Bad("too many items", f"ports = {list(range(1, 66))}\n", (("ports", 1, "more than 64 items"),)),
    Bad("value for a table", "ban = '1h'\n", (("ban", 1, "must be a table, not text"),)),
    Bad("site without addresses", "\n[[site]]\nname = 'a'\n", (("site[0].addresses", 2, "is missing"),)),
    Bad("site with no addresses", "[[site]]\nname = 'a'\naddresses = []\n", (("site[0].addresses", 3, "is empty"),)),
    Bad("site without name", "[[site]]\naddresses = ['192.0.2.1']\n", (("site[0].name", 1, "is missing"),)),
    Bad("name that writes on terminals", OFFICE.replace("Office", "\\u001b[2J"), (("site[0].name", 2, "printable"),)),
    Bad("name that turns text around", OFFICE.replace("Office", "a\\u202eb"), (("site[0].name", 2, "printable"),)),
    Bad(
        "overlapping labels",
        OFFICE + "[[trunk]]\nname = 'OFFICE'\naddresses = ['198.51.100.1']\n",
        (("trunk[0].name", 5, "same as site[0].name on line 2"),),
    ),
    Bad(
        "overlapping host names",
        OFFICE + "[[trunk]]\nname = 'b'\naddresses = ['198.51.100.1',\n'Office.Example.NET.']\n",
        (("trunk[0].addresses[1]", 7, "same as site[0].addresses[1] on line 3"),),
    ),
    Bad(
        "overlapping networks",
        OFFICE + "[[trunk]]\nname = 'b'\naddresses = ['192.0.2.77']\n",
        (("trunk[0].addresses[0]", 6, "overlaps site[0].addresses[0] on line 3"),),
    ),
    Bad(
        "wider network later",
        OFFICE + "[[site]]\nname = 'b'\naddresses = ['192.0.0.0/16']\n",
        (("site[1].addresses[0]", 6, "overlaps site[0].addresses[0] on line 3"),),
    ),
    Bad("first ban above the maximum", "[ban]\nfirst = '2h'\nmaximum = '1h'\n", (("ban.first", 2, "at most 1h"),)),
    Bad("first ban above the default maximum", "ban.first = '31d'\n", (("ban.first", 1, "at most 30d"),)),
    Bad(
        "a ban that spares SIP",
        "[enforcement]\nscope = 'except'\nexcept_ports = [22, 5060]\n",
        (("enforcement.except_ports[1]", 3, "listens on for SIP"),),
    ),
    Bad("everybody shut out", "strangers = 'closed'\nallowed = []\n", (("strangers", 1, "shut out every phone"),)),
    Bad(
        "a warning above what is refused",
        "[limits.account]\nconcurrent = { warn = 9,  critical = 3 }\n",
        (("limits.account.concurrent.warn", 2, "is above critical"),),
    ),
    Bad(
        "an unknown part of a limit",
        "[limits.class]\nspend_day = { crit = 3 }\n",
        (("limits.class.spend_day.crit", 2, "known here: warn, critical"),),
    ),
    Bad(
        "a window where there is none",
        "limits.account.duration = { window = '1h' }",
        (("limits.account.duration.window", 1, "no part of a limit"),),
    ),
    Bad("a limit without braces", "limits.account.calls = 5", (("limits.account.calls", 1, "in braces"),)),
    Bad("a limit for nobody", "[[limits.rule]]\ncalls = { warn = 3 }\n", (("limits.rule[0]", 1, "names nobody"),)),
    Bad("a decimal comma", "calls.highest_rate = '0,5'", (("calls.highest_rate", 1, "a point for the fraction"),)),
    Bad("a currency", "limits.expensive = '0.5 EUR'", (("limits.expensive", 1, "no currency"),)),
    Bad("too fine a price", "limits.expensive = 0.00000001", (("limits.expensive", 1, "at most six digits"),)),
    Bad("a price of nothing", "limits.expensive = 0", (("limits.expensive", 1, 'or "none"'),)),
    Bad("another country's code", "calls.deny = ['SO',\n'UK']", (("calls.deny[1]", 2, "write GB"),)),
    Bad("a class that is none", "calls.deny = ['premuim']", (("calls.deny[0]", 1, 'a class "premium"'),)),
    Bad("a class of emergencies", "calls.deny = ['emergency']", (("calls.deny[0]", 1, "is not"),)),
    Bad(
        "closed and open",
        "calls.allow = ['SO']\ncalls.deny = ['SO']",
        (("calls.deny[0]", 2, "same as calls.allow[0] on line 1"),),
    ),
    Bad("abroad of nowhere", "calls.international = false", (("calls.international", 1, "no country is home"),)),
    Bad(
        "countries beside international",
        "[calls]\nhome = ['DE']\ncountries = ['AT']\ninternational = false",
        (("calls.international", 4, "cannot be said beside calls.countries on line 3"),),
    ),
    Bad(
        "names that are nobody's",
        OFFICE + "[[group]]\nname = 'Sales'\naccounts = ['1']\n"
        "[[calls.rule]]\ngroups = ['sales']\nsites = ['Ofice']\ntrunks = ['Carrier']\n"
        "[[limits.rule]]\ngroups = ['x']\n",
        (
            ("calls.rule[0].groups[0]", 8, 'did you mean "'),
            ("calls.rule[0].sites[0]", 9, 'did you mean "Office"?'),
            ("calls.rule[0].trunks[0]", 10, "is no trunk of this policy"),
            ("limits.rule[0].groups[0]", 12, "is no group of this policy"),
        ),
    ),
    Bad(
        "two groups of one name",
        "[[group]]\nname = 'a'\naccounts = ['1']\n[[group]]\nname = 'A'\naccounts = ['2']\n",
        (("group[1].name", 5, "same as group[0].name on line 2"),),
    ),
    Bad("hours of no clock", "[[calls.rule]]\nhours = '8-18'\n", (("calls.rule[0].hours", 2, '"08:00-18:00"'),)),
    Bad("a day of no week", "[[calls.rule]]\nweekdays = ['saturday']\n", (("calls.rule[0].weekdays[0]", 2, '"sat"'),)),
    Bad(
        "a margin of everything",
        "[[trunk]]\nname='a'\naddresses=['192.0.2.1']\nmargin=100",
        (("trunk[0].margin", 4, "0 to 90"),),
    ),
    Bad(
        "slow limit below the fast one",
        "[detect.credentials]\nfailures = 8\nslow_failures = 7\n",
        (("detect.credentials.slow_failures", 3, "is not above failures (at least 9"),),
    ),
    Bad(
        "fast limit at the slow one's default",
        "[detect.credentials]\nwindow = '1h'\nfailures = 30\n",
        (("detect.credentials.failures", 3, "is not below slow_failures (at most 29"),),
    ),
    Bad(
        "slow limits of others",
        "[detect.accounts]\nslow_failures = 20\n[detect.networks]\nfailures = 60\n[detect.enumeration]\n"
        "accounts = 61\nslow_accounts = 61\n",
        (
            ("detect.accounts.slow_failures", 2, "is not above failures"),
            ("detect.networks.failures", 4, "is not below slow_failures"),
            ("detect.enumeration.slow_accounts", 7, "is not above accounts"),
        ),
    ),
    Bad("relative path", "[store]\npath = 'sipguard.db'\n", (("store.path", 2, "an absolute path"),)),
    Bad("socket path too long", f"control.socket = '/{'x' * 107}'\n", (("control.socket", 1, "107 characters"),)),
    Bad("group that is none", "[control]\ngroup = 'My Group'\n", (("control.group", 2, "name of a group"),)),
    Bad("endless text", f"allowed = ['{'a.' * 5000}de']\n", (("allowed[0]", 1, "longer than 1024 characters"),)),
    Bad("text without quotes", "mode = enforce\n", (("mode", 1, "text stands in quotes"),)),
    Bad("key twice", "mode = 'observe'\n\nmode = 'enforce'\n", (("mode", 3, "a second time"),)),
    Bad("table twice", "[ban]\nfirst = '1h'\n[log]\n[ban]\n", (("ban", 4, "a second time"),)),
    Bad("quote left open", "[log]\nlevel = 'info\n", (("log.level", 2, "is not TOML"),)),
    Bad("list left open", "ports = [5060,\n5061\n", (("ports[1]", 2, "is not TOML"),)),
    Bad("no value", "mode =\n", (("mode", 1, "no readable value"),)),
    Bad("only words", "please ban everybody\n", (("please", 1, "is not TOML"),)),
    Bad("huge number", f"ports = [\n{'9' * 5000}]\n\nmode = 'enforce'\n", (("ports[0]", 2, "far too many digits"),)),
    Bad("absurd depth", "mode = 'observe'\nports = " + "[" * 9000, (("", 2, "nested far too deeply"),)),
    Bad(
        "two at once",
        "mode = 'on'\n\n[ban]\nfactor = 0\n",
        (("mode", 1, '"observe" or "enforce"'), ("ban.factor", 4, "1 to 100")),
    ),
    Bad(
        "a wrong value hides no clash elsewhere",
        "[[site]]\nname = 'a'\naddresses = ['192.0.2.0/24', 'x y']\n"
        "[[trunk]]\nname = 'A'\naddresses = ['192.0.2.1', 5]\n"
        "[ban]\nfirst = '2h'\nmaximum = '1h'\n",
        (
            ("site[0].addresses[1]", 3, "a host name"),
            ("trunk[0].name", 5, "site[0].name"),
            ("trunk[0].addresses[1]", 6, "not a number"),
            ("trunk[0].addresses[0]", 6, "overlaps site[0].addresses[0]"),
            ("ban.first", 8, "ban.maximum"),
        ),
    ),
]


def problems_of(text: str) -> tuple[Problem, ...]:
    with pytest.raises(PolicyError) as raised:
        load(text)
    return raised.value.problems


@pytest.mark.parametrize("bad", TABLE, ids=lambda bad: bad.case)
def test_every_problem_has_its_key_and_line(bad: Bad) -> None:
    problems = problems_of(bad.text)
    said = [(problem.key, problem.line) for problem in problems]
    wanted = [(key, line) for key, line, _ in bad.problems]
    assert sorted(said) == sorted(wanted), [str(problem) for problem in problems]
    for key, line, words in bad.problems:
        texts = [str(problem) for problem in problems if (problem.key, problem.line) == (key, line)]
        assert any(words in text for text in texts), texts


def test_problems_come_in_the_order_of_the_lines() -> None:
    for bad in TABLE:
        lines = [problem.line for problem in problems_of(bad.text)]
        assert lines == sorted(lines), bad.case


def test_the_table_has_the_cases_that_were_promised() -> None:
    assert len(TABLE) >= 20
    assert len({bad.case for bad in TABLE}) == len(TABLE)


def test_a_wrong_value_makes_no_false_alarm_elsewhere() -> None:
    text = "strangers = 'closed'\nallowed = ['10.0.0.1/8']\n[ban]\nfirst = 'x'\nmaximum = '10s'\n"
    assert [problem.key for problem in problems_of(text)] == ["allowed[0]", "ban.first"]


def test_no_value_is_ever_repeated() -> None:
    secret = "hunter2"
    text = f"""
password = "{secret}"
mode = "{secret}"
ports = ["{secret}"]
allowed = ["https://admin:{secret}@mail.example", "{secret}", "_{secret}"]
strangers = ["{secret}"]
[store]
path = "{secret}"
[control]
group = "{secret}!"
[ban]
first = "{secret}"
[tap]
buffer = "{secret}"
[names]
refresh = {{ {secret}x = "{secret}" }}
"""
    said = [f"{problem.what} {problem.hint}" for problem in problems_of(text)]
    assert len(said) == 12
    assert not any(secret in each for each in said)
    for broken in (f'a = "{secret}', f"a = {secret}", f'a = "{secret}" {secret}', f'a = "\\x{secret}"'):
        assert not any(secret in str(problem) for problem in problems_of(broken))


def test_a_key_cannot_write_on_the_terminal() -> None:
    problems = problems_of('"\\u001b[2J\\u202e" = 1\n')
    assert problems[0].key == '"\\u001b[2J\\u202e"'
    assert all(str(problem).isprintable() for problem in problems)


def test_a_long_key_is_cut() -> None:
    assert len(problems_of("k" * 100_000 + " = 1\n")[0].key) == 65


def test_a_flood_of_problems_is_cut_and_counted() -> None:
    problems = problems_of("".join(f"unknown{number} = 1\n" for number in range(20_000)))
    assert len(problems) == MOST_PROBLEMS + 1
    assert str(problems[-1]) == f"{20_000 - MOST_PROBLEMS} more problems are not shown"


def test_thousands_of_networks_are_compared_without_squaring() -> None:
    inside = ", ".join(f'"10.{number // 250}.{number % 250}.0/24"' for number in range(9000))
    text = f"[[site]]\nname = 'a'\naddresses = [{inside}]\n[[site]]\nname = 'b'\naddresses = ['10.5.7.0/25']\n"
    assert [problem.key for problem in problems_of(text)] == ["site[1].addresses[0]"]


def test_nothing_on_disk_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for bad in TABLE:
        problems_of(bad.text)
    assert list(tmp_path.iterdir()) == []


def test_a_time_zone_that_the_host_does_not_know_is_told() -> None:
    text = "[calls]\nzone = 'Europe/Berlim'\n"
    assert load(text).calls.zone == "Europe/Berlim"
    with pytest.raises(PolicyError) as raised:
        load(text, lambda _: False)
    assert [(each.key, each.line) for each in raised.value.problems] == [("calls.zone", 2)]
