"""Real captures: as many packets as their index says, and the datagrams and segments that tshark sees in them."""

from __future__ import annotations

import csv
import gzip
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from sipguard.wire.fragments import Fragments
from sipguard.wire.l4 import Datagram, Segment, decode
from sipguard.wire.link import strip
from sipguard.wire.pcap import Captured, Reader
from sipguard.wire.stream import Flow, Streams

TRUNCATED = "benign/slytechs-repos__jnetpcap-legacy--tc_TC_IDPRE_EXT0140.pcap"
PLAIN = [
    "attack/initconf__sip-attacks--BadUserAgent-sipvicious.pcap",
    "attack/own--svwar_register.pcapng",
    "benign/IvanNardi__pl7m--pcaps-sip.pcap",
    "benign/ntop__nDPI--sip_hello.pcapng",
    "benign/dotpcap__packetnet--udp-ip-fragmented.pcap",
    "benign/nextcaller__sip-capture--sip-i.pcap",
    "benign/ntop__nDPI--FAX-Call-t38-CA-TDM-SIP-FB-1.pcap",
    "benign/ntop__nDPI--gre.pcapng",
    "benign/seladb__PcapPlusPlus--sip_reqs.pcap",
    "malformed/zeek__zeek--sip-long-request-response-paths.pcap",
]
"""Of every link layer and format; without ICMP that quotes, and without tunnels that only tshark reads."""
SINGLE = [
    "benign/OISF__suricata-verify--sip-body-large.pcap",
    "benign/OISF__suricata-verify--sip-tcp.pcap",
    "benign/nextcaller__sip-capture--sip-tcp.pcap",
    "benign/arkime__arkime--arkime_synthetic.pcap",
    "benign/ntop__nDPI--webex.pcap",
    TRUNCATED,
    "not-sip/ntop__nDPI--http_on_sip_port.pcap",
]


def captures(corpus: Path) -> list[tuple[Path, int]]:
    """Give the capture files of the index with their numbers of packets."""
    with (corpus / "INDEX.tsv").open() as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    return [(corpus / row["file"], int(row["packets"])) for row in rows if row["packets"]]


def read(path: Path, *, step: int = 1 << 16, squeeze: bool = False) -> tuple[Reader, list[Captured]]:
    """Read a capture, in pieces, compressed if asked for."""
    data = gzip.compress(path.read_bytes()) if squeeze else path.read_bytes()
    reader = Reader()
    found = [each for start in range(0, len(data), step) for each in reader.feed(data[start : start + step])]
    reader.close()
    return reader, found


def decoded(path: Path) -> list[Datagram | Segment]:
    """Give all datagrams and segments of a capture."""
    fragments = Fragments()
    packets = [(each.at, strip(each.linktype, each.data)) for each in read(path)[1]]
    found = [decode(at, packet, fragments) for at, packet in packets if packet is not None]
    return [each for each in found if each is not None]


def tshark(path: Path, *arguments: str) -> list[list[str]]:
    """Give what tshark prints, split at tabs."""
    command = ["tshark", "-n", "-r", str(path), *arguments]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return [line.split("\t") for line in lines]


def test_each_file_has_the_packets_that_the_index_says_in_any_pieces(corpus: Path) -> None:
    for path, packets in captures(corpus):
        for step, squeeze in ((1 << 16, False), (997, False), (997, True)):
            reader, found = read(path, step=step, squeeze=squeeze)
            assert len(found) == packets, path.name
            assert reader.error is None
            assert reader.faults == ()
            assert reader.truncated == path.as_posix().endswith(TRUNCATED)


def test_sip_quoted_in_icmp_is_no_datagram(corpus: Path) -> None:
    path = corpus / "attack/CESNET__ipfixprobe--inputs-sip.pcap"
    texts = [each.payload for each in decoded(path)]
    assert len(texts) == 43
    assert sum(b"SIP/2.0" in each for each in texts) == 45 - 5


@pytest.mark.lab("tshark")
@pytest.mark.parametrize("name", PLAIN)
def test_tshark_sees_the_same_times_lengths_and_datagrams(corpus: Path, name: str) -> None:
    path = corpus / name
    fields = ("frame.time_epoch", "frame.cap_len", "udp.srcport", "udp.dstport", "udp.length")
    shown = tshark(path, "-T", "fields", *[word for field in fields for word in ("-e", field)])
    frames = [[f"{each.at // 10**9}.{each.at % 10**9:09}", str(len(each.data))] for each in read(path)[1]]
    assert [line[:2] for line in shown] == frames
    datagrams = [each for each in decoded(path) if isinstance(each, Datagram)]
    seen = Counter((int(line[2]), int(line[3]), int(line[4])) for line in shown if line[4].isdigit())
    assert Counter((each.sport, each.dport, len(each.payload) + 8) for each in datagrams) == seen


@pytest.mark.lab("tshark")
@pytest.mark.parametrize("name", SINGLE)
def test_tshark_follows_the_same_streams(corpus: Path, name: str) -> None:
    path = corpus / name
    streams = Streams()
    heard: dict[int, bytes] = {}
    for each in decoded(path):
        if isinstance(each, Segment):
            for delivery in streams.feed(0, each):
                heard[id(delivery.flow)] = heard.get(id(delivery.flow), b"") + delivery.data
    flows = {id(entry[0]): entry[0] for entry in streams._entries.values()}
    compared = 0
    for number in range(min(len(flows), 5)):
        shown = tshark(path, "-q", "-z", f"follow,tcp,raw,{number}")
        ends = [line[0].removeprefix("Node ").split(": ")[1] for line in shown if line[0].startswith("Node ")]
        text = bytes.fromhex("".join(line[-1] for line in shown[6:-1]))
        match = [key for key, flow in flows.items() if {int(end.split(":")[-1]) for end in ends} == ports(flow)]
        if len(match) == 1 and text:
            compared += 1
            assert sorted(heard[match[0]]) == sorted(text), (name, number)
    assert compared


def ports(flow: Flow) -> set[int]:
    """Give the two ports of a flow."""
    return {flow.client[1], flow.server[1]}
