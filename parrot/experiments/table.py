"""The results of a reproduction, read back from its CSVs alone."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parrot.errors import RunError
from parrot.experiments.budgets import Budget
from parrot.experiments.plan import planned
from parrot.sim.tasks import get_task

__all__ = ["Curve", "Results", "Walked", "scores"]


@dataclass(frozen=True)
class Curve:
    """One run: success at the steps where it was measured."""

    task: str
    """The task."""
    algo: str
    """The method."""
    mix: str
    """Which tasks its prior data was of; empty: it had none."""
    trajectories: int
    """How many."""
    seed: int
    """Of the run."""
    commit: str
    """That it was made at."""
    at: NDArray[np.int64]
    """(P,): environment steps, rising."""
    success: NDArray[np.float64]
    """(P,): share of the episodes there that succeeded."""

    @property
    def initial(self) -> float:
        """Success before learning."""
        return float(self.success[0])

    @property
    def final(self) -> float:
        """Success of the trained policy."""
        return float(self.success[-1])

    @property
    def average(self) -> float:
        """Success over all steps: area below the curve; of two that end alike, the one that learns faster has more."""
        heights = (self.success[1:] + self.success[:-1]) / 2
        return float((heights * np.diff(self.at)).sum() / (self.at[-1] - self.at[0]))


@dataclass(frozen=True)
class Walked:
    """The episodes of a random policy on a task."""

    task: str
    """On whose scenes."""
    policy: str
    """`prior` or `uniform`."""
    commit: str
    """That they were made at."""
    paths: NDArray[np.float64]
    """(N, T + 1, 3): finger tips, metres, on one scene."""
    lifted: NDArray[np.bool_]
    """(N,): whether the path's episode lifted an object."""
    objects: dict[str, NDArray[np.float64]]
    """Where the objects of that scene stood, (3,) metres."""
    episodes: int
    """Episodes, each on a scene of its own."""
    counts: dict[str, int]
    """How many of these `touched` an object, `lifted` one, met the task's objective (`success`)."""


class Results:
    """A folder `results/reproduction/BUDGET`.

    Raises:
        RunError: there is none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.budget: Budget = planned(self.folder / "budget.json")
        self.curves = [_curve(path) for path in sorted(self.folder.glob("runs/*/*.csv"))]
        self.walked = {(w.task, w.policy): w for w in map(_walked, sorted(self.folder.glob("explore/*.csv")))}

    def select(
        self,
        algo: str,
        tasks: Iterable[str],
        mix: str | None = "both",
        trajectories: int | None = None,
        seeds: int | None = None,
    ) -> list[list[Curve]]:
        """The runs of a method by task, those without any left out.

        Args:
            algo: the method.
            tasks: which tasks, in this order.
            mix: kind of its prior data; a method without any has all its runs.
            trajectories: how many; None: all that the budget has.
            seeds: so many of the first; None: all.
        """
        count = self.budget.trajectories if trajectories is None else trajectories
        found = [
            [
                curve
                for curve in self.curves
                if (curve.task, curve.algo) == (task, algo)
                and (not curve.mix or (curve.mix, curve.trajectories) == (mix, count))
                and (seeds is None or curve.seed < seeds)
            ]
            for task in tasks
        ]
        return [runs for runs in found if runs]


def scores(runs: Sequence[Sequence[Curve]], measure: str) -> list[NDArray[np.float64]]:
    """A measure (`initial`, `final`, `average`) of each run, by task."""
    return [np.array([getattr(curve, measure) for curve in task]) for task in runs]


def is_grasp(task: str) -> bool:
    """Whether the task is to grasp, and not to place."""
    return get_task(task).verb == "grasp"


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise RunError(f"{path} is empty; remove it: the experiment makes it again")
    return rows


def _curve(path: Path) -> Curve:
    rows = sorted(_rows(path), key=lambda row: int(row["at"]))
    first = rows[0]
    return Curve(
        first["task"], first["algo"], first["mix"], int(first["trajectories"]), int(first["seed"]), first["commit"],
        np.array([int(row["at"]) for row in rows]), np.array([float(row["success"]) for row in rows]),
    )  # fmt: skip


def _walked(path: Path) -> Walked:
    rows = _rows(path)
    steps = [row for row in rows if row["what"] == "path"]
    episodes = [row for row in rows if row["what"] == "episode"]
    count = len({row["episode"] for row in steps})
    paths = np.array([_metres(row) for row in steps]).reshape(count, -1, 3)
    lifted = np.array([int(row["lifted"]) for row in steps], bool).reshape(count, -1)[:, 0]
    objects = {row["what"]: np.array(_metres(row)) for row in rows if row["what"] not in ("path", "episode")}
    counts = {flag: sum(int(row[flag]) for row in episodes) for flag in ("touched", "lifted", "success")}
    first = rows[0]
    return Walked(
        first["task"], first["policy"], first["commit"], paths, lifted, objects, len(episodes), counts
    )  # fmt: skip


def _metres(row: dict[str, str]) -> tuple[float, float, float]:
    return float(row["x"]), float(row["y"]), float(row["z"])
