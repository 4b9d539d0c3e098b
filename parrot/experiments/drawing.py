"""What the figures share: names and colours of the methods, panels, and the note that a smoke run claims nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from parrot.durable import atomic_path
from parrot.experiments.budgets import Budget
from parrot.experiments.statistics import mean_std
from parrot.experiments.table import Curve

__all__ = ["LABELS", "band", "label", "panels", "save", "title"]

LABELS = {
    "parrot": ("PARROT (ours)", "tab:blue"), "sac": ("SAC", "tab:gray"), "prior_explore": ("Prior-explore", "tab:cyan"),
    "hirl": ("HIRL", "tab:orange"), "trajrl": ("TrajRL", "tab:green"), "bc_sac": ("BC-SAC", "tab:red"),
    "vae_features": ("VAE-features", "tab:purple"),
}  # fmt: skip
"""Name in the paper and colour of each method."""


def label(algo: str) -> str:
    """The method's name in the paper."""
    return LABELS[algo][0]


def title(task: str) -> str:
    """A task's name, for people."""
    return task.replace("_", " ").capitalize()


def panels(count: int, columns: int = 4, width: float = 3.1, height: float = 2.6) -> tuple[Figure, list[Axes]]:
    """A figure of that many panels, in rows of at most so many columns."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(max(4.5, width * columns), height * rows + 0.9), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False)
    flat = [axes for row in grid for axes in row]
    for axes in flat[count:]:
        axes.set_axis_off()
    return figure, flat[:count]


def band(axes: Axes, runs: Sequence[Curve], colour: str, name: str | None, thin: bool = False) -> None:
    """The mean of the runs, and their standard deviation as a shade, over the steps that any of them has."""
    at = sorted({int(step) for run in runs for step in run.at})
    values = np.full((len(runs), len(at)), np.nan)
    for row, run in zip(values, runs, strict=True):
        row[np.searchsorted(at, run.at)] = run.success
    mean, std = mean_std(values)
    if thin:
        axes.plot(at, mean, color=colour, lw=0.8, alpha=0.5)
        return
    axes.plot(at, mean, color=colour, label=name, lw=1.6)
    axes.fill_between(at, mean - std, mean + std, color=colour, alpha=0.2, lw=0)


def save(figure: Figure, budget: Budget, path: Path) -> None:
    """Writes the figure, with its budget on it, and with a warning if nothing may be claimed from it.

    Raises:
        RunError: the file cannot be written.
    """
    note = "smoke: nothing is claimed from it" if budget.claims_nothing else f"budget {budget.name}"
    colour = "tab:red" if budget.claims_nothing else "0.4"
    figure.suptitle(note, color=colour, fontsize=10, x=0.01, ha="left")
    with atomic_path(path) as tmp:
        # Without the library's version and the date, the same results are the same picture.
        figure.savefig(tmp, metadata={"Software": None} if path.suffix == ".png" else None)
