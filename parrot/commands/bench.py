"""Measure speed beside what a user would pick instead, in one run on this machine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from parrot.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from parrot.bench.measure import Row

__all__ = ["COMMANDS", "bench"]

WORKLOADS = ("simulator", "collection", "prior", "learner", "graph", "bags")

SCALING, ARM = "scaling", "arm"
"""What is measured against size, and in real time, instead of beside a peer."""


def bench(
    names: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    runs: int = 5,
    episodes: int = 20,
    seed: int = 0,
    threads: int | None = None,
    out: Path = Path("bench"),
    trajectories: tuple[int, ...] = (1000, 10_000, 50_000),
    replay: tuple[int, ...] = (500, 2000, 8000, 20_000),
    minutes: float = 10.0,
) -> None:
    """Time the simulator, collection, prior, learner, graph and bags beside their peers, in alternation.

    Needs the extra `bench` (`pip install 'parrot[bench]'`), and a machine with nothing else to do. `scaling` measures
    time and memory against the sizes of dataset and replay instead, and draws them. `arm` fine-tunes on the emulated
    arm in real time, and measures the time from image to command and the periods that were missed.

    Args:
        names: What to measure: simulator, collection, prior, learner, graph, bags; or scaling, arm, by name only.
        runs: Runs of each, after one that does not count; medians are compared.
        episodes: Episodes in each run of the simulator.
        seed: Of scenes, weights and data.
        threads: Threads of a training step; default: one for each core.
        out: Folder of results.csv and results.json, whose other rows stay, of scaling.csv and scaling.png, and of
            arm_rate.csv and arm_rate.json.
        trajectories: Sizes of datasets for `scaling`; 10 GB of disk for 50,000.
        replay: Sizes of replays for `scaling`, in episodes; 3.5 GB of memory for 20,000.
        minutes: Length of `arm`.
    """
    from rich.console import Console

    from parrot.durable import write_json
    from parrot.provenance import provenance
    from parrot.results import write_results

    if unknown := [name for name in names if name not in (*WORKLOADS, SCALING, ARM)]:
        raise ConfigError(f"benchmark {unknown[0]!r} is unknown; choose from {', '.join(WORKLOADS)}, {SCALING}, {ARM}")
    if SCALING in names:
        _scale(out, trajectories, replay, seed)
    if ARM in names:
        _pace(out, minutes, seed)
    if names and not (names := tuple(name for name in names if name in WORKLOADS)):
        return
    console, made = Console(), provenance("torch", "pybullet")
    kept = json.loads((out / "results.json").read_text()) if (out / "results.json").exists() else []
    for name in names or WORKLOADS:
        console.print(f"measuring: {name}", highlight=False)
        for row in _measure(name, runs, episodes, seed, threads or os.cpu_count() or 1):
            kept = [old for old in kept if old["workload"] != row.workload]
            kept.append({**row.to_json(), "commit": made["commit"], "torch": made["torch"], "cores": os.cpu_count()})
        kept.sort(key=lambda row: row["workload"])
        write_json(out / "results.json", kept)
        write_results(out / "results.csv", kept)
    console.print(_table(kept))
    for row in kept:
        console.print(f"{row['workload']}: {row['note']}", highlight=False, soft_wrap=True)
    console.print(f"written: {out / 'results.csv'}", highlight=False)


def _scale(out: Path, trajectories: tuple[int, ...], replay: tuple[int, ...], seed: int) -> None:
    from rich.console import Console

    from parrot.bench.scaling import Point, draw, measure
    from parrot.results import write_results

    console = Console()

    def report(point: Point) -> None:
        console.print(
            f"{point.kind}, {point.episodes:,} episodes: ready in {point.ready_s:.1f} s, {point.milliseconds:.2f} ms "
            f"a call, {point.memory_mb:,.0f} MB, {point.growth_mb:+.1f} MB meanwhile", highlight=False, soft_wrap=True,
        )  # fmt: skip

    rows = measure(trajectories, replay, seed, report)
    write_results(out / "scaling.csv", rows)
    draw(rows, out / "scaling.png")
    console.print(f"written: {out / 'scaling.csv'}, {out / 'scaling.png'}", highlight=False, soft_wrap=True)


def _pace(out: Path, minutes: float, seed: int) -> None:
    from rich.console import Console

    from parrot.bench.arm import line, measure, row
    from parrot.durable import write_json
    from parrot.provenance import provenance
    from parrot.results import write_results

    if minutes <= 0:
        raise ConfigError(f"minutes is {minutes:g}; give a number above 0")
    console, made = Console(), provenance("torch", "pybullet")
    console.print(f"measuring: {ARM}, {minutes:g} min", highlight=False)
    rate = measure(minutes, seed)
    found = {**row(rate, seed), "cores": os.cpu_count(), "commit": made["commit"]}
    write_results(out / "arm_rate.csv", [found])
    write_json(out / "arm_rate.json", {**found, "provenance": made})
    console.print(line(rate), highlight=False, soft_wrap=True)
    if rate.held_up:
        console.print(f"the emulated physics was held up {rate.held_up} times: is something else running?")
    console.print(f"written: {out / 'arm_rate.csv'}, {out / 'arm_rate.json'}", highlight=False, soft_wrap=True)


def _measure(name: str, runs: int, episodes: int, seed: int, threads: int) -> list[Row]:
    """The rows of one workload.

    Raises:
        ConfigError: a peer is not installed.
    """
    try:
        if name == "simulator":
            from parrot.bench.simulator import stepping

            return [stepping(runs, seed, episodes)]
        if name == "collection":
            from parrot.bench.collection import collecting

            return collecting(runs, seed)
        if name == "prior":
            from parrot.bench.prior import decoding, training

            return [training(runs, seed, threads), decoding(runs, seed)]
        if name == "learner":
            from parrot.bench.learner import acting, updating

            return [updating(runs, seed, threads), acting(runs, seed)]
        if name == "bags":
            from parrot.bench.bags import converting

            return converting(runs, seed)
        from parrot.bench.graph import looping

        return [looping(runs, seed)]
    except ImportError as error:
        raise ConfigError(f"benchmark {name} needs {error.name}; pip install 'parrot[bench]'") from error


def _table(rows: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    view = Table("workload, [dim]beside[/]", "ours, ms", "theirs, ms", "ratio (goal)", "times the floor")
    for row in rows:
        view.add_row(
            f"{row['workload']}\n[dim]{row['peer']}[/]", f"{row['ours']:.3g}", f"{row['theirs']:.3g}",
            f"{row['ratio']:.2f} ({row['goal']:g})", f"{row['distance']:.1f}",
        )  # fmt: skip
    return view


COMMANDS = {"bench": bench}
