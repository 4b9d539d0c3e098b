"""An arm on a table that lives in real time and takes joint trajectories, as hardware does: for tests without an arm.

Physics advances by the clock that the caller reads, whether commands come or not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot.rotations import rpy_of
from parrot.sim import objectives
from parrot.sim.config import RobotConfig, SceneConfig
from parrot.sim.hardware import GripperCommand
from parrot.sim.objects.catalogue import load_catalogue
from parrot.sim.scenes import sample_scene
from parrot.sim.scripted import NOISE, ScriptedPolicy
from parrot.sim.tasks import get_task
from parrot.sim.trajectory import Follower
from parrot.sim.world import World

__all__ = ["EmulatedArm", "Snapshot"]

_LARGEST_LAG = 0.25
"""Seconds that physics makes up for after a stall; more are left out, since the motors would seem to leap."""


@dataclass(frozen=True)
class Snapshot:
    """All that a picture shows, in plain numbers, for a renderer in another process."""

    scene: int
    """Counts the scenes."""
    objects: list[tuple[str, float, float, float]]
    """What stands in the scene: name, x, y in metres and yaw in radians where it began."""
    joints: list[float]
    """Of the arm and its fingers, radians and metres."""
    bodies: list[list[float]] = field(default_factory=list)
    """Where each object's body is now: position (3) and quaternion (4)."""


class EmulatedArm:
    """The arm, its motors' set points, the objects of a task and what a person in front of it would know.

    Args:
        task: a name in `parrot.sim.tasks.TASKS`.
        robot: the arm; it starts at home with an open gripper.
        scene: what stands around it.
        seed: of the scenes and of the scripted policy's noise.

    Raises:
        ConfigError: an unknown task.
    """

    def __init__(self, task: str, robot: RobotConfig, scene: SceneConfig, seed: int = 0) -> None:
        self.task = get_task(task)
        self.world = World(robot, scene)
        self.rng = np.random.default_rng(seed)
        self.arm = Follower(robot.arm_joints, self.positions()[: len(robot.arm_joints)])
        command = (robot.driver and robot.driver.gripper) or GripperCommand(
            "", robot.gripper.open, robot.gripper.closed
        )
        self._numbers = np.array([[command.closed, command.open], [robot.gripper.closed, robot.gripper.open]])
        self.gripper = Follower([command.joint or robot.gripper.joints[0]], [command.open])
        """In the driver's numbers."""
        self.time = 0.0
        """Seconds up to which physics has come."""
        self.scenes = 0
        self._velocities = np.zeros(len(self.names))
        self.reset_scene()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the joints: the arm's, then the fingers'."""
        return self.world.arm.joint_names

    def reset_scene(self) -> None:
        """Sets the table anew, as a person would: the arm stays where it is."""
        world = self.world
        self.scene = sample_scene(self.task, load_catalogue(), world.scene.objects, self.rng)
        world.place(self.scene.objects, home=False)
        self.scenes += 1
        self._script: ScriptedPolicy | None = None

    def advance(self, now: float) -> float:
        """Lets physics run up to `now`, seconds; returns how much time it had to leave out after a stall."""
        substep = self.world.scene.physics.substep
        lost = max(0.0, now - self.time - _LARGEST_LAG)
        self.time += lost
        while self.time + substep <= now:
            before = self.positions()
            self.world.arm.follow(self.arm.set_point(self.time), self._finger())
            self.world.tick()
            self.time += substep
            self._velocities = (self.positions() - before) / substep
        return lost

    def _finger(self) -> float:
        """Where a finger should be, from the driver's number for the gripper."""
        (closed, wide), (shut, apart) = self._numbers
        share = (self.gripper.set_point(self.time)[0] - closed) / (wide - closed)
        return float(shut + share * (apart - shut))

    def positions(self) -> NDArray[np.float64]:
        """Of the joints `names`, radians and metres."""
        return self.world.arm.joints()

    def velocities(self) -> NDArray[np.float64]:
        """Of the joints `names`, per second, over the last sub-step."""
        return self._velocities.copy()

    def stop(self) -> None:
        """Holds the joints where they are, as a drive's fault does."""
        self.arm.hold(self.positions()[: len(self.arm.names)])
        self.gripper.hold(self.gripper.set_point(self.time))

    def success(self) -> bool:
        """Whether the task's objective is met: what an operator sees."""
        return objectives.met(self.world, self.task, self.scene)

    def scripted_action(self, fresh: bool, noise: float = NOISE) -> NDArray[np.float32]:
        """What a skilled operator would do now: (7,) in [-1, 1]. `fresh`: this is an episode's first step."""
        if self._script is None or fresh:
            self._script = ScriptedPolicy(self.world, self.scene.target, self.scene.container, noise)
        # The script reads how the tool was told to turn; this arm was told joints.
        self.world.arm.rpy = rpy_of(self.world.arm.rotation())
        return self._script.action(self.rng)

    def snapshot(self) -> Snapshot:
        """What there is to see."""
        objects: list[Any] = [(model.name, xy[0], xy[1], yaw) for model, xy, yaw in self.scene.objects]
        return Snapshot(self.scenes, objects, self.positions().tolist(), self.world.bodies())

    def close(self) -> None:
        """Ends the physics."""
        self.world.close()
