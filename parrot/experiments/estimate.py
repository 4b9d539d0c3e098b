"""How long it still takes: what is left, at the pace of what was done, shared out to the workers as they would."""

from __future__ import annotations

import heapq
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from parrot.experiments.claims import Holder
from parrot.experiments.jobs import Job, Place, left

__all__ = ["Estimate", "estimate", "makespan", "paces"]


@dataclass(frozen=True)
class Estimate:
    """What is left of an experiment."""

    todo: list[Job]
    """Jobs that are not done, those that are being done included."""
    done: int
    """Jobs that are, of those that count."""
    total: int
    """Jobs that count."""
    core_seconds: float
    """Work that is left, for one worker."""
    seconds: float
    """Until all is done, with the workers that there are."""
    measured: bool
    """Whether the pace of any kind of job was measured in this folder; else it is that of a machine like CI's."""


def estimate(jobs: Sequence[Job], place: Place, workers: int, holders: Mapping[str, Holder]) -> Estimate:
    """What is left and how long it takes.

    Args:
        jobs: of the experiment.
        place: where they live.
        workers: that work on it.
        holders: who does which job now, and how far they are.
    """
    todo, pace = left(jobs, place), paces(jobs, place)
    seconds = {}
    for job in todo:
        progress = holders[job.name].progress if job.name in holders else 0.0
        seconds[job.name] = job.work * pace.get(job.pace, pace.get(job.kind, 1.0)) * (1.0 - progress)
    final = [job for job in jobs if job.final]
    unfinished = sum(job.final for job in todo)
    return Estimate(
        todo, len(final) - unfinished, len(final), sum(seconds.values()), makespan(todo, seconds, workers), bool(pace)
    )


def paces(jobs: Sequence[Job], place: Place) -> dict[str, float]:
    """The time that finished jobs took over the time they were expected to take, by their `pace` and by their kind."""
    took, expected = defaultdict[str, float](float), defaultdict[str, float](float)
    for job in jobs:
        path = place.record(job.name)
        if path.exists() and (seconds := json.loads(path.read_text(encoding="utf-8"))["seconds"]) > 0:
            for key in {job.pace, job.kind}:
                took[key] += seconds
                expected[key] += job.work
    return {key: took[key] / expected[key] for key in took}


def makespan(jobs: Sequence[Job], seconds: Mapping[str, float], workers: int) -> float:
    """Seconds until all are done, if each idle worker takes the first job whose needs are done.

    Args:
        jobs: in their order.
        seconds: of each, by name.
        workers: how many there are, at least one.
    """
    waiting, running = list(jobs), list[tuple[float, int, str]]()
    pending = {job.name for job in jobs}
    now, started = 0.0, 0
    while waiting or running:
        free = max(1, workers) - len(running)
        ready = [job for job in waiting if not any(need.name in pending for need in job.needs)][:free]
        for job in ready:
            waiting.remove(job)
            heapq.heappush(running, (now + seconds[job.name], started, job.name))
            started += 1
        now, _, name = heapq.heappop(running)
        pending.discard(name)
    return now
