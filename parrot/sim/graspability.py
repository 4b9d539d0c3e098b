"""How often the noise-free scripted policy lifts each object: what it cannot lift, no learner will."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from parrot.sim.env import ManipulationEnv
from parrot.sim.objectives import lifted
from parrot.sim.objects.catalogue import ObjectModel
from parrot.sim.scripted import ScriptedPolicy
from parrot.spaces import EPISODE_STEPS

__all__ = ["Graspability", "graspability", "lift_alone"]


@dataclass(frozen=True)
class Graspability:
    """Trials with one object."""

    name: str
    category: str
    split: str
    trials: int
    lifts: int

    @property
    def rate(self) -> float:
        """Share of the trials in which the object was held above the table at the end."""
        return self.lifts / self.trials


def lift_alone(env: ManipulationEnv, model: ObjectModel, rng: np.random.Generator, noise: float = 0.0) -> bool:
    """One trial with the object alone on the table, at a random pose."""
    area = env.world.scene.objects
    env.world.place([(model, rng.uniform(area.lower, area.upper).tolist(), float(rng.uniform(-np.pi, np.pi)))])
    policy = ScriptedPolicy(env.world, model.name, noise=noise)
    for _ in range(EPISODE_STEPS):
        env.world.step(policy.action(rng))
    return lifted(env.world, model.name)


def graspability(env: ManipulationEnv, trials: int, seed: int, noise: float = 0.0) -> Iterator[Graspability]:
    """Tries each graspable object of the catalogue, one result an object."""
    for index, model in enumerate(env.catalogue.objects.values()):
        if model.role == "graspable":
            rng = np.random.default_rng([seed, index])
            lifts = sum(lift_alone(env, model, rng, noise) for _ in range(trials))
            yield Graspability(model.name, model.category, model.split, trials, lifts)
