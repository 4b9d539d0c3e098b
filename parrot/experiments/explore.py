"""What random policies do with and without a prior: the episodes behind Figure 4 (paper, section 5.1)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from parrot.experiments.budgets import Exploration
from parrot.experiments.data_jobs import Train
from parrot.experiments.jobs import Job, Place, Tell
from parrot.prior.base import Prior
from parrot.prior.evaluate import RandomPolicy, scene_seed
from parrot.prior.weights import load_prior
from parrot.sim.env import ManipulationEnv
from parrot.spaces import EPISODE_STEPS

__all__ = ["MOVED_M", "Explore", "Walk", "walks"]

MOVED_M = 0.01
"""An object that was moved by so much, in metres, was touched, even if no step ended with a finger at it. Objects that
nobody touches stay within 1 mm."""


@dataclass(frozen=True)
class Walk:
    """One episode of a random policy."""

    ee: NDArray[np.float64]
    """(T + 1, 3): position of the finger tips, metres."""
    objects: dict[str, NDArray[np.float64]]
    """Where the objects stood at first, (3,) metres."""
    touched: bool
    """Whether a finger touched an object at the end of any step, or an object was moved."""
    lifted: bool
    """Whether an object was lifted at the end of any step."""
    success: bool
    """Whether the task's objective was met at the end of any step."""


def walks(env: ManipulationEnv, prior: Prior | None, scenes: Sequence[int], seed: int) -> Iterator[Walk]:
    """An episode on each of these scenes: random z through the prior, or uniform actions without one.

    Args:
        env: the task.
        prior: None: actions uniform in [-1, 1].
        scenes: numbers of scenes; the same number is the same scene, for whatever policy.
        seed: of scenes and noise.
    """
    for number, scene in enumerate(scenes):
        image, info = env.reset(seed=scene_seed(seed, scene))
        policy = RandomPolicy(prior, [np.random.default_rng([seed, number, 1])])
        objects, ee = info["objects"], [info["ee"]]
        touched = lifted = success = False
        for _ in range(EPISODE_STEPS):
            image, _, _, _, info = env.step(policy.act(image[None])[0])
            ee.append(info["ee"])
            moved = max(float(np.linalg.norm(info["objects"][name] - at)) for name, at in objects.items())
            touched |= moved > MOVED_M or any(env.world.held(name) for name in objects)
            lifted |= info["lifted"]
            success |= info["success"]
        yield Walk(np.array(ee), objects, touched, lifted, success)


@dataclass(frozen=True)
class Explore(Job):
    """Episodes of one random policy on one task."""

    kind: ClassVar[str] = "explore"
    task: str
    """On whose scenes."""
    model: Train | None
    """The prior; None: uniform actions."""
    exploration: Exploration
    """How many episodes."""
    seed: int
    """Of scenes and noise."""

    @property
    def policy(self) -> str:
        """`prior` or `uniform`."""
        return "prior" if self.model else "uniform"

    @property
    def name(self) -> str:
        """As `Job.name`."""
        return f"explore/{self.task}-{self.policy}"

    @property
    def needs(self) -> Sequence[Job]:
        """The prior."""
        return (self.model,) if self.model else ()

    @property
    def final(self) -> bool:
        """Its paths are what counts."""
        return True

    @property
    def work(self) -> float:
        """As `Job.work`."""
        return 5.0 + (self.exploration.paths + self.exploration.episodes) * EPISODE_STEPS / 200

    def run(self, place: Place, tell: Tell) -> None:
        """As `Job.run`."""
        model = self.model.product(place) if self.model else None
        prior = load_prior(model, place.robot) if model else None
        began, total = time.monotonic(), self.exploration.paths + self.exploration.episodes
        # Paths on scene 0, to be drawn together; then each episode on a scene of its own.
        scenes = [0] * self.exploration.paths + list(range(1, self.exploration.episodes + 1))
        env = ManipulationEnv(self.task, place.robot)
        rows: list[dict[str, Any]] = []
        try:
            for n, walk in enumerate(walks(env, prior, scenes, self.seed)):
                rows += self._rows(n, scenes[n], walk)
                tell((n + 1) / total, f"{n + 1} of {total} episodes")
        finally:
            env.close()
        about = {"task": self.task, "policy": self.policy, "seed": self.seed}
        self.finish(place, time.monotonic() - began, about, rows)

    def _rows(self, episode: int, scene: int, walk: Walk) -> Iterator[dict[str, Any]]:
        """A row of each step for a path that is drawn, else one for the episode."""
        about = {"task": self.task, "policy": self.policy, "seed": self.seed, "episode": episode, "scene": scene}
        flags = {"touched": int(walk.touched), "lifted": int(walk.lifted), "success": int(walk.success)}
        if scene:
            yield {**about, "what": "episode", "step": EPISODE_STEPS, "x": "", "y": "", "z": "", **flags}
            return
        for step, at in enumerate(walk.ee):
            yield {**about, "what": "path", "step": step, **_metres(at), **flags}
        if episode == 0:
            for name, at in walk.objects.items():
                yield {**about, "what": name, "step": 0, **_metres(at), **flags}


def _metres(at: NDArray[np.float64]) -> dict[str, float]:
    return {axis: round(float(value), 4) for axis, value in zip("xyz", at, strict=True)}
