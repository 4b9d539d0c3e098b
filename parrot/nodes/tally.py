"""Which episodes a recording has: begun and ended by markers, or by outcomes. It knows nothing of ROS."""

from __future__ import annotations

from collections import Counter
from typing import Literal, get_args

__all__ = ["MARKERS", "Marker", "Tally"]

Marker = Literal["start", "success", "failure", "discard"]
"""What the topic `marker` says."""

MARKERS: tuple[Marker, ...] = get_args(Marker)


class Tally:
    """Counts the episodes of a recording.

    An episode begins with the marker `start` or, where outcomes come, with the first image after the last episode.
    It ends with a verdict, `success` or `failure`, given by a marker or by the outcome of its last step. `discard`
    drops the one under way, or else the last one.
    """

    def __init__(self) -> None:
        self.kept: Counter[str] = Counter()
        """Verdict -> episodes that were kept."""
        self.discarded = 0
        self.unjudged = 0
        """Episodes that a `start` ended, without a verdict."""
        self._started = False
        self._images = 0
        self.outcomes = False
        """Whether any have come."""
        self._last: str | None = None
        self._marked = False
        """Whether a marker has ended an episode that no outcome has ended since."""

    @property
    def under_way(self) -> bool:
        """Whether there is an episode to judge."""
        return self._started or (self.outcomes and self._images > 0)

    def image(self) -> None:
        """An image has come."""
        self._images += 1
        if self.under_way:
            self._last = None

    def outcome(self, *, done: bool, success: bool) -> bool:
        """A step is over; whether an episode is to be kept."""
        self.outcomes = True
        # Where an episode was just marked, the simulator's own end of it follows at once. Images say nothing here: they
        # have a queue of their own, and those of a whole episode may come after its last outcome.
        marked, self._marked = self._marked, False
        if marked or not done:
            return False
        self._end("success" if success else "failure")
        return True

    def mark(self, marker: Marker) -> bool:
        """A marker has come; whether it means anything now."""
        if marker == "start":
            self.unjudged += self._started and self._images > 0
            self._started, self._images, self._last = True, 0, None
            return True
        if marker == "discard":
            return self._discard()
        if not self.under_way:
            return False
        self._end(marker)
        self._marked = self.outcomes
        return True

    def _end(self, verdict: str) -> None:
        self.kept[verdict] += 1
        self._last = verdict
        self._started, self._images = False, 0

    def _discard(self) -> bool:
        if self.under_way:
            self._started, self._images = False, 0
            self._marked = self.outcomes
        elif self._last is not None:
            self.kept[self._last] -= 1
            self._last = None
        else:
            return False
        self.discarded += 1
        return True

    def __str__(self) -> str:
        verdicts = ", ".join(f"{self.kept[verdict]} {verdict}" for verdict in ("success", "failure"))
        more = [f"{n} {word}" for n, word in ((self.discarded, "discarded"), (self.unjudged, "without verdict")) if n]
        return ", ".join([f"episodes kept: {self.kept.total()} ({verdicts})", *more])
