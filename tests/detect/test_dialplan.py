"""One number under many prefixes is found, one number dialled again and again is not, and nobody is framed by it."""

from __future__ import annotations

from typing import Any

import pytest

from sipguard.detect.dialplan import Config
from sipguard.model import SetName
from tests.detect.asking import STRANGER, found, policy, request
from tests.engine.story import PBX, Sent, Story

TAIL = "442037690237"


class Dialler:
    """Strangers who dial."""

    def __init__(self, config: Config | None = None) -> None:
        self.story = Story(policy(dialplan=config or Config()))
        self._count = 0

    def dial(self, *users: str, source: str = STRANGER, scheme: str = "sip:", method: str = "INVITE") -> Dialler:
        for user in users:
            self._count += 1
            uri = f"{scheme}{user}@{PBX}" if scheme != "tel:" else f"tel:{user}"
            self.story.inbound(source, 5060 + self._count % 900, request(self._count, method, uri, source=source))
        return self

    def found(self) -> list[tuple[str, bool]]:
        return [(each.identifier, each.proven) for each in found(self.story, "dialplan")]


@pytest.mark.parametrize("heads", [("00", "000", "9"), ("+", "", "011"), ("810", "9011", "1010333011")])
def test_three_prefixes_of_one_number_are_found_and_two_are_not(heads: tuple[str, ...]) -> None:
    dialler = Dialler().dial(*(head + TAIL for head in heads[:2]))
    assert dialler.found() == []
    assert dialler.dial(heads[2] + TAIL).found() == [("many prefixes", False)]
    assert dialler.story.held(SetName.THROTTLED) == [STRANGER]
    assert dialler.story.held() == []


def test_what_was_tried_is_told() -> None:
    evidence = dict(found(Dialler().dial(f"00{TAIL}", f"000{TAIL}", TAIL).story, "dialplan")[0].evidence)
    assert evidence["number"] == f"...{TAIL}"
    assert evidence["prefixes"] == "00, 000, none"


def test_redialling_is_innocent() -> None:
    assert Dialler().dial(*["0097239287044"] * 50, "97239287044", *["0097239287044"] * 50).found() == []


def test_many_numbers_under_one_prefix_are_no_search_for_a_prefix() -> None:
    assert Dialler().dial(*(f"00442037690{last}" for last in range(100, 200))).found() == []


def test_extensions_and_names_are_no_numbers() -> None:
    assert Dialler().dial("100", "1000", "901000", "alice", "bob.smith-1234567", "*97", "1234567890@").found() == []


@pytest.mark.parametrize(
    "same", ["00-44-20-37690237", "00.44(20)37690237", "%30%3044%32037690237", "0044 2037690237;phone-context=x"]
)
def test_separators_escapes_and_parameters_are_no_prefix(same: str) -> None:
    dialler = Dialler().dial(f"00{TAIL}", same.replace(" ", "%20"), f"900{TAIL}")
    assert dialler.found() == []
    assert dialler.dial(f"+{TAIL}").found() == [("many prefixes", False)]


def test_tel_is_dialled_as_sip_is() -> None:
    assert Dialler().dial(f"00{TAIL}", f"9{TAIL}").dial(f"+{TAIL}", scheme="tel:").found() == [("many prefixes", False)]


def test_a_feature_code_behind_the_number_hides_nothing() -> None:
    assert Dialler().dial(f"00{TAIL}#", f"9{TAIL}##", f"+{TAIL}*").found()


def test_a_plus_in_the_middle_counts_twice() -> None:
    assert Dialler().dial(f"0+{TAIL}").found() == []
    assert Dialler().dial(f"0+{TAIL}", f"9011+{TAIL}").found() == [("many prefixes", False)]


@pytest.mark.parametrize("user", ["++441772285411", "%2B+441772285411", ""])
def test_what_can_be_no_number_is_found_at_once(user: str) -> None:
    assert Dialler().dial(user).found() == [("no number", False)]


def test_a_call_to_a_host_without_any_user_is_a_call() -> None:
    story = Story()
    story.inbound(STRANGER, 5060, request(1, "INVITE", f"sip:{PBX}"))
    assert not found(story, "dialplan")


def test_prefixes_are_tried_slowly_and_found_within_the_window_that_the_policy_names() -> None:
    slow, slower = Dialler(), Dialler()
    for head in ("00", "000", "900"):
        slow.dial(head + TAIL).story.wait(8 * 3600 - 60)
        slower.dial(head + TAIL).story.wait(12 * 3600 + 60)
    assert slow.found() == [("many prefixes", False)]
    assert slower.found() == []


def test_port_hopping_and_numbers_in_between_hide_nothing() -> None:
    dialler = Dialler()
    for number, head in enumerate(("00", "000", "900")):
        dialler.dial(head + TAIL, *(f"00499999{number}{last}" for last in range(1000, 1200)))
    assert ("many prefixes", False) in dialler.found()


