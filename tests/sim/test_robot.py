"""The simulated arm."""

from dataclasses import replace

import numpy as np
import pytest

from parrot.sim.config import load_robot, load_scene
from parrot.sim.world import World


def _reached(substep: float) -> np.ndarray:
    """Joints (8,) 1/60 s after a command to move aside, rise and turn, in a world of that sub-step (s)."""
    scene = load_scene()
    world = World(load_robot("xarm6"), replace(scene, physics=replace(scene.physics, substep=substep)))
    try:
        world.place([])
        home = world.arm.joints()
        world.arm.command(np.array([0.5, 0.5, 0.5, 0, 0, 0.5, 0]))
        for _ in range(round(1 / 60 / substep)):
            world.tick()
        return world.arm.joints() - home
    finally:
        world.close()


def test_the_arm_moves_alike_whatever_the_step_of_the_physics():
    way = _reached(1 / 120)
    assert np.abs(way).max() > 0.02
    assert _reached(1 / 240) == pytest.approx(way, rel=0.05, abs=1e-4)
