"""One trajectory: what the robot saw, what it did and what came of it (paper, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from parrot.errors import SpaceError
from parrot.spaces import ACTION_DIM, IMAGE_SHAPE

__all__ = ["Episode"]


@dataclass(frozen=True, eq=False)
class Episode:
    """A trajectory of T steps; image t is what was seen before action t, reward t what action t led to.

    Raises:
        SpaceError: an array has the wrong shape or type, holds NaN, or the lengths differ.
    """

    images: NDArray[np.uint8]
    """(T, 48, 48, 3) uint8."""
    actions: NDArray[np.float32]
    """(T, 7) float32 in [-1, 1]."""
    rewards: NDArray[np.float32]
    """(T,) float32."""
    task: str
    """Name of the task, as in the registry."""
    success: bool
    """Whether the objective was met at the end."""
    seed: int
    """The seed that reproduces the episode; 0 to 2**64 - 1."""
    extra: Mapping[str, NDArray] = field(default_factory=dict)
    """Further arrays of T rows, such as `latents` (T, D), as the dataset's manifest declares them."""

    def __post_init__(self) -> None:
        images = np.ascontiguousarray(self.images)
        steps = len(images) if images.ndim else 0
        if images.dtype != np.uint8 or images.shape != (steps, *IMAGE_SHAPE) or steps == 0:
            raise SpaceError(f"images are {images.dtype} {images.shape}; an episode needs uint8 (T, 48, 48, 3), T > 0")
        object.__setattr__(self, "images", images)
        for name, shape in (("actions", (steps, ACTION_DIM)), ("rewards", (steps,))):
            value = np.ascontiguousarray(getattr(self, name), dtype=np.float32)
            if value.shape != shape:
                raise SpaceError(f"{name} have shape {value.shape}; {steps} images need {shape}")
            if not np.isfinite(value).all():
                raise SpaceError(f"{name} hold NaN or infinity; drop the episode or find where they come from")
            object.__setattr__(self, name, value)
        extra = {name: np.ascontiguousarray(value) for name, value in self.extra.items()}
        for name, value in extra.items():
            if value.ndim == 0 or len(value) != steps:
                raise SpaceError(f"extra array {name!r} has shape {value.shape}; {steps} images need {steps} rows")
        object.__setattr__(self, "extra", extra)
        if not 0 <= self.seed < 2**64:
            raise SpaceError(f"seed {self.seed}: expected a number from 0 to 2**64 - 1")

    def __len__(self) -> int:
        return len(self.images)
