"""Keeps of finished runs what a claim needs: the summary with seed and commit, and the line for each episode."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parrot.durable import write_bytes, write_json
from parrot.errors import RunError

__all__ = ["Run", "gather", "load_runs"]


@dataclass(frozen=True)
class Run:
    """One finished run, as gathered."""

    summary: dict[str, Any]
    """What `summary.json` said."""
    minutes: list[float]
    """Wall-clock time at the end of each training episode."""
    successes: list[int]
    """Whether each training episode succeeded, those of the prior alone included."""

    @property
    def algo(self) -> str:
        """The algorithm."""
        return str(self.summary["algo"])


def gather(runs: Sequence[Path], out: Path) -> list[dict[str, Any]]:
    """Copies summary and episodes of each run to `out/ALGO-seedN.json` and `.csv`; returns the summaries.

    Raises:
        RunError: a run has no summary, for it is not finished.
    """
    summaries = []
    for run in runs:
        if not (run / "summary.json").exists():
            raise RunError(f"{run} has no summary.json; let the run finish first: the same launch command goes on")
        summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
        name = f"{summary['algo']}-seed{summary['seed']}"
        write_bytes(out / f"{name}.csv", (run / "episodes.csv").read_bytes())
        write_json(out / f"{name}.json", summary)
        summaries.append(summary)
    return summaries


def load_runs(folder: Path) -> list[Run]:
    """The runs gathered in a folder, by name.

    Raises:
        RunError: there are none.
    """
    found = []
    for path in sorted(folder.glob("*-seed*.json")):
        summary = json.loads(path.read_text(encoding="utf-8"))
        with path.with_suffix(".csv").open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["phase"] in ("before", "train")]
        found.append(Run(summary, [float(r["seconds"]) / 60 for r in rows], [int(r["success"]) for r in rows]))
    if not found:
        raise RunError(
            f"{folder} holds no gathered runs; make some with: parrot experiment gather RUN... --out {folder}"
        )
    return found
