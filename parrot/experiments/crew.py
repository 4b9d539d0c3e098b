"""Workers side by side on this machine, and a view of how far all workers are, those of other machines included."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table

from parrot.errors import RunError
from parrot.experiments.claims import Holder
from parrot.experiments.estimate import Estimate, estimate
from parrot.experiments.jobs import Job, Place
from parrot.experiments.work import Task, claims_of

__all__ = ["Crew", "clock", "look", "view"]

STOP_S = 60.0
"""Seconds that a worker has to save when it is told to end."""


class Crew:
    """Worker processes on this machine: `with Crew(task, 2) as crew: ...`; leaving ends them, with everything saved.

    Args:
        task: what they are told.
        workers: how many.
    """

    def __init__(self, task: Task, workers: int) -> None:
        package = str(Path(__file__).resolve().parents[2])
        # A worker has one core: what learns beside what acts takes turns with it.
        env = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        env["PYTHONPATH"] = os.pathsep.join(p for p in (package, os.environ.get("PYTHONPATH")) if p)
        self._errors: list[IO[bytes]] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        for _ in range(workers):
            errors = tempfile.TemporaryFile()  # noqa: SIM115
            self._errors.append(errors)
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "parrot.experiments.work", task.to_json()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env=env,
                    start_new_session=True,  # Ctrl-C is this process's business, which then ends them one by one
                )
            )

    @property
    def running(self) -> int:
        """Workers that still work."""
        return sum(process.poll() is None for process in self._processes)

    @property
    def failed(self) -> bool:
        """Whether one that has ended told of a failure."""
        return any(process.poll() not in (None, 0, 130) for process in self._processes)

    def check(self) -> None:
        """What failed, once all have ended.

        Raises:
            RunError: a worker told of a job that failed, or died.
        """
        for process, errors in zip(self._processes, self._errors, strict=True):
            code = process.wait()
            if code in (0, 130):
                continue
            errors.seek(0)
            words = errors.read().decode(errors="replace").strip().splitlines()
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
            last = words[-1].removeprefix("parrot: ") if words else "without a word"
            raise RunError(f"a worker {how}: {last}; the same command goes on with what is left")

    def stop(self) -> None:
        """Ends all that still work; each saves what it does."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        until = time.monotonic() + STOP_S
        for process in self._processes:
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for errors in self._errors:
            with contextlib.suppress(OSError):
                errors.close()


def look(jobs: Sequence[Job], place: Place, workers: int) -> tuple[Estimate, dict[str, Holder]]:
    """How far an experiment is, and who does what now."""
    holders = claims_of(place).holders()
    mine = {job.name for job in jobs}
    holders = {name: holder for name, holder in holders.items() if name in mine}
    return estimate(jobs, place, max(workers, len(holders)), holders), holders


def view(title: str, state: Estimate, holders: dict[str, Holder]) -> RenderableType:
    """The table that is shown while it goes on."""
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("job", "", "", ""):
        table.add_column(column, no_wrap=True)
    for name, holder in holders.items():
        bar = ProgressBar(total=1.0, completed=holder.progress, width=20)
        table.add_row(name, bar, f"{holder.progress:.0%}", holder.note)
    return Group(table, sentence(state))


def sentence(state: Estimate) -> str:
    """How far it is, for people."""
    if not state.todo:
        return f"all {state.total} results are there"
    others = len(state.todo) - (state.total - state.done)
    made = f", {others} of data and models" if others else ""
    pace = "" if state.measured else " (not timed here yet)"
    return (
        f"{state.done} of {state.total} results are there; {len(state.todo)} jobs to do{made}: "
        f"about {clock(state.seconds)} left{pace}"
    )


def clock(seconds: float) -> str:
    """A duration, for people.

    Example:
        >>> clock(59), clock(90 * 60), clock(3 * 86400 + 3600)
        ('1 min', '1 h 30 min', '3 days 1 h')
    """
    minutes = max(1, round(seconds / 60))
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} days {hours % 24} h"


def follow(
    crew: Crew, jobs: Sequence[Job], place: Place, title: str, workers: int, extra: Callable[[], bool] = lambda: False
) -> None:
    """Shows how far it is until the crew has ended, and `extra` says no.

    Raises:
        RunError: as `Crew.check`.
    """
    from rich.live import Live

    console = Console(stderr=True)
    said = -1
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while crew.running or extra():
            state, holders = look(jobs, place, workers)
            if console.is_terminal:
                live.update(view(title, state, holders), refresh=True)
            elif state.done != said:
                console.print(f"{title}: {sentence(state)}", highlight=False, soft_wrap=True)
                said = state.done
            time.sleep(1.0)
    crew.check()
