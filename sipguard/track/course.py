"""How a leg goes on once it was begun: answers to its INVITE, hanging up, running out; and what that makes of its call.

Nothing is believed that was not asked: an answer counts for the transaction it answers, on the leg's own path. Who may
begin a leg, and whose it is, is said in `calls.py` and `origin.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from sipguard.address import Address
from sipguard.call import Call, Called, CallOrigin, Direction
from sipguard.event import CallDiverted, Event
from sipguard.intake import Heard
from sipguard.model import DAY, HOUR, MINUTE, SECOND, Instant, Span
from sipguard.sip.message import SipMessage, SipRequest, SipResponse
from sipguard.track.callbook import RINGS, UNANSWERED, Book, key_made_of
from sipguard.track.hands import Hands
from sipguard.track.hints import printable
from sipguard.track.leg import Leg, LegState, Running, leg_of, name_of, short
from sipguard.track.legs import PATIENCE, Legs
from sipguard.track.origin import SETTLE, Kind, Origins, kind_of
from sipguard.track.transfer import Transfers, Wish

QUIET: Span = 5 * MINUTE
"""A call of which nothing is heard for so long, and that has no media, may have ended unheard."""
UNKNOWN_QUIET: Span = HOUR
"""The same where nobody can say whether there is media: session timers speak each half hour (RFC 4028 section 4)."""
GIVEN_UP: Span = PATIENCE + 8 * SECOND
"""After CANCEL, or without any answer: the PBX itself waits as long as `PATIENCE`."""
_NOTHING: tuple[Event, ...] = ()
_BEGUN, _TRIED, _EARLY, _ANSWERED, _FAILED, _OVER = LegState
_CHALLENGES = frozenset({401, 407})
_TIMEOUT = 408
_ORPHAN = CallOrigin.ORPHAN


class Course:
    """Carries legs on, and the calls with them."""

    __slots__ = ("_book", "_hands", "_legs", "_origins", "_quiet", "_transfers")

    def __init__(self, hands: Hands, legs: Legs, book: Book, origins: Origins, transfers: Transfers) -> None:
        self._hands = hands
        self._legs = legs
        self._book = book
        self._origins = origins
        self._transfers = transfers
        self._quiet = UNKNOWN_QUIET if hands.media is None else QUIET

    def expect(self, leg: Leg, due: Instant) -> None:
        """Look at a leg again at `due`."""
        self._legs.expect(leg, due)
        self._hands.wake(due)

    def within(self, at: Instant, leg: Leg, message: SipMessage, *, by_pbx: bool) -> Sequence[Event]:
        """Take note that a dialog is alive."""
        if leg.state >= _FAILED:
            return _NOTHING
        leg.heard = at
        moved = leg.spoke(message, by_pbx=by_pbx) or not (by_pbx or leg.shown or leg.outgoing)
        leg.shown = leg.shown or not by_pbx
        leg.kept = leg.kept and not by_pbx
        running = leg.running
        told: Sequence[Event] = _NOTHING
        if running is not None and not running.call.confirmed and not leg.kept:  # a carrier's word alone can be forged
            told = self._book.confirm(at, running)
        return (*told, *self._book.moved(at, running or leg.led)) if moved and leg.state is _ANSWERED else told

    # --- Answers to an INVITE -----------------------------------------------------------------------------------------

    def progress(self, at: Instant, heard: Heard, leg: Leg, response: SipResponse) -> Sequence[Event]:
        """Take an answer to an INVITE that the leg waits for."""
        code = response.code
        leg.heard = at
        if code >= 300:
            return self._refused(at, leg, response) if leg.settled(response) else _NOTHING
        before = leg.state
        told: Sequence[Event] = _NOTHING
        if leg.running is not None and code >= 100 and leg.state >= _TRIED:
            told = self._book.confirm(at, leg.running)
        if code >= 200:
            leg.picked_up(at, heard, response)
            self.expect(leg, at + self._quiet)
        elif code >= 100:
            leg.state = max(before, _EARLY if code > 100 else _TRIED)
            leg.described(response, by_pbx=not leg.outgoing)
            leg.forked(response.to_tag)
            self.expect(leg, at + UNANSWERED)
        else:
            return _NOTHING
        if not leg.outgoing:
            told = (*told, *self._let_in(at, leg, before))
        if leg.state is _ANSWERED and leg.running is not None:
            return (*told, *self._book.answer(at, leg.running))
        return told

    def _let_in(self, at: Instant, leg: Leg, before: LegState) -> Sequence[Event]:
        """Learn that the PBX takes up what was asked of it: one from a trunk is a call."""
        if before is _BEGUN and not self._legs.holds(leg):
            self._legs.take_up(leg)
            self._legs.dialled(leg)
            if leg.led is not None:
                self._legs.keep(leg)
        kind = kind_of(leg)
        if leg.running is not None or kind is Kind.DEVICE or (kind is Kind.UNKNOWN and leg.state < _EARLY):
            return _NOTHING  # some PBXs say 100 to a stranger before they ask him for a credential
        branch, cseq = leg.seen[-1]
        key = key_made_of(leg.far, leg.call_id, leg.tag, branch, cseq)
        call = Call(key, leg.began, Direction.INBOUND, leg.called)
        call.trunk, call.carrier, call.caller = leg.trunk or "", leg.far, printable(leg.from_user)
        running, told = self._book.begin(at, call, None)
        leg.running = running
        running.legs = (leg,)
        self._legs.keep(leg)
        return told

    def _refused(self, at: Instant, leg: Leg, response: SipResponse) -> Sequence[Event]:
        """Take the last final answer to a leg's INVITE, which is none."""
        code = response.code
        leg.code, leg.ended, leg.state = code, at, _FAILED
        if not leg.outgoing:
            return self._turned_away(at, leg, code)
        told: list[Event] = []
        if 300 <= code < 400:
            told = self._redirected(at, leg, response)
        if leg.running is not None:
            told += self._fell_through(at, leg.running, leg)
        else:
            self._legs.drop(leg)
        return told

    def _turned_away(self, at: Instant, leg: Leg, code: int) -> Sequence[Event]:
        """Learn that the PBX does not make a call that was asked of it."""
        if code in _CHALLENGES:
            leg.challenged = True
            led = leg.led
            if led is not None and led.by_call_id:  # the carrier's challenge, passed on: it is asked again
                self.expect(leg, at + SETTLE)
                return _NOTHING
            if led is not None:  # it was thought to be let in, and was not: what left was not his doing
                leg.led = led.inside = None
                if not led.call.ended:
                    led.call.account = led.call.source = None
                    led.call.origin, led.call.ambiguous = _ORPHAN, True
            if leg.running is None:
                self._legs.drop(leg)
                self._legs.ask(leg)
                return _NOTHING
        leg.state = _OVER
        return self._inside_over(at, leg)

    def _inside_over(self, at: Instant, leg: Leg) -> Sequence[Event]:
        """Learn that nobody asks any more for the call of an inside leg."""
        told: list[Event] = []
        led = leg.led
        if led is not None and led.failed and not led.live:
            told += self._book.end(at, led, led.legs[-1].code)
        if leg.running is not None:
            told += self._book.end(at, leg.running, leg.code)
            self.expect(leg, at + PATIENCE)
        elif leg.cut:
            self.expect(leg, at + PATIENCE)  # the other end's agreement is waited for as well
        else:
            self._legs.drop(leg)
        return told

    def _fell_through(self, at: Instant, running: Running, leg: Leg) -> Sequence[Event]:
        """Learn that a leg of a call has failed: another way may be tried as long as somebody waits for it."""
        self.expect(leg, at + SETTLE)
        if running.live or running.call.answered:
            return self._book.end(at, running, 0) if running.call.answered and not running.live else _NOTHING
        running.failed = at
        inside = running.inside
        if inside is not None and inside.state is _OVER:
            return self._end(at, running, leg.code)
        self._origins.failing(running)
        return _NOTHING

    def _end(self, at: Instant, running: Running, code: int) -> Sequence[Event]:
        for leg in running.legs:
            self.expect(leg, at + PATIENCE)
        return self._book.end(at, running, code)

    # --- Sent elsewhere -----------------------------------------------------------------------------------------------

    def _redirected(self, at: Instant, leg: Leg, response: SipResponse) -> list[Event]:
        contact = next((each.uri for each in response.contacts if not each.star), b"")
        if not contact:
            return []
        called = self._hands.read(contact, leg.far)
        self._transfers.diverted(at, leg, called)
        return [CallDiverted(at, leg.far, self._call_of(leg), called, referred=False)]

    def transferred(self, at: Instant, heard: Heard, wish: Wish) -> Sequence[Event]:
        """Take a REFER that the PBX accepted."""
        running = self._transfers.accepted(at, heard, wish)
        if running is not None:
            return (CallDiverted(at, heard.target, running.call, running.call.called, referred=True),)
        call = self._call_of(wish.leg) if wish.leg is not None else _internal(at, heard.target, wish.called)
        if wish.leg is None:
            call.account, call.caller = wish.account, wish.caller
        return (CallDiverted(at, heard.target, call, wish.called, referred=True),)

    def _call_of(self, leg: Leg) -> Call:
        """Give the call that a leg is of, or one made for the occasion where it stays in the house."""
        running = leg.running or leg.led
        if running is not None:
            return running.call
        call = _internal(leg.began, leg.far, leg.called)
        call.account, call.caller = leg.account, printable(leg.from_user)
        call.answered = leg.answered
        return call

    # --- It ends ------------------------------------------------------------------------------------------------------

    def bye(self, at: Instant, leg: Leg, request: SipRequest, *, by_pbx: bool) -> None:
        """Take a BYE, which ends nothing by itself; when nobody answers the PBX's own, the call is in doubt."""
        leg.bye(request, by_pbx=by_pbx)
        if by_pbx and not leg.bye_at:
            leg.bye_at = at
            self.expect(leg, at + PATIENCE)

    def hung_up(self, at: Instant, leg: Leg) -> Sequence[Event]:
        """Learn that a BYE was answered: the dialog is over on both sides."""
        if leg.state >= _FAILED:
            return _NOTHING
        leg.state, leg.ended = _OVER, at
        running = leg.running
        if running is None or not leg.outgoing:
            return self._inside_over(at, leg)
        self.expect(leg, at + PATIENCE)
        return _NOTHING if running.live else self._end(at, running, 0)

    def advance(self, now: Instant) -> Sequence[Event]:
        """Let run out what is due."""
        told: list[Event] = []
        for leg in self._legs.overdue(now):
            if self._legs.holds(leg):
                told += self._overdue(leg.due, leg)
            elif leg.running is not None and leg.state < _OVER:  # it had to go: nothing will ever be heard of it
                leg.state, leg.ended = _OVER, leg.due
                told += [] if leg.running.live else self._end(leg.due, leg.running, _TIMEOUT)
        return told + self._book.run_out(now) if self._book.restored_due is not None else told

    def _overdue(self, at: Instant, leg: Leg) -> Sequence[Event]:
        running = leg.running
        state = leg.state
        if state is _OVER or (running is None and state is _FAILED):
            self._legs.drop(leg)
            return _NOTHING
        if state is _FAILED:
            told = self._end(at, running, leg.code) if running is not None and not running.live else _NOTHING
            self.expect(leg, at + PATIENCE)
            leg.state = _OVER
            return told
        if state is _ANSWERED:
            return self._silent(at, leg)
        if state is not _BEGUN and not leg.cancelled and at < leg.heard + RINGS:
            self.expect(leg, leg.heard + RINGS)
            return _NOTHING if running is None else self._book.doubt(at, running)
        leg.code, leg.ended = _TIMEOUT, at
        if running is not None and leg.outgoing:
            leg.state = _FAILED
            return self._fell_through(at, running, leg)
        leg.state = _OVER
        return self._inside_over(at, leg)

    def _silent(self, at: Instant, leg: Leg) -> Sequence[Event]:
        """Ask whether a call of which nothing was heard still runs; after a day of silence it is over."""
        running = leg.running
        silent = at - leg.heard
        if leg.bye_at and running is not None and running.call.confirmed and at - leg.bye_at >= PATIENCE:
            self.expect(leg, leg.heard + DAY)
            return self._book.doubt(at, running)  # the PBX has given up; what the carrier thinks, nobody knows
        if silent < self._quiet:
            self.expect(leg, leg.heard + self._quiet)
            return _NOTHING
        if silent >= DAY:
            leg.state, leg.ended = _OVER, at
            if running is None:
                return self._inside_over(at, leg)
            return _NOTHING if running.live else self._end(at, running, _TIMEOUT)
        media = self._hands.media
        if running is None:
            self.expect(leg, leg.heard + DAY)
            return _NOTHING
        if media is not None and media(running.call):
            self.expect(leg, at + self._quiet)
            return self._book.confirm(at, running)
        self.expect(leg, at + self._quiet if media is not None else leg.heard + DAY)
        return self._book.doubt(at, running)

    # --- Calls from before a restart ----------------------------------------------------------------------------------

    def remembered(self, at: Instant, heard: Heard, request: SipRequest) -> Sequence[Event]:
        """Take a request of the PBX's within a dialog: one of a call from before a restart is known by its name."""
        name = name_of(heard.target, short(request.call_id), short(request.from_tag))
        running = self._book.remembered(name)
        if running is None:
            return _NOTHING
        if running.call.answered:
            return self._adopted(at, heard, request, running, name, by_pbx=True)
        code = self._book.said(name, request.to_tag) if request.method == "ACK" else 0
        if not code:
            return _NOTHING  # it rings yet: no other request is a sign that somebody answered
        told = list(self._adopted(at, heard, request, running, name, by_pbx=True))
        if code < 300:
            return (*told, *self._book.answer(at, running))
        running.legs[-1].state = _OVER
        return (*told, *self._end(at, running, code))

    def unknown(self, at: Instant, heard: Heard, response: SipResponse, *, by_pbx: bool) -> Sequence[Event]:
        """Take an answer in an unknown dialog: the PBX's to a carrier's request, or a carrier's to its INVITE."""
        if by_pbx:
            name = name_of(heard.target, short(response.call_id), short(response.to_tag))
            running = self._book.remembered(name)
            if running is None or not running.call.answered or not 200 <= response.code < 300:
                return _NOTHING
            told = self._adopted(at, heard, response, running, name, by_pbx=False)
            return (*told, *self.hung_up(at, running.legs[-1])) if response.cseq_method == "BYE" else told
        name = name_of(heard.source, short(response.call_id), short(response.from_tag))
        running = self._book.remembered(name)
        if running is not None and response.cseq_method == "INVITE" and response.code >= 200:
            self._book.word(name, response.code, response.to_tag)
        return _NOTHING

    def _adopted(
        self, at: Instant, heard: Heard, message: SipMessage, running: Running, name: str, *, by_pbx: bool
    ) -> Sequence[Event]:
        """Make the leg of a call from before a restart anew, as far as a message within it tells; `by_pbx`: it asks."""
        leg = leg_of(at, heard, message, running.call.called, outgoing=True)
        leg.tag, other = short(message.from_tag), short(message.to_tag)
        if not by_pbx:
            leg.tag, other = other, leg.tag
        leg.began, leg.answered, leg.state = running.call.began, running.call.answered or at, _ANSWERED
        leg.other, leg.tags = other, (other,)
        leg.trunk = running.call.trunk
        leg.running = running
        running.legs = (leg,)
        running.call.carrier = leg.far
        self._book.seen(name)
        self._legs.take_up(leg)
        self._legs.keep(leg)
        leg.spoke(message, by_pbx=True)
        if type(message) is SipRequest and message.method == "BYE":
            leg.bye(message, by_pbx=True)
        self.expect(leg, at + self._quiet)
        return self._book.confirm(at, running)


def _internal(at: Instant, source: Address, called: Called) -> Call:
    call = Call("", at, Direction.INTERNAL, called)
    call.source = source
    return call
