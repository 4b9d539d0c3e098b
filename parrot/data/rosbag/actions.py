"""Actions of the control steps, derived from what a lab's bag holds instead of actions.

A bag of a teleoperated arm has poses, transforms, joints or commands of its own, at rates of its own. The action of a
step is what moves the tool point from where it was at the step's beginning to where it was at its end, in the robot's
base frame, divided by the robot's action scale (paper, section 5: end-effector displacements).

Derived from *measured* motion (`poses`, `tf`, `joint_states`), the actions are those that move the measured path. The
arm that was recorded lagged behind its commands, so these are not what it was told; derived from commands (`twist`,
`trajectory`), they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from parrot.sim.config import RobotConfig

__all__ = ["NO_SAMPLE", "ActionSource", "Derived", "make_source", "stamp_of"]

NO_SAMPLE = int(np.iinfo(np.int64).max)
"""The gap of a step where a topic has no sample at all, ns."""


@dataclass(frozen=True)
class Derived:
    """The actions of T control steps."""

    actions: NDArray[np.float32]
    """(T, 7) in [-1, 1]."""
    clipped: float
    """Share of the steps with a component beyond the robot's scale, 0 to 1."""
    gap: NDArray[np.int64]
    """(T,) ns from each step's borders to the nearest sample used, the larger of the two; `NO_SAMPLE` without any.

    A command counts until the next one, so that `twist` and `trajectory` have a gap only before their first message.
    """


class ActionSource(Protocol):
    """What turns a bag's messages into actions: fed in any order, asked for one episode after the other."""

    topics: tuple[str, ...]
    """Topics that it wants to be fed."""
    dropped: Mapping[str, int]
    """Messages that it could not use so far, by reason, e.g. `not finite`."""

    def feed(self, topic: str, message: Any, time: int) -> None:
        """Takes one deserialised message (of rosbags' types) at this time, ns.

        The time is on the clock that episodes are cut by: the message's own stamp (`stamp_of`), or that of receipt.
        """

    def actions(self, times: NDArray[np.int64]) -> Derived:
        """The actions of the T steps between `times`: (T + 1,) ns, increasing.

        Everything up to the first sample after the last time must have been fed: borders are interpolated.

        Raises:
            ConfigError: what the settings name (frames, joints, fields) is not in what was fed.
        """

    def forget(self, before: int | None = None) -> None:
        """Frees what no step from this time on needs, ns; None: all samples, as the clock has jumped."""


def stamp_of(message: Any) -> int | None:
    """The stamp of a message, ns; of transforms the first one's. None if it has none, or zero (which means: now)."""
    transforms = getattr(message, "transforms", None)
    header = getattr(transforms[0] if transforms else message, "header", None)
    if header is None:
        return None
    return (header.stamp.sec * 1_000_000_000 + header.stamp.nanosec) or None


def make_source(settings: Mapping[str, Any], robot: RobotConfig) -> ActionSource:
    """The source that the section `action` of a mapping YAML describes.

    Args:
        settings: `from` (poses, tf, joint_states, twist or trajectory), its own settings, and `gripper`.
        robot: Whose action scale, tool point and joints are meant.

    Raises:
        ConfigError: a setting is unknown, missing or of another type; or the kinematics of `joint_states` and
            `trajectory` lack their extra (`pip install 'parrot[arm]'`) or the robot's URDF.
    """
    raise NotImplementedError
