"""When a task's objective is met, read from the simulator's privileged state."""

from __future__ import annotations

import math
from collections.abc import Iterable

from parrot.sim.scenes import Scene
from parrot.sim.tasks import Task
from parrot.sim.world import World

__all__ = ["LIFT_HEIGHT", "any_lifted", "lifted", "met", "placed_in"]

LIFT_HEIGHT = 0.05
"""Metres that a grasped object's base must be above where it stood."""

_STILL = 0.15
"""Metres per second below which a placed object counts as put down."""

_SLACK = 0.012
"""Metres by which an object may rest above or below the nominal floor of what it is placed in."""


def met(world: World, task: Task, scene: Scene) -> bool:
    """Whether the task's objective is met in this scene."""
    if task.verb == "grasp":
        return lifted(world, scene.target)
    if task.verb == "place":
        assert scene.container is not None
        return placed_in(world, scene.target, scene.container)
    return any_lifted(world) or (
        scene.container is not None and any(placed_in(world, name, scene.container) for name in _graspable(world))
    )


def lifted(world: World, name: str) -> bool:
    """Whether the object is above the table and held."""
    placed = world.objects[name]
    return bool(world.pose(name)[0][2] - placed.start[2] > LIFT_HEIGHT) and world.held(name)


def any_lifted(world: World) -> bool:
    """Whether any graspable object is lifted."""
    return any(lifted(world, name) for name in _graspable(world))


def placed_in(world: World, name: str, container: str) -> bool:
    """Whether the object lies in or on the container, let go and at rest."""
    interior = world.objects[container].model.interior
    if interior is None:
        return False
    origin, yaw = world.pose(container)
    position = world.pose(name)[0]
    x, y = position[:2] - origin[:2]
    cos, sin = math.cos(yaw), math.sin(yaw)
    height = position[2] - origin[2]
    return (
        interior.contains(x * cos + y * sin, y * cos - x * sin)
        and interior.floor_height - _SLACK < height < interior.top_height + _SLACK
        and world.speed(name) < _STILL
        and not world.held(name)
    )


def _graspable(world: World) -> Iterable[str]:
    return (name for name, placed in world.objects.items() if placed.model.role == "graspable")
