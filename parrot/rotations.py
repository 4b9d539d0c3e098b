"""Roll, pitch and yaw of a tool that points down: the arithmetic by which an action turns the tool.

One definition for the simulated arm, which integrates the angles, and for bags, whose rotations become actions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["DOWN", "rotation_of", "rpy_of"]

DOWN = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]])
"""The tool pointing at the table, its fingers closing along y: the rotation of zero roll, pitch and yaw."""


def rotation_of(rpy: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation (3, 3), in the base frame, of a tool turned from `DOWN` by rpy (3,): radians about x, y, z."""
    cr, cp, cy = np.cos(rpy)
    sr, sp, sy = np.sin(rpy)
    turn = np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )
    return turn @ DOWN


def rpy_of(rotations: NDArray[np.floating]) -> NDArray[np.float64]:
    """The inverse: (..., 3, 3) to (..., 3), pitch within ±π/2, roll and yaw within ±π.

    Where the pitch nears ±π/2, roll and yaw turn about the same axis and lose their meaning.

    Example:
        >>> rpy_of(rotation_of(np.array([0.1, -0.2, 3.0]))).round(9)
        array([ 0.1, -0.2,  3. ])
    """
    turn = rotations @ DOWN.T
    roll = np.arctan2(turn[..., 2, 1], turn[..., 2, 2])
    pitch = np.arcsin(np.clip(-turn[..., 2, 0], -1.0, 1.0))
    yaw = np.arctan2(turn[..., 1, 0], turn[..., 0, 0])
    return np.stack([roll, pitch, yaw], axis=-1)
