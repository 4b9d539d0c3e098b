"""Who does which job: a file for each, so that any number of processes and machines work off one folder.

A claim is made with O_EXCL and kept alive by its time of change. One whose heart has stopped is taken over: at once if
its process ran on this machine and is gone, else after `STALE_S`. Ages are measured by the file system's own clock, so
that machines need not agree on the time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from parrot.durable import disk_errors
from parrot.errors import RunError

__all__ = ["Claim", "ClaimLostError", "Claims", "Holder"]

BEAT_S = 5.0
"""Seconds between two beats of a claim."""
STALE_S = 120.0
"""Seconds without a beat after which a claim of another machine counts as given up."""


class ClaimLostError(RunError):
    """The claim was taken over by another process, because this one did not beat for too long."""


@dataclass(frozen=True)
class Holder:
    """What a claim's file says."""

    host: str
    """Machine, or container: where its process id means something."""
    pid: int
    """Process."""
    born: float
    """When that process began, by its machine's clock: process ids come again."""
    token: str
    """Of this one claim."""
    progress: float = 0.0
    """How much of the job is done, 0 to 1."""
    note: str = ""
    """Where the job stands, for people."""


def here() -> str:
    """Names this machine; containers may share its name, but not the numbered namespace of its process ids."""
    try:
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return socket.gethostname()


class Claims:
    """The claims in a folder.

    Args:
        folder: for the files; made with the first of them.
        beat_s: seconds between two beats.
        stale_s: seconds without a beat after which a claim of another machine counts as given up.
    """

    def __init__(self, folder: Path, beat_s: float = BEAT_S, stale_s: float = STALE_S) -> None:
        self.folder, self.beat_s, self.stale_s = Path(folder), beat_s, stale_s

    def take(self, job: str) -> Claim | None:
        """The claim to this job, or None if somebody else has it and is alive.

        Raises:
            RunError: the disk is full or read-only.
        """
        path = self.path(job)
        mine = Holder(here(), os.getpid(), psutil.Process().create_time(), uuid.uuid4().hex)
        with disk_errors(path):
            self.folder.mkdir(parents=True, exist_ok=True)
        with disk_errors(path), self._one_at_a_time():
            if path.exists() and not self._given_up(path):
                return None
            path.unlink(missing_ok=True)
            try:
                # Where the lock does not reach, on a file system that has none, this still lets in only one.
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            except FileExistsError:
                return None
            with open(fd, "w", encoding="utf-8") as file:
                json.dump(asdict(mine), file)
        return Claim(self, job, mine)

    def holders(self) -> dict[str, Holder]:
        """Job -> who has it, of those whose heart beats."""
        found = {}
        for path in sorted(self.folder.glob("*.claim")):
            with contextlib.suppress(FileNotFoundError):
                holder = self.read(path)
                if holder and not self._given_up(path):
                    found[path.stem.replace("+", "/")] = holder
        return found

    def path(self, job: str) -> Path:
        """The file of a job's claim."""
        return self.folder / f"{job.replace('/', '+')}.claim"

    @staticmethod
    def read(path: Path) -> Holder | None:
        """What a claim's file says; None: it is not whole, as its maker is writing it or was killed then."""
        try:
            return Holder(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            return None

    def _given_up(self, path: Path) -> bool:
        holder = self.read(path)
        if holder and holder.host == here():
            try:
                return abs(psutil.Process(holder.pid).create_time() - holder.born) > 1.0
            except psutil.NoSuchProcess:
                return True
        return self._now() - path.stat().st_mtime > self.stale_s

    def _now(self) -> float:
        """The time by the clock that stamps the files."""
        probe = self.folder / f".now-{uuid.uuid4().hex}"
        try:
            probe.touch()
            return probe.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Nobody else takes or gives back meanwhile; the kernel frees the lock of a process that dies."""
        fd = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


class Claim:
    """A claim that beats until it is given back: `with claim: ...`."""

    def __init__(self, claims: Claims, job: str, holder: Holder) -> None:
        self.claims, self.job, self.holder = claims, job, holder
        self.progress, self.note = 0.0, ""
        self._lost = False
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, name=f"claim {job}", daemon=True)
        self._heart.start()

    def tell(self, progress: float, note: str = "") -> None:
        """Says where the job stands; written with the next beat.

        Raises:
            ClaimLostError: the job is somebody else's by now.
        """
        self.progress, self.note = progress, note
        if self._lost:
            raise ClaimLostError(f"{self.job}: another worker took it over, as this one was not heard of for too long")

    def release(self) -> None:
        """Gives the claim back."""
        self._ended.set()
        self._heart.join()
        with self.claims._one_at_a_time():
            if self._mine():
                self.claims.path(self.job).unlink(missing_ok=True)

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _mine(self) -> bool:
        try:
            there = self.claims.read(self.claims.path(self.job))
        except FileNotFoundError:
            return False
        return there is not None and there.token == self.holder.token

    def _beat(self) -> None:
        while not self._ended.wait(self.claims.beat_s):
            # A full disk for a moment is no reason to let go of the job: the next beat may get through.
            with contextlib.suppress(OSError), self.claims._one_at_a_time():
                if not self._mine():
                    self._lost = True
                    return
                path = self.claims.path(self.job)
                now = {**asdict(self.holder), "progress": round(self.progress, 4), "note": self.note}
                tmp = path.with_suffix(f".{self.holder.token}")
                tmp.write_text(json.dumps(now), encoding="utf-8")
                os.replace(tmp, path)
