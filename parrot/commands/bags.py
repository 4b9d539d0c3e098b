"""The commands of `parrot data` between datasets and rosbag2 bags."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tyro

__all__ = ["COMMANDS"]


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


COMMANDS: dict[str, Callable[..., Any]] = {"to-bags": to_bags}
