"""What the emulated arm's camera sees, drawn from a snapshot in a process of its own.

Drawing holds Python's lock, and physics must not wait for it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from parrot.sim.config import RobotConfig, SceneConfig
from parrot.sim.emulated import Snapshot
from parrot.sim.objects.catalogue import load_catalogue
from parrot.sim.world import World

__all__ = ["EmulatedCamera"]

_COARSER = 4
"""The picture is drawn with so many times fewer pixels along each side and enlarged: 160x120 takes 4 ms, 640x480 57."""


class EmulatedCamera:
    """A camera with a sensor's noise, whose middle square shows what the simulator's own camera does.

    Args:
        robot: the arm.
        scene: what stands around it.
        size: width and height of the pictures, pixels.
        noise: of each value, evenly distributed either way, in levels of 255; without any, an arm at rest looks frozen.
        seed: of the noise.
    """

    def __init__(
        self, robot: RobotConfig, scene: SceneConfig, size: tuple[int, int], noise: float, seed: int = 0
    ) -> None:
        self._world, self._catalogue = World(robot, scene), load_catalogue()
        self._size, self._noise, self._rng = size, noise, np.random.default_rng(seed)
        self._placed = 0

    def picture(self, shown: Snapshot) -> NDArray[np.uint8]:
        """The picture (height, width, 3) uint8 RGB."""
        world = self._world
        if shown.scene != self._placed:
            world.place([(self._catalogue[name], (x, y), yaw) for name, x, y, yaw in shown.objects], home=False)
            self._placed = shown.scene
        world.arm.set_joints(shown.joints)
        world.set_bodies(shown.bodies)
        width, height = self._size
        drawn = world.camera.wide(width // _COARSER, height // _COARSER)
        grain = self._rng.uniform(-self._noise, self._noise, drawn.shape).astype(np.float32)
        noisy = np.clip(drawn + grain, 0, 255).astype(np.uint8)
        return np.asarray(cv2.resize(noisy, self._size, interpolation=cv2.INTER_LINEAR), np.uint8)

    def close(self) -> None:
        """Ends the physics client."""
        self._world.close()
