"""What a call is taken to cost, and which calls are expensive, for those who set limits. Pure.

With a price in the rate deck it is that. Without one a number abroad, one that cannot be read, and one of a class that
costs its callers more has the price that `[limits]` assumes, so that spend limits hold without any deck. What is abroad
or unreadable nobody can say before the policy names a country.
"""

from __future__ import annotations

from sipguard.call import Call, NumberClass, Rate
from sipguard.decide.limitset import Config
from sipguard.decide.parties import Parties, is_peer

_SPECIAL = frozenset({NumberClass.PREMIUM, NumberClass.PERSONAL, NumberClass.SATELLITE, NumberClass.GLOBAL})
_FREE = frozenset({NumberClass.TOLL_FREE, NumberClass.EXTENSION, NumberClass.SHORT, NumberClass.EMERGENCY})
_MINUTE = 60  # the increment of what costs nothing: how often its minutes are looked at


class Prices:
    """The prices of a policy."""

    __slots__ = ("_abroad", "_expensive", "_parties", "_special")

    def __init__(self, config: Config, parties: Parties) -> None:
        self._parties = parties
        self._expensive = config.expensive
        self._abroad = Rate("", "", config.assumed_abroad, 0, _MINUTE, _MINUTE)
        self._special = Rate("", "", config.assumed_special, 0, _MINUTE, _MINUTE)

    def rate(self, call: Call) -> Rate:
        """Give the price of a call; one of nothing a minute where nobody knows better.

        Increments of a call that costs nothing by time are a minute, whatever the deck says: nothing hangs on them.
        """
        rate = call.rate
        if rate is None:
            return self._assumed(call)
        return rate if rate.per_minute else Rate("", "", 0, rate.connect, _MINUTE, _MINUTE)

    def expensive(self, rate: Rate) -> bool:
        """Tell whether a call at this price counts as expensive."""
        return 0 < self._expensive <= rate.per_minute

    def _assumed(self, call: Call) -> Rate:
        kind = call.called.kind
        if kind in _SPECIAL:
            return self._special
        if kind in _FREE or not self._parties.home:
            return _NOTHING  # no country is named: then no number at home can be read either, and all would be dear
        unread = kind is NumberClass.UNALLOCATED or (kind is NumberClass.UNREADABLE and not is_peer(call))
        return self._abroad if unread or self._parties.abroad(call.called) else _NOTHING


_NOTHING = Rate("", "", 0, 0, _MINUTE, _MINUTE)
