"""Statistics that LeRobot's policies normalise by, for each episode and, added up as lerobot does, for all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["QUANTILES", "Total", "image_stats", "vector_stats"]

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
"""Names and places of the quantiles."""

Stats = dict[str, NDArray]


def vector_stats(values: NDArray) -> Stats:
    """Of numbers (T, ...): each statistic of the shape of a row, at least (1,), and `count` (1,)."""
    rows = np.asarray(values, np.float64).reshape(len(values), *(values.shape[1:] or (1,)))
    quantiles = np.quantile(rows, list(QUANTILES.values()), axis=0)
    return {
        "min": rows.min(0), "max": rows.max(0), "mean": rows.mean(0), "std": rows.std(0),
        "count": np.array([len(rows)]), **dict(zip(QUANTILES, quantiles, strict=True)),
    }  # fmt: skip


def image_stats(images: NDArray[np.uint8]) -> Stats:
    """Of pictures (T, rows, columns, 3): each statistic (3, 1, 1), in shares of 255, and `count` of pictures (1,)."""
    level = np.arange(256) / 255.0
    found: dict[str, list[float]] = {name: [] for name in ("min", "max", "mean", "std", *QUANTILES)}
    for channel in range(3):
        counts = np.bincount(images[..., channel].ravel(), minlength=256)
        total, present = counts.sum(), np.flatnonzero(counts)
        mean = float((counts * level).sum() / total)
        values = {
            "min": level[present[0]], "max": level[present[-1]], "mean": mean,
            "std": np.sqrt((counts * (level - mean) ** 2).sum() / total),
        }  # fmt: skip
        places = np.searchsorted(np.cumsum(counts), [q * (total - 1) + 1 for q in QUANTILES.values()])
        values |= dict(zip(QUANTILES, level[places], strict=True))
        for name, value in values.items():
            found[name].append(float(value))
    return {name: np.reshape(value, (3, 1, 1)) for name, value in found.items()} | {"count": np.array([len(images)])}


class Total:
    """Statistics of all episodes, of their statistics one by one."""

    def __init__(self) -> None:
        self._sums: dict[str, Stats] = {}

    def add(self, stats: dict[str, Stats]) -> None:
        """Takes in an episode's, by feature."""
        for feature, new in stats.items():
            new = {**new, "std": new["std"] ** 2}  # variances add up, deviations do not
            old = self._sums.setdefault(feature, new)
            if old is new:
                continue
            share = new["count"][0] / (old["count"][0] + new["count"][0])
            step = new["mean"] - old["mean"]
            old["std"] = old["std"] + share * (new["std"] - old["std"] + (1 - share) * step**2)
            for name in ("mean", *QUANTILES):
                old[name] = old[name] + share * (new[name] - old[name])
            for name, join in (("min", np.minimum), ("max", np.maximum), ("count", np.add)):
                old[name] = join(old[name], new[name])

    def result(self) -> dict[str, dict[str, list]]:
        """By feature, as JSON takes it."""
        return {
            feature: {**{name: value.tolist() for name, value in stats.items()}, "std": np.sqrt(stats["std"]).tolist()}
            for feature, stats in self._sums.items()
        }
