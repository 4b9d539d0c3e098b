"""`parrot experiment`: gather finished runs into results, and draw figures from those."""

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


COMMANDS = {"gather": gather, "curves": curves}
