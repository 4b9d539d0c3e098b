"""Merge, split and thin out datasets; export them to LeRobot's format and import from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

if TYPE_CHECKING:
    from parrot.data.manifest import Manifest

__all__ = ["COMMANDS"]


def merge(datasets: Annotated[tuple[Path, ...], tyro.conf.Positional], out: Path, common_extra: bool = False) -> None:
    """Make one dataset with all episodes of several, in the order given.

    Args:
        datasets: Folders of datasets that agree in robot, camera, action scale and so on.
        out: Folder to write.
        common_extra: Keep only the extra arrays that all have, where they differ.
    """
    from parrot.data.reshape import merge as run

    with _bar("merging") as progress:
        manifest = run(datasets, out, common_extra=common_extra, progress=progress)
    _report(out, manifest)


def split(
    dataset: Annotated[Path, tyro.conf.Positional],
    out: tuple[Path, Path],
    share: float = 0.9,
    count: int | None = None,
    seed: int = 0,
) -> None:
    """Deal out a dataset's episodes to two new datasets, by chance.

    Args:
        dataset: Folder of the dataset.
        out: The two folders to write.
        share: Share of the episodes that the first gets.
        count: Instead, how many the first gets.
        seed: Of the choice.
    """
    from parrot.data.reshape import split as run

    with _bar("splitting") as progress:
        manifests = run(dataset, out, share=share, count=count, seed=seed, progress=progress)
    for path, manifest in zip(out, manifests, strict=True):
        _report(path, manifest)


def subsample(
    dataset: Annotated[Path, tyro.conf.Positional],
    out: Path,
    count: int | None = None,
    share: float | None = None,
    success_only: bool = False,
    task: str | None = None,
    seed: int = 0,
) -> None:
    """Make a dataset of some of another's episodes, chosen by chance.

    Args:
        dataset: Folder of the dataset.
        out: Folder to write.
        count: How many episodes.
        share: Instead, the share of those that pass the filters; default: all of them.
        success_only: Only successful episodes.
        task: Only episodes of this task.
        seed: Of the choice.
    """
    from parrot.data.reshape import subsample as run

    with _bar("choosing") as progress:
        manifest = run(
            dataset, out, count=count, share=share, success_only=success_only, task=task, seed=seed, progress=progress
        )
    _report(out, manifest)


def to_lerobot(
    dataset: Annotated[Path, tyro.conf.Positional], out: Path, fps: float | None = None, robot_type: str | None = None
) -> None:
    """Write a dataset in LeRobot's format 3.0, with lossless images.

    Args:
        dataset: Folder of the dataset.
        out: Folder to write.
        fps: Frames per second; default: the dataset's control rate.
        robot_type: Name of the robot there; default: the dataset's.
    """
    from rich.console import Console

    from parrot.data.lerobot import to_lerobot as run

    with _bar("exporting") as progress:
        info = run(dataset, out, fps=fps, robot_type=robot_type, progress=progress)
    Console().print(
        f"{out}: {info['total_episodes']:,} episodes, {info['total_frames']:,} frames; read them with: "
        f"LeRobotDataset({out.name!r}, root={str(out)!r})",
        soft_wrap=True,
    )


def from_lerobot(folder: Annotated[Path, tyro.conf.Positional], out: Path, map: Path | None = None) -> None:
    """Make a dataset of a LeRobot dataset of format 3.0.

    Args:
        folder: Folder of the LeRobot dataset.
        out: Folder to write.
        map: YAML that says what its features mean; not needed for what parrot has exported.
    """
    from rich.console import Console

    from parrot.data.lerobot import from_lerobot as run

    with _bar("importing") as progress:
        report = run(folder, out, map, progress)
    _report(out, report.manifest)
    if clipped := [f"{name} {share:.1%}" for name, share in report.clipped.items() if share]:
        Console().print(f"clipped to ±1 at these shares of the steps: {', '.join(clipped)}", soft_wrap=True)


def _report(out: Path, manifest: Manifest) -> None:
    from rich.console import Console

    Console().print(f"{out}: {manifest.episodes:,} episodes, {manifest.steps:,} steps", soft_wrap=True)


@contextmanager
def _bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar of episodes, on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


COMMANDS: dict[str, Callable[..., Any]] = {
    "merge": merge,
    "split": split,
    "subsample": subsample,
    "to-lerobot": to_lerobot,
    "from-lerobot": from_lerobot,
}
