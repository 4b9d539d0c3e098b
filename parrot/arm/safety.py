"""The last word on every command to a real arm. One pure module: no ROS, no clock, no randomness.

Whatever calls it, these hold, and `tests/arm/` shows them:

a. No command ever leaves the limits, whatever came in: each leaves by `_emit`, the only place where a `Command` is
   made, and is there either admissible by `_violation` or the newest measured position itself.
b. No command reaches further from the newest measured joints than the capped speeds lead in one control step, so that
   whoever sends commands may be killed at any moment.
c. After an e-stop, stale joint states, a stale or frozen camera, or a clock that ran backwards, every command is to
   hold where the arm was measured at that moment; the e-stop latches until `release`. Then the speed caps grow from 0.
d. Without an action for N control periods the arm holds.
e. There is no way to switch a limit off: see `parrot.arm.limits`.
f. Time that runs backwards, or jumps so far that what was measured is stale, stops the arm.

Where the arm is already beyond a limit (pushed there, or before its first reset), it may only stay or come back.
"""

from __future__ import annotations

import math
import numbers
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot.arm.limits import Limits
from parrot.errors import SpaceError
from parrot.kinematics import Kinematics
from parrot.rotations import rotation_of, rpy_of
from parrot.spaces import ACTION_DIM, GRIPPER_CLOSE, GRIPPER_OPEN

__all__ = ["FAULTS", "Command", "SafetyCore"]

Vector = NDArray[np.float64]

FAULTS = ("estop", "clock", "joints stale", "camera stale", "camera frozen")
"""Reasons for which the arm stops. Other reasons and counts: docs/parts/safety.md."""

_ROUNDING = 1e-4
"""Metres and radians by which a pose may be beyond a limit: ten times the tolerance of the inverse kinematics."""

_TRIES = 6
"""Shortenings of a step whose joints would move too fast; then it is an inverse that jumps."""


@dataclass(frozen=True, eq=False)
class Command:
    """What the arm may do next; nothing else may be sent to it."""

    joints: Vector
    """(J,) rad, where to be after `seconds`."""
    measured: Vector
    """(J,) rad, where the arm was measured to be."""
    gripper: float | None
    """Opening, 0 closed to 1 open; None: leave it as it is."""
    seconds: float
    """One control step at most."""
    reason: str
    """Which limit acted; empty: none."""


@dataclass(frozen=True, eq=False)
class _Place:
    """An arm's joints, and what follows from them."""

    joints: Vector
    pose: Vector
    rotation: Vector
    singular: float


