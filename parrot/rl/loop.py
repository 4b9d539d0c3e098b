"""Fine-tuning in one process with its environment: the loop of the paper's Algorithm 1, without ROS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import gymnasium
import numpy as np

from parrot.prior.base import ActionDecoder
from parrot.prior.weights import load_decoder
from parrot.rl.algorithms import algorithm, weights_of
from parrot.rl.finetune import FineTuning
from parrot.rl.policy import Policy
from parrot.rl.settings import FineTuneConfig
from parrot.rl.status import Status
from parrot.rl.trials import Trial, TrialFolder
from parrot.rl.wrapper import LatentActionWrapper
from parrot.sim.env import ManipulationEnv
from parrot.spaces import Outcome

__all__ = ["fine_tune", "run_loop", "run_trials"]


def fine_tune(config: FineTuneConfig, run_dir: Path, on_episode: Callable[[Status], None] | None = None) -> FineTuning:
    """Carries a run out in a simulated world of its own; returns it, closed.

    Args:
        config: what to do.
        run_dir: the run's folder; what is there goes on.
        on_episode: called with the status at the end of every episode.

    Raises:
        ConfigError: the task or the robot is unknown.
        WeightsError: the prior is missing or foreign.
        RunError: as `FineTuning`.
    """
    env = ManipulationEnv(config.task, robot=config.robot, terminate_on_success=config.sac.end_on_success)
    try:
        weights = weights_of(config.algo, config.prior)
        prior = load_decoder(weights, config.robot) if algorithm(config.algo).decoding == "step" else None
        with FineTuning(config, run_dir) as tuning:
            run_loop(env, tuning, prior, on_episode)
        return tuning
    finally:
        env.close()


def run_loop(
    env: gymnasium.Env,
    tuning: FineTuning,
    prior: ActionDecoder | None = None,
    on_episode: Callable[[Status], None] | None = None,
) -> None:
    """Acts until the run is done.

    Args:
        env: the task; observes (48, 48, 3) uint8 images, takes (7,) actions, and its `info` has `success`.
        tuning: the run.
        prior: what the latents go through; None: they are actions.
        on_episode: called with the status at the end of every episode.

    Raises:
        RunError: as `FineTuning.observe`.
    """
    world = LatentActionWrapper(env, prior, tuning.controller) if prior is not None else env
    # A resumed run goes on with other scenes than those it has seen.
    seed = _going_on(tuning.config.seed, len(tuning.folder.rows))
    while not tuning.done:
        image, _ = world.reset(seed=seed)
        seed, step, done = None, 0, False  # type: ignore[assignment]
        while not done:
            z = tuning.act(image)
            image, reward, terminated, truncated, info = world.step(z)
            outcome = Outcome(float(reward), bool(info["success"]), terminated, truncated, step)
            tuning.observe(outcome, info.get("action", z))
            step, done = step + 1, outcome.done
        if on_episode:
            on_episode(tuning.status())


def run_trials(policy: Policy, folder: TrialFolder, robot: str, seed: int) -> Iterator[Trial]:
    """Runs the policy in a simulated world until the folder has all its trials; yields each.

    Args:
        policy: what acts; it learns nothing.
        folder: where the trials go; its task is run.
        robot: name or YAML file of the robot.
        seed: of the scenes.

    Raises:
        ConfigError: the task or the robot is unknown.
        RunError: the disk is full.
    """
    env = ManipulationEnv(folder.about.task, robot, terminate_on_success=True)
    period = 1.0 / env.world.robot.control_hz
    # As sim_node's scenes: those of the seed, and others where trials go on.
    first: int | None = _going_on(seed, len(folder.trials)) if folder.trials else seed
    try:
        while not folder.done:
            image, info = env.reset(seed=first)
            policy.begin()
            first, steps, done = None, 0, False
            while not done:
                image, _, terminated, truncated, info = env.step(policy.act(image))
                steps, done = steps + 1, terminated or truncated
            yield folder.add(bool(info["success"]), steps, steps * period, steps * period)
    finally:
        env.close()


def _going_on(seed: int, episodes: int) -> int:
    """Seed of the scenes after so many episodes."""
    return int(np.random.SeedSequence([seed, episodes]).generate_state(1)[0])
