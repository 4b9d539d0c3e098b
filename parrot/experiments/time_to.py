"""How long a task takes: wall-clock time until the exploring policy succeeds in so many of its last 50 episodes."""

from __future__ import annotations

import csv
import json
import math
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from parrot.results import write_results
from parrot.rl.loop import fine_tune
from parrot.rl.presets import preset
from parrot.rl.settings import FineTuneConfig
from parrot.rl.status import WINDOW, Status

__all__ = ["Goal", "Others", "medians", "time_to"]


@dataclass(frozen=True)
class Goal:
    """What counts as learnt."""

    success: float = 0.9
    """Success over the last 50 episodes of the exploring policy."""
    minutes: float = 20.0
    """A run that has not got there by then has failed."""
    preset: str = "fast"
    """Hyper-parameters that it has to be learnt with."""


def time_to(
    goal: Goal,
    tasks: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    runs: Path,
    report: Callable[[str, int, Status], None] | None = None,
) -> list[dict[str, Any]]:
    """Runs every task with every seed until it is learnt, the first seed of all before the second of any.

    The table is written after each run; its rows of other tasks and seeds stay.

    Args:
        goal: what counts as learnt.
        tasks: their names.
        seeds: of the runs.
        out: CSV to write or to add to.
        runs: folder of the runs; those that are there go on, or count as they are.
        report: called with task, seed and status at the end of every episode.

    Raises:
        ConfigError: a task or the preset is unknown.
        RunError: as `FineTuning`.
    """
    before = _read(out)
    kept = [row for row in before if row["task"] not in tasks or int(row["seed"]) not in seeds]
    shares = {(row["task"], int(row["seed"])): row["others"] for row in before}
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        for task in tasks:
            config = FineTuneConfig(
                task=task, seed=seed, minutes=goal.minutes, solved_success=goal.success, solved_window=WINDOW,
                sac=preset(goal.preset),
            )  # fmt: skip
            folder = runs / f"{task}-seed{seed}"
            told = partial(report, task, seed) if report else None
            finished = (folder / "summary.json").exists()
            with Others() as others:
                tuning = fine_tune(config, folder, told)
            train = [row for row in tuning.folder.rows if row.phase == "train"]
            last = train[-1] if train else tuning.folder.rows[-1]
            # Of a run that is only read again, what others took while it ran is what counts.
            share = shares.get((task, seed), others.share) if finished else others.share
            reached = len(train) >= WINDOW and last.success_50 >= goal.success
            rows.append({
                "task": task, "goal": goal.success, "reached": int(reached), "seconds": round(last.seconds, 1),
                "episodes": len(train), "updates": last.updates, "success_last_50": last.success_50,
                "best_50": max((row.success_50 for row in train[WINDOW - 1 :]), default=math.nan),
                "success_before": round(tuning.success("before", None), 4),
                "success_after": round(tuning.success("after", None), 4), "others": share, "seed": seed,
                "commit": json.loads((folder / "config.json").read_text())["provenance"]["commit"],
            })  # fmt: skip
            write_results(out, sorted([*kept, *rows], key=lambda row: (row["task"], int(row["seed"]))))
    return rows


def _read(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV, none if there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class Others:
    """What other processes take of the machine's cores in the meantime: a share near 0, or the time says too much."""

    def __enter__(self) -> Others:
        self._before = self._busy()
        return self

    def __exit__(self, *_: object) -> None:
        everybody, own, passed = (now - before for now, before in zip(self._busy(), self._before, strict=True))
        self.share = round(max(0.0, everybody - own) / max(passed, 1e-9), 3)

    @staticmethod
    def _busy() -> tuple[float, float, float]:
        """Seconds of all cores in use, of them by this process and the children it has ended, and all that passed."""
        cores = psutil.cpu_times()
        return sum(cores) - cores.idle - getattr(cores, "iowait", 0.0), sum(os.times()[:4]), sum(cores)


def medians(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Median seconds of each task over its seeds; infinite if at least half of them did not get there."""
    return {
        task: statistics.median(row["seconds"] if row["reached"] else math.inf for row in rows if row["task"] == task)
        for task in dict.fromkeys(row["task"] for row in rows)
    }
