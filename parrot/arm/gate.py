"""Which places an arm may be sent to from where it is: the limits as one test that every command has to pass.

`Gate.violation` is true to the letter of the limits, and everything else in the safety core may be wrong about them.
Where the arm is already beyond a limit (pushed there, or before its first reset), it may only stay or come back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parrot.arm.limits import Limits
from parrot.kinematics import Kinematics
from parrot.rotations import rpy_of

__all__ = ["Gate", "Place"]

Vector = NDArray[np.float64]

_ROUNDING = 1e-4
"""Metres and radians by which a pose may be beyond a limit: ten times the tolerance of the inverse kinematics."""


@dataclass(frozen=True, eq=False)
class Place:
    """An arm's joints, and what follows from them."""

    joints: Vector
    """(J,) rad."""
    pose: Vector
    """(6,) of the tool point: x, y, z, roll, pitch, yaw."""
    rotation: Vector
    """(3, 3) of the tool."""
    singular: float
    """Smallest singular value of the Jacobian."""


class Gate:
    """The limits of one arm."""

    def __init__(self, limits: Limits, kinematics: Kinematics) -> None:
        self.limits, self._arm = limits, kinematics
        self.lower, self.upper = np.array(limits.lower), np.array(limits.upper)
        ranges = np.array(limits.joints)
        self.joint_lower = np.maximum(kinematics.lower + limits.joint_margin, ranges[:, 0])
        self.joint_upper = np.minimum(kinematics.upper - limits.joint_margin, ranges[:, 1])
        self.joint_speed = np.minimum(limits.joint_speed, kinematics.speed)

    def place(self, joints: Vector) -> Place:
        """What follows from the joints (J,)."""
        position, rotation = self._arm.forward(joints)
        singular = np.linalg.svd(self._arm.jacobian(joints), compute_uv=False)[-1]
        return Place(joints, np.concatenate([position, rpy_of(rotation)]), rotation, float(singular))

    def violation(self, here: Place, there: Place, share: float) -> str:
        """The limit beyond which the arm would go, or go further; empty: none."""
        limits = self.limits
        if not self.needed(here, there) <= share * limits.period * (1 + 1e-9):
            return "speed"
        if not (self._beyond_margin(there) <= np.maximum(self._beyond_margin(here), 0)).all():
            return "joint margin"
        if not (self._beyond_box(there) <= np.maximum(self._beyond_box(here), _ROUNDING)).all():
            return "workspace"
        if not there.singular >= min(limits.singularity, here.singular):
            return "singularity"
        return ""

    def _beyond_margin(self, place: Place) -> Vector:
        return np.maximum(self.joint_lower - place.joints, place.joints - self.joint_upper)

    def _beyond_box(self, place: Place) -> Vector:
        return np.maximum(self.lower - place.pose, place.pose - self.upper)

    def needed(self, here: Place, there: Place) -> float:
        """Seconds from here to there at the capped speeds."""
        moved = np.linalg.norm(there.pose[:3] - here.pose[:3]) / self.limits.linear_speed
        chord = np.linalg.norm(there.rotation - here.rotation) / (2 * math.sqrt(2))  # exact for small angles, too
        turned = 2 * math.asin(min(1.0, float(chord))) / self.limits.angular_speed
        return float(max(moved, turned, (np.abs(there.joints - here.joints) / self.joint_speed).max()))
