"""The keeper as a process: what it acknowledged survives anything, and nothing that others do ends it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sipguard.call import CallOrigin, CallState, NumberClass
from sipguard.control import client
from sipguard.control.pair import open_pair
from sipguard.model import HOUR, Account, DecisionVerdict, Lesson, Offence, Trust
from sipguard.report import pack, unpack
from tests.keeper.packetside import HOST, PacketSide, ban, boottime, many


def ask(packet: PacketSide, verb: str, **args: Any) -> Any:
    """Use the control socket while the packet side takes its turns."""
    return during(packet, lambda: client.request(packet.socket, verb, args))


def during(packet: PacketSide, work: Callable[[], Any]) -> Any:
    found: list[Any] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:  # noqa: BLE001 - handed on to the test's own thread
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():
        packet.turn()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


def begin(packet: PacketSide, **hello: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Start a keeper and wait until its door is open."""
    packet.start(**hello)
    found = packet.state()
    end = time.monotonic() + 60
    while True:
        if socket_answers(packet):
            return found
        assert time.monotonic() < end
        packet.turn()


def socket_answers(packet: PacketSide) -> bool:
    try:
        client.request(packet.socket, "no-such-verb", {})
    except client.DeniedError:
        return True
    except client.NotRunningError:
        return False
    return False


def test_the_first_state_is_empty_and_the_last_is_given_back(packet: PacketSide) -> None:
    items, end = begin(packet)
    assert (items, end["mode"], end["off"], end["complete"]) == ([], None, False, True)
    wanted = [ban(), Offence(HOST, 1, boottime() + HOUR), Trust(HOST, Account("1001", "x"), boottime() + HOUR)]
    packet.delta(*wanted)  # type: ignore[arg-type]
    code, log = packet.stop()
    assert code == 0
    assert json.loads(next(line for line in log.splitlines() if "decision" in line))["subject"] == "203.0.113.9"
    items, _ = begin(packet)
    assert sorted(map(str, map(unpack, items))) == sorted(map(str, wanted))


def test_what_was_acknowledged_survives_kill_9_and_the_rest_is_sent_again(packet: PacketSide) -> None:
    begin(packet)
    bans = many(3000)
    packet.delta(*bans[:1000])
    packet.settle()
    packet.delta(*bans[1000:])
    packet.turn()
    packet.kill()
    packet.pair.receive()
    items, end = begin(packet)
    assert len(items) >= 1000
    assert end["count"] == len(items)
    packet.settle()
    packet.kill()
    items, _ = begin(packet)
    assert {item["subject"] for item in items} == {str(one.subject) for one in bans}


def call(key: str, began: int) -> CallState:
    called = "0025261", "+25261", NumberClass.MOBILE, "SO"
    return CallState(key, began, 0, 0, Account("1001", "x"), "", None, CallOrigin.EXTENSION, "", *called, None)


def test_calls_survive_kill_9_between_any_two_steps_as_far_as_they_were_told(packet: PacketSide) -> None:
    now = boottime()
    begun = call("c0ffee", now)
    answered = replace(begun, answered=now + 1)
    for state in (begun, answered, replace(answered, ended=now + 2)):
        begin(packet)
        packet.delta(state)
        packet.settle()
        packet.kill()
        packet.pair.receive()
        items, _ = begin(packet)
        assert [unpack(item) for item in items] == [state]
        packet.kill()
        packet.pair.receive()


def test_lessons_survive_kill_9_and_it_is_told_whether_all_have_come(packet: PacketSide) -> None:
    _, end = begin(packet)
    assert end["lessons"] is True
    known, last = (Lesson(boottime(), "firstabroad", Account("1001", "x"), "", text) for text in ("7,0,c0", "8,1,c0"))
    packet.delta(known, replace(known, topic="later"), last)
    packet.settle()
    packet.kill()
    packet.pair.receive()
    with contextlib.closing(sqlite3.connect(packet.db)) as other, other:
        assert other.execute("UPDATE lessons SET at = 'soon' WHERE topic = x'6c61746572'").rowcount == 1
    items, end = begin(packet)
    assert [unpack(item) for item in items] == [last]
    assert (end["lessons"], end["complete"]) == (True, False), (
        "one row cannot be read, which is told; all else has come"
    )


def test_when_the_packet_process_dies_what_it_said_is_written(packet: PacketSide) -> None:
    begin(packet)
    packet.delta(*many(300))
    packet.pair.close()  # as the kernel does for a process that was killed
    code, _ = packet.ended()
    assert code == 0
    packet.pair.lost_deltas = 0
    items, _ = begin(packet)
    assert len(items) == 300


def test_sigterm_writes_out_and_ends(packet: PacketSide) -> None:
    begin(packet)
    packet.delta(*many(10))
    assert packet.process is not None
    packet.process.send_signal(signal.SIGTERM)
    packet.process.send_signal(signal.SIGINT)
    assert packet.ended()[0] == 0
    assert not packet.socket.exists()
    packet.pair._unacked.clear()
    assert len(begin(packet)[0]) == 10


