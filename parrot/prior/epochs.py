"""In which order the pairs are visited: each epoch a permutation, of several datasets as often as their weights say.

An epoch depends on its number and the seed alone, so that a training can go on anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Epochs"]


class Epochs:
    """The steps of each epoch.

    Within a dataset no step is drawn again before all others have been, whatever its weight.

    Args:
        groups: The steps of each dataset.
        weights: How often a step of each is drawn, on the scale of the others; None: all equally often.
        seed: Of the order.

    Example:
        >>> epochs = Epochs([np.arange(2), np.arange(2, 6)], weights=[2, 1])
        >>> sorted(np.concatenate([epochs.steps(number) for number in range(2)]).tolist())
        [0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5, 5]
    """

    def __init__(self, groups: Sequence[NDArray[np.int64]], weights: ArrayLike | None = None, seed: int = 0) -> None:
        self.groups, self.seed = list(groups), seed
        sizes = np.array([len(group) for group in groups])
        relative = np.ones(len(groups)) if weights is None else np.asarray(weights, np.float64)
        # An epoch is about as long as the data, and draws something of each dataset.
        drawn = np.rint(relative * sizes * (sizes.sum() / max((relative * sizes).sum(), 1e-300))).astype(np.int64)
        self.drawn: NDArray[np.int64] = np.maximum(drawn, np.minimum(sizes, 1))
        """(datasets,): steps of each in an epoch."""
        self.even = bool((self.drawn == sizes).all())
        self.all = np.concatenate(self.groups)
        self._latest = (-1, self.all)

    def __len__(self) -> int:
        """Steps in an epoch."""
        return int(self.drawn.sum())

    def steps(self, epoch: int) -> NDArray[np.int64]:
        """The steps of epoch number `epoch`, in order."""
        if self._latest[0] != epoch:
            pool = self.all if self.even else np.concatenate([self._share(k, epoch) for k in range(len(self.groups))])
            order = np.random.default_rng([self.seed, 1, epoch]).permutation(len(pool))
            self._latest = (epoch, pool[order])
        return self._latest[1]

    def _share(self, k: int, epoch: int) -> NDArray[np.int64]:
        """What an epoch draws of dataset k: the next piece of an endless row of permutations."""
        group, count = self.groups[k], int(self.drawn[k])
        if count == 0:
            return group[:0]
        first, stop = epoch * count, (epoch + 1) * count
        row = [
            np.random.default_rng([self.seed, 4, k, number]).permutation(group)
            for number in range(first // len(group), -(-stop // len(group)))
        ]
        begin = first % len(group)
        return np.concatenate(row)[begin : begin + count]
