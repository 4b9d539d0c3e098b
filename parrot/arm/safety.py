"""The last word on every command to a real arm. One pure module: no ROS, no clock, no randomness.

Whatever calls it, these hold, and `tests/arm/` shows them:

a. No command ever leaves the limits, whatever came in: each leaves by `_emit`, the only place where a `Command` is
   made, and is there either admissible by `parrot.arm.gate` or the newest measured position itself.
b. No command reaches further from the newest measured joints than the capped speeds lead in one control step, so that
   whoever sends commands may be killed at any moment.
c. After an e-stop, stale joint states, a stale or frozen camera, or a clock that ran backwards, every command is to
   hold where the arm was measured at that moment; the e-stop latches until `release`. Then the speed caps grow from 0.
d. Without an action for N control periods the arm holds.
e. There is no way to switch a limit off: see `parrot.arm.limits`.
f. Time that runs backwards, or jumps so far that what was measured is stale, stops the arm.
"""

from __future__ import annotations

import math
import numbers
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot.arm.gate import Gate, Place
from parrot.arm.inputs import real, vector
from parrot.arm.limits import Limits
from parrot.errors import SpaceError
from parrot.kinematics import Kinematics
from parrot.rotations import rotation_of
from parrot.spaces import ACTION_DIM, GRIPPER_CLOSE, GRIPPER_OPEN

__all__ = ["FAULTS", "Command", "SafetyCore"]

Vector = NDArray[np.float64]

FAULTS = ("estop", "clock", "joints stale", "camera stale", "camera frozen")
"""Reasons for which the arm stops. Other reasons and counts: docs/safety.md."""

_BRAKING, _SHORTEST = 0.5, 0.1
"""Control steps in which a stopped arm is to come to rest, and the shortest time that a command gives."""

_ASTRAY = 0.5
"""Radians beyond the joints' limits where no arm can be, whatever it says."""

_ITERATIONS = 20
"""Of the inverse kinematics, which a pose in reach takes 3 to 6 of: an answer that comes late is none."""

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


