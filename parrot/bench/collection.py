"""Collecting: what a second process brings, on this machine and on a Ray cluster of two workers."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from parrot.bench.measure import Row, alternate
from parrot.data.collect import Tally, collect
from parrot.data.manifest import Manifest
from parrot.sim.collect import describe, make_roller

__all__ = ["collecting", "local_cluster"]

KEPT = 150
"""Trajectories of a run."""

STARTED = 20
"""Of these, so many are made before the clock starts: all processes are at work by then."""


def collecting(runs: int, seed: int) -> list[Row]:
    """A kept trajectory, with one process and with two, and with two workers of a local Ray cluster."""
    seeds = itertools.count(seed)

    def rate(workers: int, ray: str | None = None) -> Callable[[], float]:
        def run() -> float:
            manifest = Manifest(kind="collect", task="collect", seed=next(seeds), **describe("xarm6", "collect"))
            times: list[tuple[int, float]] = []

            def report(tally: Tally) -> None:
                if tally.kept >= STARTED:
                    times.append((tally.kept, time.perf_counter()))

            with tempfile.TemporaryDirectory() as folder:
                collect(
                    make_roller("collect", "xarm6"), Path(folder, "data"), manifest, KEPT, workers=workers, ray=ray,
                    report=report,
                )  # fmt: skip
            # The last report comes after the dataset was sealed; the one before it tells of collecting.
            (first, began), (last, ended) = times[0], times[-2]
            return (ended - began) / (last - first)

        return run

    with local_cluster() as address:
        works = {"one": rate(1), "two": rate(2), "ray": rate(2, address)}
        took = alternate(works, runs)
    common = {"unit": "ms a kept trajectory", "theirs": took["one"], "runs": runs, "seed": seed}
    return [
        Row(
            workload=f"collection: {name}", ours=took[key], peer="one process", goal=goal, floor="half of one process",
            least=took["one"] / 2, note=f"{60e3 / took[key]:.0f} a minute", **common,  # type: ignore[arg-type]
        )
        for name, key, goal in (("two processes", "two", 1.85), ("two workers of a local Ray cluster", "ray", 1.7))
    ]  # fmt: skip


@contextlib.contextmanager
def local_cluster(search: str = "") -> Iterator[str]:
    """The address of a Ray cluster with two CPUs on this machine, which ends with the block.

    Args:
        search: the workers' PYTHONPATH; empty: that of this process.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=2", f"--port={port}",
        "--node-ip-address=127.0.0.1", "--include-dashboard=false", "--disable-usage-stats",
        "--object-store-memory=200000000",
    ]  # fmt: skip
    environment = {**os.environ, **({"PYTHONPATH": search} if search else {})}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, env=environment) as head:
        try:
            assert head.stdout is not None
            while "Ray runtime started" not in (line := head.stdout.readline()):
                if not line:
                    raise RuntimeError(f"ray start ended with code {head.wait()}")
            yield f"127.0.0.1:{port}"
        finally:
            import ray

            ray.shutdown()
            head.terminate()
            head.communicate()
