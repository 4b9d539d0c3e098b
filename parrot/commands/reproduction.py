"""`parrot experiment fig4|fig5|fig6|fig7|draw|report`: the paper's experiments, each one command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console

__all__ = ["COMMANDS"]

RESULTS = Path("results/reproduction")


@dataclass(frozen=True)
class Options:
    """How an experiment is done."""

    budget: str = "smoke"
    """Its size: smoke (shows that all runs), small (a night on two cores), paper (the paper's); docs/experiments.md."""
    scale: float = 1.0
    """How much larger or smaller: trajectories, training steps and environment steps are multiplied by it."""
    data: Path | None = None
    """A dataset to train priors on; default: one is collected."""
    workers: int | None = None
    """Processes, one core each; default: the cores of this machine. With --ray, runs on the cluster at a time."""
    ray: str | None = None
    """Address of a Ray cluster for collection and runs, e.g. auto or HOST:6379; its machines need parrot, too."""
    time_left: bool = False
    """Say what is still to run and how long it takes, and end."""
    results: Path = RESULTS
    """Folder of the results: CSVs and figures, in one folder for each budget."""
    runs: Path = Path("runs/reproduction")
    """Folder of what is heavy: datasets, models, runs."""
    robot: str = "xarm6"
    """Name of the robot's YAML."""


_DEFAULTS = Options()
_Flat = Annotated[Options, tyro.conf.arg(name="")]


def _experiment(figure: str, options: Options) -> int:
    import os

    from parrot.experiments.budgets import budget
    from parrot.experiments.jobs import Place
    from parrot.experiments.reproduce import draw_figure, reproduce, time_left
    from parrot.experiments.work import Task

    size = budget(options.budget, options.scale)
    place = Place(options.results / size.name, options.runs / size.name, options.robot)
    task = Task((figure,), size, place, options.data)
    cores = len(os.sched_getaffinity(0))
    workers = options.workers or cores
    console = Console()
    if options.time_left:
        console.print(time_left(task, workers), highlight=False, soft_wrap=True)
        return 0
    try:
        reproduce(task, workers, options.ray, local=cores)
    except KeyboardInterrupt:
        console.print(f"stopped; {time_left(task, workers).splitlines()[-1]}: the same command goes on", soft_wrap=True)
        return 130
    out = place.results / f"{figure}.png"
    draw_figure(figure, place.results, out)
    console.print(f"{figure}: {out}", highlight=False, soft_wrap=True)
    return 0


def fig4(options: _Flat = _DEFAULTS) -> int:
    """Run the paper's Figure 4: paths of random policies, with and without the prior."""
    return _experiment("fig4", options)


def fig5(options: _Flat = _DEFAULTS) -> int:
    """Run the paper's Figure 5: success of seven methods against environment steps."""
    return _experiment("fig5", options)


def fig6(options: _Flat = _DEFAULTS) -> int:
    """Run the paper's Figure 6: final success against the number of prior trajectories."""
    return _experiment("fig6", options)


def fig7(options: _Flat = _DEFAULTS) -> int:
    """Run the paper's Figure 7: priors from grasping, from pick and place, and from both."""
    return _experiment("fig7", options)


def draw(
    figure: Annotated[Literal["fig4", "fig5", "fig6", "fig7"], tyro.conf.Positional],
    budget: str = "smoke",
    results: Path = RESULTS,
    out: Path | None = None,
) -> None:
    """Draw a figure from the CSVs that are there, however many.

    Args:
        figure: Which one.
        budget: Name of the folder below --results, such as smoke, or smoke-x2 if it was scaled.
        results: Folder of the results.
        out: Picture to write; default: FIGURE.png among the results.
    """
    from parrot.experiments.reproduce import draw_figure

    path = out or results / budget / f"{figure}.png"
    draw_figure(figure, results / budget, path)
    Console().print(f"drawn: {path}", highlight=False, soft_wrap=True)


def report(results: Path = RESULTS, out: Path = Path("docs/reproduction.md")) -> None:
    """Write the page of the paper's claims and what the CSVs say of each.

    Args:
        results: Folder of the results.
        out: Page to write.
    """
    from parrot.durable import write_text
    from parrot.experiments.page import page

    write_text(out, page(results, out.parent))
    Console().print(f"written: {out}", highlight=False, soft_wrap=True)


COMMANDS: dict[str, Callable[..., Any]] = {
    "fig4": fig4, "fig5": fig5, "fig6": fig6, "fig7": fig7, "draw": draw, "report": report,
}  # fmt: skip
