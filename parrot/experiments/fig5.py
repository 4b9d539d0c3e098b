"""Figure 5: success of all methods on all tasks against environment steps, as the paper lays it out."""

from __future__ import annotations

from pathlib import Path

from matplotlib.lines import Line2D

from parrot.experiments.drawing import band, colour, label, panels, save, success_against_steps, title
from parrot.experiments.table import Results

__all__ = ["draw"]


def draw(results: Results, path: Path) -> None:
    """Draws a panel for each task: means over the seeds as lines, standard deviations as shades."""
    plan = results.budget.fig5
    # The paper's rows: four tasks each.
    figure, axes = panels(len(plan.tasks), columns=4)
    counts = dict.fromkeys(plan.methods, 0)
    for place, task in zip(axes, plan.tasks, strict=True):
        for algo in reversed(plan.methods):  # ours is drawn last, above the others
            for runs in results.select(algo, [task], seeds=plan.seeds):
                band(place, runs, colour(algo), label(algo))
                counts[algo] += len(runs)
        place.set_title(title(task))
        success_against_steps(place, results.budget.env_steps)
    for place in axes[::4]:
        place.set_ylabel("success")
    for place in axes[-4:]:
        place.set_xlabel("environment steps")
    wanted = len(plan.tasks) * plan.seeds
    handles = [
        Line2D([], [], color=colour(a), label=f"{label(a)}" + (f" ({n} of {wanted} runs)" if n < wanted else ""))
        for a, n in counts.items()
    ]
    # About 1.9 inches are a name with its number of runs.
    columns = min(4, int(figure.get_figwidth() / 1.9))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
    save(figure, results.budget, path)
