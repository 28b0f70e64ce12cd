"""Who has one password makes no carrier pass for a phone; and every phone rings, whatever its registration shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sipguard.address import parse_network
from sipguard.lesson import SITE, Notes
from sipguard.model import Account, Names, Record, Role, SetName, State, Trust
from sipguard.policy.load import load
from sipguard.sip.uri import user_of
from sipguard.store.database import Store
from sipguard.track.nonce import Nonces
from tests.engine.keeping import Lives, lessons
from tests.engine.story import Story
from tests.engine.test_tolls import ACCEPT, HOUSE, ONE, REFUSE, TRUNK, TWO, House

ALICE = Account("1001", "pbx")
ATTACKER = "203.0.113.66"
CARRIER = "198.51.100.150"  # of a trunk that nobody has listed
UNLISTED = "198.51.100.151"  # nobody is registered there
PROXY, PHONE = "198.51.100.30", "198.51.100.31"
SOMALIA = "+25261123456"
CLOSED = "[calls]\ninternational = false\noutbound = false\n"


def registers(
    house: Story, source: str, contact: str, *, user: str = "1002", nonce: str = "", expires: int = 3600
) -> None:
    """Let somebody with the right password register a contact; with a nonce of his own where none is given."""
    nonce = nonce or house.challenge(source, user=user)
    sent = house.ask(source, nonce, user=user, contact=False, extra=f"Contact: <{contact}>\r\nExpires: {expires}")
    house.answer(sent, 200, extra=f"Contact: <{contact}>;expires={expires}")


def forges(house: Story, source: str, contact: str = "", *, user: str = "1002", nonce: str = "") -> None:
    """Let an attacker register in another's name, with a nonce that the PBX gave him, as it binds none to addresses."""
    mine = nonce or house.challenge(ATTACKER, user=user)
    registers(house, source, contact or f"sip:{user}@{source}:5060", user=user, nonce=mine)


def counted(house: Story) -> int:
    return house.engine.counters()["calls_out"]


def trusts(house: Story) -> list[Trust]:
    return [each.what for each in house.actions if isinstance(each, Record) and isinstance(each.what, Trust)]


class Again(House):
    """A house after a restart."""

    def __init__(self, text: str, trust: Sequence[Trust]) -> None:
        Story.__init__(self, load(text), State(trust=trust))
        self.calls = 0


@pytest.fixture
def lives(tmp_path: Path, opened: Callable[..., Store]) -> Lives:
    return Lives(opened(tmp_path / "a.db"))


# --- The attack -------------------------------------------------------------------------------------------------------


def test_a_registration_forged_in_a_carriers_name_lets_no_call_to_it_pass_unlooked_at_or_uncounted() -> None:
    house = House("[calls]\ndeny = ['SO']\n")
    forges(house, CARRIER)
    assert house.held(SetName.TRUSTED) == [ONE, TWO, CARRIER]
    assert house.held(SetName.CHARGED) == [CARRIER]
    assert house.dials("+4930123456") is ACCEPT
    assert house.leaving(SOMALIA, far=CARRIER) is REFUSE
    assert house.leaving("+4930123457", far=CARRIER) is ACCEPT
    assert counted(house) == 2


def test_a_nonce_that_went_to_the_carrier_as_well_proves_nothing() -> None:
    house = House()
    nonce = house.challenge(CARRIER, "everybodys", user="1002")
    house.challenge(ATTACKER, nonce, user="1002")
    forges(house, CARRIER, nonce=nonce)
    assert house.held(SetName.CHARGED) == [CARRIER]


def test_where_the_pbx_gives_one_nonce_to_all_one_that_was_seen_to_go_to_one_proves_nothing_either() -> None:
    """He may have got it where nobody listens."""
    house = House()
    for each in (PHONE, PROXY):
        house.challenge(each, "everybodys")
    forges(house, CARRIER, nonce=house.challenge(CARRIER, user="1002"))
    assert CARRIER in house.held(SetName.CHARGED)
    house.wait(25 * 3600)
    forges(house, CARRIER, nonce=house.challenge(CARRIER, user="1002"))
    assert CARRIER not in house.held(SetName.CHARGED), "it has been bound for a day"


