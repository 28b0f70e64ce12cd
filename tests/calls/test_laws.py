"""Random interleavings of calls, copies, forks, challenges, forgeries and restarts, against a model that only counts.

The model knows what really happened to each call; the tracker only sees messages. They must agree at every step on
which calls run, which were answered, and that each was told once.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sipguard.event import CallAnswered, CallAttempted, CallEnded, Event
from sipguard.model import SECOND
from tests.calls.world import CARRIER, CARRIER2, STRANGER, Dialog, World


class Model:
    """One call as it really is: `state` is what the carrier would bill by."""

    def __init__(self, leg: Dialog, inside: Dialog | None) -> None:
        self.leg = leg
        self.inside = inside
        self.state = "trying"
        self.rang = False
        self.unheard = False  # since a restart


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            (
                "dial",
                "orphan",
                "ring",
                "fork",
                "answer",
                "refuse",
                "challenge",
                "failover",
                "refresh",
                "copy",
                "forged bye",
                "low bye",
                "forged answer",
                "stranger",
                "cancel",
                "hang up",
                "carrier hangs up",
                "restart",
                "time",
            )
        ),
        st.integers(0, 7),
    ),
    max_size=60,
)


class Play:
    """Plays steps to a world and its model alike."""

    def __init__(self) -> None:
        self.world = World()
        self.models: list[Model] = []
        self.begun = 0
        self.restarted = 0

    def step(self, what: str, which: int) -> None:
        world = self.world
        running = [each for each in self.models if each.state in ("trying", "answered")]
        if what in ("dial", "orphan"):
            number = f"00252{self.begun:07}"
            self.begun += 1
            inside = world.dials(number=number) if what == "dial" else None
            self.models.append(Model(world.leaves(number=number, user="x"), inside))
        elif what == "stranger":
            world.invite(world.dialog(STRANGER, f"00252{which:07}", outgoing=False), account="1001")
        elif what == "restart":
            world.restart()
            self.restarted = world.now
            for each in self.models:
                each.unheard = True
        elif what == "time":
            self.wait(1 + which)
        elif running:
            self.happens(what, running[which % len(running)])

    def wait(self, seconds: int) -> None:
        """Let time pass, with those that ring going on to ring: nobody is given up."""
        self.world.wait(seconds)
        for each in self.models:
            if each.state == "trying":
                self.world.answer(each.leg, 180)

    def happens(self, what: str, model: Model) -> None:
        world, leg = self.world, model.leg
        if what == "copy":
            world.invite(leg)
            if model.state == "trying":
                model.unheard = False
        elif what == "forged bye":
            world.request(leg, "BYE", by_pbx=False, source=STRANGER)
            world.reply(leg, "BYE", 200, by_pbx=True, source=STRANGER)
        elif what == "forged answer":
            world.answer(leg, 200, source=STRANGER)
            other = Dialog(leg.far, leg.call_id, leg.number, "x", outgoing=True, tag=leg.tag)
            other.branch = "z9hG4bK-replayed"
            world.answer(other, 200)
        elif model.state == "trying":
            self.while_trying(what, model)
        else:
            self.while_talking(what, model)

    def while_trying(self, what: str, model: Model) -> None:
        world, leg = self.world, model.leg
        if what == "ring":
            world.answer(leg, 180)
            model.rang = True
        elif what == "fork":
            world.answer(leg, 183, tag=f"fork{world.now}")
        elif what == "answer":
            world.answer(leg, 200)
            world.answer(leg, 200)
            world.request(leg, "ACK", by_pbx=True)
            model.state, model.unheard = "answered", False
        elif what == "cancel":
            world.request(leg, "CANCEL", by_pbx=True)  # it loses the race, or nobody answers it: nothing yet
            if not model.unheard:
                self.fails(model, 487)
        elif what == "refuse":
            self.fails(model, 486)
        elif what == "challenge" and not model.unheard:
            world.answer(leg, 407)
            world.request(leg, "ACK", by_pbx=True)
            world.again(leg, account="trunk-user")
        elif what == "failover" and not model.unheard:
            world.answer(leg, 503)
            world.request(leg, "ACK", by_pbx=True)
            other = CARRIER2 if leg.far == CARRIER else CARRIER
            model.leg = world.leaves(number=leg.number, user="x", carrier=other)

    def fails(self, model: Model, code: int) -> None:
        world = self.world
        world.answer(model.leg, code)
        world.request(model.leg, "ACK", by_pbx=True)
        if model.inside is not None and not model.unheard:
            world.answer(model.inside, code)
        model.state = "over"
        self.wait(5)

    def while_talking(self, what: str, model: Model) -> None:
        world, leg = self.world, model.leg
        if what == "low bye":
            world.request(leg, "BYE", by_pbx=False, cseq=1)
            world.reply(leg, "BYE", 400, by_pbx=True)
        elif what == "refresh":
            world.request(leg, "INVITE", by_pbx=True)
            world.reply(leg, "INVITE", 200, by_pbx=False)
            model.unheard = False
        elif what in ("hang up", "carrier hangs up"):
            world.bye(leg, by_pbx=what == "hang up")
            model.state = "over"


def counted(events: list[Event], kind: type[CallAttempted | CallAnswered | CallEnded]) -> Counter[str]:
    return Counter(each.call.key for each in events if isinstance(each, kind))


@given(STEPS)
def test_no_call_is_counted_twice_none_is_lost_and_none_ends_that_was_not_begun(
    steps: list[tuple[str, int]],
) -> None:
    play = Play()
    for what, which in steps:
        if play.restarted and play.world.now - play.restarted > 150 * SECOND:
            break  # what rings since before a restart is given up soon, as nothing is heard of it
        play.step(what, which)
        running = [each for each in play.models if each.state != "over"]
        calls = play.world.running()
        assert sorted(each.called.dialled for each in calls) == sorted(each.leg.number for each in running), what
        answered = sorted(each.called.dialled for each in calls if each.answered)
        assert answered == sorted(each.leg.number for each in running if each.state == "answered"), what
    events = play.world.events
    attempted, ended = counted(events, CallAttempted), counted(events, CallEnded)
    assert set(attempted.values()) <= {1}
    assert set(counted(events, CallAnswered).values()) <= {1}
    assert set(ended.values()) <= {1}
    assert ended.keys() <= attempted.keys()
    assert len(attempted) == play.begun
    for each in play.world.running():
        assert each.lasted(play.world.now) >= 0
