"""A good policy is read as it was meant, and the annotated file is the default."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.address import parse_network
from sipguard.errors import PolicyError, Problem
from sipguard.model import HOUR, MINUTE, Consequence
from sipguard.policy.leaf import leaf_of
from sipguard.policy.load import load
from sipguard.policy.schema import Mode, Policy, Scope, Site, Strangers, Trunk
from sipguard.policy.tree import Entry, Plain, policy_tree
from sipguard.policy.words import WORDS

CONF = Path(__file__).parents[2] / "conf" / "policy.toml"

EXAMPLE = """
mode = "enforce"
ports = [5060]
strangers = "closed"
pbx = ["192.0.2.10"]
allowed = ["10.0.0.0/8", "Home.Example.net.", "2001:db8:77::/48", "::ffff:198.51.100.7"]
ban = { first = "1h30m", maximum = "7d" }
detect.credentials.failures = 3

[[site]]
name = "Büro Köln"
addresses = ["office.example.net", "203.0.113.0/28"]

[[trunk]]
name = "Carrier"
addresses = ["_sip._udp.carrier.example"]

[detect.samekey]
then = "throttle"

[enforcement]
scope = "all"

[tap]
buffer = "1MiB"
"""


def test_nothing_written_is_the_default() -> None:
    assert load("") == Policy()
    assert load("\ufeff# only a byte order mark and a comment\r\n") == Policy()


def test_the_annotated_file_is_the_default() -> None:
    assert load(CONF.read_text(encoding="utf-8")) == Policy()


def test_the_annotated_file_points_editors_to_the_schema() -> None:
    assert CONF.read_text(encoding="utf-8").startswith("#:schema policy.schema.json\n")


def test_the_annotated_file_names_every_setting() -> None:
    text = CONF.read_text(encoding="utf-8")
    for entry in policy_tree().walk():
        if entry.table is None:
            assert f"\n{entry.key} = " in text or f"\n# {entry.key} = " in text, entry.path
        elif any(inner.table is None for inner in entry.table.entries):
            assert f"[{'.'.join(entry.path)}]" in text, entry.path


def test_the_examples_in_the_annotated_file_are_good() -> None:
    lines = CONF.read_text(encoding="utf-8").splitlines()
    examples = [line.removeprefix("# ") for line in lines]
    words = """
        name addresses allowed pbx countries networks source format refresh mode accounts groups trunks sites hours
        weekdays international outbound allow concurrent spend_day minutes classes numbers channels calls_per_second
        daily_spend max_rate margin
    """
    first = set(words.split())
    commented = [new for old, new in zip(lines, examples, strict=True) if old.startswith("# ")]
    said = [line for line in commented if line.startswith("[[") or line.partition(" = ")[0] in first]
    policy = load("\n".join(["calls.home = ['DE']", *said]))
    assert (len(policy.sites), len(policy.trunks), len(policy.allowed), len(policy.pbx)) == (1, 1, 2, 1)
    assert (len(policy.detect.geography.account), len(policy.detect.accountnets.account)) == (1, 1)
    assert (len(policy.calls.rule), len(policy.groups), len(policy.limits.rule)) == (5, 1, 3)


def test_every_setting_arrives_where_it_is_used() -> None:
    policy = load(EXAMPLE)
    assert (policy.mode, policy.strangers, policy.ports) == (Mode.ENFORCE, Strangers.CLOSED, (5060,))
    assert policy.pbx == (parse_network("192.0.2.10"),)
    assert [str(network) for network in policy.allowed] == ["10.0.0.0/8", "2001:db8:77::/48", "198.51.100.7"]
    assert policy.allowed_names == ("home.example.net",)
    assert policy.sites == (Site("Büro Köln", (parse_network("203.0.113.0/28"),), ("office.example.net",)),)
    assert policy.trunks == (Trunk("Carrier", (), ("_sip._udp.carrier.example",)),)
    assert (policy.ban.first, policy.ban.factor) == (HOUR + 30 * MINUTE, 4)
    assert (policy.detect.credentials.failures, policy.detect.credentials.window) == (3, 10 * MINUTE)
    assert policy.detect.samekey.then is Consequence.THROTTLE
    assert policy.enforcement.scope is Scope.ALL
    assert (policy.shell.tap.buffer, policy.shell.tap.group) == (1024 * 1024, 5060)


def test_an_allowed_network_may_enclose_a_site() -> None:
    load("allowed = ['10.0.0.0/8']\n[[site]]\nname = 'a'\naddresses = ['10.1.0.0/16', '10.1.2.0/24']\n")


def test_private_ranges_are_not_too_wide() -> None:
    load("allowed = ['10.0.0.0/8', 'fc00::/7', '172.16.0.0/12', '192.168.0.0/16', 'fe80::/10']")


def test_every_setting_is_told_what_it_does() -> None:
    untold = [entry.path for entry in policy_tree().walk() if not entry.text]
    assert not untold


def test_no_words_are_left_for_settings_that_are_gone() -> None:
    assert set(WORDS) <= {".".join(entry.path) for entry in policy_tree().walk()}


def toml(value: Plain) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {toml(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(toml(item) for item in value)}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def single_values() -> list[Entry]:
    """List what stands once in a policy; what is in an array of tables (`test_feeds.py`) has no key of its own."""
    arrays = {entry.path for entry in policy_tree().walk() if entry.table is not None and entry.count is not None}
    alone = [
        entry
        for entry in policy_tree().walk()
        if not any(entry.path[:depth] in arrays for depth in range(1, len(entry.path)))
    ]
    return [entry for entry in alone if entry.default is not None and entry.table is None]


@pytest.mark.parametrize("entry", single_values(), ids=lambda entry: ".".join(entry.path))
def test_every_default_can_be_written_out(entry: Entry) -> None:
    assert entry.default is not None
    assert load(f"{'.'.join(entry.path)} = {toml(entry.default)}") == Policy()


@pytest.mark.parametrize("entry", single_values(), ids=lambda entry: ".".join(entry.path))
@pytest.mark.parametrize("value", ["true", "-1", "1.5", "'?'", "[[]]", "{}", "1979-05-27", "07:32:00", "nan", "''"])
def test_every_setting_refuses_what_it_is_not(entry: Entry, value: str) -> None:
    money = entry.leaf is not None and "money" in entry.leaf.wanted
    if (value == "true" and isinstance(entry.default, bool)) or (value == "{}" and isinstance(entry.default, dict)):
        return
    if value == "1.5" and money and not isinstance(entry.default, dict):
        return
    key = ".".join(entry.path)
    with pytest.raises(PolicyError) as raised:
        load(f"\n\n{key} = {value}")
    assert [problem.key.partition("[")[0] for problem in raised.value.problems] == [key]
    assert {problem.line for problem in raised.value.problems} == {3}


def problems_of(text: str) -> tuple[Problem, ...]:
    try:
        load(text)
    except PolicyError as error:
        return error.problems
    return ()


@given(st.text())
def test_any_text_is_a_policy_or_problems(text: str) -> None:
    problems_of(text)


VALUES = ["1", "'1h'", "'1KiB'", "true", "[]", "[1]", "['a.b']", "{}", "[{}]", "'/x'", "[{name=1,addresses=['::']}]"]


@given(st.data())
def test_any_document_of_known_keys_is_a_policy_or_problems_with_lines(data: st.DataObject) -> None:
    entries = data.draw(st.lists(st.sampled_from(list(policy_tree().walk())), unique_by=lambda entry: entry.path))
    text = "".join(f"{'.'.join(entry.path)} = {data.draw(st.sampled_from(VALUES))}\n" for entry in entries)
    assert all(problem.line for problem in problems_of(text))


def test_a_setting_without_a_marker_is_a_bug_that_is_told() -> None:
    with pytest.raises(TypeError, match=r"needs a marker of constraint\.py"):
        leaf_of(int, [])
    kind: Any = Annotated[float, "anything"]
    with pytest.raises(TypeError):
        leaf_of(kind, [])


def test_a_policy_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load("").mode = Mode.ENFORCE  # type: ignore[misc]
