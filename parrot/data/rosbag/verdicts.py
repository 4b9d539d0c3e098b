"""Which episodes a recording has and how each went, told by markers and outcomes; the one rule for recorder and bags.

recorder_node asks it while it records, `parrot data from-bags` plays a bag's messages to it in the order in which they
were recorded (`parrot.data.rosbag.replay`): what the one calls kept is what the other yields. It knows nothing of ROS.

What a human says counts more than what `outcome` says: the simulator, or the arm, does not know what was wanted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["MARKERS", "NO_OUTCOME", "UNBEGUN", "Marker", "Tally", "Told"]

Marker = Literal["start", "success", "failure", "discard"]
"""What the topic `marker` says."""

MARKERS: tuple[Marker, ...] = get_args(Marker)

UNBEGUN = "its beginning is not in the bag"
NO_OUTCOME = "an outcome is missing in it"

LONG_AGO = -(1 << 63)


@dataclass(slots=True)
class Told:
    """An episode, as it was told."""

    begin: int = LONG_AGO
    """When it was started; without `start`, when what came before was over."""
    started: bool = False
    """Whether a marker says where it begins."""
    end: int | None = None
    """When it ended; None: it is under way."""
    verdict: Literal["success", "failure", "discard"] | None = None
    """None: nobody judged it."""
    marked: bool = False
    """Whether the verdict is a human's."""
    first: int = 0
    """Number of its first outcome among all that came."""
    steps: int = 0
    """Outcomes that it has, one after the other."""
    offset: int = 0
    """Step that its first outcome speaks of: above 0 where `start` came within an episode of the simulator's."""
    flaw: str | None = None
    """Why it is of no use, whatever its verdict."""

    @property
    def kind(self) -> str:
        """What it is counted as."""
        if self.end is None:
            return "under way"
        if self.verdict == "discard":
            return "discarded"
        return "incomplete" if self.flaw else self.verdict or "without verdict"


class Tally:
    """Counts the episodes of a recording.

    An episode begins with the marker `start` or, where outcomes come, with the first step after the last episode. It
    ends with a verdict, `success` or `failure`, given by a marker or by the outcome of its last step. A marker that
    comes once the outcome has ended it, and before a step of the next one, changes the verdict. After a marker, what
    the simulator still has to say of the same episode, its end by a reset above all, begins no other one. `discard`
    drops the one under way, or else the last one.
    """

    def __init__(self) -> None:
        self.told: list[Told] = []
        """All episodes, in order."""
        self.outcomes = 0
        """How many have come."""
        self.counts: Counter[str] = Counter()
        """`Told.kind` -> episodes."""
        self._now: Told | None = None
        self._last: Told | None = None
        """That a marker may still judge or drop."""
        self._rest: Told | None = None
        """That a marker has ended, and whose outcomes go on."""
        self._next: int | None = None
        """Step of which the next outcome of the rest will speak; None: there is no telling."""
        self._images = 0
        self._over = LONG_AGO
        """When whatever came before the next episode was over."""

    @property
    def kept(self) -> Counter[str]:
        """Verdict -> episodes that were kept."""
        return Counter({verdict: self.counts[verdict] for verdict in ("success", "failure")})

    @property
    def under_way(self) -> bool:
        """Whether there is an episode to drop."""
        return self._now is not None or (self.outcomes > 0 and self._images > 0 and self._rest is None)

    def image(self) -> None:
        """An image has come."""
        self._images += 1

    def outcome(self, *, done: bool, success: bool, step: int, when: int = 0) -> bool:
        """A step is over, the one of this number in its episode; whether an episode is to be kept."""
        place, self.outcomes = self.outcomes, self.outcomes + 1
        if self._is_rest(done, step):
            self._over = when
            return False
        now = self._now
        if now is not None and now.steps and step == 0:
            now.flaw = now.flaw or NO_OUTCOME  # of its end
            self._end(now, None, when)
            now = None
        if done and (now is None or not now.steps) and (now.started if now else step == 0 and not success):
            # A reset before anything was done; after `start`, that of what was given up for it.
            self._images, self._over = 0, when
            return False
        if now is None:
            now = self._begin(Told(self._over))
        if not now.steps:
            now.first, now.offset = place, step
            now.flaw = UNBEGUN if step and not now.started else None
        elif step != now.offset + now.steps:
            now.flaw = now.flaw or NO_OUTCOME
        now.steps += 1
        self._last = None
        if done:
            self._end(now, "success" if success else "failure", when)
        return done and now.flaw is None

    def mark(self, marker: Marker, when: int = 0) -> bool:
        """A marker has come; whether it means anything now."""
        now = self._now
        if marker == "start":
            if now is not None and (now.steps or (self._images and not self.outcomes)):
                self._end(now, None, when)
            elif now is not None:
                self.told.remove(now)
            self._begin(Told(when, started=True))
            self._last = self._rest = None
            self._images = 0
            return True
        if marker == "discard":
            return self._discard(when)
        if now is not None and (now.steps or (now.started and not self.outcomes)):
            self._end(now, marker, when, marked=True)
        elif self.outcomes and self._last is not None:
            self._judge(self._last, marker)
        else:
            return False
        return True

    def _begin(self, told: Told) -> Told:
        self.told.append(told)
        self._now = told
        return told

    def _end(
        self, told: Told, verdict: Literal["success", "failure", "discard"] | None, when: int, marked: bool = False
    ) -> None:
        told.end, told.verdict, told.marked = when, verdict, marked
        self.counts[told.kind] += 1
        self._now, self._images, self._over = None, 0, when
        self._last = told if verdict in ("success", "failure") else None
        if marked:
            self._rest, self._next = told, told.offset + told.steps if told.steps else None

    def _judge(self, told: Told, verdict: Literal["success", "failure", "discard"]) -> None:
        self.counts[told.kind] -= 1
        told.verdict, told.marked = verdict, True
        self.counts[told.kind] += 1

    def _discard(self, when: int) -> bool:
        if self.under_way:
            self._end(self._now or self._begin(Told(self._over)), "discard", when, marked=True)
        elif self._last is not None:
            self._judge(self._last, "discard")
            self._last = None
        else:
            return False
        return True

    def _is_rest(self, done: bool, step: int) -> bool:
        """Whether this outcome still speaks of an episode that a marker has ended."""
        rest = self._rest
        if rest is None:
            return False
        # Of one that was judged before its first outcome, only the end by a reset is sure to follow.
        goes_on = step == self._next if self._next is not None else done or rest.verdict == "discard"
        if not goes_on:
            self._rest = None
            return False
        if done and rest.steps and step == rest.offset + rest.steps:
            rest.steps += 1  # the step that was under way when the marker came
        self._next = step + 1
        if done:
            self._rest = None
        return True

    def __str__(self) -> str:
        verdicts = ", ".join(f"{self.kept[verdict]} {verdict}" for verdict in ("success", "failure"))
        kinds = ("discarded", "incomplete", "without verdict")
        more = [f"{self.counts[kind]} {kind}" for kind in kinds if self.counts[kind]]
        return ", ".join([f"episodes kept: {self.kept.total()} ({verdicts})", *more])
