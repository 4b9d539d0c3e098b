"""Actions of the control steps, derived from what a lab's bag holds instead of actions.

A bag of a teleoperated arm has poses, transforms, joints or commands of its own, at rates of its own. The action of a
step is what moves the tool point from where it was at the step's beginning to where it was at its end, in the robot's
base frame, divided by the robot's action scale (paper, section 5: end-effector displacements).

Derived from *measured* motion (`poses`, `tf`, `joint_states`), the actions are those that move the measured path. The
arm that was recorded lagged behind its commands, so these are not what it was told; derived from commands (`twist`,
`trajectory`), they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from parrot.data.rosbag.gripper import Gripper, GripperSettings
from parrot.data.rosbag.poses import PoseMotion, PoseSettings, TfMotion, TfSettings
from parrot.data.rosbag.streams import NO_SAMPLE, Path
from parrot.data.rosbag.twists import TwistMotion, TwistSettings
from parrot.errors import ConfigError
from parrot.fields import build
from parrot.rotations import rpy_of

if TYPE_CHECKING:
    from parrot.sim.config import RobotConfig

__all__ = ["NO_SAMPLE", "ActionSource", "Derived", "make_source"]

SOURCES = ("poses", "tf", "joint_states", "twist", "trajectory")
"""What `from` may be."""

_ROUNDING = 0.01
"""By which a component may pass 1 before it counts as clipped: stamps that jitter make so much of full speed."""

_UPRIGHT = 1.4
"""Radians of pitch (80 degrees), near which roll and yaw lose their meaning."""


@dataclass(frozen=True)
class Derived:
    """The actions of T control steps."""

    actions: NDArray[np.float32]
    """(T, 7) in [-1, 1]."""
    clipped: float
    """Share of the steps with a component more than 1% beyond the robot's scale, 0 to 1."""
    gap: NDArray[np.int64]
    """(T,) ns from each step's borders to the nearest sample used, the larger of the two; `NO_SAMPLE` without any.

    A command counts until the next one, so that `twist` and `trajectory` have a gap only before their first message.
    """


class ActionSource(Protocol):
    """What turns a bag's messages into actions: fed in any order, asked for one episode after the other."""

    topics: tuple[str, ...]
    """Topics that it wants to be fed."""
    lasting: tuple[str, ...]
    """Those among them whose messages count until later ones replace them, however long ago: to be fed whole, while of
    the others the last message before an episode is enough."""
    dropped: Mapping[str, int]
    """Messages that it could not use so far, by reason, e.g. `not finite`."""

    def feed(self, topic: str, message: Any, time: int) -> None:
        """Takes one deserialised message (of rosbags' types) at this time, ns.

        The time is on the clock that episodes are cut by: the message's own stamp (of several transforms the first
        one's), or that of receipt.
        """

    def actions(self, times: NDArray[np.int64]) -> Derived:
        """The actions of the T steps between `times`: (T + 1,) ns, increasing.

        Everything up to the first sample after the last time must have been fed: borders are interpolated.

        Raises:
            ConfigError: what the settings name (frames, joints, fields) is not in what was fed.
        """

    def forget(self, before: int | None = None) -> None:
        """Frees what no step from this time on needs, ns; None: all samples, as the clock has jumped."""


def make_source(settings: Mapping[str, Any], robot: RobotConfig) -> ActionSource:
    """The source that the section `action` of a mapping YAML describes.

    Args:
        settings: `from` (poses, tf, joint_states, twist or trajectory), its own settings, and `gripper`.
        robot: Whose action scale, tool point and joints are meant.

    Raises:
        ConfigError: a setting is unknown, missing or of another type; or the kinematics of `joint_states` and
            `trajectory` lack their extra (`pip install 'parrot[arm]'`) or the robot's URDF.
    """
    options = dict(settings)
    kind, gripper = options.pop("from", None), options.pop("gripper", None)
    if kind not in SOURCES:
        raise ConfigError(f"action: from is {kind!r}; choose {', '.join(SOURCES)}")
    dropped: Counter[str] = Counter()
    where = f"action (from: {kind})"
    motion: _Motion
    if kind == "poses":
        motion = PoseMotion(build(PoseSettings, options, where), dropped)
    elif kind == "tf":
        motion = TfMotion(build(TfSettings, options, where), dropped)
    elif kind == "twist":
        motion = TwistMotion(build(TwistSettings, options, where), dropped)
    else:
        motion = _joint_motion(kind, options, where, robot, dropped)
    hand = Gripper(build(GripperSettings, gripper, "action: gripper"), dropped) if gripper else None
    return _Displacements(motion, hand, robot, dropped)


