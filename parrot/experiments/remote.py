"""Runs on a Ray cluster: weights go there, curves come back (as collection does in `parrot.data.cluster`).

The cluster's machines need parrot installed and nothing else, no shared file system. What needs the dataset, the
training of models, stays on this machine.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parrot.data.cluster import connect
from parrot.durable import write_bytes
from parrot.errors import ParrotError, RunError
from parrot.experiments.claims import Claim
from parrot.experiments.jobs import Job, Place
from parrot.experiments.work import work

__all__ = ["LOCAL", "REMOTE", "Cluster", "do_elsewhere"]

REMOTE = ("run", "explore")
"""Kinds of jobs that a cluster does."""

LOCAL = ("given", "collect", "choose", "train")
"""Kinds of jobs that stay here; collection gets its attempts made on the cluster."""


def do_elsewhere(job: Job, robot: str, weights: dict[str, bytes]) -> dict[str, bytes]:
    """Does a job in a folder of its own.

    Args:
        job: of a kind in `REMOTE`.
        robot: name of the robot's YAML.
        weights: by name of the job that it needs, the contents of what that one made.

    Returns:
        Its results: contents of files by name below the folder of results, the record last.
    """
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="parrot-") as folder:
        place = Place(Path(folder, "results"), Path(folder, "runs"), robot)
        for need in job.needs:
            product = need.product(place)
            assert product is not None
            write_bytes(product, weights[need.name])
        job.run(place, lambda *_: None)
        files = [path for path in (place.table(job.name), place.record(job.name)) if path.exists()]
        return {str(path.relative_to(place.results)): path.read_bytes() for path in files}


class Cluster:
    """Threads that each have one job done on the cluster at a time: `with Cluster(...) as cluster: ...`.

    Args:
        address: of the cluster.
        workers: jobs at a time.
        jobs: all jobs.
        place: where they live.

    Raises:
        ConfigError: as `parrot.data.cluster.connect`.
        RunError: there is no cluster at that address.
    """

    def __init__(self, address: str, workers: int, jobs: Sequence[Job], place: Place) -> None:
        self.ray, self.place = connect(address, workers), place
        self.remote: Any = self.ray.remote(num_cpus=1, max_retries=0)(do_elsewhere)
        self.failed: dict[str, str] = {}
        self.bugs: list[BaseException] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(jobs,), name=f"ray {n}") for n in range(workers)]

    @property
    def running(self) -> bool:
        """Whether any of the threads still works."""
        return any(thread.is_alive() for thread in self._threads)

    def check(self) -> None:
        """What failed.

        Raises:
            RunError: a job did.
        """
        if self.bugs:
            raise self.bugs[0]
        for name, error in self.failed.items():
            raise RunError(f"{name}: {error}; the same command goes on with what is left")

    def __enter__(self) -> Cluster:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, jobs: Sequence[Job]) -> None:
        try:
            self.failed.update(work(jobs, self.place, kinds=REMOTE, do=self._do, stop=self._stop.is_set))
        except BaseException as error:  # told by `check`, in the thread that waits
            self.bugs.append(error)

    def _do(self, job: Job, claim: Claim) -> None:
        weights = {}
        for need in job.needs:
            product = need.product(self.place)
            assert product is not None
            weights[need.name] = product.read_bytes()
        pending = self.remote.remote(job, self.place.robot, weights)
        errors = self.ray.exceptions
        try:
            while not self.ray.wait([pending], timeout=1.0)[0]:
                if self._stop.is_set():
                    return
                claim.tell(0.0, "on the cluster")
            files = self.ray.get(pending)
        except errors.RayTaskError as error:
            if isinstance(error.cause, ParrotError):
                raise error.cause from None
            raise RuntimeError(f"{job.name} failed on the cluster:\n{error}") from error
        except errors.RayError as error:  # a machine of the cluster died, for instance
            raise RunError(f"the cluster gave it up ({' '.join(str(error).split())[:200]})") from error
        finally:
            self.ray.cancel(pending, force=True)  # what is finished does not mind
        for name, data in files.items():
            write_bytes(self.place.results / name, data)
