"""Labelled episodes of the simulator: objects grasped, and grasped at in vain."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from parrot.data import Episode, EpisodeWriter, Manifest
from parrot.data.dataset import Dataset
from parrot.sim.collect import describe
from parrot.sim.env import ManipulationEnv
from parrot.sim.scripted import ScriptedPolicy
from parrot.spaces import EPISODE_STEPS


def grasps(folder: Path, seeds: range, task: str = "grasp_can", robot: str = "xarm6") -> Dataset:
    """Scripted grasps of these seeds; those of odd seeds aim 4 to 9 cm past the object, and rise empty."""
    env = ManipulationEnv(task, robot)
    with EpisodeWriter(folder, Manifest(kind="collect", task=task, **describe(robot, task))) as writer:
        for seed in seeds:
            rng = np.random.default_rng([seed, 1])
            image, info = env.reset(seed=seed)
            angle, off = rng.uniform(0, 2 * math.pi), rng.uniform(0.04, 0.09) * (seed % 2)
            beside = (off * math.cos(angle), off * math.sin(angle))
            policy = ScriptedPolicy(env.world, env.scene.target, beside=beside)
            images, actions, rewards = [], [], []
            for _ in range(EPISODE_STEPS):
                images.append(image)
                actions.append(policy.action(rng))
                image, reward, _, _, info = env.step(actions[-1])
                rewards.append(reward)
            writer.append(
                Episode(np.array(images), np.array(actions), np.array(rewards), task, bool(info["success"]), seed)
            )
    env.close()
    return Dataset.open(folder)


def coloured(folder: Path, good: int, bad: int, reward: bool = True) -> Dataset:
    """Episodes of ten steps whose picture turns green where they succeed, and stays grey where not."""
    rng = np.random.default_rng(0)
    with EpisodeWriter(folder, Manifest(kind="bags", robot="toy-arm", renderer="camera")) as writer:
        for seed in range(good + bad):
            images = rng.integers(60, 120, (10, 48, 48, 3), np.uint8)
            rewards = np.zeros(10)
            if seed < good:
                images[6:, 10:30, 10:30, 1] = 250
                rewards[5:] = reward
            writer.append(Episode(images, np.zeros((10, 7)), rewards, "lamp", seed < good, seed))
    return Dataset.open(folder)
