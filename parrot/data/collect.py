"""Collecting episodes in parallel processes: repeatable, resumable, safe from kills (paper, section 5).

Attempt i has the seed `SeedSequence(seed, spawn_key=(i,))`, whichever process makes it, and a finished dataset holds
the first episodes by number of attempt: the same call yields the same dataset with any number of workers and
interruptions. The index of each shard records every attempt, so none is made twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from parrot.data.index import read_index, shard_folders
from parrot.data.manifest import Manifest
from parrot.data.worker import STOP_S, Answer, Crew, Factory, ProcessCrew, Roller, Worker, attempt_seed
from parrot.data.writer import EpisodeWriter, create_dataset, seal, tally
from parrot.durable import disk_errors
from parrot.errors import ConfigError, RunError

__all__ = ["Factory", "Roller", "Tally", "attempt_seed", "collect"]

DEATHS = 3
"""A worker that dies this often at one attempt ends the collection: the attempt, not chance, kills it."""

REPORT_S = 0.1
"""Seconds between reports."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tally:
    """How far a collection is."""

    wanted: int
    """Episodes asked for."""
    kept: int
    """Episodes in the dataset."""
    by_task: dict[str, dict[str, int]]
    """By task: attempts `tried`, `kept`, `succeeded`."""
    new: int = 0
    """Episodes kept since this call began."""
    seconds: float = 0.0
    """Since this call began."""
    restarts: int = 0
    """Workers that died and were replaced since this call began."""
    complete: bool = False
    """Whether all episodes are there; false after Ctrl-C."""

    @property
    def tried(self) -> int:
        """Attempts made."""
        return sum(counts["tried"] for counts in self.by_task.values())

    @property
    def share(self) -> float:
        """Kept episodes among the attempts."""
        return self.kept / max(self.tried, 1)

    @property
    def per_minute(self) -> float:
        """Episodes kept in a minute, since this call began."""
        return 60.0 * self.new / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """Time until all are there at this rate; None: not known yet."""
        return max(self.wanted - self.kept, 0) / self.new * self.seconds if self.new else None


def collect(
    factory: Factory,
    out: Path,
    manifest: Manifest,
    trajectories: int,
    *,
    workers: int = 2,
    ray: str | None = None,
    report: Callable[[Tally], None] | None = None,
) -> Tally:
    """Fills the dataset until it holds so many episodes, or until SIGINT or SIGTERM; a later call goes on.

    Args:
        factory: makes a roller, in each worker.
        out: the dataset's folder; new, or one that the same settings began.
        manifest: what is collected; needs `seed`.
        trajectories: episodes that the dataset shall hold; it never shrinks.
        workers: processes.
        ray: address of the Ray cluster that they run on; None: on this machine.
        report: called about ten times a second.

    Raises:
        ConfigError: a number makes no sense.
        DatasetError: the folder holds something else, or another collection.
        RunError: the disk is full, another process collects into the folder, or an attempt keeps killing its worker.
    """
    if manifest.seed is None or manifest.seed < 0 or trajectories < 1 or workers < 1:
        raise ConfigError(
            f"seed {manifest.seed}, trajectories {trajectories}, workers {workers}: "
            "seed must be at least 0, the others at least 1"
        )
    out = Path(out)
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    manifest = create_dataset(out, replace(manifest, created=manifest.created or created))
    with _alone(out):
        crew: Crew[Any] = ProcessCrew(factory, out, manifest)
        if ray is not None:
            from parrot.data.cluster import RayCrew

            crew = RayCrew(ray, workers, factory, out, manifest)
        collection = _Collection(crew, out, manifest, max(trajectories, manifest.episodes))
        with _stop_signals(collection):
            return collection.run(workers, report or (lambda _: None))