def test_other_methods_dial_nothing() -> None:
    assert Dialler().dial(f"0{TAIL}", f"00{TAIL}", f"000{TAIL}", method="OPTIONS").found() == []


def test_an_ipv6_sender_is_his_whole_network() -> None:
    dialler = Dialler()
    for number, head in enumerate(("00", "000", "900")):
        dialler.dial(head + TAIL, source=f"2001:db8:66::{number + 1}")
    assert dialler.found() == [("many prefixes", False)]


# --- Several sources --------------------------------------------------------------------------------------------------

SOURCES = ("203.0.113.1", "198.51.100.9", "192.0.2.77")


def test_three_sources_with_one_prefix_each_are_found_together() -> None:
    dialler = Dialler()
    for source, head in zip(SOURCES, ("00", "900", "9011"), strict=True):
        assert dialler.found() == []
        dialler.dial(head + TAIL, source=source)
    assert dialler.found() == [("many sources", False)]
    assert str(found(dialler.story, "dialplan")[0].subject) == SOURCES[2]


def test_many_callers_of_one_number_as_it_is_written_are_innocent() -> None:
    dialler = Dialler()
    for number in range(50):
        dialler.dial(f"00{TAIL}", source=f"198.51.{number}.9").dial(TAIL, source=f"198.51.{number}.10")
    assert dialler.found() == []


def test_forgers_cannot_make_a_carrier_pay_whose_calls_are_answered() -> None:
    dialler = Dialler()
    story = dialler.story
    answered = story.ask(SOURCES[2], method="INVITE", user="4930555")
    story.answer(answered, 200)
    for source, head in zip(SOURCES, ("00", "900", ""), strict=True):
        dialler.dial(head + TAIL, source=source)
    assert dialler.found() == []


def login(story: Story, user: str, number: int, source: str) -> None:
    """Call with a credential for a nonce that was sent there alone."""
    nonce = f"nonce-{source}-{number}"
    plain = request(number, "INVITE", f"sip:{user}@{PBX}", source=source)
    story.inbound(source, 5062, plain)
    story.answer(Sent(source, 5062, "INVITE", f"c{number}@{source}", 1, f"z9hG4bKb{number}", "200"), 407, nonce=nonce)
    header = f'Proxy-Authorization: Digest username="200",realm="r",nonce="{nonce}",uri="u",response="{number}"\r\nMax-'
    changed = plain.replace(b"Max-", header.encode(), 1).replace(b"CSeq: 1", b"CSeq: 2").replace(b"bKb", b"bKc")
    story.inbound(source, 5062, changed)


def test_who_logs_in_for_each_prefix_is_banned() -> None:
    story = Story(policy(dialplan=Config()))
    for number, head in enumerate(("00", "900", "9011")):
        login(story, head + TAIL, number, STRANGER)
    assert story.held() == [STRANGER]


def test_forged_calls_do_not_get_banned_who_proved_his_address() -> None:
    story = Story(policy(dialplan=Config()))
    login(story, f"00{TAIL}", 0, STRANGER)
    for number, head in enumerate(("900", "9011", "+", "810")):
        story.inbound(STRANGER, 5062, request(10 + number, "INVITE", f"sip:{head}{TAIL}@{PBX}"))
    login(story, f"00{TAIL}", 20, STRANGER)
    assert story.held() == []
    assert not any(each.proven for each in found(story, "dialplan"))


def test_registered_phones_dial_as_they_like() -> None:
    dialler = Dialler()
    dialler.story.register(STRANGER)
    assert dialler.dial(*(head + TAIL for head in ("0", "00", "000", "9", "++"))).found() == []


def test_what_is_remembered_is_bounded_and_no_network_pushes_out_another() -> None:
    dialler = Dialler(Config(tails=1000))
    dialler.dial(f"00{TAIL}", f"000{TAIL}")
    for number in range(2000):
        dialler.dial(f"00{10_000_000 + number}", source="198.51.100.66")
    counters = dialler.story.engine.counters()
    assert counters["dialplan_own"] <= 1000
    assert counters["dialplan_own_evicted"] >= 1800
    assert dialler.dial(f"900{TAIL}").found() == [("many prefixes", False)]


def test_heads_of_one_number_and_sources_of_one_number_are_bounded() -> None:
    dialler = Dialler(Config(heads=16, spread=16))
    for number in range(100):
        dialler.dial(f"{number}{TAIL}", source=f"10.{number}.0.1")
        dialler.dial(f"{number}{TAIL}", source="10.200.0.1")
    detector: Any = next(each for each in dialler.story.engine._detectors.all if hasattr(each, "_everywhere"))
    assert max(map(len, detector._everywhere.values())) <= 16
    assert max(map(len, detector._own.values())) <= 16
