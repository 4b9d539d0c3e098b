"""How long a task takes: wall-clock time until the exploring policy succeeds in so many of its last 50 episodes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from parrot.results import write_results
from parrot.rl.finetune import WINDOW, Status
from parrot.rl.loop import fine_tune
from parrot.rl.settings import FineTuneConfig

__all__ = ["Goal", "medians", "time_to"]


@dataclass(frozen=True)
class Goal:
    """What counts as learnt."""

    success: float = 0.9
    """Success over the last 50 episodes of the exploring policy."""
    minutes: float = 20.0
    """A run that has not got there by then has failed."""


def time_to(
    goal: Goal,
    tasks: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    runs: Path,
    report: Callable[[str, int, Status], None] | None = None,
) -> list[dict[str, Any]]:
    """Runs every task with every seed until it is learnt, and writes the table after each run.

    Args:
        goal: what counts as learnt.
        tasks: their names.
        seeds: of the runs.
        out: CSV to write.
        runs: folder of the runs; those that are there go on, or count as they are.
        report: called with task, seed and status at the end of every episode.

    Raises:
        ConfigError: a task is unknown.
        RunError: as `FineTuning`.
    """
    rows: list[dict[str, Any]] = []
    for task in tasks:
        for seed in seeds:
            config = FineTuneConfig(
                task=task, seed=seed, minutes=goal.minutes, eval_after=0, solved_success=goal.success,
                solved_window=WINDOW,
            )  # fmt: skip
            told = partial(report, task, seed) if report else None
            tuning = fine_tune(config, runs / f"{task}-seed{seed}", told)
            train = [row for row in tuning.folder.rows if row.phase == "train"]
            last = train[-1] if train else tuning.folder.rows[-1]
            reached = len(train) >= WINDOW and last.success_50 >= goal.success
            rows.append({
                "task": task, "goal": goal.success, "reached": int(reached), "seconds": round(last.seconds, 1),
                "episodes": len(train), "updates": last.updates, "success_last_50": last.success_50,
                "best_50": max((row.success_50 for row in train[WINDOW - 1 :]), default=math.nan),
                "success_before": round(tuning.success("before", None), 4), "seed": seed,
            })  # fmt: skip
            write_results(out, rows)
    return rows


def medians(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Median seconds of each task over its seeds; infinite if at least half of them did not get there."""
    return {
        task: statistics.median(row["seconds"] if row["reached"] else math.inf for row in rows if row["task"] == task)
        for task in dict.fromkeys(row["task"] for row in rows)
    }
