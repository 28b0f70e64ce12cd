"""Requests that the keeper passes on, served: each gets exactly one reply, whatever is wrong with it.

What a verb does is given by the caller; nothing here knows the engine or the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from sipguard import report
from sipguard.address import Network, parse_network
from sipguard.control.pair import Message
from sipguard.errors import AdapterError
from sipguard.model import Action, Decision, DecisionVerdict, Enforced, Names, Order, OrderVerb, Record, Span

Args: TypeAlias = Mapping[str, Any]
Answer: TypeAlias = tuple[bool, Any]
"""Whether it was done, and the reply's body; or why it was not."""

SHOWN = 100
"""The most subjects of a release that a reply names."""


def serve(message: Message, verbs: Mapping[str, Callable[[Args], Answer]]) -> Message:
    """Serve a request; gives the reply. Never raises."""
    try:
        verb = verbs.get(message["verb"])
        ok, body = (False, "there is no such verb") if verb is None else verb(message["args"])
    except (KeyError, TypeError, ValueError) as error:
        ok, body = False, f"not understood: {error!r}"
    except AdapterError as error:
        ok, body = False, str(error)
    what = {"body": body} if ok else {"error": str(body)}
    return {"t": "reply", "id": message.get("id", 0), "ok": ok, **what}


def order_of(args: Args) -> Order:
    """Read the order of a `ban`, `unban` or `release`. Raises KeyError, TypeError or ValueError."""
    order = report.unpack(args["order"])
    if not isinstance(order, Order):
        raise TypeError("no order")
    return order


def asked_about(args: Args) -> Network | str:
    """Read whom a `why` is about: a network, or the name of an account. Raises KeyError, TypeError or ValueError."""
    if "network" in args:
        return parse_network(str(args["network"]))
    if not isinstance(args["account"], str):
        raise TypeError("no name")
    return args["account"]


def names_of(message: Message) -> Names:
    """Read the names of a `names` message. Raises KeyError, TypeError or ValueError."""
    names = report.unpack(message["what"])
    if not isinstance(names, Names):
        raise TypeError("no names")
    return names


def outcome(order: Order, told: Sequence[Action], refused: Sequence[Enforced], offset: Span) -> Answer:
    """Say what has become of an order, by the engine's actions and what the kernel refused of them."""
    decided = [each for each in told if isinstance(each, Record) and isinstance(each.what, Decision)]
    release = order.verb is OrderVerb.RELEASE
    if not decided:
        return False, f"{order.subject} is {'under no quarantine or shield' if release else 'not banned'}"
    first = decided[0].what
    if isinstance(first, Decision) and first.verdict is DecisionVerdict.EXEMPT:
        return False, first.reason or f"it is exempt by {first.rule}"
    if refused:
        return False, f"the kernel did not take it: {refused[0].why}"
    done: dict[str, Any] = {"decision": report.line(decided[0], -offset)}
    if release:
        subjects = [str(each.what.subject) for each in decided[:SHOWN] if isinstance(each.what, Decision)]
        done |= {"released": subjects, "total": len(decided)}
    return True, done