def test_a_nonce_that_is_relayed_to_a_second_phone_takes_the_proof_from_no_other() -> None:
    """What a PBX sends on of another server's has nothing to do with the nonces by which its phones register."""
    house = House(CLOSED)
    for source, user in ((ONE, "1001"), (TWO, "1002")):
        house.challenge(source, "relayed", method="INVITE", user=user)
    registers(house, PHONE, f"sip:30123456@{PHONE}")
    assert house.held(SetName.CHARGED) == []
    assert house.leaving("30123456", far=PHONE) is ACCEPT


def test_that_the_pbx_gives_one_nonce_to_all_is_known_over_a_restart(lives: Lives) -> None:
    lives.policy = load(HOUSE)
    for each in (PHONE, PROXY):
        lives.story.challenge(each, "everybodys")
    lives.story.wait(2 * 3600)
    for each in (PHONE, PROXY):
        lives.story.challenge(each, "everybodys of now")
    story = lives.restart(away=22 * 3600)
    forges(story, CARRIER, nonce=story.challenge(CARRIER, user="1002"))
    assert CARRIER in story.held(SetName.CHARGED)
    story = lives.restart(away=3 * 3600)
    forges(story, CARRIER, nonce=story.challenge(CARRIER, user="1002"))
    assert CARRIER not in story.held(SetName.CHARGED), "it has been bound for a day"


