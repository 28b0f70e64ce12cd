"""The skeleton as text: equal to the files beside this test, and taken by the real nft.

To accept a change: `python -m tests.enforce.test_skeleton`, then read the difference.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sipguard.address import parse_network
from sipguard.enforce import chains, queueing
from sipguard.enforce.base import Layout
from sipguard.enforce.skeleton import removal, render
from sipguard.enforce.tools import run_nft
from sipguard.errors import AdapterError
from tests.enforce.spaces import inside, made_with, needs_nft_to_queue, run, space

HERE = Path(__file__).parent
LAYOUTS = {
    "default": Layout(),
    "gate": Layout(gate="iptables"),
    "queue": Layout(gate="nft"),
    "observe": Layout(observe=True, scope="all", closed=True),
    "edge": Layout(
        ports=(5061, 5060, 5060),
        scope="all",
        closed=True,
        pbx=(parse_network("10.9.0.0/24"), parse_network("10.9.0.7"), parse_network("2001:db8:9::/64")),
        tap_group=17,
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_text_is_what_was_agreed(name: str) -> None:
    assert render(LAYOUTS[name]) == (HERE / f"skeleton-{name}.nft").read_text()


def test_observing_drops_nothing() -> None:
    text = render(LAYOUTS["observe"])
    chains = [
        line
        for line in text.splitlines()
        if line.startswith(("add rule inet sipguard bans", "add rule inet sipguard closed"))
    ]
    assert chains == []


@pytest.mark.root
@pytest.mark.kernel
@pytest.mark.parametrize("name", LAYOUTS)
def test_nft_takes_it_twice_and_means_the_same(name: str) -> None:
    with space() as made, inside(made):
        if LAYOUTS[name].gate == "nft":
            needs_nft_to_queue()
        run_nft(render(LAYOUTS[name]))
        once = run("nft", "-s", "list", "ruleset")
        run_nft(render(LAYOUTS[name]))
        assert run("nft", "-s", "list", "ruleset") == once
        run_nft(removal())
        run_nft(removal())
        assert run("nft", "list", "ruleset") == ""


def test_without_a_gate_no_packet_is_marked_and_none_is_queued() -> None:
    text = render(Layout()) + render(Layout(gate="nft", observe=True))
    assert "meta mark set" not in text
    assert "queue flags" not in text


def test_without_a_gate_nothing_is_asked_of_iptables_that_only_the_gate_needs() -> None:
    """A kernel that has no u32, no MARK or no NFQUEUE bans as before."""
    for layout in (Layout(backend="iptables"), Layout(backend="iptables", static=True)):
        for version in (4, 6):
            text = chains.render(layout, version)
            assert not [word for word in ("u32", "NFQUEUE", "-j MARK") if word in text]


HOOKS = ("prerouting", "output", "forward")


def test_whoever_queues_the_same_packets_are_marked_and_nft_then_does_what_iptables_would() -> None:
    by_nft, by_iptables = (render(LAYOUTS[name]).splitlines() for name in ("queue", "gate"))
    queueing_rules = [line for line in by_nft if " queue " in line]
    assert [line for line in by_nft if line not in queueing_rules] == by_iptables
    assert queueing_rules == [
        f"add rule inet sipguard gate_queue_{hook} meta mark & 0xa0000000 == {bit} queue flags bypass to {number}"
        for hook in HOOKS
        for bit, number in (("0x20000000", 5060), ("0x80000000", 5061))
    ]
    restored = queueing.wanted(LAYOUTS["gate"], "").splitlines()
    assert [line for line in restored if line.startswith("-A ")] == [
        "-A SIPGUARD -m mark --mark 0x20000000/0xa0000000 -j NFQUEUE --queue-num 5060 --queue-bypass",
        "-A SIPGUARD -m mark --mark 0x80000000/0xa0000000 -j NFQUEUE --queue-num 5061 --queue-bypass",
        *(f"-A {hook.upper()} -j SIPGUARD" for hook in HOOKS),
    ]


@pytest.mark.root
@pytest.mark.kernel
def test_the_kernel_itself_is_asked_whether_nft_may_queue_and_nothing_is_left_of_the_question() -> None:
    with space() as made, inside(made):
        can = queueing.nft_can_queue()
        assert run("nft", "list", "ruleset") == ""
        try:
            run_nft(render(LAYOUTS["queue"]))
        except AdapterError:
            assert not can
            assert run("nft", "list", "ruleset") == ""
        else:
            assert can
        assert made_with("CONFIG_NFT_QUEUE") in {can, None}


def test_rules_of_iptables_are_whole_only_with_every_way_there_and_no_other_rule() -> None:
    layout = Layout(gate="iptables")
    whole = "".join(line + "\n" for line in queueing.wanted(layout, "").splitlines() if line.startswith("-A "))
    assert queueing.is_whole(layout, whole)
    assert queueing.is_whole(layout, "-A PREROUTING -j MARK --set-xmark 0x7/0xffffffff\n" + whole)
    for line in whole.splitlines():
        assert not queueing.is_whole(layout, whole.replace(line + "\n", "")), line
    assert not queueing.is_whole(layout, "-A SIPGUARD -j ACCEPT\n" + whole)
    assert not queueing.is_whole(Layout(gate="iptables", tap_group=17), whole)
    assert not queueing.is_whole(layout, "")


@pytest.mark.root
@pytest.mark.kernel
def test_rules_of_iptables_are_put_in_once_and_taken_out_without_a_trace_of_others() -> None:
    with space() as made, inside(made):
        for program in ("iptables-nft", "ip6tables-nft"):
            run(program, "-t", "mangle", "-A", "PREROUTING", "-j", "MARK", "--set-mark", "7")
        before = run("nft", "-s", "list", "ruleset")
        for _ in range(2):
            queueing.install(Layout(gate="iptables"))
        saved = run("iptables-nft-save", "-t", "mangle")
        assert saved.count("-j SIPGUARD") == 3
        assert saved.count("--queue-bypass") == 2
        assert saved.index("--set-xmark") < saved.index("-A PREROUTING -j SIPGUARD")  # others' rules come first
        assert [queueing.remove() for _ in range(2)] == [True, False]
        left = run("nft", "-s", "list", "ruleset")
        assert "NFQUEUE" not in left
        assert [line for line in before.splitlines() if "mark set" in line] == [
            line for line in left.splitlines() if "mark set" in line
        ]


@pytest.mark.root
@pytest.mark.kernel
def test_what_nft_refuses_is_an_adapter_error_in_its_own_words_and_changes_nothing() -> None:
    with space() as made, inside(made):
        with pytest.raises(AdapterError, match="no_such_chain"):
            run_nft("add table inet sipguard\nadd rule inet sipguard no_such_chain accept\n")
        assert run("nft", "list", "ruleset") == ""


if __name__ == "__main__":
    for name, layout in LAYOUTS.items():
        (HERE / f"skeleton-{name}.nft").write_text(render(layout))
