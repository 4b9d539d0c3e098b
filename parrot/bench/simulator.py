"""The simulator: a control step with its picture, beside the same scene as PyBullet's defaults would have it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from parrot.bench.measure import Row, alternate, seconds_each
from parrot.sim.bullet import pybullet
from parrot.sim.camera import Camera
from parrot.sim.collect import ScriptedRoller
from parrot.sim.config import load_robot, load_scene
from parrot.spaces import EPISODE_STEPS, IMAGE_SIZE

__all__ = ["stepping"]

STOCK = 10**9
"""A budget of triangles that leaves every mesh as its maker ships it."""

DEFAULT_STEP, DEFAULT_ITERATIONS = 1 / 240, 50
"""PyBullet's own integration step, in seconds, and iterations of its contact solver."""


class DefaultCamera(Camera):
    """The same camera, asked for pictures without any option."""

    def picture(self, size: int, shadow: bool = False) -> NDArray[np.uint8]:
        """As `Camera.picture`."""
        rgba = pybullet.getCameraImage(
            size, size, self.view, self.projection, renderer=pybullet.ER_TINY_RENDERER, physicsClientId=self._client
        )[2]
        return np.asarray(rgba, np.uint8).reshape(size, size, 4)[:, :, :3]


def stepping(runs: int, seed: int, episodes: int) -> Row:
    """A control step with picture: scripted episodes on training objects, resets and script included, on one core."""
    robot, scene = load_robot("xarm6"), load_scene()
    physics = replace(scene.physics, substep=DEFAULT_STEP, iterations=DEFAULT_ITERATIONS, rigid=False)
    ours = ScriptedRoller("collect", robot)
    stock = ScriptedRoller(
        "collect", replace(robot, decimate=STOCK), scene=replace(scene, physics=physics), hide_unseen=False
    )
    stock.env.world.camera = DefaultCamera(stock.env.world.client, scene.camera, scene.light)
    wins: dict[str, list[bool]] = {"ours": [], "theirs": []}

    def rolling(name: str, roller: ScriptedRoller) -> Callable[[], float]:
        seeds: Iterator[int] = itertools.count(seed)

        def run() -> float:
            began = time.perf_counter()
            wins[name] += [roller.run(next(seeds)).success for _ in range(episodes)]
            return (time.perf_counter() - began) / (episodes * EPISODE_STEPS)

        return run

    world = ours.env.world
    substeps = round(1 / (robot.control_hz * scene.physics.substep))

    def engine() -> None:
        for _ in range(substeps):
            pybullet.stepSimulation(world.client)
        world.camera.picture(IMAGE_SIZE)

    works = {
        "ours": rolling("ours", ours), "theirs": rolling("theirs", stock), "floor": lambda: seconds_each(engine, 100),
    }  # fmt: skip
    took = alternate(works, runs)
    for roller in (ours, stock):
        roller.close()
    rates = {name: f"{np.mean(found):.1%} of {len(found)}" for name, found in wins.items()}
    return Row(
        workload="simulator: control step with picture, one core", unit="ms a step", ours=took["ours"],
        peer="same scene, stock meshes, PyBullet's default settings", theirs=took["theirs"], goal=8.0,
        floor=f"the engine alone: {substeps} steps of physics and one picture", least=took["floor"], runs=runs,
        seed=seed, note=f"scripts succeed in {rates['ours']} episodes, in the peer's world in {rates['theirs']}",
    )  # fmt: skip
