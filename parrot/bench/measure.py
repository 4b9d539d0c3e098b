"""Timing in alternation, and what comes of it: one row for each workload, with its peer and its floor.

Machines are noisy and shared, so an absolute time proves nothing. Ours, the peer and the floor take turns in the same
process or the same kind of process, several times each; medians are compared.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

__all__ = ["Latency", "Row", "Work", "alternate", "seconds_at_best", "seconds_each"]

SIDE = {"cpu": 1024, "cuda": 8192}
"""Rows and columns of the matrices whose product shows what a device can do."""

Work = Callable[[], float]
"""Does a piece of work and says how many seconds a unit of it took."""


@dataclass(frozen=True)
class Row:
    """One workload: time for a unit of work; less is better."""

    workload: str
    """What is done."""
    unit: str
    """What one of `ours` is: milliseconds for an update, say."""
    ours: float
    """Median milliseconds."""
    peer: str
    """What a user would pick instead."""
    theirs: float
    """Its median milliseconds."""
    goal: float
    """The ratio that we want at least."""
    floor: str
    """What bounds the time from below on this machine."""
    least: float
    """That bound in milliseconds; NaN where there is none."""
    runs: int
    """Runs behind each median."""
    seed: int
    """Of whatever is random in the work."""
    note: str = ""
    """What else was measured."""

    @property
    def ratio(self) -> float:
        """How many times faster than the peer."""
        return self.theirs / self.ours

    @property
    def distance(self) -> float:
        """How many times the floor we take."""
        return self.ours / self.least

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, with ratio and distance."""
        return {**asdict(self), "ratio": self.ratio, "distance": self.distance}


def alternate(works: Mapping[str, Work], runs: int, on_run: Callable[[str], None] | None = None) -> dict[str, float]:
    """Median milliseconds for a unit of each work, all of them run in turn.

    One turn before the first is not counted: caches, allocators and clocks warm up.
    """
    found: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(runs + 1):
        for name, work in works.items():
            seconds = work()
            if turn:
                found[name].append(1e3 * seconds)
            if on_run:
                on_run(name)
    return {name: statistics.median(times) for name, times in found.items()}


def seconds_each(work: Callable[[], object], times: int, device: torch.device | None = None) -> float:
    """Mean seconds of a call, until the device, if it is a GPU, is done with all of them."""
    began = time.perf_counter()
    for _ in range(times):
        work()
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - began) / times


class Latency:
    """A work that times each of its calls.

    Args:
        call: what is timed.
        times: calls in a run.
    """

    def __init__(self, call: Callable[[], object], times: int) -> None:
        self.call, self.times = call, times
        self.milliseconds: list[float] = []

    def __call__(self) -> float:
        """Makes the calls; the median of their seconds."""
        for _ in range(self.times):
            began = time.perf_counter()
            self.call()
            self.milliseconds.append(1e3 * (time.perf_counter() - began))
        return statistics.median(self.milliseconds[-self.times :]) / 1e3

    def __str__(self) -> str:
        half, most = np.percentile(self.milliseconds[self.times :] or self.milliseconds, [50, 99])
        return f"p50 {half:.2f} ms, p99 {most:.2f} ms"


def seconds_at_best(flops: float, device: torch.device, dtype: torch.dtype) -> float:
    """Seconds for so many floating-point operations at the speed of a large matrix product on this device."""
    side = SIDE[device.type]
    a = torch.rand(side, side, device=device).to(dtype)
    each = seconds_each(lambda: float((a @ a)[0, 0]), 5)
    return flops * each / (2 * side**3)
