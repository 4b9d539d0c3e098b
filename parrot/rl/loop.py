"""Fine-tuning in one process with its environment: the loop of the paper's Algorithm 1, without ROS."""

from __future__ import annotations

from collections.abc import Callable

import gymnasium
import numpy as np

from parrot.prior.base import Prior
from parrot.rl.finetune import FineTuning, Status
from parrot.rl.wrapper import LatentActionWrapper
from parrot.spaces import Outcome

__all__ = ["run_loop"]


def run_loop(
    env: gymnasium.Env,
    tuning: FineTuning,
    prior: Prior | None = None,
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
    world = LatentActionWrapper(env, prior) if prior is not None else env
    # A resumed run goes on with other scenes than those it has seen.
    seed = int(np.random.SeedSequence([tuning.config.seed, len(tuning.folder.rows)]).generate_state(1)[0])
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
