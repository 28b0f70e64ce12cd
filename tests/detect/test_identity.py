"""A credential under somebody else's name is told; names that were always so are not."""

from __future__ import annotations

from sipguard.detect import catalogue, identity
from sipguard.model import DecisionVerdict, Finding
from sipguard.policy.schema import Policy
from tests.engine.story import Sent, Story

PHONE = "198.51.100.20"
OTHER = "198.51.100.21"


def found(story: Story) -> list[Finding]:
    return [each for each in story.findings() if each.detector == "identity"]


def send(story: Story, account: str, name: str, source: str = PHONE, method: str = "INVITE") -> Sent:
    """Let a request of `account` under `name` be challenged and come again with a credential."""
    nonce = story.challenge(source, method=method, user=name)
    header = "Authorization" if method == "REGISTER" else "Proxy-Authorization"
    value = f'Digest username="{account}", realm="pbx", nonce="{nonce}", uri="sip:x", response="{story.now:032x}"'
    return story.ask(source, method=method, user=name, extra=f"{header}: {value}")


def use(story: Story, account: str, name: str, source: str = PHONE, method: str = "INVITE") -> None:
    story.answer(send(story, account, name, source, method), 200)


def test_a_new_name_of_an_account_that_kept_to_its_own_is_told_and_an_early_one_is_not() -> None:
    story = Story()
    for _ in range(3):  # the first one is learned, two are kept
        use(story, "1001", "1001")
    use(story, "1001", "1000")
    assert found(story) == []
    for _ in range(3):
        use(story, "1001", "1001")
    use(story, "1001", "1002")
    (finding,) = found(story)
    assert (str(finding.subject), finding.identifier) == ("1001@pbx", "changed")
    assert dict(finding.evidence) == {"source": PHONE, "method": "INVITE", "from": "1002"}
    assert [each.verdict for each in story.decisions()] == [DecisionVerdict.REPORT]


def test_a_name_that_another_account_has_kept_to_is_told_at_once() -> None:
    story = Story()
    for _ in range(4):
        use(story, "2000", "2000", OTHER)
    use(story, "1001", "2000")
    (finding,) = found(story)
    assert finding.identifier == "taken"
    assert dict(finding.evidence)["belongs_to"] == "2000"


def test_a_pbx_whose_credentials_are_named_otherwise_than_its_extensions_is_left_alone() -> None:
    story = Story()
    for _ in range(5):
        for phone in range(20):
            use(story, f"id-{phone:04x}", f"1{phone:03}", method="REGISTER")
    assert found(story) == []


def test_a_trunk_with_ever_new_callers_is_told_once_at_the_most() -> None:
    story = Story()
    for number in range(50):
        use(story, "trunk", f"0301234{number:03}")
    assert found(story) == []


def test_an_anonymous_call_is_no_other_name() -> None:
    story = Story()
    for _ in range(5):
        use(story, "1001", "1001")
    use(story, "1001", "anonymous")
    use(story, "1001", "Anonymous")
    assert found(story) == []


def test_a_username_with_its_domain_is_the_same_name() -> None:
    story = Story()
    for _ in range(5):
        use(story, "1001@pbx.example", "1001")
        use(story, "1001@pbx.example", "1001", method="REGISTER")
    assert found(story) == []


def test_a_name_that_the_pbx_refuses_is_not_told() -> None:
    story = Story()
    for _ in range(5):
        use(story, "1001", "1001")
    for code in (403, 401, 404):
        story.answer(send(story, "1001", "2000"), code)
    assert found(story) == []


def test_a_display_name_that_looks_like_the_right_user_hides_nothing() -> None:
    story = Story()
    for _ in range(5):
        use(story, "1001", "1001", method="REGISTER")
    nonce = story.challenge(PHONE)
    raw = (
        'REGISTER sip:pbx SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKq\r\nf:\r\n ":1001@" <sip:2000@pbx>;tag=f9\r\n'
        f't: <sip:2000@pbx>\r\ni: call99999\r\nCSeq: 99999 REGISTER\r\nAUTHORIZATION : Digest username="1001", '
        f'realm="pbx", nonce="{nonce}", uri="sip:x", response="{1:032x}"\r\n\r\n'
    )
    story.inbound(PHONE, 5062, raw.encode())
    story.answer(Sent(PHONE, 5062, "REGISTER", "call99999", 99999, "z9hG4bKq", "2000"), 200)
    assert [each.identifier for each in found(story)] == ["changed"]


def test_memory_has_a_cap() -> None:
    story = Story(Policy(detect=catalogue.Config(identity=identity.Config(accounts=100))))
    for number in range(150):
        use(story, f"1{number:03}", f"1{number:03}", f"198.51.{number}.1", "REGISTER")
    assert story.engine.counters()["identity_accounts"] == 100
    assert story.engine.counters()["identity_evicted"] == 50