def test_a_restarted_keeper_need_not_send_the_state(packet: PacketSide) -> None:
    begin(packet)
    packet.delta(*many(10))
    packet.settle()
    packet.kill()
    items, end = begin(packet, state=False)
    assert (items, end["count"]) == ([], 0)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to drop")
def test_it_holds_no_capability(packet: PacketSide) -> None:
    begin(packet)
    assert packet.process is not None
    for task in Path(f"/proc/{packet.process.pid}/task").iterdir():
        status = dict(line.split(":\t") for line in (task / "status").read_text().splitlines() if ":\t" in line)
        assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd")} == {"0" * 16}
        assert status["NoNewPrivs"] == "1"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to drop")
def test_it_ends_when_its_rights_cannot_be_dropped(tmp_path: Path) -> None:
    ours, theirs = open_pair()
    code = (
        "from sipguard.control import privilege; from sipguard import keeper; import sys;"
        "privilege.held = lambda: 1 << 12; sys.exit(keeper.main())"
    )
    argv = [sys.executable, "-c", code, "--fd", str(theirs.fileno()), "--policy", str(tmp_path / "none")]
    done = subprocess.run(argv, check=False, pass_fds=[theirs.fileno()], capture_output=True, text=True, timeout=60)
    assert done.returncode == 77
    assert "0x1000 are still held" in done.stderr
    ours.close()
    theirs.close()


def test_noise_from_the_other_process_is_counted_and_survived(packet: PacketSide) -> None:
    begin(packet)
    for message in (
        {"t": "nonsense"},
        {"t": "delta"},
        {"t": "delta", "what": {"noun": "decision"}, "offset": 0},
        {"t": "delta", "what": pack(ban()), "offset": "x"},
        {"t": "delta", "what": {"noun": "held", "set": "blocked", "network": "192.0.2.1", "until": 0}, "offset": 0},
        {"t": "report", "line": 5},
        {"t": "alert"},
        {"t": "reply", "id": "x"},
        {"t": "reply", "id": 999},
        {"t": "hello"},
    ):
        packet.send(message)
    assert ask(packet, "status")["keeper"]["faults"] == 9


def test_orders_reach_the_packet_process_with_the_name_of_who_gave_them(packet: PacketSide) -> None:
    begin(packet)
    assert ask(packet, "ban", network="192.0.2.0/24", span=HOUR, reason="[/x]") == {"did": "ban"}
    order = packet.until("request")["args"]["order"]
    name = subprocess.run(["id", "-un"], capture_output=True, check=True, text=True).stdout.strip()
    assert order == {
        "noun": "order", "verb": "ban", "network": "192.0.2.0/24", "span": HOUR, "reason": "[/x]", "by": name,
        "force": False, "scope": "",
    }  # fmt: skip
    ask(packet, "release", account="1001", reason="it was me")
    order = packet.until("request")["args"]["order"]
    assert order == {
        "noun": "order", "verb": "release", "account": "1001", "span": 0, "reason": "it was me", "by": name,
        "force": False, "scope": "",
    }  # fmt: skip
    packet.answers["unban"] = {"ok": False, "error": "it is not banned"}
    with pytest.raises(client.DeniedError, match="it is not banned"):
        ask(packet, "unban", network="192.0.2.1")


@pytest.mark.parametrize(
    ("verb", "args"),
    [
        ("ban", {}),
        ("ban", {"network": "192.0.2.1/24"}),
        ("ban", {"network": "192.0.2.1", "span": -1}),
        ("ban", {"network": "192.0.2.1", "span": 10**30}),
        ("ban", {"network": "192.0.2.1", "span": True}),
        ("ban", {"network": "192.0.2.1", "reason": "x" * 1000}),
        ("bans", {"limit": "x"}),
        ("no-such-verb", {}),
    ],
)
def test_orders_that_make_no_sense_are_refused_here(packet: PacketSide, verb: str, args: dict[str, Any]) -> None:
    begin(packet)
    with pytest.raises(client.DeniedError) as caught:
        ask(packet, verb, **args)
    assert caught.value.kind == "usage"
    assert not [message for message in packet.got if message["t"] == "request"]


def test_bans_and_preview_come_from_the_store_at_once(packet: PacketSide) -> None:
    begin(packet)
    packet.delta(ban(), ban(Account("[/x]\x1b", "realm")), Trust(HOST, Account("1001", "x"), boottime() + HOUR))
    packet.turn()
    found = ask(packet, "bans")
    assert found["total"] == 2
    assert abs(found["bans"][0]["until"] - time.time() - 3600) < 60
    assert ask(packet, "preview")["hit"][0]["account"] == "1001@x"
    packet.delta(ban(verdict=DecisionVerdict.RELEASE))
    assert ask(packet, "bans")["total"] == 1


def test_events_are_kept_and_followed(packet: PacketSide) -> None:
    begin(packet)
    packet.report(n=1)
    packet.send({"t": "alert", "kind": "tap-lost", "subject": "tap", "text": "5 packets"})
    events = client.events(packet.socket, {"follow": True}, timeout=30)
    got = [during(packet, lambda: next(events)) for _ in range(1)]
    packet.report(n=2)
    while not any(event.get("n") == 2 for event in got):
        got.append(during(packet, lambda: next(events)))
    assert [event.get("n", event.get("alert")) for event in got] == [1, "tap-lost", 2]


