"""The fixed camera that makes the observation, and larger pictures for people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from parrot.sim.bullet import pybullet
from parrot.sim.config import CameraConfig, LightConfig

__all__ = ["RENDERER", "Camera"]

RENDERER = "pybullet-tiny"
"""Written into manifests and priors: pictures of other renderers differ and must not be mixed."""


class Camera:
    """A pinhole camera in the world of one physics client."""

    def __init__(self, client: int, config: CameraConfig, light: LightConfig) -> None:
        self._client = client
        self._light = list(light.direction)
        self._range = (config.near, config.far)
        self._fov = config.fov
        self.view = pybullet.computeViewMatrix(config.position, config.target, [0, 0, 1])
        self.projection = pybullet.computeProjectionMatrixFOV(config.fov, 1.0, config.near, config.far)

    def picture(self, size: int, shadow: bool = False) -> NDArray[np.uint8]:
        """What the camera sees now: (size, size, 3) uint8."""
        return self._draw(size, size, self.projection, shadow)

    def wide(self, width: int, height: int) -> NDArray[np.uint8]:
        """What a camera of another aspect ratio sees from there: (height, width, 3) uint8.

        The square in its middle is what `picture` shows.
        """
        projection = pybullet.computeProjectionMatrixFOV(self._fov, width / height, *self._range)
        return self._draw(width, height, projection, shadow=False)

    def _draw(self, width: int, height: int, projection: Sequence[float], shadow: bool) -> NDArray[np.uint8]:
        _, _, rgba, _, _ = pybullet.getCameraImage(
            width,
            height,
            self.view,
            projection,
            lightDirection=self._light,
            shadow=int(shadow),
            renderer=pybullet.ER_TINY_RENDERER,
            flags=pybullet.ER_NO_SEGMENTATION_MASK,
            physicsClientId=self._client,
        )
        return np.ascontiguousarray(np.asarray(rgba, dtype=np.uint8).reshape(height, width, 4)[:, :, :3])

    def depth(self, size: int) -> NDArray[np.float64]:
        """How far what it sees lies in front of it, along its axis: (size, size) metres."""
        buffer = pybullet.getCameraImage(
            size, size, self.view, self.projection, renderer=pybullet.ER_TINY_RENDERER, physicsClientId=self._client
        )[3]
        near, far = self._range
        return far * near / (far - (far - near) * np.asarray(buffer, dtype=np.float64).reshape(size, size))

    def project(self, points: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where points (N, 3) in metres appear, (N, 2) as x to the right and y down, in [0, 1] inside the picture.

        And how far they lie in front of the camera, along its axis, in metres: (N,).
        """
        view = np.reshape(self.view, (4, 4), order="F")
        projection = np.reshape(self.projection, (4, 4), order="F")
        clip = np.c_[points, np.ones(len(points))] @ (projection @ view).T
        ndc = clip[:, :2] / clip[:, 3:]
        return np.c_[(ndc[:, 0] + 1) / 2, (1 - ndc[:, 1]) / 2], clip[:, 3]
