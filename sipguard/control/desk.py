"""What each verb of the control socket does: asks the packet process, asks the store, keeps the operator's switches.

Promises: an answer is plain JSON and bounded; an order that is not understood, or that the packet process does not
confirm in time, is a `RefusedError` that says so. `off` leaves its mark on disk before anything else, so that it holds
whatever happens next. Nothing here opens a socket or decides about an address.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from sipguard.address import Network, parse_network
from sipguard.control.calldesk import CallDesk, number_of
from sipguard.control.server import RefusedError
from sipguard.errors import AdapterError
from sipguard.model import DAY, Order, OrderVerb, Span
from sipguard.report import pack

Json: TypeAlias = dict[str, Any]
Args: TypeAlias = Mapping[str, Any]
Ask: TypeAlias = Callable[[str, Args], Awaitable[Any]]

LONGEST_BAN = 3650 * DAY
LONGEST_REASON = 200
LONGEST_NAME = 300
MOST_BANS = 10_000


class Shelf(Protocol):
    """What the desk wants of a store; see `store/shelf.py`. Each raises AdapterError."""

    marker: Path

    async def counts(self) -> Json:
        """Give how much is kept."""

    async def bans(self, limit: int) -> Json:
        """Give what is in force."""

    async def preview(self) -> Json:
        """Tell what enforcing would close, and whom it would hit."""

    async def events(self, last: int) -> list[Json]:
        """Give the youngest report lines."""

    async def past(self, subject: Network | str) -> Json:
        """Give what was found and decided lately about a network, or about the accounts of a name."""

    async def ended(self, span: Span, most: int) -> Json:
        """Give the calls that have ended within the last `span`."""

    async def today(self) -> list[Json]:
        """Give what each account has called for since midnight."""

    async def bill(self, name: str, span: Span, most: int) -> Json:
        """Give the calls that the accounts of a name began within the last `span`."""

    async def keep_mode(self, mode: str, policy_mode: str) -> None:
        """Keep the operator's mode."""