def test_what_every_second_teaches_of_nonces_is_written_once_an_hour() -> None:
    house = House()
    for second in range(3 * 3600 // 20):
        for each in (PHONE, PROXY):
            house.challenge(each, f"nonce of {second}")
        house.wait(20)
    kept = lessons(house.actions, "nonces")
    assert 3 <= len(kept) <= 4
    assert {(each.account, each.topic) for each in kept} == {(SITE, "")}


@pytest.mark.parametrize(
    ("account", "topic", "text"), [(SITE, "x", "1"), (ALICE, "", "1"), (SITE, "", "-1"), (SITE, "", "x")]
)
def test_no_lesson_of_nonces_is_learned_that_none_has_written(account: Account, topic: str, text: str) -> None:
    nonces = Nonces(1000, Notes())
    with pytest.raises(ValueError, match=r".*"):
        nonces.learn(1000, account, topic, text)
    assert nonces.bound(1000)


def test_a_contact_at_a_carriers_address_makes_no_phone_of_the_carrier() -> None:
    house = House("[calls]\ndeny = ['SO']\n")
    registers(house, ATTACKER, f"sip:{SOMALIA}@{CARRIER}")
    assert house.leaving(SOMALIA, far=CARRIER) is REFUSE
    registers(house, ATTACKER, f"sip:+4930123456@{CARRIER}")
    assert house.leaving("+4930123456", far=CARRIER) is ACCEPT
    assert counted(house) == 1


@pytest.mark.parametrize("uri", ["1002;rn=+25261123456", "1002;phone-context=+2526112", "1002%3brn=+25261123456"])
def test_no_parameter_hides_a_number_behind_the_name_of_an_account(uri: str) -> None:
    house = House()
    forges(house, CARRIER, f"sip:{uri}@{CARRIER}")
    house.leaving(uri, far=CARRIER)
    assert counted(house) == 1


@pytest.mark.parametrize(
    ("said", "uri"),
    [
        ("[refuse]\ndestinations = ['+252']\n", "0025261123456;y={long}"),
        ("[calls]\ndeny = ['SO']\n", "0025261123456;y={long}"),
        ("[calls]\ndeny = ['SO']\n", "alice;y={long};rn=+25261123456"),
        ("[calls]\ndeny = ['SO']\n", "1002-x;y={long};rn=+25261123456"),
        ("[calls]\ninternational = false\n", "alice;y={long};rn=+25261123456"),
        ("[calls]\ninternational = false\n", "{long}0025261123456"),
        ("[calls]\ninternational = false\n", "-{dashes}0025261123456"),
        ("[calls]\ninternational = false\n", "alice;{many};rn=+25261123456"),
        ("[calls]\ninternational = false\n", "112;{many};rn=+25261123456"),
        (CLOSED, "0025261123456;y={long}"),
    ],
)
def test_no_uri_is_so_long_that_its_number_passes_for_the_name_of_a_phone(said: str, uri: str) -> None:
    uri = uri.format(long="A" * 2100, dashes="-" * 2100, many=";".join(["a"] * 20))
    house = House(said)
    assert house.leaving(uri, far=UNLISTED) is REFUSE
    forges(house, CARRIER, f"sip:{uri.partition(';')[0]}@{CARRIER}")
    assert house.leaving(uri, far=CARRIER) is REFUSE


def test_a_call_for_help_is_one_however_long_its_parameters_are() -> None:
    house = House(CLOSED)
    assert house.leaving(f"112;y={'A' * 2100}") is ACCEPT


@pytest.mark.parametrize("uri", ["mailto:0025261123456@x", "sip:0025261123456@"])
def test_neither_a_strange_scheme_nor_a_missing_host_makes_a_number_a_mere_name(uri: str) -> None:
    house = House("[calls]\ninternational = false\n")
    assert house.leaving(uri, far=UNLISTED, whole=True) is REFUSE
    assert house.leaving(f"sip:{UNLISTED}", far=UNLISTED, whole=True) is ACCEPT, "a door"


def test_numbers_to_a_forged_phone_are_read_as_a_carrier_reads_them() -> None:
    house = House("outside = ['0']\n[calls]\ndeny = ['SO']\n")
    forges(house, CARRIER)
    assert house.leaving("0025261123456", far=CARRIER) is REFUSE


def test_a_device_that_is_listed_as_a_trunk_is_one_as_long_as_it_is_listed() -> None:
    house = House("[calls]\ndeny = ['SO']\n")
    house.register(TRUNK, user="1002")
    assert house.held(SetName.CHARGED) == [TRUNK]
    assert house.leaving(SOMALIA) is REFUSE
    house.tell(Names(Role.TRUNK, "beta", house.engine._exempt.networks(Role.TRUNK)))
    assert house.held(SetName.CHARGED) == [TRUNK]
    house.tell(load(HOUSE.replace(TRUNK, TWO)))
    house.tell(Names(Role.TRUNK, "beta", ()))
    assert house.held(SetName.CHARGED) == [TWO]


def test_whoever_writes_a_thousand_senders_pushes_out_no_phone() -> None:
    house = House("[track]\nregistrations = 1000\n" + CLOSED)
    mine = house.challenge(ATTACKER, user="1002")
    for number in range(1500):
        forges(house, f"10.0.{number // 250}.{number % 250}", nonce=mine)
    assert len(house.held(SetName.CHARGED)) == 32
    assert house.engine.counters()["registrations_surplus"] == 1500 - 32
    assert house.leaving("1001", far=ONE) is ACCEPT
    assert house.leaving("1002", far=TWO) is ACCEPT
    assert counted(house) == 0


def test_a_forged_refresh_makes_a_phones_address_no_longer_known_for_one_than_the_phone_has_shown_it() -> None:
    house = House("[calls]\ndeny = ['SO']\n")
    house.wait(1800)
    forges(house, TWO)
    assert house.held(SetName.CHARGED) == [TWO]
    assert house.leaving("whoever", far=TWO) is ACCEPT
    assert counted(house) == 0, "the phone has shown its address for half an hour yet"
    house.wait(1900)
    assert house.leaving(SOMALIA, far=TWO) is REFUSE
    house.register(TWO, user="1002")
    assert house.held(SetName.CHARGED) == []


# --- Every phone rings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("contact", ["sip:1002@{}:5060", "sip:k3j4h5@{};ob", "sip:{}:5060", "sip:1002-0x55d@{}"])
def test_a_phone_that_cannot_show_its_address_rings_though_all_is_closed_and_counts_for_nothing(contact: str) -> None:
    house = House(CLOSED + "[refuse]\ndestinations = ['100']\n")
    forges(house, PHONE, contact.format(PHONE))
    user = user_of(contact.format(PHONE).encode()).decode()
    assert house.leaving(user, far=PHONE) is ACCEPT
    assert counted(house) == 0
    assert house.leaving(SOMALIA, far=PHONE) is REFUSE


@pytest.mark.parametrize("contact", ["sip:1002@{}:5060", "sip:k3j4h5@{};ob"])
def test_a_phone_whose_contact_is_elsewhere_rings_there(contact: str) -> None:
    house = House(CLOSED)
    registers(house, PROXY, contact.format(PHONE))
    user = user_of(contact.format(PHONE).encode()).decode()
    assert house.leaving(user, far=PHONE) is ACCEPT
    assert counted(house) == 0
    assert house.leaving(SOMALIA, far=PHONE) is REFUSE
    registers(house, PROXY, f"sip:1002@{PROXY}")
    assert house.leaving(user, far=PHONE) is REFUSE, "its contact has gone from there"


def test_extensions_ring_by_their_number_whatever_the_account_is_called() -> None:
    house = House("extensions = ['2XX']\n" + CLOSED)
    forges(house, PHONE, f"sip:201@{PHONE}")
    assert house.leaving("201", far=PHONE) is ACCEPT
    assert house.leaving("202", far=PHONE) is REFUSE
    assert counted(house) == 0


def test_after_a_restart_all_is_as_before() -> None:
    before = House(CLOSED)
    forges(before, CARRIER)
    registers(before, PROXY, f"sip:k3j4h5@{PHONE}", user="1001")
    kept = {(each.network, each.account): each for each in trusts(before)}
    house = Again(HOUSE + CLOSED, list(kept.values()))
    assert set(house.held(SetName.TRUSTED)) == {ONE, TWO, CARRIER, PROXY}
    assert house.held(SetName.CHARGED) == [CARRIER]
    assert house.leaving("k3j4h5", far=PHONE) is ACCEPT
    assert house.leaving(SOMALIA, far=CARRIER) is REFUSE
    assert house.leaving("1001", far=ONE) is ACCEPT
    assert counted(house) == 0


def test_a_registration_from_before_the_guard_knew_of_proofs_rings_by_its_name() -> None:
    old = replace(trusts(House())[1], network=parse_network(PHONE), shown=0, contact="")
    house = Again(HOUSE + CLOSED, [old])
    assert house.leaving("1002", far=PHONE) is ACCEPT
    assert house.leaving(SOMALIA, far=PHONE) is REFUSE
    assert counted(house) == 0


def test_a_phone_that_leaves_takes_the_charge_with_it() -> None:
    house = House()
    forges(house, PHONE)
    assert house.held(SetName.CHARGED) == [PHONE]
    registers(house, PHONE, f"sip:1002@{PHONE}:5060", nonce=house.challenge(ATTACKER, user="1002"), expires=0)
    assert house.held(SetName.CHARGED) == []
    forges(house, PHONE)
    house.wait(3700)
    assert house.held(SetName.CHARGED) == []


def test_a_guard_that_only_observes_looks_at_the_same_calls_as_one_that_holds_them() -> None:
    house = House()
    forges(house, CARRIER)
    ledger = house.engine.in_force()
    free = [str(each) for each in ledger.held(SetName.TRUSTED) if ledger.free(each.address)]
    assert free == [ONE, TWO]


def test_a_phone_that_leaves_takes_from_nobody_who_stays_there_the_charge() -> None:
    """It was withheld from trust itself, so that its leaving changes no trust."""
    house = House()
    forges(house, PHONE, user="1002")
    for _ in range(3):
        house.guess(PHONE, user="1001")
    assert PHONE in house.held(SetName.TRUSTED)
    assert house.held(SetName.CHARGED) == [PHONE]
    house.register(PHONE, user="1001", expires=7200)
    assert house.held(SetName.CHARGED) == [], "somebody has shown the place"
    registers(house, PHONE, f"sip:1001@{PHONE}", user="1001", expires=0)
    assert PHONE in house.held(SetName.TRUSTED)
    assert house.held(SetName.CHARGED) == [PHONE]


def test_trust_that_had_no_room_is_charged_as_long_as_the_kernel_holds_it() -> None:
    house = House("[track]\nregistrations = 1000\n")
    forges(house, CARRIER)
    for number in range(1100):
        house.register(f"10.1.{number // 250}.{number % 250}", user=f"u{number}")
    assert house.engine.counters()["trusted_evicted"] > 0
    assert CARRIER in house.held(SetName.TRUSTED)
    house.tell(Names(Role.TRUNK, "gamma", (parse_network(CARRIER),)))
    assert CARRIER in house.held(SetName.CHARGED)
