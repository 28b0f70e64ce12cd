"""What is kept of messages for `why`: little, and no secret, in memory either."""

from __future__ import annotations

import pytest

from sipguard.address import parse_network
from sipguard.track.journal import EACH, LONGEST
from tests.detect.asking import STRANGER, request
from tests.engine.story import PBX, Story

DIGEST = "0123456789abcdef0123456789abcdef"
GUESS = b"1001:hunter2@pbx"
TAG = GUESS.hex() + "01" + "3132333435"


def kept(story: Story) -> list[bytes]:
    entries = story.engine._journal.of(parse_network(STRANGER))
    return [each.head if isinstance(each.head, bytes) else each.head.encode() for each in entries]


@pytest.mark.parametrize(
    "line",
    [
        f'Authorization: Digest username="1001", realm="pbx", nonce="n", uri="sip:a", response="{DIGEST}"',
        f"Authorization: Digest\r\n username=1001, realm=pbx,\r\n response={DIGEST}",
        f"Authorization: Basic {DIGEST}",
        f"Authorization: {DIGEST}",
        f"aUTHORIZATION : digest response={DIGEST}",
        f'Proxy-Authorization: Digest username="a\\"b", response="{DIGEST}"',
        f'Authorization: Digest username="1001", response="{DIGEST}"\r\nAuthorization: Basic {DIGEST}',
        f'X: 1\r\nAuthorization: Digest response="{DIGEST}"\r\nX: Digest response="{DIGEST}"',
    ],
)
def test_no_credential_is_kept(line: str) -> None:
    story = Story()
    story.inbound(STRANGER, 5062, request(1, "REGISTER", change=[("Max-Forwards: 70", line)]))
    heads = kept(story)
    assert len(heads) == 1
    if "X: Digest" not in line:  # what somebody writes under another name is nobody's credential
        assert DIGEST.encode() not in heads[0]


def test_no_guess_is_kept_from_a_tag_nor_from_the_answer_that_repeats_it() -> None:
    story = Story()
    sent = request(1, "REGISTER", change=[("tag=t1", f"tag={TAG}")])
    story.inbound(STRANGER, 5062, sent)
    story.outbound(STRANGER, 5062, b"SIP/2.0 404 Not Found" + sent[sent.index(b"\r\n") :])
    heads = kept(story)
    assert len(heads) == 2
    assert not any(TAG.encode() in head for head in heads)


def test_no_digest_of_the_pbx_is_kept() -> None:
    story = Story()
    sent = request(1, "REGISTER")
    story.inbound(STRANGER, 5062, sent)
    proof = f'Authentication-Info: rspauth="{DIGEST}"'.encode()
    story.outbound(STRANGER, 5062, b"SIP/2.0 200 OK\r\n" + proof + sent[sent.index(b"\r\n") :])
    heads = kept(story)
    assert len(heads) == 2
    assert DIGEST.encode() not in heads[1]


def test_what_is_no_message_may_hold_a_credential_and_keeps_none() -> None:
    story = Story()
    story.inbound(STRANGER, 5062, f"hello\r\nAuthorization: Digest response={DIGEST}\r\n\r\n".encode())
    assert len(kept(story)) == 1
    assert DIGEST.encode() not in kept(story)[0]


def test_no_message_makes_more_be_kept_than_its_share() -> None:
    story = Story()
    for number in range(3 * EACH):
        story.inbound(STRANGER, 5062, b"\x80\n" * 20_000 + b"tag%d" % number)
        story.inbound(STRANGER, 5062, request(number, change=[("a phone", "x" * 5000)]))
        story.inbound(STRANGER, 5062, b"tag\n" + b"\x80\n" * 500)
    heads = kept(story)
    assert len(heads) == EACH
    assert all(len(head) <= 4 * LONGEST for head in heads)
    assert PBX.encode() in b"".join(heads)
