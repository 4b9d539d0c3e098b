"""Scripted trajectories for prior data: roll out, keep what ends with an object grasped or rearranged.

Paper, section 5: "if the trajectory collected ends with a successful grasp or rearrangement of any one of the objects
in the scene, we add this trajectory to our dataset".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from parrot.data.episode import Episode
from parrot.errors import ConfigError
from parrot.sim.camera import RENDERER
from parrot.sim.config import RobotConfig
from parrot.sim.env import ManipulationEnv
from parrot.sim.tasks import TASKS, get_task
from parrot.spaces import EPISODE_STEPS, IMAGE_SHAPE

__all__ = ["ScriptedRoller", "describe", "make_roller"]

_TRAINING = [task.name for task in TASKS.values() if task.split == "train"]


class ScriptedRoller:
    """Rolls the scripted policy out, one episode for each seed."""

    def __init__(self, task: str, robot: str | RobotConfig, **options: Any) -> None:
        """`options`: more of `ManipulationEnv`."""
        self.env = ManipulationEnv(task, robot, **options)
        self.task = task
        """The task of the latest attempt, by its part: `collect_grasp` or `collect_place` for a mixed task."""

    def rollout(self, seed: int) -> Episode | None:
        """The episode of this seed, or None if it does not end with a success."""
        episode = self.run(seed)
        return episode if episode.success else None

    def run(self, seed: int) -> Episode:
        """The episode of this seed, successful or not."""
        env, rng = self.env, np.random.default_rng([seed, 1])
        images = np.empty((EPISODE_STEPS, *IMAGE_SHAPE), np.uint8)
        actions = np.empty((EPISODE_STEPS, 7), np.float32)
        rewards = np.empty(EPISODE_STEPS, np.float32)
        image, info = env.reset(seed=seed)
        self.task = self._part()
        for step in range(EPISODE_STEPS):
            images[step], actions[step] = image, env.scripted_action(rng)
            image, rewards[step], _, _, info = env.step(actions[step])
        return Episode(images, actions, rewards, self.task, bool(info["success"]), seed)

    def _part(self) -> str:
        task = self.env.task
        if task.container != "mixed":
            return task.name
        return f"{task.name}_place" if self.env.scene.container else f"{task.name}_grasp"

    def close(self) -> None:
        """Ends the physics client."""
        self.env.close()


def make_roller(task: str, robot: str) -> Callable[[], ScriptedRoller]:
    """A picklable factory of rollers, for collection in parallel processes.

    Raises:
        ConfigError: the task is not known or is about novel objects, which never enter prior data.
    """
    if get_task(task).split != "train":
        raise ConfigError(f"task {task!r} is about novel objects; collect on {', '.join(_TRAINING)} instead")
    return partial(ScriptedRoller, task, robot)


def describe(robot: str, task: str) -> dict[str, Any]:
    """What a dataset's manifest says of the world that its episodes come from."""
    env = ManipulationEnv(task, robot)
    try:
        config, scene = env.world.robot, env.world.scene
        return {
            "robot": config.name,
            "renderer": RENDERER,
            "camera": dataclasses.asdict(scene.camera),
            "action_scale": dataclasses.asdict(config.action_scale),
            "control_hz": config.control_hz,
            "object_split": env.task.split,
            "catalogue": env.catalogue.digest,
        }
    finally:
        env.close()
