"""Collecting processes and the main process's handles of them: numbers of attempts go out, outcomes come back.

Only one attempt is under way at a time in each, so nothing is queued that could be lost or made twice.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from parrot.data.episode import Episode
from parrot.data.manifest import Manifest
from parrot.data.writer import EpisodeWriter
from parrot.errors import ParrotError

__all__ = ["STOP_S", "Answer", "Crew", "Factory", "ProcessCrew", "Roller", "Worker", "attempt_seed", "record"]

STOP_S = 3.0
"""Seconds that workers have to finish their attempt when the collection ends; then they are killed."""


class Roller(Protocol):
    """What makes attempts in a worker process."""

    task: str
    """Task of the latest attempt, also of one that is not kept: success is counted by task."""

    def rollout(self, seed: int) -> Episode | None:
        """Makes one attempt; the same seed makes the same one. None: not kept."""

    def close(self) -> None:
        """Frees what it holds."""


Factory = Callable[[], Roller]
"""Makes a roller; picklable, for it travels to the worker processes."""


class Answer(NamedTuple):
    """What came of an attempt."""

    task: str
    kept: bool
    success: bool


class Worker(Protocol):
    """The main process's handle of one process that makes attempts, one at a time."""

    shard: str
    """Where its episodes go; no other worker's go there."""
    attempt: int | None
    """The attempt that it is making."""

    def give(self, attempt: int) -> None:
        """Sets it to work on an attempt."""

    def listen(self) -> Answer | None:
        """The outcome of its attempt, which is on disk then; None: the process has died.

        Raises:
            ParrotError: what the worker met.
            RuntimeError: an error of ours in the worker, with its traceback.
        """

    def fate(self) -> str:
        """How it died."""


AnyWorker = TypeVar("AnyWorker", bound=Worker)


class Crew(Protocol[AnyWorker]):
    """Where attempts are made: on this machine's cores, or on a cluster's."""

    def hire(self, shard: str) -> AnyWorker:
        """Starts a worker for this shard."""

    def answered(self, busy: Sequence[AnyWorker], timeout: float) -> list[AnyWorker]:
        """Waits until some of these have something to tell, or have died; at most so many seconds."""

    def dismiss(self, workers: Sequence[AnyWorker]) -> None:
        """Ends workers; an attempt that is under way is finished and kept if it does not take long."""


@dataclass
class ProcessWorker:
    """A worker process, and the main process's end of its pipe."""

    shard: str
    process: SpawnProcess
    pipe: Connection
    attempt: int | None = None

    def give(self, attempt: int) -> None:
        """As `Worker.give`."""
        self.attempt = attempt
        # If it has died, `listen` will tell.
        with contextlib.suppress(OSError):
            self.pipe.send(attempt)

    def listen(self) -> Answer | None:
        """As `Worker.listen`."""
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):
            return None
        if isinstance(answer, ParrotError):
            raise answer
        if isinstance(answer, str):
            raise RuntimeError(f"collecting process {self.shard} failed:\n{answer}")
        return answer

    def fate(self) -> str:
        """As `Worker.fate`; once it was dismissed."""
        return f"exit code {self.process.exitcode}"


@dataclass(frozen=True)
class ProcessCrew:
    """Processes on this machine, each of which writes its own shard."""

    factory: Factory
    out: Path
    manifest: Manifest

    def hire(self, shard: str) -> ProcessWorker:
        """As `Crew.hire`."""
        context = multiprocessing.get_context("spawn")
        mine, its = context.Pipe()
        process = context.Process(
            target=_work, args=(its, self.factory, self.out, self.manifest, shard), name=f"collect-{shard}", daemon=True
        )
        with _single_threaded(), _deaf_to_stops():
            process.start()
        its.close()
        return ProcessWorker(shard, process, mine)

    def answered(self, busy: Sequence[ProcessWorker], timeout: float) -> list[ProcessWorker]:
        """As `Crew.answered`."""
        ready = set(multiprocessing.connection.wait([worker.pipe for worker in busy], timeout))
        return [worker for worker in busy if worker.pipe in ready]

    def dismiss(self, workers: Sequence[ProcessWorker]) -> None:
        """As `Crew.dismiss`."""
        for worker in workers:
            worker.pipe.close()
        until = time.monotonic() + STOP_S
        for worker in workers:
            worker.process.join(max(until - time.monotonic(), 0.0))
            worker.process.kill()
            worker.process.join()


def attempt_seed(seed: int, attempt: int) -> int:
    """The seed of one attempt, 0 to 2**63 - 1 (fits every library's seed)."""
    return int(np.random.SeedSequence(seed, spawn_key=(attempt,)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _work(pipe: Connection, factory: Factory, out: Path, manifest: Manifest, shard: str) -> None:
    """The worker process: makes the attempts whose numbers come through the pipe, until its other end closes."""
    try:
        # A predecessor whose main process was killed may hold the shard until its attempt ends.
        with EpisodeWriter(out, manifest, shard, wait_s=2 * STOP_S) as writer, contextlib.closing(factory()) as roller:
            # An orphan must not begin an attempt that its successor has counted as not made.
            while (parent := multiprocessing.parent_process()) is not None and parent.is_alive():
                pipe.send(_attempt(pipe.recv(), roller, writer))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    except Exception as error:
        with contextlib.suppress(OSError):
            pipe.send(error if isinstance(error, ParrotError) else traceback.format_exc())


def _attempt(number: int, roller: Roller, writer: EpisodeWriter) -> Answer:
    assert writer.manifest.seed is not None
    return record(number, roller.rollout(attempt_seed(writer.manifest.seed, number)), roller.task, writer)


def record(number: int, episode: Episode | None, task: str, writer: EpisodeWriter) -> Answer:
    """Puts on disk what came of an attempt."""
    assert writer.manifest.seed is not None
    seed = attempt_seed(writer.manifest.seed, number)
    if episode is None:
        writer.reject(task, seed, number)
        return Answer(task, False, False)
    writer.append(replace(episode, seed=seed), number)
    return Answer(episode.task, True, episode.success)


@contextlib.contextmanager
def _deaf_to_stops() -> Iterator[None]:
    """Processes started in this block never see SIGINT or SIGTERM, not even while they import.

    Ctrl-C reaches every process of a terminal; the main process hears it and closes the pipe, and a worker finishes
    its attempt first. Children inherit blocked signals; the main process gets those that came in the meantime.
    """
    # Starting multiprocessing's own helper unblocks the signals; so it must be running before.
    resource_tracker.ensure_running()
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """Processes started in this block use one thread each: one process for each core beats threads."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    old = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in old.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
