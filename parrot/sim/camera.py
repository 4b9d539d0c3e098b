"""The fixed camera that makes the observation, and larger pictures for people."""

from __future__ import annotations

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
        self.view = pybullet.computeViewMatrix(config.position, config.target, [0, 0, 1])
        self.projection = pybullet.computeProjectionMatrixFOV(config.fov, 1.0, config.near, config.far)

    def picture(self, size: int, shadow: bool = False) -> NDArray[np.uint8]:
        """What the camera sees now: (size, size, 3) uint8."""
        _, _, rgba, _, _ = pybullet.getCameraImage(
            size,
            size,
            self.view,
            self.projection,
            lightDirection=self._light,
            shadow=int(shadow),
            renderer=pybullet.ER_TINY_RENDERER,
            flags=pybullet.ER_NO_SEGMENTATION_MASK,
            physicsClientId=self._client,
        )
        return np.ascontiguousarray(np.asarray(rgba, dtype=np.uint8).reshape(size, size, 4)[:, :, :3])

    def may_see(self, corners: NDArray[np.floating], margin: float) -> bool:
        """Whether a convex thing with these corners (N, 3), in metres, may reach into the picture or near its border.

        Args:
            corners: in the world's frame.
            margin: how near, as a share of half the picture.
        """
        clip = self._clip(corners)
        x, y, w = clip[:, 0], clip[:, 1], clip[:, 3] * (1 + margin)
        return not any(bool(beyond.all()) for beyond in (x > w, x < -w, y > w, y < -w, w < 0))

    def project(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Where points (N, 3) in metres appear: (N, 2) as x to the right and y down, in [0, 1] inside the picture."""
        clip = self._clip(points)
        ndc = clip[:, :2] / clip[:, 3:]
        return np.c_[(ndc[:, 0] + 1) / 2, (1 - ndc[:, 1]) / 2]

    def _clip(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        view = np.reshape(self.view, (4, 4), order="F")
        projection = np.reshape(self.projection, (4, 4), order="F")
        return np.c_[points, np.ones(len(points))] @ (projection @ view).T
