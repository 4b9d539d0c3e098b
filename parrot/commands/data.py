"""Collect, convert, describe, check, merge and split datasets of episodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from parrot.commands import bags, datasets
from parrot.errors import ConfigError, DatasetError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from parrot.data.collect import Tally
    from parrot.data.dataset import Dataset

__all__ = ["COMMANDS"]


def collect(
    out: Path,
    trajectories: int = 1000,
    workers: int = 2,
    seed: int = 0,
    task: str = "collect",
    robot: str = "xarm6",
    ray: str | None = None,
) -> int:
    """Collect trajectories of the scripted policies that end with an object grasped or rearranged.

    Ctrl-C keeps everything; the same command goes on, and ends with the same dataset as without interruption.

    Args:
        out: Folder of the dataset; a new one, or one to go on with.
        trajectories: Trajectories to keep in all.
        workers: Processes; one for each core is fastest. With --ray, processes of the cluster.
        seed: Base seed; attempt i has a seed of its own made from this and i.
        task: Training task: collect, collect_grasp or collect_place.
        robot: Name of a robot's YAML.
        ray: Address of a Ray cluster to collect on, e.g. auto or HOST:6379; its machines need parrot, too.
    """
    from rich.console import Console

    from parrot.data.collect import collect as run
    from parrot.data.manifest import Manifest
    from parrot.provenance import provenance
    from parrot.sim.collect import describe, make_roller

    factory = make_roller(task, robot)
    manifest = Manifest(
        kind="collect", task=task, seed=seed, provenance=provenance("pybullet"), **describe(robot, task)
    )
    console = Console()
    with _ProgressBar(console) as report:
        tally = run(factory, out, manifest, trajectories, workers=workers, ray=ray, report=report)
    if tally.by_task:
        console.print(_by_task(tally))
    if tally.complete:
        console.print(
            f"{out}: complete with {tally.kept:,} trajectories; see them with: parrot data info {out}", soft_wrap=True
        )
        return 0
    console.print(
        f"{out}: stopped; {tally.kept:,} of {tally.wanted:,} are saved, the same command goes on", soft_wrap=True
    )
    return 130


def info(
    dataset: Annotated[tuple[Path, ...], tyro.conf.Positional], sheet: Path | None = None, verify: bool = False
) -> None:
    """Summarise a dataset, or several that are to be used together, and draw a contact sheet.

    Args:
        dataset: Folders of datasets.
        sheet: Where the contact sheet goes; by default contact_sheet.png in the first folder.
        verify: Also read everything and compare it with its checksums.
    """
    from rich.console import Console

    from parrot.data.dataset import Dataset
    from parrot.data.summary import action_table, manifest_table, rate_table, save_sheet, task_table

    found = Dataset.open(dataset)
    console = Console()
    for table in (manifest_table(found), task_table(found), rate_table(found), action_table(found)):
        if table:
            console.print(table)
    path = sheet or found.paths[0] / "contact_sheet.png"
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ConfigError(f"--sheet {path}: pictures are written as .png or .jpg; choose such a name")
    save_sheet(found, path)
    console.print(f"contact sheet: {path}", soft_wrap=True)
    if verify:
        _verify(found, console)


def check(dataset: Annotated[tuple[Path, ...], tyro.conf.Positional]) -> None:
    """Read datasets whole and compare everything with its checksums.

    Args:
        dataset: Folders of datasets.
    """
    from rich.console import Console

    from parrot.data.dataset import Dataset

    console = Console()
    for path in dataset:
        _verify(Dataset.open(path), console)


def _verify(dataset: Dataset, console: Console) -> None:
    from rich.progress import Progress

    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("reading", total=len(dataset))
        bad = dataset.verify(lambda i: bar.update(task, completed=i + 1))
    where = ", ".join(map(str, dataset.paths))
    if bad:
        raise DatasetError(
            f"{where}: {len(bad)} of {len(dataset)} episodes are damaged (first: {bad[0]}); restore them from a copy"
        )
    console.print(f"{where}: all {len(dataset):,} episodes are intact", soft_wrap=True)


def _by_task(tally: Tally) -> RenderableType:
    from rich.table import Table

    table = Table("task", "tried", "kept", "share")
    for task, counts in sorted(tally.by_task.items()):
        table.add_row(task, f"{counts['tried']:,}", f"{counts['kept']:,}", f"{counts['kept'] / counts['tried']:.1%}")
    return table


class _ProgressBar:
    """A progress bar that takes tallies."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = [BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}")]
        self._bar = Progress("collecting", *columns, console=console)
        self._task = self._bar.add_task("collecting", total=None, rate="starting")

    def __enter__(self) -> Callable[[Tally], None]:
        self._bar.start()
        return self._report

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _report(self, tally: Tally) -> None:
        left = tally.seconds_left
        rate = f"{tally.share:.0%} of {tally.tried:,} tries kept, {tally.per_minute:,.0f}/min"
        if left is not None and not tally.complete:
            rate += f", {int(left // 3600)}:{int(left // 60) % 60:02}:{int(left) % 60:02} left"
        if tally.restarts:
            rate += f", {tally.restarts} restarts"
        self._bar.update(self._task, total=tally.wanted, completed=min(tally.kept, tally.wanted), rate=rate)


COMMANDS: dict[str, Callable[..., Any]] = {
    "collect": collect,
    "info": info,
    "check": check,
    **bags.COMMANDS,
    **datasets.COMMANDS,
}
