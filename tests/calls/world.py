"""A PBX between phones and carriers, for the tracking of calls: who says what in which dialog, and what is made of it.

Messages are real text, read by the real parser; time is the world's own, and moves a millisecond with each message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sipguard.address import Address, parse_address
from sipguard.call import Call, CallLegs, CallState
from sipguard.event import CallEvent, CallMoved, Event
from sipguard.intake import Heard
from sipguard.model import MILLISECOND, SECOND, Account, Hook, Instant
from sipguard.sip.message import SipRequest
from sipguard.sip.parser import parse
from sipguard.track.calls import Calls
from sipguard.track.hands import Hands
from sipguard.track.limits import Config
from sipguard.track.sides import Side
from sipguard.track.transaction import account_of

PBX = "192.0.2.10"
PHONE, PHONE2, PHONE3 = "192.0.2.101", "192.0.2.102", "192.0.2.103"
CARRIER, CARRIER2, UNLISTED = "198.51.100.1", "198.51.100.2", "203.0.113.77"
STRANGER = "203.0.113.66"
NUMBER = "0025261123456"
TRUNKS = {parse_address(CARRIER): "alpha", parse_address(CARRIER2): "beta"}
DEVICES = {parse_address(each) for each in (PHONE, PHONE2, PHONE3)}


class Dialog:
    """One INVITE dialog between the PBX and `far`, as both ends write it."""

    def __init__(self, far: str, call_id: str, number: str, user: str, *, outgoing: bool, tag: str = "") -> None:
        self.far = far
        self.call_id = call_id
        self.number = number
        self.user = user
        self.outgoing = outgoing
        self.tag = tag or f"a-{call_id}"
        self.other = f"b-{call_id}"
        self.cseq = 1  # of the INVITE
        self.next_cseq = 1
        self.other_cseq = 100
        self.branch = f"z9hG4bK-{call_id}-1"
        self.last = ""  # the branch of the last request that was not an INVITE
        self.last_cseq = 0


class World:
    """One tracker of calls, and a clock."""

    def __init__(self, config: Config | None = None, media: Any = None) -> None:
        self.now: Instant = 1_000 * SECOND
        self.events: list[Event] = []
        self._serial = 0
        self.body = ""  # of whatever is said next
        self.media = media
        self.config = config or Config()
        self.calls = self._made()

    def _made(self) -> Calls:
        def credential(_at: Instant, _heard: Heard, request: SipRequest) -> tuple[Account, bool]:
            return account_of(request.credentials[0]), True

        def stands(address: Address, account: Account) -> bool:
            return (address, account.username) in {
                (parse_address(PHONE), "1001"),
                (parse_address(PHONE2), "1002"),
                (parse_address(PHONE3), "1003"),
            }

        hands = Hands(
            DEVICES.__contains__, TRUNKS.get, credential, stands, lambda _: None, price=None, media=self.media
        )
        return Calls(self.config, hands)

    # --- What is said -------------------------------------------------------------------------------------------------

    def dialog(self, far: str, number: str = NUMBER, user: str = "1001", *, outgoing: bool, **more: Any) -> Dialog:
        self._serial += 1
        return Dialog(far, more.pop("call_id", f"c{self._serial}"), number, user, outgoing=outgoing, **more)

    def heard(self, dialog: Dialog, text: str, *, by_pbx: bool, source: str = "") -> Heard:
        far, pbx = (parse_address(source or dialog.far), 5060), (parse_address(PBX), 5060)
        ends = (*pbx, *far) if by_pbx else (*far, *pbx)
        raw = text.replace("\n", "\r\n").encode()
        return Heard(*ends, parse(raw), Hook.OUTPUT if by_pbx else Hook.PREROUTING, None)

    def say(self, dialog: Dialog, text: str, *, by_pbx: bool, source: str = "") -> Sequence[Event]:
        self.now += MILLISECOND
        self.events.extend(self.calls.advance(self.now))
        heard = self.heard(dialog, text, by_pbx=by_pbx, source=source)
        told = self.calls.hear(self.now, heard, Side.PBX if by_pbx else Side.FAR)
        self.events.extend(told)
        return told

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)
        self.events.extend(self.calls.advance(self.now))

    def text(
        self, dialog: Dialog, start: str, cseq: str, branch: str, *, reverse: bool, tagged: bool, extra: str
    ) -> str:
        """Write a message; `reverse`: the request is the answerer's; `tagged`: the answerer's tag is there."""
        asker = f"<sip:{dialog.user}@{PBX}>;tag={dialog.tag}"
        answerer = f"<sip:{dialog.number}@{PBX}>" + (f";tag={dialog.other}" if tagged else "")
        first, second = (answerer, asker) if reverse else (asker, answerer)
        head = [
            start,
            f"Via: SIP/2.0/UDP {PBX};branch={branch}",
            f"From: {first}",
            f"To: {second}",
            f"Call-ID: {dialog.call_id}",
            f"CSeq: {cseq}",
            *([extra] if extra else []),
            f"Content-Length: {len(self.body.replace(chr(10), chr(13) + chr(10)))}",
        ]
        return "\n".join(head) + "\n\n" + self.body

    def invite_text(self, dialog: Dialog, extra: str = "") -> str:
        start = f"INVITE sip:{dialog.number}@{PBX} SIP/2.0"
        return self.text(
            dialog, start, f"{dialog.cseq} INVITE", dialog.branch, reverse=False, tagged=False, extra=extra
        )

    def invite(self, dialog: Dialog, extra: str = "", account: str = "", source: str = "") -> Sequence[Event]:
        """Send the INVITE of a dialog, or the same again."""
        if account:
            digest = f'Digest username="{account}", realm="pbx", nonce="n", uri="sip:x", response="{"0" * 32}"'
            extra = "\n".join(filter(None, (extra, f"Proxy-Authorization: {digest}")))
        return self.say(dialog, self.invite_text(dialog, extra), by_pbx=dialog.outgoing, source=source)

    def again(self, dialog: Dialog, extra: str = "", account: str = "") -> Sequence[Event]:
        """Send the INVITE anew with the next CSeq and another branch."""
        dialog.cseq += 1
        dialog.branch += "x"
        return self.invite(dialog, extra, account)

    def answer(self, dialog: Dialog, code: int, extra: str = "", *, tag: str = "", source: str = "") -> Sequence[Event]:
        """Answer the INVITE."""
        if tag:
            dialog.other = tag
        start = f"SIP/2.0 {code} Whatever"
        text = self.text(
            dialog, start, f"{dialog.cseq} INVITE", dialog.branch, reverse=False, tagged=code > 100, extra=extra
        )
        return self.say(dialog, text, by_pbx=not dialog.outgoing, source=source)

    def request(
        self, dialog: Dialog, method: str, *, by_pbx: bool, extra: str = "", source: str = "", cseq: int = 0
    ) -> Sequence[Event]:
        """Send a request within the dialog."""
        self._serial += 1
        reverse = by_pbx != dialog.outgoing
        if method in ("ACK", "CANCEL"):
            number, branch = dialog.cseq, dialog.branch
        else:
            if reverse:
                dialog.other_cseq += 1
            else:
                dialog.next_cseq = max(dialog.next_cseq, dialog.cseq) + 1
            number = cseq or (dialog.other_cseq if reverse else dialog.next_cseq)
            branch = f"z9hG4bK-r{self._serial}"
            dialog.last, dialog.last_cseq = branch, number
        start = f"{method} sip:x@{PBX} SIP/2.0"
        text = self.text(
            dialog, start, f"{number} {method}", branch, reverse=reverse, tagged=method != "CANCEL", extra=extra
        )
        return self.say(dialog, text, by_pbx=by_pbx, source=source)

    def reply(self, dialog: Dialog, method: str, code: int, *, by_pbx: bool, source: str = "") -> Sequence[Event]:
        """Answer the last request within the dialog."""
        start = f"SIP/2.0 {code} Whatever"
        reverse = by_pbx == dialog.outgoing
        cseq = f"{dialog.last_cseq} {method}"
        text = self.text(dialog, start, cseq, dialog.last, reverse=reverse, tagged=True, extra="")
        return self.say(dialog, text, by_pbx=by_pbx, source=source)

    def bye(self, dialog: Dialog, *, by_pbx: bool, code: int = 200) -> Sequence[Event]:
        """Hang up, with the other end's answer."""
        self.request(dialog, "BYE", by_pbx=by_pbx)
        return self.reply(dialog, "BYE", code, by_pbx=not by_pbx)

    # --- Whole passages -----------------------------------------------------------------------------------------------

    def dials(
        self, phone: str = PHONE, number: str = NUMBER, user: str = "1001", account: str = "1001", **more: Any
    ) -> Dialog:
        """Let a phone dial, be challenged, and be taken up with 100."""
        inside = self.dialog(phone, number, user, outgoing=False, **more)
        self.invite(inside)
        self.answer(inside, 401)
        self.again(inside, account=account)
        self.answer(inside, 100)
        return inside

    def comes(self, number: str = "4930123", user: str = "+4917012345", carrier: str = CARRIER) -> Dialog:
        """Let a carrier call in, and be taken up."""
        outside = self.dialog(carrier, number, user, outgoing=False)
        self.invite(outside)
        self.answer(outside, 100)
        return outside

    def leaves(
        self, number: str = NUMBER, user: str = "1001", carrier: str = CARRIER, extra: str = "", **more: Any
    ) -> Dialog:
        """Let the PBX call a carrier."""
        leg = self.dialog(carrier, number, user, outgoing=True, **more)
        self.invite(leg, extra)
        return leg

    def talks(self, leg: Dialog) -> None:
        """Let a leg ring and be answered."""
        self.answer(leg, 100)
        self.answer(leg, 180)
        self.answer(leg, 200)
        self.request(leg, "ACK", by_pbx=leg.outgoing)

    # --- What came of it ----------------------------------------------------------------------------------------------

    def told(self) -> list[str]:
        """Name what was told of outbound calls, in order; not where their ends are."""
        return [
            type(each).__name__.removeprefix("Call")
            for each in self.events
            if isinstance(each, CallEvent) and each.call.direction == "outbound" and not isinstance(each, CallMoved)
        ]

    @property
    def outbound(self) -> list[Call]:
        """List every outbound call that was told to begin."""
        found = [each.call for each in self.events if isinstance(each, CallEvent) and each.call.direction == "outbound"]
        return list({each.key: each for each in found}.values())

    @property
    def call(self) -> Call:
        """Give the one outbound call there was."""
        (call,) = self.outbound
        return call

    def running(self) -> list[Call]:
        return [each for each in self.calls.live() if each.direction == "outbound"]

    def restart(self, *, legs: bool = True) -> None:
        """Begin anew with what was kept of the calls; without `legs` as if an earlier release had kept it."""
        states: list[CallState] = [self.calls.state_of(each) for each in self.running()]
        kept = [CallLegs(self.now, each.key, self.calls.legs_of(each)) for each in self.running()] if legs else []
        self.calls = self._made()
        self.calls.restore([replace(each) for each in states], kept)
