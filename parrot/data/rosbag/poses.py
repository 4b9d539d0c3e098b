"""The tool point's path from recorded poses: a topic of poses, or transforms between frames."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from parrot.data.rosbag.messages import nanoseconds, wrong_type
from parrot.data.rosbag.streams import Path, Poses, Samples, between
from parrot.errors import ConfigError

__all__ = ["PoseMotion", "PoseSettings", "TfMotion", "TfSettings", "TransformSettings"]


@dataclass(frozen=True)
class TransformSettings:
    """A fixed transform."""

    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Metres."""
    rpy: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Roll, pitch, yaw about fixed axes, radians, as in a URDF."""

    def pose(self) -> Poses:
        """As a pose that counts for all."""
        return Poses(np.array(self.translation), Rotation.from_euler("xyz", self.rpy))


@dataclass(frozen=True)
class PoseSettings:
    """`from: poses`."""

    topic: str
    """PoseStamped, PoseWithCovarianceStamped, Odometry, TransformStamped or Pose."""
    tool: TransformSettings = field(default_factory=TransformSettings)
    """parrot's tool point (between the finger pads, z out of the gripper, fingers closing along y) in what was
    recorded."""
    base: TransformSettings = field(default_factory=TransformSettings)
    """The lab's frame of reference in parrot's base frame (x forward, y left, z up)."""


@dataclass(frozen=True)
class TfSettings:
    """`from: tf`."""

    base_frame: str
    """The frame that counts as the robot's base."""
    tip_frame: str
    """The frame that moves with the tool."""
    topic: str = "/tf"
    static_topic: str | None = "/tf_static"
    """null for a bag that has none."""
    tool: TransformSettings = field(default_factory=TransformSettings)
    """As of `from: poses`, in `tip_frame`."""
    base: TransformSettings = field(default_factory=TransformSettings)
    """As of `from: poses`: `base_frame` in parrot's base frame."""


class PoseMotion:
    """The path of a topic of poses."""

    def __init__(self, settings: PoseSettings, dropped: Counter[str]) -> None:
        self.topics: tuple[str, ...] = (settings.topic,)
        self.lasting: tuple[str, ...] = ()
        self._topic, self._dropped = settings.topic, dropped
        self._tool, self._base = settings.tool.pose(), settings.base.pose()
        self._samples = Samples(7, settings.topic, dropped)

    def feed(self, topic: str, message: Any, time: int) -> None:
        """Takes a pose."""
        row = _row(message)
        if row is None:
            raise wrong_type(topic, message, "poses")
        _add(self._samples, row, time, topic, self._dropped)

    def path(self, times: NDArray[np.int64]) -> Path:
        """Where the tool point was."""
        around = self._samples.around(times)
        if around is None:
            return Path.unknown(len(times))
        return Path(self._base.then(between(around)).then(self._tool), around.gap)

    def forget(self, before: int | None) -> None:
        """Frees what is not needed from then on."""
        self._samples.forget(before)


