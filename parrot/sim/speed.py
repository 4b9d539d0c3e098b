"""How fast the world is beside the same world with the robot's meshes as their maker ships them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from parrot.sim.collect import ScriptedRoller
from parrot.sim.config import load_robot
from parrot.sim.meshes import light_urdf, triangles
from parrot.spaces import EPISODE_STEPS

__all__ = ["Speed", "WorldSpeed", "compare"]

_STOCK = 10**9
"""A triangle budget that leaves every mesh as it is."""


@dataclass(frozen=True)
class WorldSpeed:
    """One world's speed on one core."""

    name: str
    triangles: int
    """Of the arm's visual meshes."""
    steps_per_second: float
    """Control steps with image, resets and the scripted policy included."""


@dataclass(frozen=True)
class Speed:
    """Ours, then the world with stock meshes."""

    worlds: tuple[WorldSpeed, WorldSpeed]

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.worlds[0].steps_per_second / self.worlds[1].steps_per_second


def compare(task: str, robot: str, seeds: Iterable[int]) -> Speed:
    """Rolls the same episodes out in both worlds, in alternation.

    Raises:
        ConfigError: an unknown task or robot.
    """
    ours = load_robot(robot)
    robots = {"light meshes": ours, "stock meshes": replace(ours, decimate=_STOCK)}
    rollers = {name: ScriptedRoller(task, config) for name, config in robots.items()}
    spent, episodes = dict.fromkeys(robots, 0.0), 0
    for seed in seeds:
        episodes += 1
        for name, roller in rollers.items():
            start = time.perf_counter()
            roller.run(seed)
            spent[name] += time.perf_counter() - start
    for roller in rollers.values():
        roller.close()
    first, second = (
        WorldSpeed(name, triangles(light_urdf(config)), episodes * EPISODE_STEPS / spent[name])
        for name, config in robots.items()
    )
    return Speed((first, second))
