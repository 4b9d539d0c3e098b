"""The one definition of observation, action, latent and outcome: names, shapes, units, limits.

Live nodes, bags, datasets, the environment and every network read it from here (paper, section 5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parrot.errors import SpaceError

__all__ = [
    "ACTION_DIM",
    "ACTION_NAMES",
    "EPISODE_STEPS",
    "GRIPPER_CLOSE",
    "GRIPPER_OPEN",
    "IMAGE_SHAPE",
    "IMAGE_SIZE",
    "MIRRORED",
    "OUTCOME_NAMES",
    "Outcome",
    "check_action",
    "check_image",
    "latent_names",
    "to_chw",
]

IMAGE_SIZE = 48
"""Pixels along each side of the observation."""

IMAGE_SHAPE = (IMAGE_SIZE, IMAGE_SIZE, 3)
"""Rows, columns, RGB; uint8. Networks take the same picture channels first: (B, 3, 48, 48)."""

ACTION_NAMES = ("dx", "dy", "dz", "droll", "dpitch", "dyaw", "gripper")
"""End-effector displacement for one control step in the base frame (REP-103), then the gripper; all in [-1, 1].

The scale to metres and radians belongs to the robot's YAML.
"""

ACTION_DIM = len(ACTION_NAMES)

MIRRORED = (1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0)
"""Signs (7,) that an action gets in a mirror on the robot's own plane, y = 0: turns about x and z change theirs."""

GRIPPER_OPEN = 0.5
"""A gripper command above this opens."""

GRIPPER_CLOSE = -0.5
"""A gripper command below this closes; between the two the gripper keeps what it does."""

EPISODE_STEPS = 25
"""Control steps in an episode (paper, section 5 and appendix C.2)."""

OUTCOME_NAMES = ("reward", "success", "terminated", "truncated", "step")
"""Fields of an outcome message, in order."""


def latent_names(dim: int = ACTION_DIM) -> tuple[str, ...]:
    """Names of the latent's components: `z0` ... `z{dim-1}`."""
    return tuple(f"z{i}" for i in range(dim))


@dataclass(frozen=True)
class Outcome:
    """What one control step led to."""

    reward: float
    """+1 on a step that ends with the task's objective met, else 0."""
    success: bool
    """Whether the objective is met at the end of this step."""
    terminated: bool
    """Whether the task ended the episode."""
    truncated: bool
    """Whether the step limit ended the episode."""
    step: int
    """Index of the step in its episode, from 0."""

    @property
    def done(self) -> bool:
        """Whether the episode is over."""
        return self.terminated or self.truncated

    def to_vector(self) -> list[float]:
        """The five numbers in the order of `OUTCOME_NAMES`."""
        return [float(getattr(self, name)) for name in OUTCOME_NAMES]

    @classmethod
    def from_vector(cls, values: list[float] | NDArray[np.floating]) -> Outcome:
        """The inverse of `to_vector`.

        Raises:
            SpaceError: the vector has another length or holds a value that is not finite.
        """
        v = np.asarray(values, dtype=np.float64)
        if v.shape != (len(OUTCOME_NAMES),) or not np.isfinite(v).all():
            raise SpaceError(f"outcome {v.tolist()}: expected {len(OUTCOME_NAMES)} finite numbers {OUTCOME_NAMES}")
        return cls(float(v[0]), bool(v[1]), bool(v[2]), bool(v[3]), int(v[4]))


def check_action(action: NDArray[np.floating] | list[float]) -> NDArray[np.float32]:
    """The action as (7,) float32, clipped to [-1, 1].

    Raises:
        SpaceError: the action has another shape or holds NaN or infinity.
    """
    a = np.asarray(action, dtype=np.float32)
    if a.shape != (ACTION_DIM,):
        raise SpaceError(f"action has shape {a.shape}; expected ({ACTION_DIM},): {', '.join(ACTION_NAMES)}")
    if not np.isfinite(a).all():
        bad = [n for n, v in zip(ACTION_NAMES, a, strict=True) if not np.isfinite(v)]
        raise SpaceError(f"action is not finite in {', '.join(bad)}: {a.tolist()}; send numbers in [-1, 1]")
    return np.clip(a, -1.0, 1.0)


def check_image(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image, unchanged, if it is an observation.

    Raises:
        SpaceError: it is not 48x48x3 uint8.
    """
    if image.shape != IMAGE_SHAPE or image.dtype != np.uint8:
        raise SpaceError(
            f"image is {image.dtype} {image.shape}; expected uint8 {IMAGE_SHAPE}: crop and resize it on the way in"
        )
    return image


def to_chw(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(..., 48, 48, 3) to (..., 3, 48, 48), without a copy."""
    return np.moveaxis(images, -1, -3)
