"""Success against wall-clock time, every seed shown: the figure that compares algorithms on one task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from parrot.durable import atomic_path
from parrot.experiments.gather import Run
from parrot.rl.algorithms import algorithm
from parrot.rl.report import rolling
from parrot.rl.status import WINDOW

__all__ = ["draw_curves"]


def draw_curves(runs: Sequence[Run], path: Path) -> None:
    """Draws a line for each run and a dot for its evaluation at the end."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    named: set[str] = set()
    for run in runs:
        about = algorithm(run.algo)
        colour, label = about.colour, about.label
        curve = rolling(run.successes)
        minutes = run.minutes[len(run.minutes) - len(curve) :]
        axes.plot(minutes, curve, color=colour, alpha=0.8, label=None if run.algo in named else label)
        after = run.summary["success_after"]
        if minutes and after is not None:
            axes.plot(minutes[-1:], [after], "o", color=colour, markersize=5)
        named.add(run.algo)
    tasks = sorted({str(run.summary["task"]) for run in runs})
    what = f"minutes on two CPU cores\n(lines: last {WINDOW} episodes while exploring; dots: evaluation)"
    axes.set(xlabel=what, ylabel="success", ylim=(-0.03, 1.03), title=", ".join(tasks))
    axes.grid(alpha=0.3)
    axes.legend(loc="center right", fontsize=8)
    with atomic_path(path) as tmp:
        figure.savefig(tmp)
