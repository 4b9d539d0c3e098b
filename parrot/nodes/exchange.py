"""The learner's side of the lockstep: which image to act on next, and when a step is complete.

Topics have no order among them: the next image may come before the outcome of the last one, and either before the
action. This keeps what came early until its turn. It knows nothing of ROS.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Exchange", "Moment"]

Image = TypeVar("Image")
Outcome = TypeVar("Outcome")
Action = TypeVar("Action")

KEPT = 8
"""Moments whose outcome or action is kept; lockstep needs two."""

GONE = 2
"""Repetitions of a newer image after which nothing of the awaited step can still be on its way."""


@dataclass
class Moment(Generic[Outcome, Action]):
    """What came for one stamp."""

    outcome: Outcome | None = None
    action: Action | None = None


@dataclass
class Exchange(Generic[Image, Outcome, Action]):
    """Pairs images, outcomes and actions by their stamps (nanoseconds)."""

    awaiting: int | None = None
    """Stamp of the image that was acted on and whose outcome and action are not both here."""
    newest: int = 0
    """Stamp of the newest image."""
    repeated: int = 0
    """How often that image has come again."""
    next_image: tuple[int, Image] | None = None
    """The newest image, until it is acted on."""
    moments: dict[int, Moment[Outcome, Action]] = field(default_factory=dict)

    def image(self, stamp: int, image: Image) -> bool:
        """Takes an image; False if it is the newest one once more: somebody missed what we said last."""
        if stamp == self.newest:
            self.repeated += 1
            return False
        self.newest, self.repeated = stamp, 0
        self.next_image = (stamp, image)
        return True

    def outcome(self, stamp: int, outcome: Outcome) -> None:
        """Takes an outcome."""
        self._moment(stamp).outcome = outcome

    def action(self, stamp: int, action: Action) -> None:
        """Takes the action that was executed."""
        self._moment(stamp).action = action

    def act(self) -> tuple[int, Image] | None:
        """The image to act on now, once; None while a step is not complete or there is no new image."""
        if self.awaiting is not None or self.next_image is None:
            return None
        found, self.next_image = self.next_image, None
        self.awaiting = found[0]
        return found

    def complete(self) -> tuple[Outcome, Action] | None:
        """Outcome and action of the step that was awaited, once; None while one of them is missing."""
        if self.awaiting is None:
            return None
        moment = self.moments.get(self.awaiting)
        if moment is None or moment.outcome is None or moment.action is None:
            return None
        del self.moments[self.awaiting]
        self.awaiting = None
        return moment.outcome, moment.action

    def skip(self) -> str:
        """Gives up the awaited step if the world has, which repeats a newer image; what was missing, or nothing.

        An arm that has to stop before anybody answered its image ends the episode, and that action never comes; one
        that was started again knows of no outcome.
        """
        if self.awaiting is None or self.next_image is None or self.repeated < GONE:
            return ""
        missing = self.missing()
        self.moments.pop(self.awaiting, None)
        self.awaiting = None
        return missing

    def missing(self) -> str:
        """What the awaited step lacks: `outcome`, `action`, or nothing."""
        moment = self.moments.get(self.awaiting or 0, Moment())
        if self.awaiting is None:
            return ""
        return "action" if moment.action is None else "outcome" if moment.outcome is None else ""

    def _moment(self, stamp: int) -> Moment[Outcome, Action]:
        found = self.moments.setdefault(stamp, Moment())
        while len(self.moments) > KEPT:
            # Those that came first, not those of the smallest stamps: a camera's clock may go back.
            del self.moments[next(iter(self.moments))]
        return found
