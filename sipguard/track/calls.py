"""Calls, from INVITE to the answer to BYE, on both sides of the PBX. Messages in, events out; all of it bounded.

Money is spent on the legs that the PBX sends to where no device of ours is: what happens to those makes a call begin,
be answered and end. What phones say is heard to learn whose call it is, and believed as far as the PBX believes it. A
message that is not on a leg's own path, or answers what nobody asked, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sipguard.address import Address
from sipguard.call import Call, Called, CallLegs, CallOrigin, CallState, Doubt, Media, NumberClass
from sipguard.event import CallRefused, Event
from sipguard.intake import Heard
from sipguard.model import HOUR, SECOND, Account, Instant, Span
from sipguard.sip.message import SipRequest, SipResponse
from sipguard.table import Table
from sipguard.track.callbook import Book, key_of, source_of
from sipguard.track.course import GIVEN_UP, UNKNOWN_QUIET, Course
from sipguard.track.doubts import Doubts
from sipguard.track.hands import Hands
from sipguard.track.hints import differ, digits_of, same_number
from sipguard.track.kept import read, written
from sipguard.track.leg import Leg, LegState, Running, leg_of, name_of, short
from sipguard.track.legs import PATIENCE, Legs
from sipguard.track.limits import Config
from sipguard.track.origin import Match, Origins
from sipguard.track.sides import Side
from sipguard.track.transfer import Transfers

METHODS = frozenset({"INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "REFER", "NOTIFY", "INFO"})
"""What calls are made of, and kept alive by."""
UNSURE: Span = HOUR
"""For so long after the start an INVITE with a To-tag is taken to be of a dialog from before it."""
_UNDERWAY: Span = 5 * SECOND  # T4: the longest that a message is on its way (RFC 3261 section 17.1.2.2)
_REFUSED = 1_000
_NOTHING: tuple[Event, ...] = ()
_ANSWERED, _FAILED, _OVER = LegState.ANSWERED, LegState.FAILED, LegState.OVER
_PBX = Side.PBX
_GONE = 481
_EXTENSION = CallOrigin.EXTENSION


class Calls:
    """Follows calls. `hear` takes messages in the order of their time."""

    __slots__ = (
        "_began",
        "_book",
        "_course",
        "_doubts",
        "_hands",
        "_legs",
        "_origins",
        "_refused",
        "_silent",
        "_transfers",
    )

    def __init__(self, config: Config, hands: Hands) -> None:
        self._hands = hands
        self._began: Instant | None = None
        self._legs = Legs(config.calls)
        self._book = Book(config.calls, hands.price)
        self._origins = Origins(self._legs, hands.named)
        self._transfers = Transfers(self._legs, self._origins, hands.called)
        self._refused: Table[str, tuple[Instant, Call]] = Table(_REFUSED)
        self._silent: list[Leg] = []  # from before a restart: that they are silent is known since the first instant
        self._course = Course(hands, self._legs, self._book, self._origins, self._transfers)
        self._doubts = Doubts(self._book, self._course)

    # --- Questions ----------------------------------------------------------------------------------------------------

    def live(self) -> Iterator[Call]:
        """Go through the calls that were begun and have not ended, the oldest first."""
        for running in self._book.live():
            yield running.call

    def leg(self, call: Call) -> tuple[Leg | None, Leg | None]:
        """Give a call's leg to the trunk, and the one that it came from, to hang it up by; None where unknown."""
        running = self._book.of(call.key)
        if running is None:
            return None, None
        stands = [leg for leg in running.legs if leg.state < _FAILED]
        return (stands[-1] if stands else None), running.inside

    def shares(self, leg: Leg) -> bool:
        """Tell whether other dialogs go over a leg's connection, so that it must not be reset."""
        return self._legs.shares(leg)

    def state_of(self, call: Call) -> CallState:
        """Give what must survive of a call."""
        return self._book.state_of(call)

    def legs_of(self, call: Call) -> str:
        """Give what must survive of an answered call's dialogs; empty where nothing can be."""
        outside, inside = self.leg(call)
        return "" if outside is None else written(outside, inside)

    def restore(self, states: Sequence[CallState], legs: Sequence[CallLegs] = (), offset: Span = 0) -> None:
        """Take up the outbound calls from before a restart: unconfirmed until heard of. `offset`: added to instants.

        Those whose dialogs were kept can be heard and hung up like any other.
        """
        self._book.restore(states, offset)
        for each in legs:
            running = self._book.of(each.key)
            if running is not None and running.call.answered and not running.legs:
                self._take_up(each.text, running)

    def _take_up(self, text: str, running: Running) -> None:
        """Give a restored call the dialogs that were kept of it, if they are its own."""
        call = running.call
        found = read(text, call)
        if found is None or self._book.remembered(found[0].name) is not running:
            return
        outside, inside = found
        self._book.seen(outside.name)
        outside.trunk, call.carrier = call.trunk, outside.far
        outside.running, running.legs = running, (outside,)
        if inside is not None:
            inside.led, running.inside = running, inside
        for leg in (outside, *(() if inside is None else (inside,))):
            self._legs.take_up(leg)
            self._legs.keep(leg)
            self._silent.append(leg)

    def doubtful(self, most: int) -> Sequence[Doubt]:
        """Give some of the calls that may be over, and where their media would go."""
        return self._doubts.some(most)

    def media(self, at: Instant, media: Media) -> Sequence[Event]:
        """Learn what the kernel knows of the media of such calls."""
        return self._doubts.told(at, media.expires)

    def next_deadline(self) -> Instant | None:
        """Give the next instant at which something runs out."""
        due, other = self._legs.next_deadline(), self._book.restored_due
        return due if other is None else other if due is None else min(due, other)

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions of every table."""
        return {**self._book.counters(), **self._legs.counters()}

    # --- Before it is heard -------------------------------------------------------------------------------------------

    def leaves(self, heard: Heard, request: SipRequest) -> bool:
        """Tell whether a call that the PBX sends leaves the house."""
        return self._trunk_at(heard.target, request) is not None

    def continues(self, at: Instant, heard: Heard, request: SipRequest) -> bool:
        """Tell whether an INVITE that leaves is within a dialog: one that is known, or may be from before the start.

        A To-tag alone makes none: a caller can invent one, and a proxy sends it on. Nobody has heard of the dialogs
        from before the start, but in an hour most of them are refreshed, or over.
        """
        if not request.to_tag:
            return False
        if self._began is None or at - self._began < UNSURE:
            return True
        if self._legs.within(request, heard.target, by_pbx=True) is not None:
            return True
        name = name_of(heard.target, short(request.call_id), short(request.from_tag))
        return self._book.remembered(name) is not None

    def preview(self, at: Instant, heard: Heard, request: SipRequest) -> Call:
        """Say of which call an INVITE that leaves would be, running or yet to begin. Changes nothing."""
        for leg in self._legs.begun(request, heard.target, outgoing=True):
            if leg.running is not None and (_is_copy(at, leg, request) or self._is_repeated(leg, request)):
                return leg.running.call
        before = self._from_before(at, heard, request)
        if before is not None:
            return before.call
        called = self._hands.sent(request.uri, heard.target)
        match = self._origins.resolve(at, request, called)
        called = _meant(called, match)
        trunk = self._trunk_at(heard.target, request) or ""
        if match.running is not None:
            return match.running.call.over(trunk, heard.target)
        call = self._book.call(at, request, heard.target, called, match, trunk)
        refused = self._refused.get(_attempt(call, match, heard, request))
        return refused[1] if refused is not None and at - refused[0] <= PATIENCE else call

    def refused(self, at: Instant, heard: Heard, request: SipRequest) -> Sequence[Event]:
        """Learn that an INVITE was kept from leaving; the call is told as refused once, whatever else the PBX tries."""
        call = self.preview(at, heard, request)
        if self._book.of(call.key) is not None:
            return _NOTHING  # another way of it runs
        match = self._origins.resolve(at, request, call.called)
        name = _attempt(call, match, heard, request)
        known = self._refused.get(name)
        self._refused.renew(name, (at, call), heard.target)
        return (CallRefused(at, source_of(call), call),) if known is None or at - known[0] > PATIENCE else _NOTHING

    # --- What is heard ------------------------------------------------------------------------------------------------

    def hear(self, at: Instant, heard: Heard, side: Side) -> Sequence[Event]:
        """Take a message of one of `METHODS`, or an answer to one, sent by the PBX or to it."""
        by_pbx = side is _PBX
        message = heard.message
        if self._began is None:
            self._began = at
        if type(message) is SipRequest:
            return self._request(at, heard, message, by_pbx=by_pbx)
        return self._response(at, heard, message, by_pbx=by_pbx) if type(message) is SipResponse else _NOTHING

    def _request(self, at: Instant, heard: Heard, request: SipRequest, *, by_pbx: bool) -> Sequence[Event]:
        far = heard.target if by_pbx else heard.source
        method = request.method
        if not request.to_tag:
            return self._begins(at, heard, request, by_pbx=by_pbx)
        leg = self._legs.within(request, far, by_pbx=by_pbx)
        if leg is None and by_pbx and method == "INVITE" and not self.continues(at, heard, request):
            return self._leaving(at, heard, request)
        if leg is None:
            return self._course.remembered(at, heard, request) if by_pbx and self._book.awaits else _NOTHING
        leg.carried(heard, by_pbx=by_pbx)
        if method == "BYE":
            self._course.bye(at, leg, request, by_pbx=by_pbx)
        elif method == "REFER" and not by_pbx:
            self._transfers.asked(at, heard, request, leg, self._hands.read, self._hands.credential)
        return self._course.within(at, leg, request, by_pbx=by_pbx)

    def _begins(self, at: Instant, heard: Heard, request: SipRequest, *, by_pbx: bool) -> Sequence[Event]:
        method = request.method
        if method == "INVITE":
            return self._leaving(at, heard, request) if by_pbx else self._asked(at, heard, request)
        if method == "CANCEL":
            far = heard.target if by_pbx else heard.source
            for each in self._legs.begun(request, far, outgoing=by_pbx):
                if each.queued and each.state < _ANSWERED and each.knows(request):
                    each.cancelled = True
                    self._course.expect(each, min(each.due, at + GIVEN_UP))
        elif method == "REFER" and not by_pbx:
            self._transfers.asked(at, heard, request, None, self._hands.read, self._hands.credential)
        return _NOTHING

    def _response(self, at: Instant, heard: Heard, response: SipResponse, *, by_pbx: bool) -> Sequence[Event]:
        far = heard.target if by_pbx else heard.source
        method = response.cseq_method
        if method == "INVITE":
            for each in self._legs.begun(response, far, outgoing=not by_pbx):
                if each.state < _ANSWERED and each.awaits(response):
                    return self._course.progress(at, heard, each, response)
        if method == "REFER" and by_pbx:
            wish = self._transfers.answered(heard, response)
            return _NOTHING if wish is None else self._course.transferred(at, heard, wish)
        leg = self._legs.within(response, far, by_pbx=not by_pbx)
        if leg is None:
            return self._course.unknown(at, heard, response, by_pbx=by_pbx) if self._book.awaits else _NOTHING
        leg.carried(heard, by_pbx=by_pbx)
        if method == "BYE" and (200 <= response.code < 300 or response.code == _GONE):
            if leg.gave_bye(response, by_pbx=not by_pbx):
                if leg.kept and response.code == _GONE and leg.running is not None:
                    leg.running.failed = leg.heard  # it was over when the guard came back
                return self._course.hung_up(at, leg)
            return _NOTHING
        if method == "BYE" and response.code >= 300 and not by_pbx:
            leg.bye_at = 0
        return self._course.within(at, leg, response, by_pbx=by_pbx)

    def advance(self, now: Instant) -> Sequence[Event]:
        """Let run out what is due."""
        for leg in self._silent:
            leg.heard = now
            self._course.expect(leg, now + UNKNOWN_QUIET)
        self._silent = []
        return self._course.advance(now)

    # --- A leg begins -------------------------------------------------------------------------------------------------

    def _asked(self, at: Instant, heard: Heard, request: SipRequest) -> Sequence[Event]:
        """Take an INVITE from outside: it means nothing until the PBX takes it up."""
        legs = self._legs.begun(request, heard.source, outgoing=False)
        if any(leg.knows(request) for leg in legs):
            return _NOTHING
        again = next((each for each in legs if each.state is _FAILED), None)
        if again is None:
            leg = leg_of(at, heard, request, self._hands.read(request.uri, heard.source), outgoing=False)
            trunk = self._hands.trunk(heard.source)
            leg.trunk = trunk if trunk is not None else None if self._hands.device(heard.source) else ""
            self._legs.ask(leg)
        else:
            leg = again
            if leg.led is None:  # a proxy's is known by more than its number
                leg.began = at
                leg.renumber(self._hands.read(request.uri, heard.source))
        leg.asks(heard, request)
        leg.account = self._whose(at, heard, request, leg)
        return _NOTHING

    def _whose(self, at: Instant, heard: Heard, request: SipRequest, leg: Leg) -> Account | None:
        """Say whose call it is if the PBX takes it up: a credential counts where the PBX asks for one, or is his home.

        A PBX that asks for none lets any credential in.
        """
        tried = request.credentials
        if not tried or any(each.username != tried[0].username for each in tried):
            return None
        account, _ = self._hands.credential(at, heard, request)
        return account if leg.challenged or self._hands.stands(heard.source, account) else None

    def _leaving(self, at: Instant, heard: Heard, request: SipRequest) -> Sequence[Event]:
        """Take an INVITE of the PBX's."""
        legs = self._legs.begun(request, heard.target, outgoing=True)
        if any(_is_copy(at, leg, request) for leg in legs):
            return _NOTHING
        for again in legs:
            if self._is_repeated(again, request):
                again.asks(heard, request)
                if again.running is not None:
                    again.running.failed = 0
                self._course.expect(again, at + GIVEN_UP)
                return _NOTHING
        running = self._from_before(at, heard, request)
        if running is not None and running.call.answered:
            return _NOTHING
        called = self._hands.sent(request.uri, heard.target)
        trunk = self._trunk_at(heard.target, request)
        match: Match | None = None
        if running is not None:
            match = Match(running.call.origin, None, running)
        elif trunk is not None:
            match = self._origins.resolve(at, request, called)
            called = _meant(called, match)
        leg = leg_of(at, heard, request, called, outgoing=True)
        leg.trunk = trunk
        leg.asks(heard, request)
        self._legs.take_up(leg)
        self._course.expect(leg, at + GIVEN_UP)
        return _NOTHING if match is None else self._paired(at, heard, request, leg, match)

    def _from_before(self, at: Instant, heard: Heard, request: SipRequest) -> Running | None:
        """Give the call from before a restart that an INVITE is a copy of, or asks for anew."""
        found = self._book.of(key_of(heard.target, request))
        if found is not None or not self._book.awaits:
            return found
        again = self._book.remembered(name_of(heard.target, short(request.call_id), short(request.from_tag)))
        if again is None or (again.call.answered and at - again.call.answered > PATIENCE):
            return None  # a copy does not come that late: a phone behind a proxy uses its Call-ID again
        return None if differ(self._hands.sent(request.uri, heard.target), again.call.called) else again

    def _is_repeated(self, leg: Leg, request: SipRequest) -> bool:
        """Tell whether an INVITE asks again, for the same, what was refused under the same Call-ID."""
        if leg.state is not _FAILED or (leg.running is not None and leg.running.call.ended):
            return False
        called = self._hands.sent(request.uri, leg.far)
        return same_number(leg.digits, digits_of(called)) and not differ(called, leg.called)

    def _paired(self, at: Instant, heard: Heard, request: SipRequest, leg: Leg, match: Match) -> Sequence[Event]:
        running, told = match.running, list[Event]()
        if match.expected is not None:
            self._origins.expected.remove(match.expected)
        if running is None:
            call = self._book.call(at, request, heard.target, leg.called, match, leg.trunk or "")
            running, told = self._book.begin(at, call, match.inside)
            running.by_call_id = match.by_call_id
            inside = match.inside
            if inside is not None:
                inside.led = running
                self._legs.keep(inside)
                if call.origin is not _EXTENSION:
                    self._origins.forwarded(inside, leg.called)
        else:
            told = self._book.goes_over(at, running, leg.trunk or "", heard.target)
            self._book.seen(leg.name)
        leg.running = running
        running.legs = (*(each for each in running.legs if each.state < _OVER), leg)
        self._legs.keep(leg)
        return told

    def _trunk_at(self, far: Address, request: SipRequest) -> str | None:
        """Give the name of the trunk at an address, "" for one that is not listed, None where a device is called."""
        name = self._hands.trunk(far)
        return name if name is not None else None if self._hands.phone(far, request.uri) else ""


def _is_copy(at: Instant, leg: Leg, request: SipRequest) -> bool:
    """Tell whether an INVITE that leaves is a copy; what comes well after the end is a call, however alike."""
    return leg.knows(request) and (leg.state is not _OVER or at - max(leg.ended, leg.heard) <= _UNDERWAY)


def _meant(called: Called, match: Match) -> Called:
    """Say what a number means that leaves: one for help stays one if the PBX writes a country code before it."""
    inside = match.inside
    if inside is None or inside.called.kind is not NumberClass.EMERGENCY:
        return called
    same = any(same_number(inside.digits, each) for each in (digits_of(called), called.dialled))
    return inside.called if same else called


def _attempt(call: Call, match: Match, heard: Heard, request: SipRequest) -> str:
    """Name what is one call however often it is tried: by the leg it comes from and its number, else by its own leg."""
    inside = match.inside
    name = name_of(heard.target, short(request.call_id), short(request.from_tag)) if inside is None else inside.name
    return f"{name} {digits_of(call.called)}"
