"""How often random z lifts an object, beside uniformly random actions: `parrot prior eval` (paper, section 5.1).

Several environments step in turn, so that one call of the network serves them all. An episode depends on its number
and the seed alone, not on how many run together.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from parrot.prior.base import ActionDecoder
from parrot.prior.control import controller_of
from parrot.prior.weights import load_decoder
from parrot.results import wilson
from parrot.sim.env import ManipulationEnv
from parrot.spaces import ACTION_DIM, EPISODE_STEPS, to_chw

__all__ = ["POLICIES", "Outcome", "RandomPolicy", "Rate", "evaluate", "rates", "run_episodes", "scene_seed"]

POLICIES = ("prior", "uniform")
"""`prior`: z ~ N(0, I) through the prior; `uniform`: actions uniform in the box."""

TOGETHER = 16
"""Episodes that share the calls of the network."""


@dataclass(frozen=True)
class Outcome:
    """What came of one episode."""

    policy: str
    """One of `POLICIES`."""
    task: str
    """Name of the task."""
    episode: int
    """Its number."""
    lifted: bool
    """Whether any object was lifted at any step."""
    success: bool
    """Whether the task's objective was met at any step."""


@dataclass(frozen=True)
class Rate:
    """What came of many episodes: fractions, with Wilson's 95% interval of the first."""

    policy: str
    """One of `POLICIES`."""
    task: str
    """Name of the task, or `all`."""
    episodes: int
    """How many."""
    lifted: float
    """Fraction in which any object was lifted at any step."""
    lifted_low: float
    """Lower end of its interval."""
    lifted_high: float
    """Upper end of its interval."""
    success: float
    """Fraction in which the task's objective was met at any step."""

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], task: str) -> Rate:
        """The rates of these outcomes, which share a policy."""
        n, k = len(outcomes), sum(outcome.lifted for outcome in outcomes)
        success = sum(outcome.success for outcome in outcomes) / n
        low, high = wilson(k, n)
        return cls(outcomes[0].policy, task, n, k / n, round(low, 4), round(high, 4), success)


def scene_seed(seed: int, episode: int) -> int:
    """Seed of an episode's scene: the same for every policy."""
    return int(np.random.SeedSequence([seed, episode]).generate_state(1)[0])


class RandomPolicy:
    """Random z through the prior, or uniform actions without one, in episodes that step together from their beginning.

    Args:
        prior: What decodes; None: nothing does.
        noise: For each episode.
    """

    def __init__(self, prior: ActionDecoder | None, noise: Sequence[np.random.Generator]) -> None:
        self.prior, self.noise = prior, noise
        # What remembers does so of one episode.
        self.controllers = [controller_of(prior) for _ in noise] if prior is not None and prior.config.past else []

    def act(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Actions (B, 7) in [-1, 1] for images (B, 48, 48, 3), one of each episode."""
        if self.prior is None:
            return np.stack([rng.uniform(-1.0, 1.0, ACTION_DIM) for rng in self.noise]).astype(np.float32)
        z = np.stack([rng.standard_normal(self.prior.latent_dim) for rng in self.noise]).astype(np.float32)
        if self.controllers:
            each = zip(self.controllers, z, images, strict=True)
            return np.stack([controller.act(latent, controller.look(image)) for controller, latent, image in each])
        with torch.inference_mode():
            actions = self.prior.decode(torch.from_numpy(z), torch.from_numpy(to_chw(images)))
        return actions.clamp(-1.0, 1.0).numpy()


def run_episodes(
    envs: Sequence[ManipulationEnv], prior: ActionDecoder | None, episodes: Sequence[int], seed: int
) -> Iterator[Outcome]:
    """Runs these episodes, as many at a time as there are environments."""
    for start in range(0, len(episodes), len(envs)):
        chosen = episodes[start : start + len(envs)]
        group = envs[: len(chosen)]
        noise = [np.random.default_rng([seed, episode, 1]) for episode in chosen]
        images = np.stack([env.reset(seed=scene_seed(seed, i))[0] for env, i in zip(group, chosen, strict=True)])
        lifted, success = np.zeros(len(group), dtype=bool), np.zeros(len(group), dtype=bool)
        policy = RandomPolicy(prior, noise)
        for _ in range(EPISODE_STEPS):
            actions = policy.act(images)
            steps = [env.step(action) for env, action in zip(group, actions, strict=True)]
            images = np.stack([step[0] for step in steps])
            lifted |= [step[4]["lifted"] for step in steps]
            success |= [step[4]["success"] for step in steps]
        name = POLICIES[0] if prior is not None else POLICIES[1]
        for i, env in enumerate(group):
            yield Outcome(name, env.task.name, chosen[i], bool(lifted[i]), bool(success[i]))


def evaluate(
    prior: Path,
    tasks: Sequence[str],
    episodes: int,
    seed: int = 0,
    workers: int = 1,
    robot: str = "xarm6",
    policies: Sequence[str] = POLICIES,
    report: Callable[[Sequence[Outcome]], None] | None = None,
) -> list[Outcome]:
    """Runs every policy for `episodes` episodes, shared out evenly to the tasks, in parallel processes.

    Args:
        prior: The prior's file.
        tasks: Names of tasks.
        episodes: Episodes of each policy, over all tasks.
        seed: Seed of scenes and noise.
        workers: Processes.
        robot: Name of the robot's YAML; the prior must be made for it.
        policies: Those of `POLICIES` to run.
        report: Called with the outcomes of each finished portion.

    Raises:
        WeightsError: the prior is missing, foreign or for another robot.
        ConfigError: a task or the robot is unknown.
    """
    load_decoder(prior, robot=robot)  # so that a bad file is an error here, and not in a process
    for task in tasks:
        ManipulationEnv(task, robot).close()
    jobs: list[tuple[Any, ...]] = []
    for policy in policies:
        for k, task in enumerate(tasks):
            mine = range(k, episodes, len(tasks))
            for start in range(0, len(mine), TOGETHER):
                numbers = list(mine[start : start + TOGETHER])
                jobs.append((prior if policy == "prior" else None, task, robot, numbers, seed))
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _single_thread) as pool:
        for future in as_completed([pool.submit(_portion, *job) for job in jobs]):
            outcomes += future.result()
            if report:
                report(future.result())
    return sorted(outcomes, key=lambda o: (policies.index(o.policy), tasks.index(o.task), o.episode))


def rates(outcomes: Sequence[Outcome]) -> list[Rate]:
    """For each policy a rate by task and, with several tasks, one over all."""
    table = []
    for _, of_policy in groupby(outcomes, key=lambda o: o.policy):
        mine = list(of_policy)
        by_task = [list(group) for _, group in groupby(mine, key=lambda o: o.task)]
        table += [Rate.of(group, group[0].task) for group in by_task]
        if len(by_task) > 1:
            table.append(Rate.of(mine, "all"))
    return table


def _single_thread() -> None:
    torch.set_num_threads(1)


_envs: dict[tuple[str, str], list[ManipulationEnv]] = {}
"""The environments of a worker process, kept from portion to portion."""


def _portion(prior: Path | None, task: str, robot: str, numbers: list[int], seed: int) -> list[Outcome]:
    envs = _envs.setdefault((task, robot), [])
    while len(envs) < len(numbers):
        envs.append(ManipulationEnv(task, robot))
    return list(run_episodes(envs, load_decoder(prior) if prior else None, numbers, seed))