class SafetyCore:
    """Takes observations and wishes, gives commands; times are seconds of one monotonic clock.

    `act`, `goto` and `tick` return None as long as no joints were ever measured: then nothing may be sent.
    """

    def __init__(self, limits: Limits, kinematics: Kinematics) -> None:
        self.limits = limits
        self.counts: Counter[str] = Counter()
        """How often each limit acted; a stop or hold counts once when it begins."""
        self.advanced: Vector = np.zeros(6)
        """(6,) m, rad: how far the last `act` or `goto` moved the commanded pose; what the limits left of it."""
        self._arm, self._gate = kinematics, Gate(limits, kinematics)
        self._now = -math.inf
        self._measured: Place | None = None
        self._measured_at = -math.inf
        self._seen = np.zeros(len(kinematics.joints)), -math.inf
        self._picture: tuple[int, Any] | None = None
        self._pictured_at = self._changed_at = -math.inf
        self._estopped = False
        self._fault, self._ready = "", False
        self._ramp_from = -math.inf
        self._acted_at = -math.inf
        self._due = self._still_at = -math.inf
        self._pose: Vector | None = None
        self._target: Vector | None = None
        self._gripper: float | None = None
        self._reason = ""

    # What is known.

    def observe(self, joints: Any, now: float) -> None:
        """The newest joint states, (J,) rad.

        A leap that the arm cannot have made is not believed, until the last believed are stale and two in a row agree.
        """
        self._watch(now)
        q = vector(joints, len(self._gate.joint_speed))
        if q is None or (q < self._arm.lower - _ASTRAY).any() or (q > self._arm.upper + _ASTRAY).any():
            self.counts["malformed joint states"] += 1
            return
        last, at = self._seen
        if self._measured is not None and self._now - self._measured_at <= self.limits.joints_stale:
            last, at = self._measured.joints, self._measured_at
        age, self._seen = self._now - at, (q, self._now)
        if not age <= self.limits.joints_stale:
            return
        if (np.abs(q - last) > self._gate.joint_speed * (age + self.limits.period)).any():
            self.counts["joints leapt"] += 1
            return
        self._measured, self._measured_at = self._gate.place(q), self._now

    def camera(self, stamp: Any, digest: Any, now: float) -> bool:
        """The newest picture: its stamp, and any digest of its pixels. Stamps that run backwards are no news.

        Returns:
            Whether it is news, so that it may be acted on.
        """
        self._watch(now)
        if not isinstance(stamp, numbers.Integral) or not isinstance(digest, bytes | str | numbers.Integral):
            self.counts["malformed picture"] += 1
            return False
        current = self._now - self._pictured_at <= self.limits.camera_stale
        if self._picture is not None and current and stamp <= self._picture[0]:
            self.counts["old picture"] += 1
            return False
        if self._picture is None or digest != self._picture[1] or self._changed_at == -math.inf:
            self._changed_at = self._now
        self._picture, self._pictured_at = (int(stamp), digest), self._now
        return True

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
        moment = real(now)
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
                self._still_at = self._now + _BRAKING * self.limits.period
                self._target = None if self._measured is None else self._measured.joints
        if fault:
            self._ramp_from = self._now
        self._fault = fault
        return fault

    # What is wished.

    def act(self, action: Any, now: float) -> Command | None:
        """The command for an action (7,) of one control step; a hold, if it is malformed or a limit forbids it."""
        fault, values, self.advanced = self._watch(now), vector(action, ACTION_DIM), np.zeros(6)
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
        fault, goal, self.advanced = self._watch(now), vector(joints, len(self._gate.joint_speed)), np.zeros(6)
        if goal is None:
            self.counts["malformed goal"] += 1
        if fault or goal is None or self._measured is None:
            return self._emit(self._target, fault or "malformed goal")
        if (wide := real(opening)) is not None:
            self._gripper = float(np.clip(wide, *self.limits.gripper))
        here, there = self._measured, self._gate.place(goal)
        if self._gate.needed(here, there) <= self._share() * self.limits.period:
            return self._go(there, there.pose, "")
        way = _way(self._commanded(here), there.pose)
        return self._move(way / max(1.0, self._steps(way) * (1 + 1e-9)), here)

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

    def _move(self, step: Vector, here: Place) -> Command | None:
        """Moves the commanded pose by a step (6,), and the arm as far towards it as the speed caps let it.

        The commanded pose is never read from the arm, which sags, but it is at most one step ahead of what was sent.
        """
        before, allowed = self._commanded(here), self._share() * self.limits.period
        size = self._steps(step)
        reason, step = ("step", step / size) if size > 1 else ("", step)
        # Beyond the box the commanded pose may only stay or come back.
        goal = np.clip(before + step, np.minimum(self._gate.lower, before), np.maximum(self._gate.upper, before))
        if (goal != before + step).any():
            reason = "workspace"
        way, part = _way(here.pose, goal), 1.0
        for _ in range(_TRIES):
            pose = here.pose + part * way
            try:
                there = self._gate.place(self._arm.inverse(pose[:3], rotation_of(pose[3:]), here.joints, _ITERATIONS))
            except SpaceError:
                break
            needed = self._gate.needed(here, there)
            if needed <= allowed:
                rest = (1 - part) * way
                ahead = 1 / max(1.0, self._steps(rest)) if self._share() == 1 else 0.0
                return self._go(there, pose + ahead * rest, reason)
            part, reason = part * 0.98 * allowed / needed, "ramp" if self._share() < 1 else "speed"
        return self._go(None, before, "inverse kinematics")

    def _commanded(self, here: Place) -> Vector:
        return here.pose if self._pose is None else self._pose

    def _steps(self, way: Vector) -> float:
        """How many largest steps a displacement (6,) is."""
        moved, turned = np.linalg.norm(way[:3]), np.linalg.norm(way[3:])
        return float(max(moved / self.limits.step_translation, turned / self.limits.step_rotation))

    def _go(self, there: Place | None, pose: Vector, reason: str) -> Command | None:
        """Makes this the standing command, if it is admissible; the last one stands, if not."""
        here, self._acted_at = self._measured, self._now
        assert here is not None
        if there is not None and (violation := self._gate.violation(here, there, self._share())):
            there, reason = None, violation
        if reason:
            self.counts[reason] += 1
        self._reason = reason
        if there is None:
            return self._emit(self._target, reason)
        self.advanced = _way(self._commanded(here), pose)
        self._pose, self._due = pose, self._now + self.limits.period
        return self._emit(there.joints, reason)

    # What is allowed.

    def _emit(self, target: Vector | None, reason: str) -> Command | None:
        """The one way out: the target if it is admissible, else the standing one if that is, else where the arm is."""
        if self._measured is None:
            return None
        here, period, moving = self._measured, self.limits.period, self._due > self._now
        share = self._share() if moving else 1.0  # the ramp is for moves: a hold may go back to its place
        places = (self._gate.place(goal) for goal in (target, self._target) if goal is not None)
        there = next((place for place in places if not self._gate.violation(here, place, share)), here)
        self._target = there.joints
        left = (self._due if moving else self._still_at) - self._now
        needed = self._gate.needed(here, there) / max(share, 1e-9)
        seconds = float(np.clip(max(needed, left), _SHORTEST * period, period))
        return Command(there.joints.copy(), here.joints.copy(), self._gripper, seconds, reason)

    def _share(self) -> float:
        """Of the speed caps, that holds now."""
        return min(1.0, max(0.0, (self._now - self._ramp_from) / self.limits.ramp))


def _way(start: Vector, end: Vector) -> Vector:
    """The displacement from one pose (6,) to another, angles by the shorter way."""
    way = end - start
    way[3:] = (way[3:] + math.pi) % (2 * math.pi) - math.pi
    return way
