"""Makes what the kernel holds what is decided, whenever somebody else has changed it, and looks now and then unasked.

Promises: rules, allowlist and trust come back first, then the newest bans; all work is done in slices of some
milliseconds, so that packets between them do not wait; an element that is right is not touched. What is decided is
looked at as it is at each slice. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator

from sipguard.enforce import elements
from sipguard.enforce.audit import Auditor
from sipguard.enforce.monitor import Monitor
from sipguard.enforce.nft import Nft
from sipguard.enforce.reconcile import plan
from sipguard.enforce.renewal import Renewal
from sipguard.enforce.sides import FEW, InForce
from sipguard.errors import AdapterError
from sipguard.model import MILLISECOND, MINUTE, SECOND, Held, Instant, SetName, Span
from sipguard.netfilter.notices import Change, News
from sipguard.netset import NetSet, prefixes

SLICE = 2_000  # elements: some ten milliseconds
BREATH: Span = 20 * MILLISECOND  # between two restorations: who flushes in a loop does not get all of our time
RETRY: Span = SECOND
LOOK: Span = MINUTE
SHARE = 100  # looking takes at most this fraction of the time

_FIRST = (SetName.CHARGED, SetName.TRUSTED, SetName.WATCHED, SetName.THROTTLED)


class Mender:
    """Sees to one kernel's table."""

    def __init__(
        self,
        kernel: Nft,
        monitor: Monitor,
        auditor: Auditor,
        ours: Collection[int] = (),
        *,
        enforce: bool,
        removing: bool,
    ) -> None:
        """Take the table as it stands for right. Raises AdapterError.

        `ours`: port ids that change our table, beside the kernel's own. `enforce`: elements too, not only the rules.
        `removing`: also take out what nobody wants.
        """
        self._kernel = kernel
        self._monitor = monitor
        self._auditor = auditor
        self._enforce = enforce
        self._removing = removing
        self._work: Iterator[None] | None = None
        self._renewal = Renewal()
        self._wait: Instant = 0
        self._failed = False
        self._look = self._glance = self._auditor.now() + SECOND
        self._began: Instant = 0
        self.restored = self.righted = self.behind = 0
        self.knowing = True
        """Whether rules are in place, and devices known: until then every phone would be taken for a stranger."""
        monitor.ignore({kernel.port, *ours})
        monitor.forget()
        self._shape = kernel.shape() or b"gone again already"

    @property
    def busy(self) -> bool:
        """Tell whether there is work left."""
        return (self._work is not None or self._renewal.running) and not self._failed

    def step(self, now: Instant, wanted: InForce) -> str | None:
        """Heed what was heard, or do one slice of work. Raises AdapterError.

        Gives a word for the operator, before anything is done, where somebody has touched our rules; else None.
        """
        told = self._heed(now, self._monitor.news(), wanted)
        if told is not None:
            return told
        if self._renews(now, wanted):
            return None
        if self._work is None and now >= self._look:
            self._work, self._began = self._audit(wanted), now
            self._look = now + LOOK
        if self._work is None or now < self._wait:
            return None
        self._failed = False
        try:
            next(self._work)
        except StopIteration:
            self._work = None
            if self._began:
                self._look, self._began = max(self._look, now + (now - self._began) * SHARE), 0
        except AdapterError:
            self._work, self._wait, self._failed = self._restore(wanted), now + RETRY, True
            raise
        return None

    def _renews(self, now: Instant, wanted: InForce) -> bool:
        """Do a slice of filling the banned networks anew, where due; tell whether it was. Raises AdapterError."""
        renewal, before = self._renewal, self._renewal.done
        if not renewal.running and not (self._enforce and self.knowing):
            return False
        stepped = renewal.step(now, self._kernel.sides, lambda: self._kernel.renew(wanted))
        if renewal.done > before:
            self._own()
        return stepped

    def _own(self) -> None:
        """Take the shape of the table for right after we have changed it ourselves. Raises AdapterError."""
        if self._kernel.reshaped:
            self._kernel.reshaped = False
            self._shape = self._kernel.shape() or b"gone again already"

    def allow(self, wanted: InForce) -> int:
        """See that the kernel's allowlist is the decided one; gives how much was otherwise. Raises AdapterError."""
        changed = self._kernel.allow(wanted.ends(SetName.ALLOWED))
        if self._kernel.reshaped:
            self._monitor.forget()  # thousands of elements that our own `nft` has put in
            self._own()
        return changed

    def begin(self) -> None:
        """Compare everything at the next step: what is wanted is more than can be put in at once."""
        self._look, self.knowing = 0, False
        self._auditor.doubting = True

    def counters(self) -> dict[str, int]:
        """Give desired against actual as it was last looked at, and what was done about it."""
        found = {"wanted": self._auditor.wanted, "held": self._auditor.held, "behind": self.behind}
        done = {"restored": self.restored, "put_right": self.righted, "renewed": self._renewal.done}
        return {**found, **done, "unheard": self._monitor.overruns}

    # --- What was heard -----------------------------------------------------------------------------------------------

    def _heed(self, now: Instant, news: News, wanted: InForce) -> str | None:
        glance = now >= self._glance  # in case that nobody told us
        if glance:
            self._glance = now + SECOND
        if (news.rules or news.lost or glance) and self._shape and self._kernel.shape() != self._shape:
            self._shape, self._began = b"", 0
            self._kernel.forget()
            self._work = self._restore(wanted)
            self._renewal.drop()
            return "somebody removed or changed our rules"
        networks = sum(change[0] in elements.INTERVALS for change in news.changes)
        if news.lost or networks > FEW:  # for each network its set would be read, and packets wait
            self._kernel.forget()
            self._auditor.suspicious = self._auditor.suspicious or news.lost
            self._auditor.doubting = True
            self._work = self._work or self._audit(wanted)
            self._look = now
        for change in news.changes if self._enforce else ():
            if networks <= FEW or change[0] not in elements.INTERVALS:
                self._put_right(change, wanted)
        return None

    def _put_right(self, change: Change, wanted: InForce) -> None:
        """Undo what somebody did to one element, if it is not what is decided."""
        name, element, gone = change
        if name in elements.HASHED:
            host, known = elements.host_of(element.key), elements.known_as(name)
            until = wanted.ends(known).get(host)
            if until is not None:
                self._kernel.hold(Held(known, host, until))
            elif not gone:
                self._kernel.release(Held(known, host))
            self.righted += 1
        elif name in elements.INTERVALS:
            self.righted += 1
            self._kernel.forget()
            if elements.known_as(name) is SetName.ALLOWED:
                self.righted += self.allow(wanted)
                return
            first, last = element.key[:-4], element.last[:-4] or element.key[:-4]
            pieces = prefixes(first, last) if len(first) == len(last) in {4, 16} else []
            if not gone:
                self._kernel.cut(name, pieces)
            near, ends = NetSet(pieces), wanted.ends(SetName.BLOCKED)
            self._kernel.put([Held(SetName.BLOCKED, net, ends[net]) for net in wanted.networks() if near.overlaps(net)])

    # --- Work, in slices ----------------------------------------------------------------------------------------------

    def _restore(self, wanted: InForce) -> Iterator[None]:
        """Bring back rules, allowlist and trust, then the newest bans, then the rest."""
        self.restored += 1
        self.knowing = False
        self._wait = self._auditor.now() + BREATH
        anew = True
        self._shape = b""
        while not self._shape:
            anew = not self._kernel.shape()
            self._install(wanted, anew=anew)
            self._monitor.forget()
            self._shape = self._kernel.shape()
            if not self._shape:  # gone again already
                yield
        if not self._enforce:
            self.knowing = True
            return
        if not anew:
            self.righted += self.allow(wanted)
        for name in _FIRST:
            yield from self._refill(wanted, name, anew=anew)
        self.knowing = True
        yield from self._refill(wanted, SetName.BLOCKED, anew=anew)
        self._look = 0

    def _install(self, wanted: InForce, *, anew: bool) -> None:
        if not anew:
            self._kernel.install()
            return
        listed = [Held(SetName.ALLOWED, net) for net in wanted.ends(SetName.ALLOWED)] if self._enforce else []
        self._kernel.install_anew(plan(listed, (), NetSet()).add)

    def _refill(self, wanted: InForce, name: SetName, *, anew: bool) -> Generator[None, None, int]:
        """Put in all elements of a set, the newest first; returns how many were refused."""
        ends, refused = wanted.ends(name), 0
        keys = list(ends)
        for end in range(len(keys), 0, -SLICE):
            self.behind = end
            part = reversed(keys[max(0, end - SLICE) : end])
            refused += len(self._kernel.put([Held(name, net, ends[net]) for net in part if net in ends], absent=anew))
            yield
        self.behind = 0
        return refused

    def _sweep(self) -> None:
        """Empty what is beside the home of the networks: left by a renewal that failed, or by somebody. Raises."""
        if self._removing:
            self._kernel.sides.strayed()
            if self._kernel.reshaped:
                self._monitor.forget()
                self._own()

    def _audit(self, wanted: InForce) -> Iterator[None]:
        """Compare everything; mend what differs."""
        if not self._enforce or self._kernel.shape() != self._shape:
            return
        self.righted += self.allow(wanted)
        self._sweep()
        self._auditor.begin()
        for name in (*_FIRST, SetName.BLOCKED):
            self.knowing = self.knowing or name is SetName.BLOCKED
            networks = len(wanted.networks()) if name is SetName.BLOCKED else 0
            missing = yield from self._auditor.compare(
                self._kernel, name, wanted.ends(name), networks, removing=self._removing
            )
            if missing:
                self.righted += missing
                refused = yield from self._refill(wanted, name, anew=False)
                self._auditor.mended(max(0, missing - refused))
        self._auditor.done()
