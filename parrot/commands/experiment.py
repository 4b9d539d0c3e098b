"""`parrot experiment`: gather finished runs into results, draw figures from those, undo choices one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

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
    task: str = "grasp_cap",
    minutes: float = 5.0,
    seeds: tuple[int, ...] = (0,),
    variants: tuple[str, ...] = (),
    runs: Path = Path("runs/ablation"),
    out: Path = Path("results/ablation.csv"),
) -> None:
    """Measure what each choice of the fast preset is worth: one undone in each run, at equal wall-clock time.

    Finished runs are not made again, and what was interrupted goes on.

    Args:
        task: name of the task.
        minutes: training time of each run, on two cores.
        seeds: seeds of the runs.
        variants: names as in the table; default: all.
        runs: folder for the runs.
        out: CSV to write, anew after each run.
    """
    import torch
    from rich.live import Live

    from parrot.experiments.ablation import VARIANTS, ablate
    from parrot.rl.display import table
    from parrot.rl.finetune import Status

    torch.set_num_threads(1)
    console = Console()
    with Live(console=console, auto_refresh=False) as live:

        def report(name: str, status: Status) -> None:
            if console.is_terminal:
                live.update(table(status, name), refresh=True)

        rows = ablate(
            task, out, runs, variants=variants or tuple(VARIANTS), seeds=seeds, minutes=minutes, report=report
        )
    view = Table(*(name for name in rows[0] if name != "changes"))
    for row in rows:
        view.add_row(*(str(value) for name, value in row.items() if name != "changes"))
    console.print(view)
    console.print(f"written: {out}", highlight=False)


COMMANDS = {"gather": gather, "curves": curves, "ablation": ablation}
