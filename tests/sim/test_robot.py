"""The simulated arm."""

from dataclasses import replace

import numpy as np
import pytest

from parrot.sim.config import load_robot, load_scene
from parrot.sim.world import World
from parrot.spaces import MIRRORED


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


def _seen(actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the tool (3,) is after these actions, how it is turned (3, 3), and the picture of it."""
    world = World(load_robot("xarm6"), load_scene())
    try:
        world.place([])
        for action in actions:
            world.step(action)
        return world.arm.tool(), world.arm.rotation(), world.camera.picture(48)
    finally:
        world.close()


def test_a_mirrored_action_leads_where_the_mirror_shows_and_looks_like_that():
    action = np.array([0.1, 0.5, -0.4, 0.3, 0.2, 0.5, -1.0])
    mirror = np.diag([1.0, -1.0, 1.0])
    there, turned, image = _seen(np.tile(action, (4, 1)))
    there_too, turned_too, mirrored = _seen(np.tile(action * MIRRORED, (4, 1)))
    assert abs(there[1]) > 0.06
    assert there_too == pytest.approx(mirror @ there, abs=3e-3)
    assert turned_too == pytest.approx(mirror @ turned @ mirror, abs=0.02)
    assert np.abs(turned - np.diag([1, -1, -1])).max() > 0.2
    alike = np.abs(image.astype(int) - mirrored[:, ::-1]).mean()
    assert alike < 0.5 * np.abs(image.astype(int) - mirrored).mean()
