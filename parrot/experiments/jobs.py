"""What a job is: one piece of a reproduction that is done or not, and that goes on where it was stopped.

A job's results are small files below `results/reproduction/BUDGET`, which are committed: `NAME.json`, written last,
says that it is done, by which commit and configuration, and `NAME.csv` holds its figures. What is heavy and can be made
again (datasets, weights, replays) is below `runs/reproduction/BUDGET`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from parrot.durable import write_json
from parrot.experiments.budgets import Budget
from parrot.provenance import commit
from parrot.results import write_results

__all__ = ["Job", "Place", "Tell", "closure", "left"]

Tell = Callable[[float, str], None]
"""Takes how much of a job is done, 0 to 1, and where it stands; may raise to end it."""


@dataclass(frozen=True)
class Place:
    """Where a reproduction lives, and what it may use there."""

    results: Path
    """Folder of the small files."""
    heavy: Path
    """Folder of the heavy ones."""
    robot: str = "xarm6"
    """Name of the robot's YAML."""
    processes: int = 1
    """Processes of a job that can use several, the collection of data."""
    ray: str | None = None
    """Address of a Ray cluster for it; None: this machine."""

    def record(self, name: str) -> Path:
        """The JSON that says that a job is done."""
        return self.results / f"{name}.json"

    def table(self, name: str) -> Path:
        """The CSV of a job."""
        return self.results / f"{name}.csv"


@dataclass(frozen=True)
class Job(ABC):
    """A job is a value: the same settings are the same job, whichever figure asks for it."""

    kind: ClassVar[str]
    """What kind of work it is."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Path of its results below the folder of results, without a suffix."""

    @property
    @abstractmethod
    def needs(self) -> Sequence[Job]:
        """Jobs whose products it uses."""

    @property
    @abstractmethod
    def work(self) -> float:
        """Seconds that it took on one core of a machine like CI's, where none of its kind was timed yet."""

    @property
    def pace(self) -> str:
        """Jobs that share this take their time in proportion to their `work`."""
        return self.kind

    @property
    def final(self) -> bool:
        """Whether its results are what counts, rather than a product for others."""
        return False

    def product(self, place: Place) -> Path | None:
        """A heavy file or folder that others use; None: there is none."""
        return None

    def done(self, place: Place) -> bool:
        """Whether its results are there, and its product, if it has one."""
        product = self.product(place)
        return place.record(self.name).exists() and (product is None or product.exists())

    @abstractmethod
    def run(self, place: Place, tell: Tell) -> None:
        """Does it, or goes on with it, and writes its results.

        Raises:
            ParrotError: as whatever it does.
        """

    def finish(
        self, place: Place, seconds: float, about: Mapping[str, Any], rows: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Writes the results: first the table, if it has one, then the record."""
        made_by = about.get("commit") or commit()
        if rows:
            write_results(place.table(self.name), [{**row, "commit": made_by} for row in rows])
        settings = json.loads(json.dumps({f.name: _plain(getattr(self, f.name)) for f in fields(self)}))
        write_json(
            place.record(self.name),
            {"kind": self.kind, "seconds": round(seconds, 1), **about, "commit": made_by, "settings": settings},
        )


def _plain(value: Any) -> Any:
    """A job's field as JSON has it: jobs, budgets and folders by their names, as paths differ between machines."""
    if isinstance(value, (Job, Budget, Path)):
        return value.name
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value


def closure(targets: Iterable[Job]) -> list[Job]:
    """The jobs with everything they need, each once, needs before those that need them, else in the order given."""
    found: dict[str, Job] = {}

    def add(job: Job) -> None:
        if job.name not in found:
            for need in job.needs:
                add(need)
            found[job.name] = job

    for target in targets:
        add(target)
    return list(found.values())


def left(jobs: Iterable[Job], place: Place) -> list[Job]:
    """What is still to do: the final jobs that are not done, and what they need and is not there.

    A product that nobody needs any more is not made again: a checkout has the results and not the datasets.
    """
    found: dict[str, Job] = {}

    def add(job: Job) -> None:
        if job.name not in found and not job.done(place):
            for need in job.needs:
                add(need)
            found[job.name] = job

    for job in jobs:
        if job.final:
            add(job)
    return list(found.values())
