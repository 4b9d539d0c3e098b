"""Figure 4: where random policies go, with and without the prior (paper, section 5.1)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from parrot.experiments.drawing import panels, save, title
from parrot.experiments.table import Results, Walked

__all__ = ["draw"]

POLICIES = {"prior": "random z through the prior", "uniform": "random actions"}

_LIFTED, _NOT = "#d95f02", "#4c78a8"


def draw(results: Results, path: Path) -> None:
    """Draws the finger tips' paths from above, a column for each task and a row for each policy."""
    tasks = results.budget.fig4.tasks
    figure, axes = panels(2 * len(tasks), columns=len(tasks), width=2.6)
    everything = [at for walked in results.walked.values() for at in (*walked.paths, *walked.objects.values())]
    for place, (policy, task) in zip(axes, ((p, t) for p in POLICIES for t in tasks), strict=True):
        walked = results.walked.get((task, policy))
        if walked is None:
            place.set_title(f"{title(task)}: not run yet", fontsize=7)
            place.set_axis_off()
            continue
        _paths(place, walked)
        seen = np.vstack(everything)
        place.set_xlim(seen[:, 1].min() - 0.02, seen[:, 1].max() + 0.02)
        place.set_ylim(seen[:, 0].max() + 0.02, seen[:, 0].min() - 0.02)
    figure.supxlabel("y, m (lifting paths in orange; shares over scenes of their own)", fontsize=8)
    figure.supylabel("x, m", fontsize=8)
    save(figure, results.budget, path)


def _paths(axes: Axes, walked: Walked) -> None:
    # As the camera, which faces the arm, sees it: y to the right, and the base, where x is small, at the far side.
    for ee, lifted in zip(walked.paths, walked.lifted, strict=True):
        axes.plot(ee[:, 1], ee[:, 0], color=_LIFTED if lifted else _NOT, lw=0.8, alpha=0.8)
    for at in walked.objects.values():
        axes.plot(at[1], at[0], "o", color="black", ms=5)
    shares = {flag: walked.counts[flag] / walked.episodes for flag in ("touched", "lifted")}
    axes.set_title(
        f"{title(walked.task)}\n{POLICIES[walked.policy]}\ntouch {shares['touched']:.0%}, "
        f"lift {shares['lifted']:.0%} of {walked.episodes}",
        fontsize=7,
    )
    axes.tick_params(labelsize=6)