class _Motion(Protocol):
    """Where the tool point was, by one kind of message."""

    topics: tuple[str, ...]
    lasting: tuple[str, ...]

    def feed(self, topic: str, message: Any, time: int) -> None:
        """As of `ActionSource`."""

    def path(self, times: NDArray[np.int64]) -> Path:
        """The tool point's poses in parrot's base frame at these times (N,), up to a fixed shift."""

    def forget(self, before: int | None) -> None:
        """As of `ActionSource`."""


def _joint_motion(kind: str, options: dict[str, Any], where: str, robot: RobotConfig, dropped: Counter[str]) -> _Motion:
    # Imported here: Pinocchio is an extra, and takes a moment.
    from parrot.data.rosbag.joints import JointMotion, JointSettings, TrajectoryMotion, TrajectorySettings
    from parrot.kinematics import Kinematics

    if kind == "joint_states":
        return JointMotion(build(JointSettings, options, where), Kinematics.of(robot), dropped)
    return TrajectoryMotion(build(TrajectorySettings, options, where), Kinematics.of(robot), dropped)


class _Displacements:
    """A path cut into the displacements of steps, and the gripper's state."""

    def __init__(self, motion: _Motion, gripper: Gripper | None, robot: RobotConfig, dropped: Counter[str]) -> None:
        hand = (gripper.settings.topic,) if gripper else ()
        self.topics = tuple(dict.fromkeys((*motion.topics, *hand)))
        self.lasting = tuple(dict.fromkeys((*motion.lasting, *hand)))
        self.dropped: Mapping[str, int] = dropped
        self._motion, self._gripper, self._scale = motion, gripper, robot.action_scale

    def feed(self, topic: str, message: Any, time: int) -> None:
        if topic in self._motion.topics:
            self._motion.feed(topic, message, time)
        if self._gripper is not None and topic == self._gripper.settings.topic:
            self._gripper.feed(topic, message, time)

    def actions(self, times: NDArray[np.int64]) -> Derived:
        times = np.asarray(times, np.int64)
        path = self._motion.path(times)
        angles = rpy_of(path.poses.rotations.as_matrix())
        if np.median(np.abs(angles[:, 1])) > _UPRIGHT:
            raise ConfigError(
                f"action: by {self._motion.topics[0]} the tool lies flat, where roll and yaw have no meaning; "
                "give the transform tool whose z axis points out of the gripper, and base, whose z axis points up"
            )
        moved = np.diff(path.poses.positions, axis=0) / self._scale.translation
        turned = np.diff(np.unwrap(angles, axis=0), axis=0) / self._scale.rotation
        gap = np.maximum(path.gap[:-1], path.gap[1:])
        arm = np.where((gap == NO_SAMPLE)[:, None], 0.0, np.concatenate([moved, turned], axis=1))
        clipped = float((np.abs(arm) > 1 + _ROUNDING).any(axis=1).mean())
        hand = self._gripper.commands(times[1:]) if self._gripper else np.zeros(len(arm))
        actions = np.concatenate([np.clip(arm, -1.0, 1.0), hand[:, None]], axis=1).astype(np.float32)
        return Derived(actions, clipped, gap)

    def forget(self, before: int | None = None) -> None:
        self._motion.forget(before)
        if self._gripper is not None:
            self._gripper.forget(before)
