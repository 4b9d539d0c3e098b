"""Figure 7: priors from grasping only, from pick-and-place only and from both, on grasping and on placing tasks."""

from __future__ import annotations

from pathlib import Path

from parrot.experiments.drawing import band, panels, save, success_against_steps
from parrot.experiments.table import Results, is_grasp

__all__ = ["MIXES", "draw"]

MIXES = {
    "both": ("prior from both", "tab:blue"),
    "grasp": ("prior from grasping only", "tab:green"),
    "place": ("prior from pick and place only", "tab:red"),
}
"""Label and colour of each kind of prior data."""


def draw(results: Results, path: Path) -> None:
    """Draws a panel for each kind of task: a thin line for each task, and mean and deviation over all their runs."""
    plan = results.budget.fig7
    groups = {
        "Grasping tasks": [task for task in plan.tasks if is_grasp(task)],
        "Pick and place tasks": [task for task in plan.tasks if not is_grasp(task)],
    }
    groups = {name: tasks for name, tasks in groups.items() if tasks}
    figure, axes = panels(len(groups), width=4.2, height=3.2)
    for place, (name, tasks) in zip(axes, groups.items(), strict=True):
        for mix, (text, colour) in MIXES.items():
            by_task = results.select("parrot", tasks, mix, plan.trajectories, plan.seeds)
            if not by_task:
                continue
            if len(by_task) > 1:
                for runs in by_task:
                    band(place, runs, colour, None, thin=True)
            every = [run for runs in by_task for run in runs]
            band(place, every, colour, f"{text} (n = {len(every)})")
        place.set_title(f"{name} ({len(tasks)})")
        success_against_steps(place, results.budget.env_steps)
        if place.get_legend_handles_labels()[0]:
            place.legend(fontsize=7)
    axes[0].set_ylabel("success")
    figure.supxlabel(f"environment steps ({plan.trajectories:,} trajectories behind each prior)", fontsize=9)
    save(figure, results.budget, path)
