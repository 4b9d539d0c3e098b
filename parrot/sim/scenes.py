"""Which objects stand where at the start of an episode."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from parrot.errors import ConfigError
from parrot.sim.config import ObjectsConfig
from parrot.sim.objects.catalogue import Catalogue, ObjectModel
from parrot.sim.paint import painted
from parrot.sim.tasks import Task

__all__ = ["OBJECTS_IN_SCENE", "Scene", "sample_scene"]

OBJECTS_IN_SCENE = 3
"""Objects on the table, containers included (paper, section 5)."""

_TRIES = 200
"""Random layouts tried before the free space asked for is given up bit by bit."""


@dataclass(frozen=True)
class Scene:
    """Objects with their places, and which of them the task is about."""

    objects: tuple[tuple[ObjectModel, tuple[float, float], float], ...]
    """Model, (x, y) metres, yaw radians."""
    target: str
    """Name of the object to grasp or place."""
    container: str | None
    """Name of what to place it in or on."""


def sample_scene(task: Task, catalogue: Catalogue, area: ObjectsConfig, rng: np.random.Generator) -> Scene:
    """Draws the objects of one episode and their poses and, where it is one to learn a prior from, their colours.

    Raises:
        ConfigError: the catalogue has too few objects for the task.
    """
    graspable = catalogue.select(split=task.split, role="graspable")
    container = _container(task, catalogue, rng)
    if task.target is None:
        pool, models = graspable, []
    else:
        # A task is about one particular object, the first of its category, among the same others every time.
        target = [m for m in graspable if m.category == task.target][:1]
        if not target:
            raise ConfigError(f"task {task.name}: the catalogue has no graspable object of category {task.target!r}")
        pool, models = [], target + [catalogue[name] for name in task.others]
    missing = OBJECTS_IN_SCENE - len(models) - (container is not None)
    if len(pool) < missing:
        raise ConfigError(f"task {task.name}: the catalogue has {len(pool)} {task.split} objects; {missing} are needed")
    models = models + [pool[i] for i in rng.choice(len(pool), size=missing, replace=False)]
    target_name = models[0].name
    placed = [*([container] if container else []), *models]
    places = _places(placed, area, rng)
    yaws = rng.uniform(-math.pi, math.pi, size=len(placed))
    if task.split == "train":
        placed = [painted(model, rng) for model in placed]
    objects = tuple((m, p, float(y)) for m, p, y in zip(placed, places, yaws, strict=True))
    return Scene(objects, target_name, container.name if container else None)


def _container(task: Task, catalogue: Catalogue, rng: np.random.Generator) -> ObjectModel | None:
    if task.container is None or (task.container == "mixed" and rng.random() < 0.5):
        return None
    found = [m for role in ("container", "target") for m in catalogue.select(split=task.split, role=role)]
    if task.container not in ("*", "mixed"):
        found = [m for m in found if m.category == task.container][:1]
    if not found:
        raise ConfigError(f"task {task.name}: the catalogue has no container of category {task.container!r}")
    return found[int(rng.integers(len(found)))]


def _places(models: list[ObjectModel], area: ObjectsConfig, rng: np.random.Generator) -> list[tuple[float, float]]:
    radius = [0.5 * max(m.size[0], m.size[1]) for m in models]
    lower, upper = np.array(area.lower), np.array(area.upper)
    gap = area.gap
    while True:
        for _ in range(_TRIES):
            # A wide container keeps its rim inside the area, or the arm could not reach what falls beside it.
            inset = np.array([max(0.0, r - 0.05) for r in radius])[:, None]
            points = rng.uniform(lower + inset, upper - inset)
            clear = all(
                np.hypot(*(points[i] - points[j])) > radius[i] + radius[j] + gap
                for i in range(len(models))
                for j in range(i)
            )
            if clear:
                return [(float(x), float(y)) for x, y in points]
        gap -= 0.01
