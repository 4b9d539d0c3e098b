"""The live table of a fine-tuning run, for the terminal."""

from __future__ import annotations

import math

from rich.table import Table

from parrot.rl.status import Status

__all__ = ["line", "table"]

PHASES = {"before": "before learning", "train": "learning", "probe": "probe", "after": "evaluation", "done": "done"}


def table(status: Status, title: str = "") -> Table:
    """One row of figures: episode, success over the last 50, steps/s, updates/s, time left."""
    view = Table(title=title or None, title_justify="left")
    figures = _figures(status)
    for name in figures:
        view.add_column(name, justify="right")
    view.add_row(*figures.values())
    return view


def line(status: Status) -> str:
    """The same figures as one line, where there is no terminal."""
    return ", ".join(f"{name} {value}" for name, value in _figures(status).items())


def _figures(s: Status) -> dict[str, str]:
    return {
        "phase": PHASES[s.phase],
        "episode": f"{s.episode}/{s.episodes}",
        "success (last 50)": _percent(s.success),
        "before": _percent(s.success_before),
        "steps": f"{s.env_steps}",
        "steps/s": f"{s.steps_per_second:.0f}",
        "updates": f"{s.updates}",
        "updates/s": f"{s.updates_per_second:.0f}",
        "time": _clock(s.seconds),
        "time left": _clock(s.seconds_left),
    }


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0%}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
