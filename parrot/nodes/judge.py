"""The image classifier of success as arm_node asks it: once a step, on the picture that follows the action."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from parrot.errors import ConfigError
from parrot.nodes.health import Health
from parrot.spaces import IMAGE_SHAPE

if TYPE_CHECKING:
    from parrot.rl.reward.classifier import RewardClassifier

__all__ = ["Judge", "make_judge"]


class Judge:
    """Says success when so many pictures in a row of one episode show it; one alone may be a hand or a blur."""

    def __init__(self, classifier: RewardClassifier, in_a_row: int, health: Health) -> None:
        """`in_a_row`: pictures that must agree."""
        self._classifier, self._needed, self._health = classifier, in_a_row, health
        self._run = 0

    def sees_success(self, image: NDArray[np.uint8] | None) -> bool:
        """Whether success is seen by now; `image`: the one that follows the step's action, None if none has come."""
        begin = time.monotonic()
        positive = image is not None and self._classifier.success(image)
        self._run = self._run + 1 if positive else 0
        self._health.took("classify", time.monotonic() - begin)
        if positive:
            self._health.count("pictures of success")
        return self._run >= self._needed

    def forget(self) -> None:
        """An episode has ended."""
        self._run = 0


def make_judge(path: str, robot: str, health: Health) -> Judge:
    """The judge by the classifier in that file.

    Raises:
        ConfigError: no file is named.
        WeightsError: it cannot be loaded, or is for another robot.
    """
    if not path:
        raise ConfigError("reward:=classifier needs classifier:=PATH; make the file with `parrot reward train`")
    # Whoever has no classifier need not wait for PyTorch.
    import torch

    from parrot.rl.reward.classifier import CONFIRMATIONS, RewardClassifier

    torch.set_num_threads(1)
    classifier = RewardClassifier.load(path, robot)
    classifier.success(np.zeros(IMAGE_SHAPE, np.uint8))  # the first pass takes far longer than all later ones
    return Judge(classifier, CONFIRMATIONS, health)
