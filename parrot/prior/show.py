"""The paper's Figure 4: paths of the gripper under random z through the prior, beside uniformly random actions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from parrot.durable import atomic_path
from parrot.prior.base import ActionDecoder
from parrot.prior.evaluate import RandomPolicy, scene_seed
from parrot.sim.env import ManipulationEnv
from parrot.spaces import EPISODE_STEPS

__all__ = ["Paths", "draw", "trace"]

_LIFTED, _NOT = "#d95f02", "#4c78a8"


@dataclass(frozen=True)
class Paths:
    """Where the gripper went in several episodes that began with the same scene."""

    ee: NDArray[np.float64]
    """(N, T + 1, 3): position of the finger tips, in metres."""
    lifted: NDArray[np.bool_]
    """(N,): whether an object was lifted."""
    objects: dict[str, NDArray[np.float64]]
    """Positions (3,) of the objects at the start, in metres."""
    picture: NDArray[np.uint8]
    """(H, W, 3): the scene at the start."""


def trace(env: ManipulationEnv, prior: ActionDecoder | None, trajectories: int, seed: int) -> Paths:
    """Runs `trajectories` episodes of random z, or of uniform actions if there is no prior, on one scene."""
    ee = np.zeros((trajectories, EPISODE_STEPS + 1, 3))
    lifted = np.zeros(trajectories, dtype=bool)
    for n in range(trajectories):
        image, info = env.reset(seed=scene_seed(seed, 0))
        if n == 0:
            objects = {name: np.array(position) for name, position in info["objects"].items()}
            picture = env.render()
        ee[n, 0] = info["ee"]
        policy = RandomPolicy(prior, [np.random.default_rng([seed, n, 1])])
        for step in range(EPISODE_STEPS):
            image, _, _, _, info = env.step(policy.act(image[None])[0])
            ee[n, step + 1] = info["ee"]
            lifted[n] |= info["lifted"]
    return Paths(ee, lifted, objects, picture)


def draw(env: ManipulationEnv, prior: Paths, uniform: Paths, out: Path) -> None:
    """Draws both sets of paths over the camera's picture and from above, as one picture (PNG, PDF or SVG).

    Raises:
        RunError: the file cannot be written.
    """
    figure = Figure(figsize=(9.0, 8.6), layout="constrained")
    grid = figure.subplots(2, 2)
    for column, (title, paths) in enumerate({"random z through the prior": prior, "random actions": uniform}.items()):
        lifted = int(paths.lifted.sum())
        grid[0, column].set_title(f"{title}: {lifted} of {len(paths.ee)} lift an object")
        _over_picture(grid[0, column], env, paths)
        _from_above(grid[1, column], paths)
    everything = np.concatenate([p.ee.reshape(-1, 3) for p in (prior, uniform)])
    for axes in grid[1]:
        axes.set_xlim(everything[:, 1].min() - 0.02, everything[:, 1].max() + 0.02)
        axes.set_ylim(everything[:, 0].max() + 0.02, everything[:, 0].min() - 0.02)
    with atomic_path(out) as tmp:
        figure.savefig(tmp, dpi=120)


def _over_picture(axes: Axes, env: ManipulationEnv, paths: Paths) -> None:
    size = len(paths.picture)
    axes.imshow(paths.picture)
    for ee, lifted in zip(paths.ee, paths.lifted, strict=True):
        x, y = (env.world.camera.project(ee)[0] * size).T
        axes.plot(x, y, color=_LIFTED if lifted else _NOT, lw=1.0, alpha=0.8)
    axes.set_xlim(0, size)
    axes.set_ylim(size, 0)
    axes.set_axis_off()


def _from_above(axes: Axes, paths: Paths) -> None:
    # As the camera, which faces the arm, sees it: y to the right, and the base, where x is small, at the far side.
    for ee, lifted in zip(paths.ee, paths.lifted, strict=True):
        axes.plot(ee[:, 1], ee[:, 0], color=_LIFTED if lifted else _NOT, lw=1.0, alpha=0.8)
    for name, position in paths.objects.items():
        axes.plot(position[1], position[0], "o", color="black", ms=7)
        axes.annotate(name.replace("_", " "), (position[1], position[0]), xytext=(6, 6), textcoords="offset points")
    axes.set_aspect("equal")
    axes.set_xlabel("y, m")
    axes.set_ylabel("x, m")
