"""Whose a name is: an account of that name that is registered, as long as there is only one."""

from __future__ import annotations

from sipguard.address import parse_address
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
