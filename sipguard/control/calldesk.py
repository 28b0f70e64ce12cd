"""What the verbs about calls do: what runs is asked of the packet process, what is over of the store, and both joined.

Promises: as the desk's, which these verbs belong to. A call is ordered to be hung up by its whole key; whoever knows
only the beginning of it must mean one call alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias

from sipguard.control.server import RefusedError
from sipguard.errors import AdapterError
from sipguard.model import DAY, HOUR, OrderVerb, Span

Json: TypeAlias = dict[str, Any]
Args: TypeAlias = Mapping[str, Any]

LONGEST_NAME = 300
MOST = 1_000
KEPT: Span = 31 * DAY
SCOPES = ("account", "group", "trunk", "site", "class", "country", "number")


class Bills(Protocol):
    """What is wanted of the store; see `store/shelf.py`. Each raises AdapterError."""

    async def ended(self, span: Span, most: int) -> Json:
        """Give the calls that have ended within the last `span`."""

    async def today(self) -> list[Json]:
        """Give what each account has called for since midnight."""

    async def bill(self, name: str, span: Span, most: int) -> Json:
        """Give the calls that the accounts of a name began within the last `span`."""

    async def past(self, subject: str) -> Json:
        """Give what was found and decided lately about the accounts of a name."""


class Ordering(Protocol):
    """Has an order done; see `desk.py`."""

    def __call__(  # noqa: D102 - see above
        self, verb: OrderVerb, subject: str, args: Args, by: str, span: int = 0, scope: str = ""
    ) -> Awaitable[Any]: ...


class CallDesk:
    """Serves `verbs`. `ask` puts a request to the packet process."""

    def __init__(self, ask: Callable[[str, Args], Awaitable[Any]], bills: Bills, order: Ordering) -> None:
        self._ask = ask
        self._bills = bills
        self._order = order
        self.verbs: Mapping[str, Callable[[Args, str], Awaitable[Any]]] = {
            "calls": self._calls,
            "accounts": self._accounts,
            "limits": self._limits,
            "incident": self._incident,
            "hangup": self._hang_up,
            "reset": self._reset,
        }

    async def _sheet(self, about: str, name: str = "", scope: str = "", most: int = MOST) -> Json:
        found: Json = await self._ask("why", {"sheet": [about, name, scope, most]})
        return found

    async def _calls(self, args: Args, _by: str) -> Json:
        """List the calls that are going on; with `ended`, those that have ended within so many nanoseconds."""
        most = number_of(args, "limit", 100)
        if "ended" not in args:
            return await self._sheet("calls", _text(args, "id", ""), most=most)
        span = number_of(args, "ended", HOUR)
        if not 0 < span <= KEPT:
            raise RefusedError("calls are kept for 31 days", "usage")
        return await self._bills.ended(span, most)

    async def _accounts(self, args: Args, _by: str) -> Json:
        """Join who is registered and calls now with what each has called for today."""
        most = number_of(args, "limit", 100)
        found = await self._sheet("accounts", _text(args, "account", ""))
        try:
            today = {each["account"].casefold(): each for each in await self._bills.today()}
        except AdapterError as error:
            today, found["error"] = {}, error.what
        for row in found["accounts"]:
            row["today"] = today.pop(row["account"].casefold(), {"calls": 0, "seconds": 0, "cost": 0})
        if not args.get("account"):
            nowhere = {"registered": [], "registrations": 0, "calls": 0, "seconds": 0, "cost": 0, "state": []}
            gone = today.values() if found["total"] == len(found["accounts"]) else ()
            found["accounts"] += [{"account": each["account"], **nowhere, "today": each} for each in gone]
            found["total"] += len(gone)
        found["accounts"].sort(key=lambda row: (-row["cost"] - row["today"]["cost"], -row["calls"], not row["state"]))
        found["accounts"] = found["accounts"][: max(0, most)]
        return found

    async def _limits(self, args: Args, _by: str) -> Json:
        name, scope = _text(args, "name", ""), _scope(args)
        return await self._sheet("limits", name, scope, number_of(args, "limit", 100))

    async def _incident(self, args: Args, _by: str) -> Json:
        """Tell all that is known of the accounts of a name."""
        name, span = _text(args, "account"), number_of(args, "span", 7 * DAY)
        if not 0 < span <= KEPT:
            raise RefusedError("calls are kept for 31 days", "usage")
        found = await self._sheet("incident", name)
        try:
            found |= {"bill": await self._bills.bill(name, span, MOST), "past": await self._bills.past(name)}
        except AdapterError as error:
            found |= {"bill": {"error": error.what}, "past": {"error": error.what}}
        return found | {"account": name}

    # --- Orders -------------------------------------------------------------------------------------------------------

    async def _hang_up(self, args: Args, by: str) -> Any:
        beginning = _text(args, "id")
        found = await self._sheet("calls", beginning, most=2)
        if found["total"] > 1:
            raise RefusedError(f"{found['total']} calls have an id that begins with {beginning}: say more of it")
        whole = found["calls"][0]["id"] if found["calls"] else beginning
        return await self._order(OrderVerb.HANG_UP, whole, args, by)

    async def _reset(self, args: Args, by: str) -> Any:
        return await self._order(OrderVerb.RESET, _text(args, "name"), args, by, scope=_scope(args) or "account")


def number_of(args: Args, name: str, otherwise: int) -> int:
    """Give a whole number of a request. Raises RefusedError."""
    value = args.get(name, otherwise)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 2**62:
        raise RefusedError(f'"{name}" is a whole number', "usage")
    return value


def _text(args: Args, name: str, otherwise: str | None = None) -> str:
    value = args.get(name, otherwise)
    if not isinstance(value, str) or len(value) > LONGEST_NAME or not (value or otherwise == ""):
        raise RefusedError(f'"{name}" is a text of 1 to {LONGEST_NAME} characters', "usage")
    return value


def _scope(args: Args) -> str:
    scope = _text(args, "scope", "")
    if scope and scope not in SCOPES:
        raise RefusedError(f'"scope" is one of {", ".join(SCOPES)}', "usage")
    return scope
