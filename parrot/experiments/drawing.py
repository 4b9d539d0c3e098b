"""What the figures share: names and colours of the methods, panels, and the note that a smoke run claims nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from parrot.durable import atomic_path
from parrot.experiments.budgets import Budget
from parrot.experiments.statistics import mean_std
from parrot.experiments.table import Curve
from parrot.rl.algorithms import ALGORITHMS, algorithm

__all__ = ["band", "colour", "label", "panels", "save", "success_against_steps", "title"]


def label(algo: str) -> str:
    """The method's name in the paper; of one that this parrot does not have, the name in the results."""
    return algorithm(algo).label if algo in ALGORITHMS else algo


def colour(algo: str) -> str:
    """The method's colour in all figures."""
    return algorithm(algo).colour if algo in ALGORITHMS else "black"


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


def success_against_steps(axes: Axes, env_steps: int) -> None:
    """Lays out a panel whose axes are environment steps, up to so many, and success."""
    axes.set(ylim=(-0.03, 1.03), xlim=(0, env_steps))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 50k
    axes.grid(alpha=0.3)


def band(axes: Axes, runs: Sequence[Curve], paint: str, name: str | None, thin: bool = False) -> None:
    """The mean of the runs, and their standard deviation as a shade, over the steps that any of them has."""
    at = sorted({int(step) for run in runs for step in run.at})
    values = np.full((len(runs), len(at)), np.nan)
    for row, run in zip(values, runs, strict=True):
        row[np.searchsorted(at, run.at)] = run.success
    mean, std = mean_std(values)
    if thin:
        axes.plot(at, mean, color=paint, lw=0.8, alpha=0.5)
        return
    axes.plot(at, mean, color=paint, label=name, lw=1.6)
    axes.fill_between(at, mean - std, mean + std, color=paint, alpha=0.2, lw=0)


def save(figure: Figure, budget: Budget, path: Path) -> None:
    """Writes the figure, with its budget on it, and with a warning if nothing may be claimed from it.

    Raises:
        RunError: the file cannot be written.
    """
    note = "smoke: nothing is claimed from it" if budget.claims_nothing else f"budget {budget.name}"
    figure.suptitle(note, color="tab:red" if budget.claims_nothing else "0.4", fontsize=10, x=0.01, ha="left")
    with atomic_path(path) as tmp:
        # Without the library's version and the date, the same results are the same picture.
        figure.savefig(tmp, metadata={"Software": None} if path.suffix == ".png" else None)
