"""What a handful of runs says: mean and deviation as the paper has it, and interquartile means with intervals.

Agarwal et al. (2021), "Deep Reinforcement Learning at the Edge of the Statistical Precipice": with few seeds a mean
alone misleads; the interquartile mean over all runs and tasks, with intervals from a bootstrap that draws runs anew
within each task, does not. Scores are lists of tasks, each an array of its runs, whose numbers may differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = ["FEWEST_RUNS", "Interval", "difference", "interval", "iqm", "mean_std"]

FEWEST_RUNS = 3
"""Runs of each task below which drawing anew says nothing: one run drawn anew is always itself."""

_REPEATS = 5000

Scores = Sequence[ArrayLike]


@dataclass(frozen=True)
class Interval:
    """A figure with its 95% interval."""

    value: float
    """The figure of the runs as they are."""
    low: float
    """NaN if a task has fewer than `FEWEST_RUNS` runs."""
    high: float
    """As `low`."""
    runs: int
    """Runs behind it, over all tasks."""

    @property
    def known(self) -> bool:
        """Whether there were runs enough for an interval."""
        return bool(np.isfinite(self.low))


def mean_std(values: ArrayLike, axis: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation along an axis, NaN left out: what Figure 5's lines and shades are.

    Example:
        >>> mean, std = mean_std([[0.0, 1.0], [1.0, 1.0]])
        >>> mean.tolist(), std.tolist()
        ([0.5, 1.0], [0.5, 0.0])
    """
    array = np.asarray(values, np.float64)
    return np.nanmean(array, axis), np.nanstd(array, axis)


def iqm(scores: ArrayLike) -> float:
    """Interquartile mean: of the middle half of the scores, a quarter left out at each end.

    Example:
        >>> iqm([0, 0, 1, 2, 3, 4, 100, 100])
        2.5
    """
    return float(stats.trim_mean(np.asarray(scores, np.float64), 0.25, axis=None))


def interval(scores: Scores, seed: int = 0) -> Interval:
    """The interquartile mean over all runs of all tasks, with a stratified bootstrap's percentile interval.

    Args:
        scores: for each task the scores of its runs.
        seed: of the draws.
    """
    tasks = [np.asarray(task, np.float64) for task in scores]
    return _interval(iqm(np.concatenate(tasks)), [tasks], lambda drawn: _iqm_rows(drawn[0]), seed)


def difference(one: Scores, other: Scores, seed: int = 0) -> Interval:
    """How much higher the interquartile mean of one method is than that of another, over the same tasks."""
    sets = [[np.asarray(task, np.float64) for task in scores] for scores in (one, other)]
    value = iqm(np.concatenate(sets[0])) - iqm(np.concatenate(sets[1]))
    return _interval(value, sets, lambda drawn: _iqm_rows(drawn[0]) - _iqm_rows(drawn[1]), seed)


def _interval(
    value: float,
    sets: Sequence[Sequence[NDArray[np.float64]]],
    statistic: Callable[[list[NDArray[np.float64]]], NDArray[np.float64]],
    seed: int,
) -> Interval:
    runs = sum(len(task) for tasks in sets for task in tasks)
    if min(len(task) for tasks in sets for task in tasks) < FEWEST_RUNS:
        return Interval(value, float("nan"), float("nan"), runs)
    rng = np.random.default_rng(seed)
    drawn = [
        np.concatenate([task[rng.integers(0, len(task), (_REPEATS, len(task)))] for task in tasks], axis=1)
        for tasks in sets
    ]
    low, high = np.percentile(statistic(drawn), [2.5, 97.5])
    return Interval(value, float(low), float(high), runs)


def _iqm_rows(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interquartile mean of each row (N, runs) -> (N,)."""
    return np.asarray(stats.trim_mean(drawn, 0.25, axis=1))
