"""Whose a name is: an account of that name that is registered, as long as there is only one."""

from __future__ import annotations

from sipguard.address import parse_address
from sipguard.event import Registered
from sipguard.model import SECOND, Account
from sipguard.track.registration import Registrations

ALICE, OTHER = Account("1001", "pbx"), Account("1001", "elsewhere")
PHONE = parse_address("198.51.100.20")


def registered(book: Registrations, at: int, account: Account, expires: int, last: int = 20) -> None:
    source = PHONE[:3] + bytes([last])
    book.registered(at * SECOND, source, account, b"sip:1001@198.51.100.20:5060;ob", expires, proven=True)


def test_a_name_is_an_account_while_it_is_registered() -> None:
    book = Registrations(100)
    assert book.named("1001") is None
    registered(book, 1, ALICE, 60)
    assert book.named("1001") == ALICE
    registered(book, 2, ALICE, 60, last=21)
    registered(book, 3, ALICE, 0)
    assert book.named("1001") == ALICE
    registered(book, 4, ALICE, 0, last=21)
    assert book.named("1001") is None


def test_a_registration_that_has_run_out_names_nobody() -> None:
    book = Registrations(100)
    registered(book, 1, ALICE, 60)
    book.advance(61 * SECOND)
    assert book.named("1001") is None


def test_a_name_in_two_realms_is_nobodys_until_one_is_left() -> None:
    book = Registrations(100)
    registered(book, 1, ALICE, 60)
    registered(book, 2, OTHER, 600)
    assert book.named("1001") is None
    book.advance(61 * SECOND)
    assert book.named("1001") == OTHER


def test_one_who_registers_from_everywhere_is_remembered_in_a_few_places_and_still_found() -> None:
    book = Registrations(100)
    for last in range(200):
        registered(book, last, ALICE, 3600, last=last)
    assert book.named("1001") == ALICE
    assert len(book._names.get("1001") or ()) <= 64
    for last in range(200):
        registered(book, 300, ALICE, 0, last=last)
    assert book.named("1001") is None
    assert len(book._names) == 0


def test_the_user_of_a_contact_with_port_and_parameters_is_who_is_called() -> None:
    book = Registrations(100)
    registered(book, 1, ALICE, 60)
    assert book.called(PHONE, b"sip:1001@198.51.100.20:5060;ob") == ALICE
    assert book.called(PHONE, b"sip:1002@198.51.100.20") is None


# --- Where a contact is -----------------------------------------------------------------------------------------------

ELSEWHERE = parse_address("203.0.113.30")


def with_contact(book: Registrations, account: Account, source: bytes, contact: str, *, bound: bool = True) -> None:
    book.registered(SECOND, source, account, contact.encode(), 3600, proven=True, bound=bound)


def test_a_phone_is_called_where_its_contact_is_unless_others_are_registered_from_there() -> None:
    book = Registrations(100)
    with_contact(book, ALICE, PHONE, "sip:1001@203.0.113.30")
    assert book.called(ELSEWHERE, b"sip:1001@203.0.113.30") == ALICE
    with_contact(book, Account("1002", "pbx"), ELSEWHERE, "sip:1002@203.0.113.30")
    assert book.called(ELSEWHERE, b"sip:1001@203.0.113.30") is None
    assert book.called(ELSEWHERE, b"sip:1002@203.0.113.30") == Account("1002", "pbx")


def test_a_contact_makes_no_device_of_its_place_and_neither_does_what_nobody_has_shown() -> None:
    book = Registrations(100)
    with_contact(book, ALICE, PHONE, "sip:1001@203.0.113.30")
    with_contact(book, OTHER, ELSEWHERE[:3] + b"\x21", "sip:1001@203.0.113.33", bound=False)
    assert book.shown_at(PHONE)
    assert not book.shown_at(ELSEWHERE)
    assert not book.shown_at(ELSEWHERE[:3] + b"\x21")


def test_contacts_that_come_and_go_leave_nothing_behind() -> None:
    book = Registrations(100)
    for number in range(300):
        with_contact(book, ALICE, PHONE, f"sip:1001@203.0.113.{number % 250}")
    assert len(book._homes) == 1
    for number in range(40):
        with_contact(book, Account(str(number), "pbx"), PHONE, "sip:x@203.0.113.30")
    book.advance(4000 * SECOND)
    assert (len(book._homes), len(book._places), len(book._names)) == (0, 0, 0)


