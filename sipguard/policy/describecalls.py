"""What a policy means for calls and money, in a few plain lines; the part of `describe.py` on toll fraud.

Only says what the settings are: what a price list costs, or a name's addresses are, is not known here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from sipguard.call import money
from sipguard.constraint import Levels, Switch
from sipguard.decide.callrules import CallRule
from sipguard.decide.limitset import Kinds, OfAccount, OfNumber, OfTrunk
from sipguard.decide.wallclock import ALWAYS
from sipguard.model import Consequence
from sipguard.numbering.plan import NONE, Bare, DialPlan
from sipguard.policy.schema import Mode, Policy, Trunk
from sipguard.policy.units import say_duration

_LISTED = 4  # so many of a kind are named one by one
_USUAL = {"account": OfAccount(), "trunk": OfTrunk(), "number": OfNumber()}


def describe_calls(policy: Policy) -> Iterator[str]:
    """Give lines of plain text on dial plan, destinations, limits, prices, carriers and quarantine."""
    yield from _numbers(policy)
    yield from _destinations(policy)
    yield from _limits(policy)
    yield _prices(policy)
    yield from _carriers(policy.trunks)
    yield from _quarantines(policy)
    emergency = and_(_few(policy.refuse.emergency))
    yield f"Emergency calls ({emergency}, and the country's own) are never refused or counted."


# --- Where calls may go -----------------------------------------------------------------------------------------------


def _numbers(policy: Policy) -> Iterator[str]:
    if policy.numbering.country == NONE:
        yield (
            "No country is set (numbering.country): only international numbers are read, and of emergency numbers "
            "only those named here and the general ones are known."
        )
    else:
        yield f"Numbers are read as they are dialled in {_plan(policy.numbering)}."
    if policy.dialplans:
        yield f"Other dial plans: {and_(_few([each.name for each in policy.dialplans]))}."
    home = policy.home()
    if home and home != (policy.numbering.country,):
        yield f"Not abroad: {and_(_few(home))}."


def _plan(plan: DialPlan) -> str:
    area = "" if plan.area == NONE else f", area code {plan.area}"
    outside = f", with {_or(plan.outside)} for an outside line" if plan.outside else ""
    bare = "; digits without a prefix begin with a country code" if plan.bare is Bare.INTERNATIONAL else ""
    return f"{plan.country}{area}{outside}{bare}"


def _destinations(policy: Policy) -> Iterator[str]:
    said = list(_words(policy.calls.default, policy, all_=True))
    yield f"Calls: {'; '.join(said)}." if said else "Calls may go anywhere, at any price."
    if policy.refuse.destinations:
        yield f"And none to {and_(_few(policy.refuse.destinations))} (refuse.destinations)."
    for rule in policy.calls.rule[:_LISTED]:
        said = list(_words(rule, policy, all_=False)) or ["nothing else"]
        yield f"For {_whom(rule)}: {'; '.join(said)}."
    more = len(policy.calls.rule) - _LISTED
    if more > 0:
        yield f"{more} more rule{'' if more == 1 else 's'} of calls."


def _words(rule: CallRule, policy: Policy, *, all_: bool) -> Iterator[str]:
    if rule.outbound is Switch.OFF:
        yield "none leaves"
    elif rule.outbound is Switch.ON and not all_:
        yield "they may leave"
    if rule.international is Switch.OFF:
        yield "none abroad"
    elif rule.international is Switch.ON and not all_:
        yield "also abroad"
    if rule.countries:
        yield f"to {and_(_few(rule.countries))} only"
    if rule.deny:
        yield f"none to {and_(_few(rule.deny))}"
    if rule.allow:
        yield f"always to {and_(_few(rule.allow))}"
    if rule.highest_rate:
        yield f"none above {_price(rule.highest_rate, policy)} a minute{'' if policy.rates.file else ' (needs rates)'}"
    if rule.unknown_rate is Switch.OFF and policy.rates.file:
        yield "none whose price the rates do not know"


def _whom(rule: CallRule) -> str:
    who = [*rule.accounts, *rule.groups]
    words = [and_(_few(who)) if who else "everybody"]
    if rule.sites:
        words.append(f"from {and_(_few(rule.sites))}")
    if rule.trunks:
        words.append(f"over {and_(_few(rule.trunks))}")
    if rule.hours != ALWAYS:
        words.append(f"at {rule.hours}")
    if rule.weekdays:
        words.append(f"on {and_(list(rule.weekdays))}")
    return " ".join(words)


# --- How much ---------------------------------------------------------------------------------------------------------


def _limits(policy: Policy) -> Iterator[str]:
    account, trunk = policy.limits.account, policy.limits.trunk
    ends = "are refused, and running ones hung up"
    if policy.mode is not Mode.ENFORCE:
        ends = "would be refused, and running ones hung up"
    yield (
        f"One account may spend {_most(account.spend_hour, policy)} within an hour and "
        f"{_most(account.spend_day, policy)} within a day, all over one trunk {_most(trunk.spend_hour, policy)} and "
        f"{_most(trunk.spend_day, policy)}; calls beyond that {ends}."
    )
    dear = account.expensive_concurrent.critical
    if dear and policy.limits.expensive:
        yield (
            f"One account may have {dear} call{'' if dear == 1 else 's'} at a time that cost "
            f"{_price(policy.limits.expensive, policy)} a minute or more."
        )
    other = list(_changed(policy))
    if other:
        yield f"Limits of your own: {and_(_few(other))}."


def _changed(policy: Policy) -> Iterator[str]:
    for scope in ("account", "group", "trunk", "site", "class_", "country", "number"):
        kinds, usual = getattr(policy.limits, scope), _USUAL.get(scope, Kinds())
        for field in dataclasses.fields(kinds):
            if getattr(kinds, field.name) != getattr(usual, field.name):
                yield f"{scope.rstrip('_')}.{field.name}"
    rules = len(policy.limits.rule)
    if rules:
        yield f"{rules} rule{'' if rules == 1 else 's'}"


def _most(levels: Levels, policy: Policy) -> str:
    return _price(levels.critical, policy) if levels.critical else "any amount"


def _prices(policy: Policy) -> str:
    if policy.rates.file:
        return f"Calls cost what {policy.rates.file} says."
    abroad, special = _price(policy.limits.assumed_abroad, policy), _price(policy.limits.assumed_special, policy)
    return (
        f"No price list is named (rates.deck): a minute abroad is taken to cost {abroad}, one to a premium or "
        f"satellite number {special}."
    )


def _price(micros: int, policy: Policy) -> str:
    return f"{money(micros)} {policy.rates.priced_in or 'of your currency'}"


# --- Carriers, and what becomes of fraud ------------------------------------------------------------------------------


def _carriers(trunks: Sequence[Trunk]) -> Iterator[str]:
    for trunk in [each for each in trunks if any(_allowed(each))][:_LISTED]:
        yield f"{trunk.name} allows {and_(list(_allowed(trunk)))}; the guard stops {trunk.margin} % before."


def _allowed(trunk: Trunk) -> Iterator[str]:
    if trunk.channels:
        yield f"{trunk.channels} call{'' if trunk.channels == 1 else 's'} at a time"
    if trunk.calls_per_second:
        yield f"{trunk.calls_per_second} a second"
    if trunk.daily_spend:
        yield f"{money(trunk.daily_spend)} a day"
    if trunk.max_rate:
        yield f"{money(trunk.max_rate)} a minute"


def _quarantines(policy: Policy) -> Iterator[str]:
    names = [field.name for field in dataclasses.fields(policy.detect)]
    found = {name: getattr(policy.detect, name) for name in names}
    quick = [name for name, each in found.items() if each.enabled and each.then is Consequence.QUARANTINE]
    if policy.limits.misdials:
        quick.append("limits.misdials")
    if quick:
        verb = "is" if policy.mode is Mode.ENFORCE else "would be"
        yield (
            f"An account {verb} kept from calling for {say_duration(policy.ward.quarantine)} by {and_(quick)}; "
            "sipguard release ends that."
        )


def and_(words: Sequence[str]) -> str:
    """Join words as people list them."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def _or(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else "".join(words)


def _few(words: Sequence[str]) -> list[str]:
    more = len(words) - _LISTED
    return list(words) if more <= 1 else [*words[:_LISTED], f"{more} more"]
