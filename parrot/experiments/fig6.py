"""Figure 6: what PARROT reaches in the end, against the number of trajectories behind its prior."""

from __future__ import annotations

from pathlib import Path

from parrot.experiments.drawing import colour, panels, save, title
from parrot.experiments.statistics import mean_std
from parrot.experiments.table import Results, scores

__all__ = ["draw"]


def draw(results: Results, path: Path) -> None:
    """Draws a panel for each task: mean and deviation over the seeds, a dot for each run, and SAC as no data at all."""
    plan = results.budget.fig6
    figure, axes = panels(len(plan.tasks), columns=4)
    sizes = sorted(plan.trajectories)
    columns = [("sac", 0, "none\n(SAC)"), *(("parrot", n, f"{n:,}") for n in sizes)]
    for place, task in zip(axes, plan.tasks, strict=True):
        for x, (algo, count, _) in enumerate(columns):
            for values in scores(results.select(algo, [task], "both", count, plan.seeds), "final"):
                mean, std = mean_std(values)
                place.errorbar(x, mean, std, fmt="s", color=colour(algo), capsize=4, ms=6)
                place.plot([x] * len(values), values, ".", color=colour(algo), alpha=0.4)
        place.set_xticks(range(len(columns)), [name for *_, name in columns], fontsize=7)
        place.set(title=title(task), ylim=(-0.03, 1.03), xlim=(-0.5, len(columns) - 0.5))
        place.grid(alpha=0.3)
    axes[0].set_ylabel("success after learning")
    figure.supxlabel("trajectories behind the prior", fontsize=10)
    save(figure, results.budget, path)
