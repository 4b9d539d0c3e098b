"""Makes the tasks known to Gymnasium, without importing the simulator."""

from __future__ import annotations

import gymnasium

from parrot.sim.tasks import TASKS
from parrot.spaces import EPISODE_STEPS

__all__ = ["register"]


def register() -> None:
    """Registers `parrot/GraspCap-v0` and its siblings; calling it again does nothing."""
    for task in TASKS.values():
        if task.gym_id not in gymnasium.registry:
            gymnasium.register(
                task.gym_id,
                entry_point="parrot.sim.env:ManipulationEnv",
                kwargs={"task": task.name},
                # The environment truncates by itself; a wrapper would hide its render size.
                max_episode_steps=None,
                order_enforce=True,
                disable_env_checker=False,
                reward_threshold=float(EPISODE_STEPS) / 2,
            )
