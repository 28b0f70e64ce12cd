"""Requests that the keeper passes on, served: each gets exactly one reply, whatever is wrong with it.

What a verb does is given by the caller; nothing here knows the engine or the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from sipguard import report
from sipguard.address import Network, parse_network
from sipguard.call import LimitReset
from sipguard.control.pair import Message
from sipguard.errors import AdapterError
from sipguard.model import (
    Action,
    Alert,
    Decision,
    DecisionVerdict,
    Enforced,
    Names,
    Order,
    OrderVerb,
    Record,
    Sheet,
    Span,
)

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
    """Read an order. Raises KeyError, TypeError or ValueError."""
    order = report.unpack(args["order"])
    if not isinstance(order, Order):
        raise TypeError("no order")
    return order


def asked_about(args: Args) -> Network | str | Sheet:
    """Read what a `why` is about: a network, the name of an account, or a sheet of calls, accounts or limits.

    Raises KeyError, TypeError or ValueError.
    """
    if "sheet" in args:
        about, name, scope, most = args["sheet"]
        return Sheet(str(about), str(name), str(scope), int(most))
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
    if order.verb in _ON_CALLS:
        return _outcome_on_calls(order, told, offset)
    decided = [each for each in told if isinstance(each, Record) and isinstance(each.what, Decision)]
    release = order.verb is OrderVerb.RELEASE
    if not decided:
        return False, f"{order.subject} {_NOTHING_TO_DO[order.verb]}"
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


_ON_CALLS = frozenset({OrderVerb.HANG_UP, OrderVerb.RESET})
_NOTHING_TO_DO = {
    OrderVerb.BAN: "is not banned",
    OrderVerb.UNBAN: "is not banned",
    OrderVerb.RELEASE: "is under no quarantine or shield",
    OrderVerb.QUARANTINE: "cannot be put under quarantine",
    OrderVerb.HANG_UP: "is no call that is going on",
    OrderVerb.RESET: "has no counters",
}


def _outcome_on_calls(order: Order, told: Sequence[Action], offset: Span) -> Answer:
    """Say what has become of a hang-up or a reset: something was done, or nobody knew the call or the subject.

    An alert of the kind `order-refused` says why it was not done.
    """
    subject = f"{order.scope} {order.subject}".lstrip()
    if not told:
        return False, f"{subject} {_NOTHING_TO_DO[order.verb]}"
    refused = next((each for each in told if isinstance(each, Alert) and each.kind == "order-refused"), None)
    if refused is not None:
        return False, refused.text
    done: dict[str, Any] = {"done": str(order.verb), "subject": subject}
    if order.verb is OrderVerb.RESET:
        resets = [each.what for each in told if isinstance(each, Record) and isinstance(each.what, LimitReset)]
        done |= {"reset": [f"{each.scope} {each.subject}" for each in resets[:SHOWN]], "total": len(resets)}
    lines = (report.line(each, -offset) for each in told[:SHOWN])
    return True, done | {"lines": [each for each in lines if each is not None]}
