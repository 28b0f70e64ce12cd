"""What a setting does, for those whose stage does not say it itself with `Described`; only text."""

from __future__ import annotations

WORDS: dict[str, str] = {
    "ban": "How long a ban lasts: longer each time, within a memory.",
    "ban.first": "How long the first ban of a source lasts.",
    "ban.factor": "Each further ban lasts so many times as long as the one before; 1 keeps them equal.",
    "ban.maximum": "No ban lasts longer.",
    "ban.memory": "How long an earlier ban counts against its source.",
    "ban.remembered": "The most sources whose earlier bans are remembered.",
    "ban.throttle": "How long a source is held to `enforcement.throttle_rate`.",
    "track": "The most entries of each table of what the guard follows; the oldest unproven entry goes first.",
    "track.asked": "Requests of strangers, so that a copy is known for one.",
    "track.transactions": "Requests that may still be answered.",
    "track.nonces": "Challenges that the PBX has sent.",
    "track.registrations": "Registrations in force.",
    "track.proven": "Sources shown to hold the address that they send from.",
    "track.dialogs": "Calls and subscriptions in progress.",
    "detect": "One table for each attack that is looked for.",
    "detect.credentials": "Guessing: one source fails with credentials again and again.",
    "detect.samekey": "Another guess under the transaction key of an earlier one, as a retransmission would look.",
    "enforcement": "What a ban and a throttle mean in the kernel.",
    "store": "Where the guard keeps what must survive a restart.",
    "control": "How the commands reach the running guard.",
    "tap": "How packets are read from the kernel.",
    "names": "How host names in this file are kept up to date.",
    "geoip": "Where addresses are: databases in the maxminddb format, made by `sipguard geoip build` or got elsewhere.",
    "log": "What the guard writes to its log.",
}
