"""The scripted policies that make prior data (paper, appendix C.2, Algorithms 2 and 3).

They read the simulator's privileged state. Beyond the paper's text they come down onto an object along a cone, so
that the fingers straddle it instead of pushing it over, close within half the paper's threshold, turn the gripper
across the narrow side of long objects, bring it back upright, and rise from what they have let go of. As in Algorithm 2
the distance to the object comes first: a script that has closed on nothing opens and comes again.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from parrot.sim.objectives import LIFT_HEIGHT
from parrot.sim.world import World

__all__ = ["NOISE", "ScriptedPolicy", "miss"]

NOISE = 0.1
"""Standard deviation of the noise on every component of the action (paper, Algorithms 2 and 3)."""

_THRESHOLD = 0.02
"""Metres from the target point (paper, Algorithms 2 and 3): letting go happens within it, closing within half of it."""

_CONE = 2.0
"""Metres that the tool stays above the grasp point for each metre still to go sideways."""

_FUNNEL = 0.006
"""Metres of sideways error that the cone forgives."""

_CLOSED_STEPS = 2
"""Control steps that the gripper needs to close on an object."""

_LOST = 0.05
"""Metres between closed fingers and the grasp point at which the object is not between them."""

_BESIDE = (0.03, 0.09)
"""Metres, from and to, by which a grasp that is to miss goes past the object."""

_MISS_STEPS = 16
"""Control steps after which such a grasp is given up, for example since the arm cannot reach there."""

_RAISED = LIFT_HEIGHT + 0.05
"""Metres above its start at which an object counts as raised high enough."""

_DROP_CLEARANCE = 0.03
"""Metres between the container's rim and the object's base when the gripper opens."""

_RETREAT = 0.08
"""Metres by which the open gripper then rises: what leans on a finger is not let go."""


class ScriptedPolicy:
    """Grasps `target`; with a `container`, also carries it there and lets go. One object per episode.

    Args:
        world: where.
        target: name of the object.
        container: name of where it goes; None: it is lifted and held.
        noise: standard deviation of the noise on every component of the action.
        beside: metres (x, y) by which to aim past the object.
    """

    def __init__(
        self,
        world: World,
        target: str,
        container: str | None = None,
        noise: float = NOISE,
        beside: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self._world, self._target, self._container, self._noise = world, target, container, noise
        self._beside = np.array([*beside, 0.0])
        self._closed = 0
        self._released_at: float | None = None

    def action(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """The next action (7,) in [-1, 1], noise included."""
        action = self._place() if self._container else self._grasp()
        action[3:6] += self._upright()
        action = np.clip(action, -1, 1)
        return np.clip(action + rng.normal(0, self._noise, 7), -1, 1).astype(np.float32)

    @property
    def closed(self) -> bool:
        """Whether the gripper has closed, on the object or on nothing."""
        return self._closed >= _CLOSED_STEPS

    def _grasp(self) -> NDArray[np.float64]:
        """Algorithm 2."""
        world, model = self._world, self._world.objects[self._target].model
        point = world.to_world(self._target, [*model.grasp_xy, model.grasp_height]) + self._beside
        error = point - world.arm.tool()
        turn = self._turn()
        if self.closed and np.linalg.norm(error) > _LOST:
            self._closed = 0
        action = np.zeros(7)
        if not self._closed and (np.linalg.norm(error) > _THRESHOLD / 2 or abs(turn) > 0.2):
            sideways = max(0.0, math.hypot(*error[:2]) - _FUNNEL) + 0.05 * max(0.0, abs(turn) - 0.2)
            error[2] += _CONE * sideways
            action[:3] = error / world.robot.action_scale.translation
            action[5] = turn / world.robot.action_scale.rotation
            action[6] = 1
        elif self._closed < _CLOSED_STEPS:
            self._closed += 1
            action[6] = -1
        else:
            action[2] = 1.0 if self._height() < _RAISED else 0.0
            action[6] = -1
        return action

    def _place(self) -> NDArray[np.float64]:
        """Algorithm 3."""
        world = self._world
        action = np.zeros(7)
        if self._released_at is not None:
            action[2] = 1.0 if world.arm.tool()[2] < self._released_at + _RETREAT else 0.0
            action[6] = 1
            return action
        drop = self._drop_point()
        error = drop - world.pose(self._target)[0]
        far = np.linalg.norm(error) > _THRESHOLD
        # Carry only what hangs clear of the table and of the container's rim.
        if not self.closed or (self._height() < LIFT_HEIGHT / 2 and far):
            return self._grasp()
        if far:
            action[:3] = error / world.robot.action_scale.translation
            sideways = math.hypot(*error[:2])
            if sideways > _THRESHOLD and error[2] > _THRESHOLD:
                action[:2] *= 0.3
            action[6] = -1
        else:
            action[6] = 1
            self._released_at = float(world.arm.tool()[2])
        return action

    def _drop_point(self) -> NDArray[np.float64]:
        """Where the object's base should be when the gripper opens."""
        assert self._container is not None
        model = self._world.objects[self._container].model
        top = model.interior.top_height if model.interior else model.size[2]
        return self._world.pose(self._container)[0] + [0, 0, top + _DROP_CLEARANCE]

    def _height(self) -> float:
        return float(self._world.pose(self._target)[0][2] - self._world.objects[self._target].start[2])

    def _turn(self) -> float:
        """Radians still to turn so that the fingers close across the narrow side; 0 for round objects."""
        model = self._world.objects[self._target].model
        if model.grasp_yaw is None:
            return 0.0
        # At yaw 0 the fingers move along y, a quarter turn from the x axis that grasp_yaw counts from.
        error = self._world.pose(self._target)[1] + model.grasp_yaw - math.pi / 2 - self._world.arm.rpy[2]
        return (error + math.pi / 2) % math.pi - math.pi / 2

    def _upright(self) -> NDArray[np.float64]:
        """Turns roll and pitch, which noise makes wander, back to pointing down."""
        rpy, scale = self._world.arm.rpy, self._world.robot.action_scale.rotation
        return np.array([-rpy[0] / scale, -rpy[1] / scale, 0.0])


def miss(world: World, target: str, rng: np.random.Generator) -> bool:
    """Closes the gripper beside the object and raises it a little, empty; False if it caught something after all.

    Demonstrations that are kept hardly ever miss, so a prior made of nothing else never tries again: it takes fingers
    that are closed for fingers that hold.
    """
    angle, distance = rng.uniform(0, 2 * math.pi), rng.uniform(*_BESIDE)
    script = ScriptedPolicy(world, target, beside=(distance * math.cos(angle), distance * math.sin(angle)))
    for _ in range(_MISS_STEPS):
        world.step(script.action(rng))
        if script.closed:
            break
    rise = np.array([0, 0, 1, 0, 0, 0, -1.0])
    for _ in range(rng.integers(1, 6)):
        world.step(np.clip(rise + rng.normal(0, NOISE, 7), -1, 1))
    return not any(world.held(name) for name in world.objects)
