"""Show what a run has learnt: success before and after, and where its learning curve is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tyro

from parrot.errors import RunError

__all__ = ["COMMANDS", "summary"]


def read(run_dir: Path) -> dict[str, Any]:
    """The figures in the run's `summary.json`.

    Raises:
        RunError: there is none, or it is damaged.
    """
    path = run_dir / "summary.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        remedy = "start the run again, it goes on" if run_dir.is_dir() else "name the run_dir of a run"
        raise RunError(f"{path}: there is no summary, it is written when a run ends; {remedy}") from None
    except (ValueError, TypeError) as error:
        raise RunError(f"{path} is damaged ({error}); start the run again to have it written anew") from error


def rate(success: float | None, episodes: int) -> str:
    """A success rate as people read it."""
    return "not measured" if success is None else f"{success:.0%} of {episodes} episodes"


def summary(run_dir: tyro.conf.Positional[Path]) -> None:
    """Prints the success rates before and after learning, and where learning curve and film are.

    Args:
        run_dir: folder of a run that has ended.
    """
    from rich.console import Console

    from parrot.rl.algorithms import algorithm

    found = read(run_dir)
    before = algorithm(found["algo"]).before
    lines = {
        "task": f"{found['task']}, {found['algo']}, seed {found['seed']}",
        "success before": f"{rate(found['success_before'], found['episodes_before'])} ({before})",
        "success after": rate(found["success_after"], found["episodes_after"]),
        "learnt from": f"{found['episodes_train']:,} episodes in {found['seconds_training'] / 60:.1f} minutes",
        "learning curve": str(run_dir / "learning_curve.png"),
        "film": str(run_dir / "eval.gif"),
    }
    console = Console(highlight=False, markup=False)
    for title, text in lines.items():
        console.print(f"{title:<16}{text}", soft_wrap=True)


COMMANDS = {"summary": summary}
