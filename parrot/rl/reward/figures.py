"""How well a classifier tells success from failure, and from which score on it may say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parrot.rl.reward.classifier import CONFIRMATIONS
from parrot.rl.reward.labels import FAILURE, SUCCESS, Labels

__all__ = ["Counts", "Figures", "choose_threshold", "cross_measured", "measure"]

SHARE = 0.5
"""The threshold's margin: this share of the way from the highest failure to the median success.

Measured on grasp_can and place_can_in_pan in simulation: at 0.25 a third more failures are called success than at 0.5,
for a tenth more successes.
"""


@dataclass(frozen=True)
class Counts:
    """Of what was called success or is."""

    right: int = 0
    """Success that was called success."""
    wrong: int = 0
    """Failure that was called success."""
    missed: int = 0
    """Success that was not called so."""
    passed: int = 0
    """Failure that was not called success."""

    @property
    def precision(self) -> float:
        """The share of what is called success that is; NaN if nothing is called so."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else float("nan")

    @property
    def recall(self) -> float:
        """The share of success that is called so; NaN if there is none."""
        return self.right / (self.right + self.missed) if self.right + self.missed else float("nan")

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.right + other.right, self.wrong + other.wrong, self.missed + other.missed, self.passed + other.passed
        )


@dataclass(frozen=True)
class Figures:
    """By image and by episode."""

    images: Counts = Counts()
    episodes: Counts = Counts()

    def __add__(self, other: Figures) -> Figures:
        return Figures(self.images + other.images, self.episodes + other.episodes)


def choose_threshold(logits: NDArray[np.float64], classes: NDArray[np.integer]) -> float:
    """The logit from which on an image counts as success: above every failure, by a margin.

    The margin is `SHARE` of the way from the highest failure to the median success, and the threshold at least 0:
    what is more likely failure is never success.
    """
    highest = float(logits[classes == FAILURE].max())
    median = float(np.median(logits[classes == SUCCESS]))
    return max(0.0, highest + SHARE * max(0.0, median - highest))


def measure(
    logits: NDArray[np.float64],
    labels: Labels,
    episodes: NDArray[np.integer],
    threshold: float | Callable[[int], float],
) -> Figures:
    """Counts over these episodes.

    An episode counts as arm_node would have it: it is called a success at the first image of `CONFIRMATIONS` in a row
    that are, which is wrong if it never succeeded or if that image is labelled a failure.

    Args:
        logits: (steps,), of all steps.
        labels: Of all steps.
        episodes: Those to count.
        threshold: Of all; or of each episode.
    """
    total = Figures()
    for i in episodes:
        steps = labels.of(np.array([i]))
        classes, limit = labels.image[steps], threshold(int(i)) if callable(threshold) else threshold
        positive = logits[steps] >= limit
        yes, no = positive[classes == SUCCESS], positive[classes == FAILURE]
        images = Counts(int(yes.sum()), int(no.sum()), int((~yes).sum()), int((~no).sum()))
        called = _first_run(positive)
        wrong = called is not None and bool(classes[called] == FAILURE)
        right = called is not None and not wrong
        succeeded = bool(labels.succeeded[i])
        total += Figures(images, Counts(right, wrong, succeeded and not right, not succeeded and not wrong))
    return total


def cross_measured(logits: NDArray[np.float64], labels: Labels, episodes: NDArray[np.integer]) -> Figures:
    """As `measure`, each episode with the threshold that the others alone would have given."""

    def without(i: int) -> float:
        steps = labels.of(episodes[episodes != i])
        return choose_threshold(logits[steps], labels.image[steps])

    return measure(logits, labels, episodes, without)


def _first_run(positive: NDArray[np.bool_]) -> int | None:
    """The image that completes the first `CONFIRMATIONS` in a row."""
    run = 0
    for t, yes in enumerate(positive):
        run = run + 1 if yes else 0
        if run == CONFIRMATIONS:
            return t
    return None
