"""Turn bags into datasets and back, and complete what a killed recorder left."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tyro

__all__ = ["COMMANDS"]


def from_bags(
    bags: Annotated[tuple[Path, ...], tyro.conf.Positional],
    out: Path,
    map: Path | None = None,
    task: str | None = None,
    robot: str | None = None,
    keep_failures: bool = False,
) -> None:
    """Turn rosbag2 bags, whoever recorded them, into a dataset.

    Ctrl-C keeps everything; the same command goes on, and ends with the same dataset as without interruption.

    Args:
        bags: Folders of bags, or single .mcap and .db3 files.
        out: Folder of the dataset; a new one, or one to go on with.
        map: YAML that says what the topics mean (docs/demonstrations.md); default: that of parrot's own graph.
        task: Name of the task; default: what the YAML or the bag's metadata say.
        robot: Name of a robot's YAML; default: what the YAML or the bag's metadata say.
        keep_failures: Keep also the episodes that did not succeed.
    """
    from rich.console import Console
    from rich.progress import Progress

    from parrot.data.rosbag.convert import REPORT_FILE, Conversion, convert
    from parrot.data.rosbag.mapping import load_mapping
    from parrot.data.rosbag.report import report_tables
    from parrot.sim.config import load_robot

    mapping = load_mapping(map)
    mapping = dataclasses.replace(mapping, task=task or mapping.task, robot=robot or mapping.robot)
    console = Console()
    how = Conversion(robot=load_robot, worlds={"pybullet-tiny": _simulator}, keep_failures=keep_failures)
    with Progress(console=console, transient=True) as bar:
        rows = [bar.add_task(path.name, total=1.0) for path in bags]
        reports = convert(bags, out, mapping, how, lambda n, share: bar.update(rows[n], completed=share))
    for table in report_tables(reports):
        console.print(table)
    for report in reports:
        for note in report.notes:
            console.print(f"{report.bag}: {note}", soft_wrap=True, highlight=False, markup=False)
    kept = sum(report.kept for report in reports)
    console.print(
        f"{out}: complete with {kept:,} episodes; see them with: parrot data info {out} (report: {out / REPORT_FILE})",
        soft_wrap=True, highlight=False,
    )  # fmt: skip


def _simulator(robot: str, task: str) -> dict[str, Any]:
    """What a manifest says of the simulated world."""
    from parrot.sim.collect import describe
    from parrot.sim.tasks import TASKS

    return describe(robot, task if task in TASKS else "collect")


def to_bags(
    dataset: Annotated[tuple[Path, ...], tyro.conf.Positional],
    out: Path,
    episodes: int | None = None,
    hz: float | None = None,
) -> None:
    """Write a dataset as a rosbag2 bag (MCAP), to look at in Foxglove or PlotJuggler or to play back.

    Args:
        dataset: Folders of datasets.
        out: Folder of the bag, a new one.
        episodes: Write so many only, from the first one.
        hz: Steps per second, if the dataset does not say.
    """
    from rich.console import Console
    from rich.progress import Progress

    from parrot.data.dataset import Dataset
    from parrot.data.rosbag.export import export

    found = Dataset.open(dataset)
    console = Console()
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("writing", total=min(len(found), episodes or len(found)))
        written = export(found, out, episodes, hz, lambda done: bar.update(task, completed=done))
    console.print(f"{out}: {written:,} episodes; play them with: ros2 bag play {out}", soft_wrap=True)


def recover(bags: Annotated[tuple[Path, ...], tyro.conf.Positional]) -> None:
    """Complete bags whose recorder_node was killed; every episode that it called kept is there.

    Args:
        bags: Folders of bags.
    """
    from rich.console import Console

    from parrot.data.rosbag.writer import recover as complete
    from parrot.errors import DatasetError

    for bag in bags:
        if not bag.is_dir():
            raise DatasetError(f"{bag}: no such folder; give the folder of a bag")
        done = "completed" if complete(bag) else "was complete"
        Console().print(f"{bag}: {done}", soft_wrap=True, highlight=False)


COMMANDS: dict[str, Callable[..., Any]] = {"from-bags": from_bags, "to-bags": to_bags, "recover": recover}
