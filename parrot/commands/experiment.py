"""`parrot experiment`: reproduce the paper's figures; gather finished runs, draw them, undo choices one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn
from rich.table import Table

from parrot.commands import reproduction

__all__ = ["COMMANDS"]


def gather(runs: Annotated[tuple[Path, ...], tyro.conf.Positional], out: Path) -> None:
    """Copy what a claim needs of finished runs, summary and line by episode, into a folder of results.

    Args:
        runs: folders of finished runs.
        out: folder of results, for one task.
    """
    from parrot.experiments.gather import gather

    table = Table("task", "algo", "seed", "before", "after", "episodes", "minutes")
    for s in gather(runs, out):
        rates = (f"{s[k]:.0%}" if s[k] is not None else "-" for k in ("success_before", "success_after"))
        table.add_row(
            s["task"], s["algo"], str(s["seed"]), *rates, str(s["episodes_train"]), f"{s['seconds_training'] / 60:.1f}"
        )
    Console().print(table)


def curves(results: Annotated[Path, tyro.conf.Positional], out: Path) -> None:
    """Draw success against time for all runs gathered in a folder.

    Args:
        results: folder that `parrot experiment gather` filled.
        out: PNG to write.
    """
    from parrot.experiments.curves import draw_curves
    from parrot.experiments.gather import load_runs

    draw_curves(load_runs(results), out)
    Console().print(f"drawn: {out}", highlight=False)


def ablation(
    run: Annotated[Path, tyro.conf.Positional],
    updates: int = 4000,
    episodes: int = 300,
    seed: int = 0,
    preset: str = "fast",
    variants: tuple[str, ...] = (),
    first: int = 0,
    workers: int = 2,
    out: Path = Path("results/ablation.csv"),
) -> None:
    """Measure what each choice of a preset is worth: learn anew from a run's episodes with one choice undone.

    Args:
        run: folder of a finished run of parrot, whose episodes all variants learn from.
        updates: gradient updates of each.
        episodes: episodes of each evaluation.
        seed: of weights and draws.
        preset: hyper-parameters, `fast` or `flow`.
        variants: names as in the table; default: all of the preset's.
        first: of the run's episodes learn from so many; 0: from all.
        workers: processes.
        out: CSV to write, anew after each variant.
    """
    from parrot.experiments.ablation import VARIANTS, ablate

    console = Console()
    names = variants or tuple(VARIANTS.get(preset, ()))
    with Progress(*Progress.get_default_columns(), TimeElapsedColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(f"{len(names)} variants", total=len(names))
        rows = ablate(
            run, out, preset=preset, variants=names, first=first, updates=updates, episodes=episodes, seed=seed,
            workers=workers, report=lambda _: bar.advance(task),
        )  # fmt: skip
    view = Table(*(name for name in rows[0] if name != "changes"))
    for row in rows:
        view.add_row(*(str(value) for name, value in row.items() if name != "changes"))
    console.print(view)
    console.print(f"written: {out}", highlight=False)


def time_to(
    tasks: Annotated[tuple[str, ...], tyro.conf.Positional] = ("grasp_cap",),
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    success: float = 0.9,
    minutes: float = 20.0,
    preset: str = "fast",
    runs: Path = Path("runs/time_to"),
    out: Path = Path("results/time_to.csv"),
) -> None:
    """Measure how long tasks take: until so many of the last 50 episodes succeed, exploration included.

    Finished runs are not made again, and what was interrupted goes on. The table also says how often the trained policy
    succeeds, and how much of the machine other processes took (`others`).

    Args:
        tasks: names of tasks.
        seeds: seeds of the runs of each.
        success: rate at which a task counts as learnt.
        minutes: a run that takes longer has failed.
        preset: hyper-parameters; of each preset the runs and the table need a place of their own.
        runs: folder for the runs.
        out: CSV to write, anew after each run; rows of other tasks and seeds stay.
    """
    import torch
    from rich.live import Live

    from parrot.experiments.time_to import Goal, medians, time_to
    from parrot.rl.display import line, table
    from parrot.rl.status import Status

    torch.set_num_threads(1)
    console = Console()
    with Live(console=console, auto_refresh=False) as live:

        def report(task: str, seed: int, status: Status) -> None:
            if console.is_terminal:
                live.update(table(status, f"{task}, seed {seed}"), refresh=True)
            elif status.episode % 100 == 0:
                console.print(f"{task}, seed {seed}: {line(status)}", highlight=False, soft_wrap=True)

        rows = time_to(Goal(success, minutes, preset), tasks, seeds, out, runs, report)
    view = Table("task", f"median time to {success:.0%}", "seeds that got there")
    for task, seconds in medians(rows).items():
        there = [row["reached"] for row in rows if row["task"] == task]
        shown = f"{seconds / 60:.1f} min" if seconds < float("inf") else f"over {minutes:g} min"
        view.add_row(task, shown, f"{sum(there)} of {len(there)}")
    console.print(view)
    console.print(f"written: {out}", highlight=False)


def invertibility(
    dataset: Annotated[Path | None, tyro.conf.Positional] = None,
    models: tuple[Path, ...] = (),
    actions: int = 200,
    restarts: int = 32,
    iterations: int = 80,
    tolerance: float = 1e-3,
    seed: int = 0,
    out: Path = Path("results/invertibility.csv"),
    figure: Path = Path("results/invertibility.png"),
) -> None:
    """Measure which actions a method can produce: the share of random and of demonstrated ones that have a latent.

    A flow is inverted, a VAE searched. Without a dataset the figure is drawn anew from the table.

    Args:
        dataset: Folder of a dataset that no model was trained on: its images, and its actions.
        models: Files of models, such as a flow and a VAE (--kind hirl); default: the prior that comes with parrot.
        actions: Random and demonstrated actions, so many of each.
        restarts: Starts of the search for each action.
        iterations: Its steps from each start.
        tolerance: Largest difference in a number of the action that counts as the same.
        seed: Of images, actions and starts.
        out: CSV to write.
        figure: PNG to draw from it.
    """
    import torch

    from parrot.experiments.invertibility import Search, draw, measure
    from parrot.prior.weights import shipped_prior

    torch.set_num_threads(1)
    console = Console()
    if dataset is not None:
        with console.status("measuring"):
            rows = measure(
                dataset, models or (shipped_prior(),), out, actions=actions, seed=seed,
                search=Search(restarts, iterations, tolerance), report=lambda name: console.print(f"measured: {name}"),
            )  # fmt: skip
        columns = ("method", "actions", "reach", "share", "low", "high", "median_farthest_z")
        view = Table(*columns)
        for row in rows:
            view.add_row(*(str(row[name]) for name in columns))
        console.print(view)
    draw(out, figure)
    console.print(f"drawn: {figure}", highlight=False)


COMMANDS = {
    **reproduction.COMMANDS, "gather": gather, "curves": curves, "ablation": ablation, "time-to": time_to,
    "invertibility": invertibility,
}  # fmt: skip