def test_the_mode_is_kept_until_the_policy_says_otherwise(packet: PacketSide) -> None:
    begin(packet)
    ask(packet, "enforce")
    packet.kill()
    assert begin(packet)[1]["mode"] == "enforce"
    packet.answers["observe"] = {"ok": False, "error": "no"}
    with pytest.raises(client.DeniedError):
        ask(packet, "observe")
    packet.kill()
    assert begin(packet)[1]["mode"] == "enforce"
    packet.kill()
    packet.write_policy('mode = "enforce"')
    assert begin(packet)[1]["mode"] is None


def test_off_is_marked_on_disk_even_when_the_packet_process_hangs(packet: PacketSide) -> None:
    begin(packet)
    packet.answers["off"] = None
    with pytest.raises(client.DeniedError, match="has not answered"):
        ask(packet, "off")
    packet.kill()
    assert begin(packet)[1]["off"] is True
    ask(packet, "on")
    packet.kill()
    assert begin(packet)[1]["off"] is False


def test_a_sound_policy_is_passed_on_and_a_bad_one_is_refused_with_every_problem(packet: PacketSide) -> None:
    begin(packet)
    packet.write_policy('mode = "enforce"')
    packet.send({"t": "reload"})
    found = packet.until("policy")
    assert (found["text"], found["mode"]) == (packet.policy.read_text(), None)
    packet.write_policy('mode = "sometimes"\nport = 5')
    with pytest.raises(client.DeniedError, match=r"(?s)mode.*port"):
        ask(packet, "reload")
    packet.send({"t": "reload"})
    packet.policy.unlink()
    packet.send({"t": "reload"})
    with pytest.raises(client.DeniedError, match="cannot be read"):
        ask(packet, "reload")
    assert not [message for message in packet.got if message["t"] == "policy"]


def test_the_running_policy_of_the_packet_process_goes_before_a_broken_file(packet: PacketSide) -> None:
    text = packet.policy.read_text()
    packet.policy.write_text("broken")
    begin(packet, policy=text)
    assert packet.db.exists()


def test_a_damaged_database_is_set_aside_and_told(packet: PacketSide) -> None:
    packet.db.parent.mkdir()
    packet.db.write_bytes(b"x" * 10_000)
    _, end = begin(packet)
    assert end["complete"] is True
    assert "store-damaged" in [event.get("alert") for event in during(packet, lambda: events_of(packet))]


def test_a_row_that_cannot_be_read_is_told_and_all_others_are_in_force(packet: PacketSide) -> None:
    begin(packet)
    packet.delta(*many(3), Offence(HOST, 1, boottime() + HOUR), call("a", boottime()), call("b", boottime()))
    packet.settle()  # or it is sent once more
    assert packet.stop()[0] == 0
    with contextlib.closing(sqlite3.connect(packet.db)) as other, other:
        other.execute("UPDATE bans SET verdict = 'nonsense' WHERE address = x'0a000001'")
        other.execute("UPDATE calls SET rest = 'x' WHERE key = 'a'")
    items, end = begin(packet)
    assert (len(items), end["complete"]) == (4, False)
    (told,) = [event for event in during(packet, lambda: events_of(packet)) if event.get("alert") == "store-unreadable"]
    assert told["text"].startswith(f"2 rows of {packet.db} cannot be read")
    assert "the first: bans" in told["text"]


def test_a_store_that_cannot_be_opened_does_not_stop_the_guard(packet: PacketSide) -> None:
    packet.db.parent.touch()
    items, end = begin(packet)
    assert (items, end["complete"]) == ([], False)
    packet.delta(ban())
    packet.turn()
    found = ask(packet, "status")
    assert "cannot be opened" in found["keeper"]["store_error"]
    assert found["packet"] == {"did": "status"}
    packet.db.parent.unlink()
    packet.settle()
    assert ask(packet, "bans")["total"] == 1


def test_a_second_guard_does_not_take_the_socket(packet: PacketSide, tmp_path: Path) -> None:
    begin(packet)
    (tmp_path / "second").mkdir()
    second = PacketSide(tmp_path / "second")
    second.socket = packet.socket
    second.write_policy("")
    second.start()
    second.state()
    second.turn()
    assert "another guard answers" in second.stop()[1]
    second.close()
    assert ask(packet, "status")["keeper"]["pid"]


def test_names_that_do_not_resolve_are_told_and_kept_ones_are_sent(packet: PacketSide) -> None:
    packet.write_policy('[[trunk]]\nname = "carrier"\naddresses = ["sip.invalid"]')
    begin(packet)
    end = time.monotonic() + 60
    while not any(event.get("alert") == "name-unresolved" for event in during(packet, lambda: events_of(packet))):
        assert time.monotonic() < end
    assert ask(packet, "status")["keeper"]["unresolved"] == ["sip.invalid"]


def events_of(packet: PacketSide) -> list[dict[str, Any]]:
    return list(client.events(packet.socket, {}, timeout=30))
