"""`sipguard why`: what is known of an address, a network or an account, why it is so, and what would change it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from sipguard.cli.because import Change, changes, paragraph, saw
from sipguard.cli.output import guarded, say, show, table
from sipguard.cli.places import AsJson, Socket, socket_path
from sipguard.cli.whose import Whose, whose
from sipguard.control import client
from sipguard.control.lines import when
from sipguard.control.policyfile import read_policy
from sipguard.control.text import clean
from sipguard.errors import PolicyError
from sipguard.policy.lines import Path as Key
from sipguard.policy.lines import find_lines


def why(
    subject: Whose,
    socket: Socket = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Say why an address is banned or not, or what is done about an account, and what would change it."""
    args = whose(subject)
    with guarded():
        found = client.request(socket_path(socket), "why", args)
    places = Places(str(found.get("policy", "")))
    advice = [change for change in changes(found) if not change.key or places.known(change.key)]
    found["summary"] = paragraph(found, places.of)
    found["changes"] = [{**change._asdict(), "place": places.of(change.key) if change.key else ""} for change in advice]
    show(found, as_json=as_json, human=lambda told: human_why(told, advice, places))


class Places:
    """Where the keys of a policy stand in its file, as far as this user may read it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lines: dict[Key, int] = {}
        self._named: dict[str, Key] = {}
        try:
            text = read_policy(Path(path)) if Path(path).is_absolute() else ""
            self._lines = dict(find_lines(text).items())
            document = tomllib.loads(text)
        except (PolicyError, ValueError, RecursionError):
            self._path = ""
            return
        for kind in ("site", "trunk"):
            for number, each in enumerate(document.get(kind, ())):
                if isinstance(each, dict):
                    self._named[f"{kind} {clean(each.get('name', ''))}"] = (kind, number)

    def of(self, key: str) -> str:
        """Give file and line of a key; of one that is not in the file, that it has its default."""
        line = self._lines.get(self._named.get(key) or tuple(key.split(".")))
        return f"{clean(self._path)}:{line}" if line and self._path else "(default)" if self._path else "(not read)"

    @staticmethod
    def known(key: str) -> bool:
        """Tell whether the policy has such a key: what a detector counts by need not be an option of its own."""
        from sipguard.policy.schema import Policy  # noqa: PLC0415 - imported by this command alone

        value: object = Policy()
        parts = key.split(".")
        if len(parts) == 1:
            return True
        for part in parts:
            if not hasattr(value, part):
                return False
            value = getattr(value, part)
        return True


# --- For people -------------------------------------------------------------------------------------------------------


def human_why(found: Any, advice: list[Change], places: Places) -> None:
    """Write the paragraph, then what it rests on."""
    if found.get("mode") == "observe":
        say("The guard observes: it says what it would do, and does nothing.")
    print(found["summary"])
    past = found["past"]
    if "error" in past:
        say(f"What was found in the past cannot be told: {clean(past['error'])}")
    _section(
        "Counted against its limit",
        ("DETECTOR", "COUNTED", "NOW", "LIMIT", "POLICY"),
        [
            (each["detector"], each["option"], each["now"], each["limit"], places.of(_key(each)))
            for each in found["counters"]
        ],
    )
    _section(
        "Registered",
        ("ACCOUNT", "FROM", "UNTIL"),
        [(each["account"], each["network"], when(each["until"])) for each in found["registrations"]],
    )
    _section(
        "Found",
        ("AT", "DETECTOR", "SUBJECT", "SEVERITY", "PROVEN", "WHAT"),
        [
            (
                when(each.get("at")),
                each.get("detector"),
                each.get("subject"),
                each.get("severity"),
                "yes" if each.get("proven") else "no",
                saw(each),
            )
            for each in past.get("findings", ())
        ],
    )
    for title, rows in (("Decided", past.get("decisions", ())), ("In force there", _others(found))):
        _section(
            title,
            ("AT", "WHAT", "SUBJECT", "UNTIL", "WHY", "REASON"),
            [
                (
                    when(each["at"]),
                    each["verdict"],
                    each["subject"],
                    when(each["until"]) if each["until"] else "-",
                    ",".join(each["because"]) + f" ({each['rule']})" * bool(each["rule"]),
                    each["reason"],
                )
                for each in rows
            ],
        )
    _messages(found.get("messages", ()))
    _section(
        "What would change it",
        ("COMMAND OR POLICY", "PLACE", "WHAT IT DOES"),
        [(each.command or each.key, places.of(each.key) if each.key else "", each.does) for each in advice],
    )


def _key(counter: Any) -> str:
    return f"detect.{counter['detector']}.{counter['option']}"


def _others(found: Any) -> list[Any]:
    """Give what is in force within a network that was asked about as a whole."""
    return list(found["past"].get("bans", ())) if found["kind"] == "network" else []


def _section(title: str, heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    if rows:
        print(f"\n{title}")
        table(heads, rows)


def _messages(messages: Any) -> None:
    for each in messages:
        sender = "the PBX, to" if each["from"] == "pbx" else f"{clean(each['from'])},"
        print(
            f"\n{when(each['at'])}  from {sender} port {each['port']} by {clean(each['transport'])}, "
            f"{each['length']} bytes"
        )
        for line in each["lines"]:
            print(f"    {clean(line, 600)}")
