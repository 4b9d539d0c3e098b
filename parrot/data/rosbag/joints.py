"""The tool point's path from joints, through the robot's kinematics: measured ones, or commanded trajectories."""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from parrot.data.rosbag.messages import nanoseconds, wrong_type
from parrot.data.rosbag.streams import Path, Poses, Samples
from parrot.errors import ConfigError
from parrot.kinematics import Kinematics

__all__ = ["JointMotion", "JointSettings", "TrajectoryMotion", "TrajectorySettings"]


@dataclass(frozen=True)
class JointSettings:
    """`from: joint_states`."""

    topic: str = "/joint_states"
    """JointState."""
    joints: tuple[str, ...] | None = None
    """The lab's names of the arm's joints, in the order of the robot's YAML, if they differ."""


@dataclass(frozen=True)
class TrajectorySettings:
    """`from: trajectory`."""

    topic: str
    """JointTrajectory, as controllers take it."""
    joints: tuple[str, ...] | None = None
    """The lab's names of the arm's joints, in the order of the robot's YAML, if they differ."""


class JointMotion:
    """The path of measured joints."""

    def __init__(self, settings: JointSettings, arm: Kinematics, dropped: Counter[str]) -> None:
        self.topics: tuple[str, ...] = (settings.topic,)
        self.lasting: tuple[str, ...] = ()
        self._arm = arm
        self._names = _Names(settings.joints, arm, settings.topic)
        self._samples = Samples(len(arm.joints), settings.topic, dropped)

    def feed(self, topic: str, message: Any, time: int) -> None:
        """Takes joints; a message of other joints, as a gripper's, is passed over."""
        if not hasattr(message, "name") or not hasattr(message, "position"):
            raise wrong_type(topic, message, "JointState")
        columns = self._names.columns(message.name)
        if columns is not None and len(message.position) == len(message.name):
            self._samples.add(time, np.asarray(message.position, np.float64)[columns])

    def path(self, times: NDArray[np.int64]) -> Path:
        """Where the tool point was.

        Raises:
            ConfigError: no message had all the joints.
        """
        self._names.check()
        around = self._samples.around(times)
        if around is None:
            return Path.unknown(len(times))
        # Between two samples a joint turns by less than half a turn; more is an angle that wrapped.
        moved = np.remainder(around.after - around.before + math.pi, 2 * math.pi) - math.pi
        return Path(_poses(self._arm, around.before + moved * around.weight[:, None]), around.gap)

    def forget(self, before: int | None) -> None:
        """Frees what is not needed from then on."""
        self._samples.forget(before)


