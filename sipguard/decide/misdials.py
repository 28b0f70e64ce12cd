"""Misdialled or up to something: when refused calls are enough for a quarantine. Pure.

    misdials.refused(at, account, call.called) -> True: put the account under quarantine now

A misdialled prefix is not fraud, and a phone that redials it is not either: different numbers are counted, within a
window, and only of accounts that have authenticated. 40 bytes for each account and number, `limits.subjects` accounts.
"""

from __future__ import annotations

from sipguard.call import Called, NumberClass
from sipguard.decide.limitset import Config
from sipguard.decide.parties import account_name
from sipguard.model import Account, Instant
from sipguard.table import Table
from sipguard.window import Crowd, party

_NOBODY = b"\0\0\0\0"


class Misdials:
    """The refused numbers of each account."""

    __slots__ = ("_grace", "_refused", "_window")

    def __init__(self, config: Config) -> None:
        self._grace = config.misdials
        self._window = config.misdials_window
        self._refused: Table[str, Crowd] = Table(config.subjects)

    def refused(self, at: Instant, account: Account, called: Called) -> bool:
        """Note that a call of an account was refused; tell whether that was one number too many. Emergency: never."""
        if called.kind is NumberClass.EMERGENCY:
            return False
        name = account_name(account)
        crowd = self._refused.get(name) or Crowd()
        self._refused.renew(name, crowd, _NOBODY)
        number = called.e164 or called.dialled
        crowd.mark(max(0, at), party(number.encode("utf-8", "replace")), self._grace + 1, 1)
        return len(crowd.since(at - self._window)) > self._grace

    def forget(self, account: Account) -> None:
        """Begin anew, when the account is released."""
        self._refused.pop(account_name(account))
