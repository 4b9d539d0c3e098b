"""One experiment from start to figure: what is left is worked off by all cores, or a cluster, and then drawn."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

from parrot.errors import ConfigError, RunError
from parrot.experiments.crew import Crew, follow, look, sentence
from parrot.experiments.jobs import left
from parrot.experiments.plan import FIGURES, fits
from parrot.experiments.table import Results
from parrot.experiments.work import Task

__all__ = ["draw_figure", "reproduce", "time_left"]


def reproduce(task: Task, workers: int, ray: str | None = None, local: int = 1) -> None:
    """Does what is left of the task's experiments, together with whoever else works in the folder.

    Args:
        task: which, how large, where.
        workers: processes on this machine; with `ray`, jobs on the cluster at a time.
        ray: address of a Ray cluster that the runs go to.
        local: with `ray`, processes on this machine, for what stays here.

    Raises:
        ConfigError: a number, a dataset or the cluster cannot be used.
        RunError: the folder holds another budget, or a job failed.
    """
    if workers < 1:
        raise ConfigError(f"--workers {workers}: give at least 1")
    fits(task.budget, task.place)
    jobs, title = task.jobs(), f"{', '.join(task.figures)}, budget {task.budget.name}"
    if not left(jobs, task.place):
        return
    task = replace(task, place=replace(task.place, processes=workers, ray=ray))
    if ray is None:
        with Crew(task, workers) as crew:
            follow(crew, jobs, task.place, title, workers)
    else:
        from parrot.experiments.remote import LOCAL, Cluster

        with Cluster(ray, workers, jobs, task.place) as cluster, Crew(replace(task, kinds=LOCAL), local) as crew:
            # Jobs that wait for a model that failed here would wait for ever.
            follow(crew, jobs, task.place, title, workers, lambda: cluster.running and not crew.failed)
            cluster.check()
    if todo := left(jobs, task.place):
        raise RunError(f"{title}: the workers were ended with {len(todo)} jobs to do; the same command goes on")


def time_left(task: Task, workers: int) -> str:
    """What is still to run, a line for each job, and how long it takes."""
    state, holders = look(task.jobs(), task.place, workers)
    lines = []
    for job in state.todo:
        holder = holders.get(job.name)
        lines.append(f"{job.name}  {f'{holder.progress:.0%} {holder.note}' if holder else ''}".rstrip())
    return "\n".join([*lines, sentence(state)])


def draw_figure(figure: str, results: Path, out: Path) -> None:
    """Draws a figure from the CSVs of a folder of results.

    Raises:
        ConfigError: there is no such figure.
        RunError: the folder holds no reproduction.
    """
    if figure not in FIGURES:
        raise ConfigError(f"{figure}: choose one of {', '.join(FIGURES)}")
    importlib.import_module(f"parrot.experiments.{figure}").draw(Results(results), out)