class _Collection:
    """The main process: hands out attempts in order, counts what comes back, replaces workers that die."""

    def __init__(self, crew: Crew[Any], out: Path, manifest: Manifest, wanted: int) -> None:
        self.crew, self.out, self.manifest, self.wanted = crew, out, manifest, wanted
        self.stopping = False
        self.began = time.monotonic()
        self.new = self.restarts = 0
        self.next = 0  # the first attempt never handed out
        self.again: list[int] = []  # heap of attempts whose worker died
        self.deaths: Counter[int] = Counter()
        self._count()

    def run(self, workers: int, report: Callable[[Tally], None]) -> Tally:
        if self.manifest.complete and self.manifest.episodes >= self.wanted:
            return self._sealed()
        if self.manifest.complete:
            # From here to the end the dataset is what its index says, not what the seal said.
            self.manifest = replace(self.manifest, complete=False)
            self.manifest.save(self.out)
        crew, hired, reported = self.crew, [], 0.0
        try:
            if self._due() is not None:
                hired = [crew.hire(str(k)) for k in range(workers)]
            while not self.stopping and self._assign(hired):
                busy = [worker for worker in hired if worker.attempt is not None]
                for worker in crew.answered(busy, REPORT_S):
                    if answer := worker.listen():
                        self._note(worker, answer)
                    else:
                        hired[hired.index(worker)] = self._replace(worker)
                if time.monotonic() - reported > REPORT_S:
                    report(self._tally())
                    reported = time.monotonic()
        finally:
            crew.dismiss(hired)
        if self.stopping:
            self._count()  # with the attempts that were finished meanwhile
            return self._tally()
        self.manifest = seal(self.out, self.wanted)
        report(self._sealed())
        return self._sealed()

    def _count(self) -> None:
        """Takes stock of the attempts on disk, after the last orphan of a killed collection has left."""
        self.done: set[int] = set()
        self.kept: set[int] = set()
        self.by_task: dict[str, Counter[str]] = {}
        for shard in shard_folders(self.out):
            EpisodeWriter(self.out, self.manifest, shard.name, wait_s=2 * STOP_S).close()
            records = read_index(shard)
            self.done.update(map(int, records["attempt"]))
            self.kept.update(map(int, records["attempt"][records["length"] > 0]))
            for task, counts in tally(records).items():
                self.by_task.setdefault(task, Counter()).update(counts)

    def _due(self) -> int | None:
        """The attempt to make next; None: the episodes before it are enough."""
        while self.next in self.done:
            self.next += 1
        attempt = self.again[0] if self.again else self.next
        if len(self.kept) >= self.wanted and sum(k < attempt for k in self.kept) >= self.wanted:
            return None
        return attempt

    def _assign(self, hired: list[Worker]) -> bool:
        """Gives each idle worker an attempt; whether any worker is busy then."""
        for worker in hired:
            if worker.attempt is None and (attempt := self._due()) is not None:
                if self.again:
                    heapq.heappop(self.again)
                else:
                    self.next += 1
                worker.give(attempt)
        return any(worker.attempt is not None for worker in hired)

    def _note(self, worker: Worker, answer: Answer) -> None:
        assert worker.attempt is not None
        self.done.add(worker.attempt)
        if answer.kept:
            self.kept.add(worker.attempt)
        self.new += answer.kept
        counts = self.by_task.setdefault(answer.task, Counter())
        counts.update(tried=1, kept=int(answer.kept), succeeded=int(answer.success))
        worker.attempt = None

    def _replace(self, worker: Worker) -> Worker:
        """A new worker for one that died; its attempt counts if it was recorded, else is made again."""
        self.crew.dismiss([worker])
        attempt = worker.attempt
        assert attempt is not None
        assert self.manifest.seed is not None
        shard = [read_index(folder) for folder in shard_folders(self.out) if folder.name == worker.shard]
        record = [r for records in shard for r in records if r["attempt"] == attempt]
        if record:
            self._note(
                worker, Answer(record[0]["task"].decode(), bool(record[0]["length"]), bool(record[0]["success"]))
            )
        else:
            self.deaths[attempt] += 1
            heapq.heappush(self.again, attempt)
        what = f"collecting process {worker.shard} died ({worker.fate()}) at attempt {attempt}"
        if self.deaths[attempt] >= DEATHS:
            raise RunError(
                f"{what} (seed {attempt_seed(self.manifest.seed, attempt)}) {DEATHS} times; what was kept is safe: "
                "look for memory (dmesg) or a crash of the simulator"
            )
        log.warning("%s; starting it again", what)
        self.restarts += 1
        return self.crew.hire(worker.shard)

    def _tally(self) -> Tally:
        return Tally(
            wanted=self.wanted, kept=len(self.kept), by_task={task: dict(n) for task, n in self.by_task.items()},
            new=self.new, seconds=time.monotonic() - self.began, restarts=self.restarts,
        )  # fmt: skip

    def _sealed(self) -> Tally:
        tasks = {task: dict(counts) for task, counts in self.manifest.tasks.items()}
        return replace(self._tally(), kept=self.manifest.episodes, by_task=tasks, complete=True)


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Only one process collects into a folder at a time."""
    with disk_errors(out):
        fd = os.open(out / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{out}: another process collects into it; stop that one or choose another --out") from None
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def _stop_signals(collection: _Collection) -> Iterator[None]:
    """SIGINT and SIGTERM ask the collection to stop (in the main thread; another thread gets no signals)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        collection.stopping = True

    old = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