def test_contacts_at_one_place_are_remembered_up_to_a_number() -> None:
    book = Registrations(1000)
    for number in range(200):
        with_contact(book, Account(str(number), "pbx"), PHONE, "sip:x@203.0.113.30")
    assert max(map(len, book._homes.values())) == 64


def test_a_contact_that_is_told_again_pushes_out_none_at_its_place() -> None:
    book = Registrations(1000)
    for number in (*range(64), *range(64)):
        with_contact(book, Account(str(number), "pbx"), PHONE, "sip:x@203.0.113.30")
    assert [len(keys) for keys in book._homes.values()] == [64]


def test_ends_that_wait_are_bounded_and_not_sorted_out_at_each_registration() -> None:
    """Of each there are two, where a phone has shown its place and then registers by a nonce that shows nothing."""
    book, tidied = Registrations(10), 0
    for at in range(200):
        before = len(book._due)
        account, bound = Account(str(at % 10), "pbx"), at < 10
        book.registered(at * SECOND, PHONE, account, b"sip:x@pbx", 3600, proven=True, bound=bound)
        tidied += len(book._due) < before
        assert len(book._due) <= 42
    assert 0 < tidied < 20


def test_a_place_whose_registrations_had_to_go_is_a_device_no_longer_when_they_would_have_ended() -> None:
    book = Registrations(10)
    with_contact(book, ALICE, PHONE, "sip:1001@198.51.100.20")
    for number in range(20):
        with_contact(book, Account(str(number), "pbx"), PHONE, "sip:x@198.51.100.20")
    book.advance(4000 * SECOND)
    assert not book.any_at(PHONE)


def test_what_is_not_shown_goes_before_what_is_when_there_is_no_room() -> None:
    book = Registrations(100)
    with_contact(book, ALICE, PHONE, "sip:1001@198.51.100.20")
    for number in range(1000):
        account = Account(str(number), "pbx")
        with_contact(book, account, bytes([10, number // 250, number % 250, 1]), "sip:x@10.0.0.1", bound=False)
    assert book.shown_at(PHONE)
    assert book.stands(PHONE, ALICE)
    assert len(book._table) <= 100
    assert book.counters()["registrations_evicted"] >= 900


# --- Places that nobody has shown -------------------------------------------------------------------------------------


def forged(book: Registrations, at: int, account: Account, place: int, *, proven: bool = False) -> bool:
    """Register from one of many addresses; tells whether that was one too many."""
    source = bytes([203, 0, place // 250, place % 250])
    event = book.registered(at * SECOND, source, account, b"sip:1001@192.0.2.1", 3600, proven=proven)
    assert isinstance(event, Registered)
    return event.surplus


def test_an_account_has_few_places_that_it_has_not_shown_however_many_bear_its_name_elsewhere() -> None:
    book = Registrations(100_000)
    places = 0
    for round_ in range(100):
        for tenant in range(64):
            registered(book, round_, Account("1001", f"tenant{tenant}"), 3600, last=tenant)
        places += not forged(book, round_, ALICE, round_)
    assert places == 32


def test_a_place_that_is_given_up_or_shown_or_runs_out_makes_room_for_another() -> None:
    book = Registrations(1000)
    assert [forged(book, 1, ALICE, place) for place in range(33)] == [False] * 32 + [True]
    book.registered(2 * SECOND, bytes([203, 0, 0, 5]), ALICE, b"", 0, proven=False)
    assert not forged(book, 2, ALICE, 40)
    assert forged(book, 2, ALICE, 41)
    assert not forged(book, 3, ALICE, 6, proven=True)
    assert not forged(book, 3, ALICE, 42)
    assert forged(book, 3, ALICE, 43)
    book.advance(4000 * SECOND)
    assert [forged(book, 4000, ALICE, place) for place in range(33)] == [False] * 32 + [True]


def test_whoever_shows_many_places_makes_none_of_those_forgotten_that_he_has_not_shown() -> None:
    book = Registrations(10_000)
    assert [forged(book, 1, ALICE, place) for place in range(33)] == [False] * 32 + [True]
    for place in range(100, 300):
        forged(book, 2, ALICE, place, proven=True)
        forged(book, 3, ALICE, place)  # now it outlasts what was shown
    assert forged(book, 4, ALICE, 50)


def test_of_how_many_accounts_such_places_are_known_is_bounded() -> None:
    book = Registrations(1000)
    for number in range(3000):
        forged(book, 1, Account(str(number), "pbx"), number)
    counters = book.counters()
    assert counters["registrations_unshown"] <= 1000
    assert counters["registrations_unshown_evicted"] >= 2000
