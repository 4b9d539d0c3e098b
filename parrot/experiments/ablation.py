"""What each choice of the fast preset is worth: a task learnt with one choice undone, at equal wall-clock time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from parrot.errors import ConfigError
from parrot.results import write_results
from parrot.rl.finetune import FineTuning, Status
from parrot.rl.loop import fine_tune
from parrot.rl.settings import FineTuneConfig, sac_config

__all__ = ["VARIANTS", "WINDOW", "ablate"]

VARIANTS: dict[str, tuple[str, ...]] = {
    "fast": (),
    "without imitation": ("imitation_weight=0", "imitation_floor=0"),
    "imitation alone": ("q_weight=0", "imitation_floor=1"),
    "cold encoder": ("warm_start=false",),
    "one-step returns": ("n_step=1",),
    "no share of successes": ("success_share=0",),
    "no random shifts": ("shift=0",),
    "two plain critics": ("critics=2", "layer_norm=false"),
}
"""Name -> changes to the preset `fast`."""

WINDOW = 200
"""Episodes of the exploring policy, at the end of training, over which its success is averaged."""


def ablate(
    task: str,
    out: Path,
    runs: Path,
    *,
    variants: Sequence[str] = tuple(VARIANTS),
    seeds: Sequence[int] = (0,),
    minutes: float = 5.0,
    eval_after: int = 100,
    prior: Path | None = None,
    report: Callable[[str, Status], None] | None = None,
) -> list[dict[str, Any]]:
    """Runs every variant with every seed, one after the other, and writes the table after each.

    Args:
        task: name of the task.
        out: CSV to write.
        runs: folder of the runs; those that are there go on, or count as they are if they are finished.
        variants: names of `VARIANTS`.
        seeds: of the runs.
        minutes: training time of each run.
        eval_after: episodes that measure each trained policy.
        prior: weights of the prior; None: those that come with parrot.
        report: called with the variant and the status at the end of every episode.

    Raises:
        ConfigError: a variant is unknown.
        RunError: as `FineTuning`.
    """
    if unknown := [name for name in variants if name not in VARIANTS]:
        raise ConfigError(f"variant {unknown[0]!r} is unknown; choose from {', '.join(map(repr, VARIANTS))}")
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        for name in variants:
            config = FineTuneConfig(
                task=task, prior=str(prior) if prior else None, seed=seed, minutes=minutes, eval_after=eval_after,
                sac=sac_config("fast", VARIANTS[name]),
            )  # fmt: skip
            run_dir = runs / f"{task}-{name.replace(' ', '_')}-seed{seed}"
            tuning = fine_tune(config, run_dir, (lambda s, n=name: report(n, s)) if report else None)  # type: ignore[misc]
            rows.append(_row(name, tuning))
            write_results(out, rows)
    return rows


def _row(name: str, tuning: FineTuning) -> dict[str, Any]:
    status, train = tuning.status(), [row.success for row in tuning.folder.rows if row.phase == "train"]
    return {
        "task": tuning.config.task, "variant": name, "changes": "; ".join(VARIANTS[name]),
        "minutes": tuning.config.minutes, "episodes": len(train), "updates": status.updates,
        "success_before": round(tuning.success("before", None), 4),
        f"success_last_{WINDOW}": round(float(np.mean(train[-WINDOW:])), 4) if train else float("nan"),
        "success_after": round(tuning.success("after", None), 4), "episodes_after": tuning.config.eval_after,
        "seed": tuning.config.seed,
    }  # fmt: skip