class SafetyCore:
    """Takes observations and wishes, gives commands; times are seconds of one monotonic clock.

    `act`, `goto` and `tick` return None as long as no joints were ever measured: then nothing may be sent.
    """

    def __init__(self, limits: Limits, kinematics: Kinematics) -> None:
        self.limits = limits
        self.counts: Counter[str] = Counter()
        """How often each limit acted; a stop or hold counts once when it begins."""
        self._arm = kinematics
        self._lower, self._upper = np.array(limits.lower), np.array(limits.upper)
        self._joint_lower = kinematics.lower + limits.joint_margin
        self._joint_upper = kinematics.upper - limits.joint_margin
        self._joint_speed = np.minimum(limits.joint_speed, kinematics.speed)
        self._now = -math.inf
        self._measured: _Place | None = None
        self._measured_at = -math.inf
        self._picture: tuple[int, bytes | str | int] | None = None
        self._pictured_at = self._changed_at = -math.inf
        self._estopped = False
        self._fault, self._ready = "", False
        self._ramp_from = -math.inf
        self._acted_at = -math.inf
        self._due = -math.inf
        self._pose: Vector | None = None
        self._target: Vector | None = None
        self._gripper: float | None = None
        self._reason = ""

    # What is known.

    def observe(self, joints: Any, now: float) -> None:
        """The newest joint states, (J,) rad; those out of the arm's reach are believed only once the last are stale."""
        self._watch(now)
        q = _vector(joints, len(self._joint_speed))
        if q is None:
            self.counts["malformed joint states"] += 1
            return
        age, last = self._now - self._measured_at, self._measured
        near = self._joint_speed * (age + self.limits.period)
        if last is not None and age <= self.limits.joints_stale and (np.abs(q - last.joints) > near).any():
            self.counts["joints jumped"] += 1
            return
        self._measured, self._measured_at = self._place(q), self._now

    def camera(self, stamp: Any, digest: Any, now: float) -> None:
        """The newest picture: its stamp, and any digest of its pixels. Stamps that run backwards are no news."""
        self._watch(now)
        if not isinstance(stamp, numbers.Integral) or not isinstance(digest, bytes | str | int):
            self.counts["malformed picture"] += 1
            return
        current = self._now - self._pictured_at <= self.limits.camera_stale
        if self._picture is not None and current and stamp <= self._picture[0]:
            self.counts["old picture"] += 1
            return
        if self._picture is None or digest != self._picture[1] or self._changed_at == -math.inf:
            self._changed_at = self._now
        self._picture, self._pictured_at = (int(stamp), digest), self._now

    def estop(self, now: float) -> None:
        """Stops, and goes on stopping until `release`."""
        self._estopped = True
        self._watch(now)

    def release(self, now: float) -> None:
        """Ends the e-stop; the speed caps grow from 0."""
        self._watch(now)
        self._estopped = False
        self.resume(now)

    def resume(self, now: float) -> None:
        """After a pause: the speed caps grow from 0."""
        self._watch(now)
        self._ramp_from = self._now

    def _watch(self, now: Any) -> str:
        """The fault at this moment. When one begins, and when it ends, the arm is to be where it is measured."""
        moment = _real(now)
        backwards = moment is None or moment < self._now
        self._now = self._now if moment is None else moment
        if backwards:
            self._measured_at = self._pictured_at = self._changed_at = self._acted_at = -math.inf
        fresh = (
            self._now - self._measured_at <= self.limits.joints_stale,
            self._now - self._pictured_at <= self.limits.camera_stale,
            self._now - self._changed_at <= self.limits.camera_frozen,
        )
        wrong = (self._estopped, backwards, *(not well for well in fresh))
        fault = next((name for name, holds in zip(FAULTS, wrong, strict=True) if holds), "")
        self._ready |= not fault
        if fault != self._fault:
            if fault and (self._ready or self._estopped):
                self.counts[fault] += 1
            if not (fault and self._fault):
                self._pose, self._due, self._reason = None, -math.inf, ""
                self._target = None if self._measured is None else self._measured.joints
        if fault:
            self._ramp_from = self._now
        self._fault = fault
        return fault

    # What is wished.

    def act(self, action: Any, now: float) -> Command | None:
        """The command for an action (7,) of one control step; a hold, if it is malformed or a limit forbids it."""
        fault, values = self._watch(now), _vector(action, ACTION_DIM)
        if values is None:
            self.counts["malformed action"] += 1
        if fault or values is None or self._measured is None:
            return self._emit(self._target, fault or "malformed action")
        clipped = np.clip(values, -1.0, 1.0)
        if (clipped != values).any():
            self.counts["action beyond 1"] += 1
        if clipped[6] > GRIPPER_OPEN or clipped[6] < GRIPPER_CLOSE:
            self._gripper = self.limits.gripper[int(clipped[6] > GRIPPER_OPEN)]
        return self._move(clipped[:6] * np.repeat([self.limits.translation, self.limits.rotation], 3), self._measured)

    def goto(self, joints: Any, now: float, opening: float | None = None) -> Command | None:
        """One control step on the way to the joints (J,), by a straight line of the tool, within the same limits.

        `opening` of the gripper: 0 closed to 1 open; None leaves it. Whether it has arrived, the measured joints tell.
        """
        fault, goal = self._watch(now), _vector(joints, len(self._joint_speed))
        if goal is None:
            self.counts["malformed goal"] += 1
        if fault or goal is None or self._measured is None:
            return self._emit(self._target, fault or "malformed goal")
        if (wide := _real(opening)) is not None:
            self._gripper = float(np.clip(wide, *self.limits.gripper))
        here, there = self._measured, self._place(goal)
        if self._needed(here, there) <= self._share() * self.limits.period:
            return self._go(there, there.pose, "")
        return self._move(_way(here.pose if self._pose is None else self._pose, there.pose), here)

    def tick(self, now: float) -> Command | None:
        """The standing command. To be called at the control rate or faster, whether or not anything acts."""
        fault = self._watch(now)
        if fault:
            return self._emit(self._target, fault)
        idle = not self._now - self._acted_at <= self.limits.watchdog * self.limits.period
        if idle and self._reason != "watchdog":
            self._reason, self._due = "watchdog", -math.inf
            if self._acted_at > -math.inf:
                self.counts["watchdog"] += 1
        return self._emit(self._target, self._reason)

    def _move(self, step: Vector, here: _Place) -> Command | None:
        """Moves the commanded pose by a step (6,), as far as the limits let it and no further ahead of the arm."""
        limits, before, reason = self.limits, here.pose if self._pose is None else self._pose, ""
        size = max(np.linalg.norm(step[:3]) / limits.step_translation, np.linalg.norm(step[3:]) / limits.step_rotation)
        if size > 1:
            reason, step = "step", step / size
        # Beyond the box the commanded pose may only stay or come back.
        goal = np.clip(before + step, np.minimum(self._lower, before), np.maximum(self._upper, before))
        if (goal != before + step).any():
            reason = "workspace"
        way, part, allowed = _way(here.pose, goal), 1.0, self._share() * limits.period
        for _ in range(_TRIES):
            pose = here.pose + part * way
            try:
                there = self._place(self._arm.inverse(pose[:3], rotation_of(pose[3:]), here.joints))
            except SpaceError:
                break
            needed = self._needed(here, there)
            if needed <= allowed:
                return self._go(there, pose, reason)
            part, reason = part * 0.98 * allowed / needed, "ramp" if self._share() < 1 else "speed"
        return self._go(None, before, "inverse kinematics")

    def _go(self, there: _Place | None, pose: Vector, reason: str) -> Command | None:
        """Makes this the standing command, if it is admissible; the last one stands, if not."""
        here, self._acted_at = self._measured, self._now
        assert here is not None
        if there is not None and (violation := self._violation(here, there, self._share())):
            there, reason = None, violation
        if reason:
            self.counts[reason] += 1
        self._reason = reason
        if there is None:
            return self._emit(self._target, reason)
        self._pose, self._due = pose, self._now + self.limits.period
        return self._emit(there.joints, reason)

    # What is allowed.

    def _emit(self, target: Vector | None, reason: str) -> Command | None:
        """The one way out: the target if it is admissible, else the standing one if that is, else where the arm is."""
        if self._measured is None:
            return None
        here, share, period = self._measured, 1.0, self.limits.period
        left = self._due - self._now
        if left > 0:  # on its way; a hold has no way to go, and is not slowed by the ramp
            share = self._share()
        places = (self._place(goal) for goal in (target, self._target) if goal is not None)
        there = next((place for place in places if not self._violation(here, place, share)), here)
        self._target = there.joints
        needed = self._needed(here, there) / max(share, 1e-9)
        seconds = float(np.clip(max(needed, left), 0.1 * period, period)) if left > 0 else period
        return Command(there.joints.copy(), here.joints.copy(), self._gripper, seconds, reason)

    def _violation(self, here: _Place, there: _Place, share: float) -> str:
        """The limit beyond which the arm would go, or go further; empty: none."""
        limits = self.limits
        if not self._needed(here, there) <= share * limits.period * (1 + 1e-9):
            return "speed"
        if not (self._beyond_margin(there) <= np.maximum(self._beyond_margin(here), 0)).all():
            return "joint margin"
        if not (self._beyond_box(there) <= np.maximum(self._beyond_box(here), _ROUNDING)).all():
            return "workspace"
        if not there.singular >= min(limits.singularity, here.singular):
            return "singularity"
        return ""

    def _beyond_margin(self, place: _Place) -> Vector:
        return np.maximum(self._joint_lower - place.joints, place.joints - self._joint_upper)

    def _beyond_box(self, place: _Place) -> Vector:
        return np.maximum(self._lower - place.pose, place.pose - self._upper)

    def _needed(self, here: _Place, there: _Place) -> float:
        """Seconds from here to there at the capped speeds."""
        moved = np.linalg.norm(there.pose[:3] - here.pose[:3]) / self.limits.linear_speed
        cosine = (np.trace(here.rotation.T @ there.rotation) - 1) / 2
        turned = math.acos(min(1.0, max(-1.0, cosine))) / self.limits.angular_speed
        return float(max(moved, turned, (np.abs(there.joints - here.joints) / self._joint_speed).max()))

    def _share(self) -> float:
        """Of the speed caps, that holds now."""
        return min(1.0, max(0.0, (self._now - self._ramp_from) / self.limits.ramp))

    def _place(self, joints: Vector) -> _Place:
        position, rotation = self._arm.forward(joints)
        singular = np.linalg.svd(self._arm.jacobian(joints), compute_uv=False)[-1]
        return _Place(joints, np.concatenate([position, rpy_of(rotation)]), rotation, float(singular))


def _way(start: Vector, end: Vector) -> Vector:
    """The displacement from one pose (6,) to another, angles by the shorter way."""
    way = end - start
    way[3:] = (way[3:] + math.pi) % (2 * math.pi) - math.pi
    return way


def _real(value: Any) -> float | None:
    """The number, if it is one and finite."""
    try:
        return float(value) if isinstance(value, numbers.Real) and math.isfinite(value) else None
    except OverflowError:
        return None


def _vector(values: Any, length: int) -> Vector | None:
    """The numbers (length,), if they are that many, real and finite."""
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "iuf" or array.shape != (length,):
            return None
        with np.errstate(over="ignore"):
            vector = np.array(array, dtype=np.float64)
    except Exception:  # whatever a sender's object does when it is looked at
        return None
    return vector if np.isfinite(vector).all() else None
