"""The tool point's path from commanded velocities, each in force until the next one or until its time is up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from parrot.data.rosbag.messages import wrong_type
from parrot.data.rosbag.poses import TransformSettings
from parrot.data.rosbag.streams import Path, Poses, Samples
from parrot.errors import ConfigError
from parrot.rotations import rotation_of

__all__ = ["TwistMotion", "TwistSettings"]


@dataclass(frozen=True)
class TwistSettings:
    """`from: twist`."""

    topic: str
    """TwistStamped, or Twist with the time of receipt: how the tool point is to move."""
    frame: Literal["base", "tool"] = "base"
    """Along whose axes it moves: `base` or `tool`."""
    timeout: float = 0.1
    """Seconds after which a command that was not renewed counts as zero; MoveIt Servo's own is 0.1."""
    linear: float = 1.0
    """Metres per second that a 1 stands for; 1 for commands in SI units."""
    angular: float = 1.0
    """Radians per second that a 1 stands for."""
    rpy: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """How the tool is turned away from pointing down when an episode begins, radians: velocities do not tell."""
    base: TransformSettings = field(default_factory=TransformSettings)
    """The frame of the commands in parrot's base frame; only its rotation counts."""


class TwistMotion:
    """The path of commanded velocities, from the origin at the first moment."""

    def __init__(self, settings: TwistSettings, dropped: Counter[str]) -> None:
        if settings.timeout <= 0:
            raise ConfigError(f"action: timeout {settings.timeout} s; give more than 0")
        self.topics: tuple[str, ...] = (settings.topic,)
        self.lasting: tuple[str, ...] = ()
        self._settings = settings
        self._timeout = round(settings.timeout * 1e9)
        self._base = settings.base.pose().rotations
        self._samples = Samples(6, settings.topic, dropped)

    def feed(self, topic: str, message: Any, time: int) -> None:
        """Takes a command."""
        twist = getattr(message, "twist", message)
        if not hasattr(twist, "linear") or not hasattr(twist, "angular"):
            raise wrong_type(topic, message, "TwistStamped or Twist")
        linear, angular = twist.linear, twist.angular
        self._samples.add(time, [linear.x, linear.y, linear.z, angular.x, angular.y, angular.z])

    def path(self, times: NDArray[np.int64]) -> Path:
        """Where the commands took the tool point."""
        stamps, commands = self._samples.sorted()
        if not len(stamps):
            return Path.unknown(len(times))
        within = stamps[(stamps > times[0]) & (stamps < times[-1])]
        ends = stamps + self._timeout
        ends = ends[(ends > times[0]) & (ends < times[-1])]
        # Between two of these moments the velocity is constant.
        moments = np.unique(np.concatenate([times, within, ends]))
        begins, seconds = moments[:-1], np.diff(moments)[:, None] / 1e9
        index = np.searchsorted(stamps, begins, side="right") - 1
        alive = (index >= 0) & (begins - stamps[np.maximum(index, 0)] < self._timeout)
        velocity = np.where(alive[:, None], commands[np.maximum(index, 0)], 0.0)
        moved = velocity[:, :3] * self._settings.linear * seconds
        turned = velocity[:, 3:] * self._settings.angular * seconds
        places, turns = self._integrate(moved, turned)
        at = np.searchsorted(moments, times)
        return Path(Poses(places[at], Rotation.from_matrix(turns[at])), np.maximum(stamps[0] - times, 0))

    def _integrate(
        self, moved: NDArray[np.float64], turned: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions (M + 1, 3) and rotations (M + 1, 3, 3) after each of M displacements and turns (M, 3)."""
        rotation = rotation_of(np.array(self._settings.rpy))
        if self._settings.frame == "base":
            moved, turned = self._base.apply(moved), self._base.apply(turned)
        steps = Rotation.from_rotvec(turned).as_matrix()
        halves = Rotation.from_rotvec(turned / 2).as_matrix()
        rotations = [rotation]
        shifts = [np.zeros(3)]
        for shift, step, half in zip(moved, steps, halves, strict=True):
            if self._settings.frame == "base":
                rotation = step @ rotation
            else:
                # It moves along axes that turn on the way: by those of halfway, to second order.
                shift = rotation @ half @ shift
                rotation = rotation @ step
            rotations.append(rotation)
            shifts.append(shift)
        return np.cumsum(shifts, axis=0), np.stack(rotations)

    def forget(self, before: int | None) -> None:
        """Frees what is not needed from then on."""
        self._samples.forget(before)
