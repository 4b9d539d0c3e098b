"""Follows a joint trajectory as ros2_control's joint trajectory controller does: a new one replaces the last.

From wherever the set point is, straight to each point in its time; the last point is held. It knows nothing of ROS.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from parrot.errors import SpaceError

__all__ = ["Follower"]


class Follower:
    """The set point of some joints.

    Args:
        names: of the joints.
        start: (n,) where they are, radians or metres.

    Example:
        >>> arm = Follower(["a", "b"], [0.0, 0.0])
        >>> arm.take(["b", "a"], [[0.2, 0.1]], [0.1], now=5.0)
        >>> arm.set_point(5.05), arm.set_point(9.0)
        (array([0.05, 0.1 ]), array([0.1, 0.2]))
    """

    def __init__(self, names: Sequence[str], start: ArrayLike) -> None:
        self.names = tuple(names)
        self.hold(start)

    def hold(self, positions: ArrayLike) -> None:
        """Forgets the trajectory and holds these positions (n,)."""
        self._times = np.zeros(1)
        self._points = np.array(positions, dtype=np.float64)[None]

    def take(
        self, names: Sequence[str], points: Sequence[Sequence[float]], seconds: Sequence[float], now: float
    ) -> None:
        """Follows this trajectory from now on.

        Args:
            names: of all the joints, in any order.
            points: positions of each point, in the order of `names`.
            seconds: from now to each point, increasing.
            now: seconds, of any clock that does not jump.

        Raises:
            SpaceError: other joints, no point, points of another length, or times that go back; nothing changes.
        """
        if sorted(names) != sorted(self.names):
            raise SpaceError(f"trajectory is for joints {', '.join(names) or 'none'}; send {', '.join(self.names)}")
        if not points or any(len(point) != len(self.names) for point in points):
            raise SpaceError(f"trajectory has points of {[len(p) for p in points]} positions; send {len(self.names)}")
        table, times = np.array(points, dtype=np.float64), np.array(seconds, dtype=np.float64)
        if not np.isfinite(table).all() or not (np.diff(np.r_[0.0, times]) >= 0).all():
            raise SpaceError(
                "trajectory has positions that are not finite or times that go back; send increasing times"
            )
        start = self.set_point(now)
        order = [list(names).index(name) for name in self.names]
        self._times = now + np.r_[0.0, times]
        self._points = np.vstack([start, table[:, order]])

    def set_point(self, now: float) -> NDArray[np.float64]:
        """Where the joints should be, (n,)."""
        return np.array([np.interp(now, self._times, column) for column in self._points.T])
