"""A `[[feed]]` of a policy: what it may say, and that where a list comes from is repeated nowhere."""

from __future__ import annotations

import pytest

from sipguard.errors import PolicyError
from sipguard.model import DAY, HOUR, MINUTE
from sipguard.policy.load import load
from sipguard.policy.schema import FeedFormat, FeedList, FeedMode, Policy

LEAST = '[[feed]]\nname = "bad"\nsource = "https://lists.example.net/secret.txt"\n'


def problems(text: str) -> list[str]:
    with pytest.raises(PolicyError) as raised:
        load(text)
    assert "secret" not in str(raised.value)
    return [f"{problem.line} {problem.key}" for problem in raised.value.problems]


def test_a_list_is_only_watched_unless_the_policy_says_more() -> None:
    (found,) = load(LEAST).feeds
    assert found == FeedList("bad", "https://lists.example.net/secret.txt", FeedFormat.TEXT, HOUR, FeedMode.SHADOW)
    assert Policy().feeds == ()


def test_all_of_it_can_be_said() -> None:
    text = '[[feed]]\nname = "DROP"\nsource = "/etc/drop.json"\nformat = "json"\nrefresh = "1d"\nmode = "block"\n'
    assert load(text).feeds == (FeedList("DROP", "/etc/drop.json", FeedFormat.JSON, DAY, FeedMode.BLOCK),)
    assert load(LEAST + 'refresh = "1m"').feeds[0].refresh == MINUTE


@pytest.mark.parametrize(
    "source",
    ["http://lists.example.net/secret.txt", "secret.txt", "ftp://a/secret", "https://", "/", "https://a b/secret"],
)
def test_a_list_comes_over_https_or_from_an_absolute_path(source: str) -> None:
    assert problems(f'[[feed]]\nname = "bad"\nsource = "{source}"\n') == ["3 feed[0].source"]


@pytest.mark.parametrize("line", ['format = "xml"', 'refresh = "59s"', 'refresh = "2d"', 'mode = "ban"', "mode = true"])
def test_what_a_list_may_not_say_is_a_problem_on_its_line(line: str) -> None:
    assert problems(LEAST + line) == [f"4 feed[0].{line.split(' ', maxsplit=1)[0]}"]


def test_a_list_needs_a_name_and_a_source_and_no_other_has_the_same_name() -> None:
    assert problems("[[feed]]\n") == ["1 feed[0].name", "1 feed[0].source"]
    assert problems(LEAST + LEAST.replace("bad", "BAD")) == ["5 feed[1].name"]
    load(LEAST + '[[site]]\nname = "bad"\naddresses = ["192.0.2.0/24"]\n')


def test_there_are_sixteen_lists_at_most() -> None:
    many = [LEAST.replace("bad", f"bad {number}") for number in range(17)]
    assert len(load("".join(many[:16])).feeds) == 16
    assert problems("".join(many))