class TrajectoryMotion:
    """The path of commanded joints: a new trajectory replaces what is left of the one before, from its start on."""

    def __init__(self, settings: TrajectorySettings, arm: Kinematics, dropped: Counter[str]) -> None:
        self.topics: tuple[str, ...] = (settings.topic,)
        self.lasting: tuple[str, ...] = self.topics
        self._topic, self._arm, self._dropped = settings.topic, arm, dropped
        self._names = _Names(settings.joints, arm, settings.topic)
        self._new: list[tuple[int, list[int], NDArray[np.float64]]] = []
        self._times: list[int] = []
        self._joints: list[NDArray[np.float64]] = []
        self._begun: int | None = None

    def feed(self, topic: str, message: Any, time: int) -> None:
        """Takes a trajectory that starts at this time."""
        if not hasattr(message, "joint_names") or not hasattr(message, "points"):
            raise wrong_type(topic, message, "JointTrajectory")
        columns = self._names.columns(message.joint_names)
        if columns is None:
            return
        points = [p for p in message.points if len(p.positions) == len(message.joint_names)]
        joints = np.array([np.asarray(p.positions, np.float64)[columns] for p in points])
        after = [nanoseconds(p.time_from_start) for p in points]
        if not points:
            self._dropped[f"{topic}: no positions"] += 1
        elif not np.isfinite(joints).all():
            self._dropped[f"{topic}: not finite"] += 1
        elif min(np.diff(after), default=1) <= 0:
            self._dropped[f"{topic}: points out of order"] += 1
        else:
            # A point that is due at once counts from just after the start: the step before it does not move there.
            self._new.append((time, [time + max(t, 1) for t in after], joints))

    def _take_in(self) -> None:
        """Joins the new trajectories to the setpoints, in the order of their starts."""
        for start, times, joints in sorted(self._new, key=lambda new: new[0]):
            if self._begun is not None and start < self._begun:
                self._dropped[f"{self._topic}: came late"] += 1
                continue
            self._begun = start
            kept = bisect.bisect_left(self._times, start)
            now = [self._between(kept, start)] if self._times and self._times[0] <= start else []
            self._times[kept:] = [start] * len(now) + times
            self._joints[kept:] = [*now, *joints]
        self._new = []

    def _between(self, after: int, time: int) -> NDArray[np.float64]:
        """The joints (J,) commanded at a time up to setpoint `after`: linear between points, the last one held."""
        if after == len(self._times) or self._times[after] == time:
            return self._joints[min(after, len(self._times) - 1)]
        begin, end = self._times[after - 1], self._times[after]
        weight = (time - begin) / (end - begin)
        return self._joints[after - 1] * (1 - weight) + self._joints[after] * weight

    def path(self, times: NDArray[np.int64]) -> Path:
        """Where the tool point was told to be.

        Raises:
            ConfigError: no message had all the joints.
        """
        self._names.check()
        self._take_in()
        if not self._times:
            return Path.unknown(len(times))
        joints = [
            self._between(bisect.bisect_left(self._times, t), t) for t in np.maximum(times, self._times[0]).tolist()
        ]
        return Path(_poses(self._arm, joints), np.maximum(self._times[0] - times, 0))

    def forget(self, before: int | None) -> None:
        """Frees what is not needed from then on."""
        self._take_in()
        past = len(self._times) if before is None else max(0, bisect.bisect_right(self._times, before) - 1)
        del self._times[:past], self._joints[:past]
        if before is None:
            self._begun = None


class _Names:
    """Finds the arm's joints among a message's, and remembers which names there were."""

    def __init__(self, joints: Sequence[str] | None, arm: Kinematics, topic: str) -> None:
        self._wanted, self._topic = joints or arm.joints, topic
        if len(self._wanted) != len(arm.joints):
            raise ConfigError(
                f"action: joints has {len(self._wanted)} names; give {len(arm.joints)}, for {', '.join(arm.joints)}"
            )
        self._layouts: dict[tuple[str, ...], NDArray[np.int64] | None] = {}

    def columns(self, names: Sequence[str]) -> NDArray[np.int64] | None:
        """Where the arm's joints are in a message with these names; None if one is missing."""
        layout = tuple(names)
        if layout not in self._layouts:
            there = all(name in layout for name in self._wanted)
            self._layouts[layout] = np.array([layout.index(name) for name in self._wanted]) if there else None
        return self._layouts[layout]

    def check(self) -> None:
        """Raises a ConfigError if there were messages, but none with all the joints."""
        if self._layouts and all(columns is None for columns in self._layouts.values()):
            found = sorted({name for layout in self._layouts for name in layout})
            missing = [name for name in self._wanted if name not in found]
            what = f"has no joint {', '.join(missing)}" if missing else "never has all the arm's joints in one message"
            raise ConfigError(
                f"action: {self._topic} {what}; it names {', '.join(found) or 'nothing'}: list them in order as joints"
            )


def _poses(arm: Kinematics, joints: Iterable[NDArray[np.float64]]) -> Poses:
    placed = [arm.forward(q) for q in joints]
    return Poses(np.stack([p for p, _ in placed]), Rotation.from_matrix(np.stack([r for _, r in placed])))
