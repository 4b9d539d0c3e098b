"""What may become an episode, before a picture is decoded, and the reasons why it does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DAMAGED_MESSAGE", "DISCARDED", "GAP", "NO_ACTION", "NO_IMAGE", "NO_STEP", "SKEWED", "UNFINISHED", "Candidate",
]  # fmt: skip

NO_ACTION = "an action is missing in it"
NO_IMAGE = "an image is missing in it"
NO_STEP = "it has no step"
GAP = "it has a gap"
UNFINISHED = "it has no end in the bag"
DISCARDED = "it was discarded by a marker"
DAMAGED_MESSAGE = "a message in it is damaged"
SKEWED = "the clocks of its topics differ"


@dataclass
class Candidate:
    """What may become an episode of T steps."""

    images: NDArray[np.int64]
    """(T,) places of the steps' images in the image track."""
    borders: NDArray[np.int64]
    """(T + 1,) where steps begin and end, as the mapping tells time, ns."""
    stamps: NDArray[np.int64]
    """(T,) time of each step's image, ns."""
    epoch: int
    actions: NDArray[np.float64] | None = None
    """(T, 7) as recorded; None where they are to be derived."""
    image_there: NDArray[np.bool_] | None = None
    """(T,) whether the image is recent enough; None: all are."""
    action_there: NDArray[np.bool_] | None = None
    """(T,) whether there is an action; None: everywhere."""
    rewards: NDArray[np.float32] | None = None
    """(T,) where outcomes tell them."""
    success: bool | None = None
    whole: bool = True
    """Whether it may not be cut in two."""
    why: str | None = None
    """Why it is no episode."""

    def __len__(self) -> int:
        return len(self.images)