class TfMotion:
    """The path of one frame in another, along the tree of transforms."""

    def __init__(self, settings: TfSettings, dropped: Counter[str]) -> None:
        self.topics: tuple[str, ...] = tuple(filter(None, (settings.topic, settings.static_topic)))
        self.lasting: tuple[str, ...] = self.topics
        self._settings, self._dropped = settings, dropped
        self._frames = (_plain(settings.base_frame), _plain(settings.tip_frame))
        self._tool, self._base = settings.tool.pose(), settings.base.pose()
        self._parents: dict[str, str] = {}
        self._moving: dict[str, Samples] = {}
        self._static: dict[str, Poses] = {}

    def feed(self, topic: str, message: Any, time: int) -> None:
        """Takes transforms; each keeps its distance in time from the message's first one."""
        if not hasattr(message, "transforms"):
            raise wrong_type(topic, message, "TFMessage")
        first = nanoseconds(message.transforms[0].header.stamp) if message.transforms else 0
        for stamped in message.transforms:
            child, parent = _plain(stamped.child_frame_id), _plain(stamped.header.frame_id)
            if self._parents.get(child) not in (None, parent):
                self._moving.pop(child, None)
            self._parents[child] = parent
            row = _row(stamped)
            assert row is not None, "a TransformStamped has a transform"
            if topic == self._settings.static_topic:
                if _usable(row):
                    self._static[child] = Poses(np.array(row[:3]), Rotation.from_quat(row[3:]))
                else:
                    self._dropped[f"{topic}: not a rotation"] += 1
                continue
            samples = self._moving.setdefault(child, Samples(7, topic, self._dropped))
            _add(samples, row, time + nanoseconds(stamped.header.stamp) - first, topic, self._dropped)

    def path(self, times: NDArray[np.int64]) -> Path:
        """Where the tool point was.

        Raises:
            ConfigError: a frame is not there, or the two are not connected.
        """
        up, down = (self._ancestors(frame) for frame in self._frames)
        shared = next((frame for frame in down if frame in up), None)
        if shared is None:
            base, tip = self._frames
            raise ConfigError(
                f"action: no transforms connect {base} and {tip}: one hangs from {up[-1]}, the other from {down[-1]}; "
                "name two frames of one tree"
            )
        gap = np.zeros(len(times), np.int64)
        outer = self._chain(up[: up.index(shared)], times, gap)
        inner = self._chain(down[: down.index(shared)], times, gap)
        return Path(self._base.then(outer.inverse()).then(inner).then(self._tool), gap)

    def _ancestors(self, frame: str) -> list[str]:
        """The frame, its parent and so on up to the root."""
        frames = {*self._parents, *self._parents.values()}
        if frame not in frames:
            there = ", ".join(sorted(frames)) or "none at all"
            raise ConfigError(f"action: no frame {frame} on {' and '.join(self.topics)}; the frames are {there}")
        found = [frame]
        while (parent := self._parents.get(found[-1])) is not None:
            if parent in found:
                raise ConfigError(
                    f"action: the transforms go in a circle: {' in '.join([*found, parent])}; repair them"
                )
            found.append(parent)
        return found

    def _chain(self, frames: list[str], times: NDArray[np.int64], gap: NDArray[np.int64]) -> Poses:
        """The pose of the first of these frames in the last one's parent; `gap` becomes the largest on the way."""
        pose = Poses(np.zeros((len(times), 3)), Rotation.identity(len(times)))
        for frame in frames:
            if frame in self._static:
                outer = self._static[frame]
            elif (around := self._moving[frame].around(times)) is not None:
                outer = between(around)
                np.maximum(gap, around.gap, out=gap)
            else:
                gap[:] = Path.unknown(len(times)).gap
                continue
            pose = outer.then(pose)
        return pose

    def forget(self, before: int | None) -> None:
        """Frees what is not needed from then on; static transforms stay."""
        for samples in self._moving.values():
            samples.forget(before)


def _row(message: Any) -> list[float] | None:
    """Position and quaternion of a message that has a pose or a transform, however deep."""
    while hasattr(message, "pose"):
        message = message.pose
    message = getattr(message, "transform", message)
    place = getattr(message, "position", getattr(message, "translation", None))
    turn = getattr(message, "orientation", getattr(message, "rotation", None))
    if place is None or turn is None:
        return None
    return [place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w]


def _usable(row: list[float]) -> bool:
    """Whether the quaternion is of about unit length; unset ones are zero."""
    return abs(sum(v * v for v in row[3:]) - 1) < 0.1


def _add(samples: Samples, row: list[float], time: int, topic: str, dropped: Counter[str]) -> None:
    if np.isfinite(row).all() and not _usable(row):
        dropped[f"{topic}: not a rotation"] += 1
    else:
        samples.add(time, row)


def _plain(frame: str) -> str:
    """A frame's name without the slash that tf of ROS 1 put before it."""
    return frame.lstrip("/")
