"""Collecting on a Ray cluster: the attempts are made there, the episodes come back and are written here.

The workers need parrot installed and nothing else: no shared file system. Each has one CPU of the cluster.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parrot.data.episode import Episode
from parrot.data.manifest import Manifest
from parrot.data.worker import STOP_S, Answer, Factory, attempt_seed, record
from parrot.data.writer import EpisodeWriter
from parrot.errors import ConfigError, ParrotError, RunError

__all__ = ["RayCrew", "connect"]

KNOCK_S = 5.0
"""Seconds that a cluster has to accept a connection."""


class _Maker:
    """The remote end: makes attempts."""

    def __init__(self, factory: Factory) -> None:
        self.roller = factory()

    def attempt(self, seed: int) -> tuple[str, Episode | None]:
        """The task, and the episode if it is one to keep."""
        episode = self.roller.rollout(seed)
        return self.roller.task, episode


class RayWorker:
    """A remote maker, and the writer of its shard on this machine."""

    def __init__(self, crew: RayCrew, shard: str) -> None:
        self.crew, self.shard = crew, shard
        self.attempt: int | None = None
        self.pending: Any = None
        self.died = ""
        # A collection that was killed may hold the shard until its last attempt ends.
        self.writer = EpisodeWriter(crew.out, crew.manifest, shard, wait_s=2 * STOP_S)
        self.actor: Any = crew.maker.remote(crew.factory)

    def give(self, attempt: int) -> None:
        """As `Worker.give`."""
        assert self.crew.manifest.seed is not None
        self.attempt = attempt
        self.pending = self.actor.attempt.remote(attempt_seed(self.crew.manifest.seed, attempt))

    def listen(self) -> Answer | None:
        """As `Worker.listen`."""
        errors = self.crew.ray.exceptions
        assert self.attempt is not None
        try:
            task, episode = self.crew.ray.get(self.pending)
        except errors.RayTaskError as error:
            if isinstance(error.cause, ParrotError):
                raise error.cause from None
            raise RuntimeError(f"collecting worker {self.shard} failed:\n{error}") from error
        except errors.RayActorError as error:
            self.died = str(error).partition("\n")[0]
            return None
        self.pending = None
        return record(self.attempt, episode, task, self.writer)

    def fate(self) -> str:
        """As `Worker.fate`."""
        return self.died


class RayCrew:
    """Actors of a Ray cluster.

    Args:
        address: of the cluster, as `ray.init` takes it: `auto`, HOST:PORT or ray://HOST:PORT.
        workers: how many there will be; the cluster needs as many CPUs.
        factory: makes a roller, in each worker.
        out: the dataset's folder, on this machine.
        manifest: what is collected.

    Raises:
        ConfigError: Ray is not installed or cannot work here, or the cluster is too small.
        RunError: there is no cluster at that address.
    """

    def __init__(self, address: str, workers: int, factory: Factory, out: Path, manifest: Manifest) -> None:
        self.ray, self.factory, self.out, self.manifest = connect(address, workers), factory, out, manifest
        self.maker: Any = self.ray.remote(num_cpus=1, max_restarts=0)(_Maker)

    def hire(self, shard: str) -> RayWorker:
        """As `Crew.hire`."""
        return RayWorker(self, shard)

    def answered(self, busy: Sequence[RayWorker], timeout: float) -> list[RayWorker]:
        """As `Crew.answered`."""
        ready, _ = self.ray.wait([worker.pending for worker in busy], timeout=timeout)
        return [worker for worker in busy if worker.pending in ready]

    def dismiss(self, workers: Sequence[RayWorker]) -> None:
        """As `Crew.dismiss`."""
        until = time.monotonic() + STOP_S
        for worker in workers:
            if worker.pending is not None and not worker.died:
                ready, _ = self.ray.wait([worker.pending], timeout=max(until - time.monotonic(), 0.0))
                if ready:
                    # The collection ends, or fails with an error that it tells: this one's would hide it.
                    with contextlib.suppress(Exception):
                        worker.listen()
            self.ray.kill(worker.actor)
            worker.writer.close()


def connect(address: str, workers: int) -> Any:
    """The module `ray`, connected to the cluster at that address.

    Args:
        address: as `ray.init` takes it.
        workers: how many CPUs the cluster needs.

    Raises:
        ConfigError: Ray is not installed or cannot work here, or the cluster is too small.
        RunError: there is no cluster at that address.
    """
    if " " in sys.executable:
        # It composes command lines without quotes, and then ends this process without a word.
        raise ConfigError(f"--ray {address}: Ray fails where Python's path has spaces ({sys.executable}); move .venv")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the machine unasked
    try:
        import ray
    except ImportError as error:
        raise ConfigError(f"--ray {address}: Ray is not installed; pip install 'parrot[ray]'") from error
    try:
        _knock(address)
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True)
    except Exception as error:  # what Ray raises depends on how the address is wrong
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"--ray {address}: no cluster answers there ({reason}); start one with: ray start --head"
        ) from error
    cpus = int(ray.cluster_resources().get("CPU", 0))
    if cpus < workers:
        raise ConfigError(f"--workers {workers}: the cluster at {address} has {cpus} CPUs; ask for at most as many")
    return ray


def _knock(address: str) -> None:
    """Finds out in seconds what Ray finds out in minutes: whether anything listens there.

    Raises:
        OSError: nothing does.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), KNOCK_S).close()