class Desk:
    """Serves verbs. `ask` puts a request to the packet process, `about` tells the keeper's own state.

    `policy_mode` is what the policy says, `mode` what holds, `accept` fetches a list that was refused; the keeper sets
    all three.
    """

    def __init__(
        self, ask: Ask, shelf: Shelf, about: Callable[[], Json], reload: Callable[[], Awaitable[Json]]
    ) -> None:
        self._ask = ask
        self._shelf = shelf
        self._about = about
        self._reload = reload
        self.accept: Callable[[str], bool] = lambda _name: False  # the keeper sets it
        self.policy_mode = self.mode = "observe"
        self._verbs: Mapping[str, Callable[[Args, str], Awaitable[Any]]] = {
            "status": self._status,
            "bans": self._bans,
            "preview": self._preview,
            "events": self._events,
            "ban": self._ban,
            "unban": self._unban,
            "release": self._release,
            "quarantine": self._quarantine,
            **CallDesk(self._ask, self._shelf, self._order).verbs,
            "off": self._off,
            "on": self._on,
            "enforce": partial(self._mode, "enforce"),
            "observe": partial(self._mode, "observe"),
            "reload": self._reload_policy,
            "feeds": self._feeds,
            "why": self._why,
        }

    async def handle(self, verb: str, args: Args, by: str) -> Any:
        """Serve one verb. Raises RefusedError."""
        serve = self._verbs.get(verb)
        if serve is None:
            raise RefusedError(f"there is no verb {verb[:40]!r}; known are {', '.join(self._verbs)}", "usage")
        try:
            return await serve(args, by)
        except AdapterError as error:
            raise RefusedError(str(error), "broken") from None

    # --- Questions ----------------------------------------------------------------------------------------------------

    async def _status(self, _args: Args, _by: str) -> Json:
        found: Json = {"keeper": self._about()}
        try:
            found["packet"] = await self._ask("status", {})
        except RefusedError as refusal:
            found["packet"] = {"error": str(refusal)}
        try:
            found["store"] = await self._shelf.counts()
        except AdapterError as error:
            found["store"] = {"error": error.what}
        return found

    async def _bans(self, args: Args, _by: str) -> Json:
        found = await self._shelf.bans(number_of(args, "limit", MOST_BANS))
        return found | {"mode": self.mode}

    async def _preview(self, _args: Args, _by: str) -> Json:
        return await self._shelf.preview()

    async def _events(self, args: Args, _by: str) -> list[Json]:
        return await self._shelf.events(number_of(args, "last", 50))

    async def _feeds(self, args: Args, _by: str) -> list[Json]:
        """Tell of each list what the keeper knows, and what the packet process made of it; or fetch one anew."""
        accept = args.get("accept", "")
        if accept and not (isinstance(accept, str) and self.accept(accept)):
            raise RefusedError("the policy names no such list", "usage")
        counters = (await self._ask("status", {})).get("counters", {})
        return [
            {
                **each,
                **{key: counters.get(f"feed {key} {each['name']}", 0) for key in ("held", "hits", "overlap", "spared")},
            }
            for each in self._about().get("feeds", [])
        ]

    async def _why(self, args: Args, _by: str) -> Json:
        """Join what the packet process knows with what was kept of the past."""
        subject = _subject(args)
        kind = "account" if isinstance(subject, str) else "network"
        found: Json = await self._ask("why", {kind: str(subject)})
        try:
            kept = await self._shelf.past(subject)
        except AdapterError as error:
            kept = {"error": error.what}
        return found | {"past": kept, "mode": self.mode, "policy": self._about().get("policy", "")}

    # --- Orders -------------------------------------------------------------------------------------------------------

    async def _ban(self, args: Args, by: str) -> Any:
        span = number_of(args, "span", 0)
        if not 0 <= span <= LONGEST_BAN:
            raise RefusedError("a ban lasts at most 3650 days", "usage")
        return await self._order(OrderVerb.BAN, _network(args), args, by, span)

    async def _unban(self, args: Args, by: str) -> Any:
        return await self._order(OrderVerb.UNBAN, _network(args), args, by)

    async def _release(self, args: Args, by: str) -> Any:
        return await self._order(OrderVerb.RELEASE, _subject(args), args, by)

    async def _quarantine(self, args: Args, by: str) -> Any:
        span = number_of(args, "span", 0)
        if not 0 <= span <= LONGEST_BAN:
            raise RefusedError("a quarantine lasts at most 3650 days", "usage")
        return await self._order(OrderVerb.QUARANTINE, _name(args), args, by, span)

    async def _order(
        self, verb: OrderVerb, subject: Network | str, args: Args, by: str, span: int = 0, scope: str = ""
    ) -> Any:
        reason = args.get("reason", "")
        if not isinstance(reason, str) or len(reason) > LONGEST_REASON:
            raise RefusedError(f"a reason is a text of at most {LONGEST_REASON} characters", "usage")
        order = Order(verb, subject, span, reason, by, args.get("force") is True, scope)
        return await self._ask(str(verb), {"order": pack(order)})

    async def _mode(self, mode: str, _args: Args, _by: str) -> Any:
        """Switch, then remember: kept as long as the policy's own mode is not changed."""
        body = await self._ask(mode, {})
        self.mode = mode
        try:
            await self._shelf.keep_mode(mode, self.policy_mode)
        except AdapterError as error:
            raise RefusedError(f"switched to {mode}, but it could not be kept: {error.what}", "broken") from None
        return body

    async def _reload_policy(self, _args: Args, _by: str) -> Json:
        return await self._reload()

    # --- The emergency switch -----------------------------------------------------------------------------------------

    async def _off(self, _args: Args, _by: str) -> Json:
        kept = ""
        try:
            self._shelf.marker.touch(mode=0o644)
        except OSError as error:
            kept = f"{self._shelf.marker} cannot be written ({error.strerror}): a restarted guard would guard again"
        return {"packet": await self._ask("off", {}), "marker": str(self._shelf.marker), "warning": kept}

    async def _on(self, _args: Args, _by: str) -> Json:
        try:
            self._shelf.marker.unlink(missing_ok=True)
        except OSError as error:
            raise RefusedError(f"the mark {self._shelf.marker} cannot be removed: {error.strerror}", "broken") from None
        return {"packet": await self._ask("on", {})}


def _subject(args: Args) -> Network | str:
    return _network(args) if "network" in args else _name(args)


def _name(args: Args) -> str:
    name = args.get("account")
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise RefusedError(f'"account" is a name of at most {LONGEST_NAME} characters', "usage")
    return name


def _network(args: Args) -> Network:
    try:
        return parse_network(str(args.get("network", "")))
    except ValueError as error:
        raise RefusedError(str(error), "usage") from None
