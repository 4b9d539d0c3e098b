"""What a topic said over time: samples in any order, read between their stamps or held from one to the next."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

__all__ = ["NO_SAMPLE", "Around", "Path", "Poses", "Samples", "between"]

NO_SAMPLE = int(np.iinfo(np.int64).max)
"""The gap where a topic has no sample at all, ns."""


class Around(NamedTuple):
    """The samples on both sides of N moments."""

    before: NDArray[np.float64]
    """(N, width): the last sample at or before each moment, or the first of all."""
    after: NDArray[np.float64]
    """(N, width): the first one after it, or the last of all."""
    weight: NDArray[np.float64]
    """(N,) how far the moment is from `before` to `after`, 0 to 1."""
    gap: NDArray[np.int64]
    """(N,) ns to the nearer of the two."""


class Samples:
    """Rows of `width` numbers, each at a time in ns; of those at the same time the last to come counts."""

    def __init__(self, width: int, topic: str, dropped: Counter[str]) -> None:
        """`dropped`: where unusable samples are counted, under the topic's name."""
        self._width, self._topic, self._dropped = width, topic, dropped
        self._new_times, self._new_rows = array("q"), array("d")
        self._times = np.empty(0, np.int64)
        self._rows = np.empty((0, width))

    def add(self, time: int, row: Sequence[float] | NDArray[np.floating]) -> None:
        """Takes a sample; one that is not finite is counted and dropped."""
        if not np.isfinite(row).all():
            self._dropped[f"{self._topic}: not finite"] += 1
            return
        self._new_times.append(time)
        self._new_rows.extend(row)

    def sorted(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Times (N,), each once, and rows (N, width)."""
        if self._new_times:
            times = np.concatenate([self._times, np.array(self._new_times, np.int64)])
            rows = np.concatenate([self._rows, np.array(self._new_rows).reshape(-1, self._width)])
            self._new_times, self._new_rows = array("q"), array("d")
            order = np.argsort(times, kind="stable")
            last = np.append(np.diff(times[order]) > 0, True)
            if repeated := int((~last).sum()):
                self._dropped[f"{self._topic}: repeated stamp"] += repeated
            self._times, self._rows = times[order][last], rows[order][last]
        return self._times, self._rows

    def around(self, moments: NDArray[np.int64]) -> Around | None:
        """The samples around each of the moments (N,) ns; None if there is none at all."""
        times, rows = self.sorted()
        if not len(times):
            return None
        index = np.searchsorted(times, moments, side="right")
        low, high = np.maximum(index - 1, 0), np.minimum(index, len(times) - 1)
        since, until = np.abs(moments - times[low]), np.abs(times[high] - moments)
        inside = (index > 0) & (index < len(times))
        weight = np.where(inside, since / np.maximum(since + until, 1), 0.0)
        return Around(rows[low], rows[high], weight, np.minimum(since, until))

    def held(self, moments: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The last sample before each of the moments, (N, width), and whether there was one, (N,)."""
        times, rows = self.sorted()
        index = np.searchsorted(times, moments, side="left") - 1
        if not len(times):
            return np.zeros((len(moments), self._width)), np.zeros(len(moments), bool)
        return rows[np.maximum(index, 0)], index >= 0

    def forget(self, before: int | None) -> None:
        """Frees what moments from this one on do not need; None: everything."""
        times, rows = self.sorted()
        first = len(times) if before is None else max(0, int(np.searchsorted(times, before, side="right")) - 2)
        self._times, self._rows = times[first:].copy(), rows[first:].copy()


@dataclass(frozen=True)
class Poses:
    """N poses, or one that counts for all."""

    positions: NDArray[np.float64]
    """(N, 3) or (3,), metres."""
    rotations: Rotation

    def then(self, other: Poses) -> Poses:
        """Poses of what is at `other` in the frame that is at these."""
        return Poses(self.positions + self.rotations.apply(other.positions), self.rotations * other.rotations)

    def inverse(self) -> Poses:
        """Poses of the outer frame in the inner one."""
        back = self.rotations.inv()
        return Poses(-back.apply(self.positions), back)


@dataclass(frozen=True)
class Path:
    """Where the tool point was at N moments."""

    poses: Poses
    gap: NDArray[np.int64]
    """(N,) ns from each moment to the nearest sample used."""

    @classmethod
    def unknown(cls, count: int) -> Path:
        """Of a topic without a sample."""
        return cls(Poses(np.zeros((count, 3)), Rotation.identity(count)), np.full(count, NO_SAMPLE, np.int64))


def between(around: Around) -> Poses:
    """Poses between samples (x y z, then a quaternion x y z w): linear in position, slerp in rotation."""
    first, second = Rotation.from_quat(around.before[:, 3:]), Rotation.from_quat(around.after[:, 3:])
    # The vector of a rotation is at most a half turn, so that q and -q are the same.
    turn = Rotation.from_rotvec((first.inv() * second).as_rotvec() * around.weight[:, None])
    weight = around.weight[:, None]
    return Poses(around.before[:, :3] * (1 - weight) + around.after[:, :3] * weight, first * turn)
