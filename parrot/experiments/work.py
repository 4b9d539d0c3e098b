"""A worker: does the jobs that nobody else does, one after the other, until there is nothing left to do.

`python -m parrot.experiments.work` is the process; any number of them, on any number of machines that share the
folders, work side by side.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from parrot.durable import write_text
from parrot.errors import ParrotError
from parrot.experiments.budgets import Budget
from parrot.experiments.claims import Claim, ClaimLostError, Claims
from parrot.experiments.jobs import Job, Place, left
from parrot.experiments.plan import Plan
from parrot.fields import build

__all__ = ["Task", "claims_of", "work"]

POLL_S = 1.0
"""Seconds between two looks at what others have finished."""

ORPHAN_S = 2.0
"""Seconds between two looks at whether the parent is still there."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """What a worker process is told."""

    figures: tuple[str, ...]
    """Experiments, in this order."""
    budget: Budget
    """How large they are."""
    place: Place
    """Where they live."""
    given: Path | None = None
    """A dataset to train on."""
    kinds: tuple[str, ...] = ()
    """Kinds of jobs to do; empty: all."""

    def jobs(self) -> list[Job]:
        """All jobs of all its experiments."""
        plan = Plan(self.budget, self.given)
        return list({job.name: job for figure in self.figures for job in plan.jobs(figure)}.values())

    def to_json(self) -> str:
        """For the command line of the process."""
        value = {**asdict(self), "budget": self.budget.to_json(), "figures": self.figures, "kinds": self.kinds}
        return json.dumps(value, default=str)

    @classmethod
    def from_json(cls, text: str) -> Task:
        """The inverse of `to_json`."""
        value = json.loads(text)
        place = value["place"]
        return cls(
            tuple(value["figures"]), build(Budget, value["budget"], "the worker's budget"),
            Place(**{**place, "results": Path(place["results"]), "heavy": Path(place["heavy"])}),
            Path(value["given"]) if value["given"] else None, tuple(value["kinds"]),
        )  # fmt: skip


def claims_of(place: Place) -> Claims:
    """The claims to the jobs of a folder of results."""
    return Claims(place.results / "claims")


def work(
    jobs: Sequence[Job],
    place: Place,
    *,
    kinds: Collection[str] = (),
    do: Callable[[Job, Claim], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, str]:
    """Does jobs until nothing is left that this worker can do; waits for what others do first.

    Args:
        jobs: all jobs, those that they need included.
        place: where they live.
        kinds: kinds of jobs to do; empty: all.
        do: does one; None: in this process.
        stop: whether to end before that.

    Returns:
        The jobs that failed, each with its error.
    """
    claims, failed = claims_of(place), dict[str, str]()

    def here(job: Job, claim: Claim) -> None:
        job.run(place, claim.tell)

    while not stop():
        todo = left(jobs, place)
        names = {job.name for job in todo}
        # What waits for a job that failed here fails with it, unless another worker has more luck.
        blocked = set(failed)
        for job in todo:
            if any(need.name in blocked for need in job.needs):
                blocked.add(job.name)
        mine = [job for job in todo if job.name not in blocked and (not kinds or job.kind in kinds)]
        if not mine:
            break
        for job in mine:
            if any(need.name in names for need in job.needs):
                continue
            if claim := claims.take(job.name):
                with claim:
                    if not job.done(place):  # somebody may have finished it since
                        _try(job, claim, do or here, place, failed)
                break
        else:
            time.sleep(POLL_S)
    return failed


def _try(job: Job, claim: Claim, do: Callable[[Job, Claim], None], place: Place, failed: dict[str, str]) -> None:
    """Does a job; whatever it fails by, the others go on."""
    try:
        do(job, claim)
    except ClaimLostError as error:
        log.warning("%s", error)
    except ParrotError as error:
        failed[job.name] = str(error)
    except Exception as error:  # a bug, whose traceback must outlive this process
        path = place.heavy / "errors" / f"{job.name}.txt"
        write_text(path, traceback.format_exc())
        failed[job.name] = f"{type(error).__name__}: {error} (traceback: {path})"


@contextmanager
def _ends_with(parent: int) -> Any:
    """SIGTERM ends the job as Ctrl-C does, with everything saved; so does the end of the parent."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(ORPHAN_S):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=watch, name="orphan", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def main(task: Task) -> int:
    """The process; its exit status says whether every job that it tried succeeded."""
    import torch

    torch.set_num_threads(1)
    try:
        with _ends_with(os.getppid()):
            failed = work(task.jobs(), task.place, kinds=task.kinds)
    except KeyboardInterrupt:
        return 130
    for name, error in failed.items():
        print(f"parrot: {name}: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    sys.exit(main(Task.from_json(sys.argv[1])))
