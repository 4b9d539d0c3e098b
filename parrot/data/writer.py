"""Writing episodes so that a kill, a power cut or a full disk loses none that is finished.

A dataset is a folder with `manifest.json` and `shards/NAME/`; each shard has one writer at a time.
"""

from __future__ import annotations

import fcntl
import os
import time
import zlib
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from parrot.data.episode import Episode
from parrot.data.index import INDEX_FILE, RECORD, SHARDS, checksum, make_record, read_index, shard_folders
from parrot.data.manifest import MANIFEST_FILE, Manifest
from parrot.durable import disk_errors, sync_folder
from parrot.errors import DatasetError, RunError

__all__ = ["EpisodeWriter", "create_dataset", "seal", "tally"]


def create_dataset(path: Path, manifest: Manifest) -> Manifest:
    """Begins a dataset, or finds the one that is there; returns the manifest on disk.

    Raises:
        DatasetError: the folder holds something else, or a dataset that differs in a field named by the message.
        RunError: the folder cannot be written.
    """
    path = Path(path)
    if (path / MANIFEST_FILE).exists():
        found = Manifest.load(path)
        try:
            found.continued_by(manifest)
        except DatasetError as error:
            raise DatasetError(f"{path}: {error}") from None
        return found
    if path.exists() and (not path.is_dir() or any(not p.name.startswith(".") for p in path.iterdir())):
        raise DatasetError(f"{path} holds something else than a dataset; choose a new or empty folder")
    with disk_errors(path):
        (path / SHARDS).mkdir(parents=True, exist_ok=True)
        manifest.save(path)
    return manifest


class EpisodeWriter:
    """Appends episodes to one shard of a dataset; opening a shard again drops the torn tail of a kill, no more.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "demo"
        >>> images, actions = np.zeros((25, 48, 48, 3), np.uint8), np.zeros((25, 7), np.float32)
        >>> with EpisodeWriter(folder, Manifest(kind="replay", robot="xarm6", renderer="tiny")) as writer:
        ...     writer.append(Episode(images, actions, np.zeros(25), task="grasp_cap", success=False, seed=0))
        ...     writer.steps
        25
    """

    def __init__(
        self, path: Path, manifest: Manifest, shard: str = "0", *, sync: bool = True, wait_s: float = 0.0
    ) -> None:
        """Opens the shard, beginning dataset and shard if need be.

        Args:
            path: the dataset's folder.
            manifest: what is going to be written; must agree with the dataset that is there.
            shard: name of the shard; each has one writer at a time.
            sync: whether every episode survives a power cut too. Without it an episode is as safe from
                a kill, and `append` does not wait for the disk.
            wait_s: seconds to wait for another writer of this shard to leave.

        Raises:
            DatasetError: the folder holds something else, or a damaged or different dataset.
            RunError: another process writes to this shard, or the disk cannot be written.
        """
        self.path = Path(path)
        self.manifest = create_dataset(self.path, manifest)
        self.sync = sync
        self._specs = self.manifest.arrays
        folder = self.path / SHARDS / shard
        self._files: list[int] = []
        try:
            with disk_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
                self._index = self._open(folder / INDEX_FILE)
                self._lock(folder, wait_s)
                self._data = [self._open(folder / spec.file) for spec in self._specs]
                records = read_index(folder)
                self.attempts = len(records)
                self.episodes = int((records["length"] > 0).sum())
                self.steps = int(records["length"].sum())
                self._cut(folder)
                if sync:
                    sync_folder(folder)
        except BaseException:
            self.close()
            raise
        self._folder = folder

    attempts: int
    """Attempts recorded in this shard, kept or not."""
    episodes: int
    """Episodes in this shard."""
    steps: int
    """Steps in this shard."""

    def append(self, episode: Episode, attempt: int | None = None) -> None:
        """Adds the episode; when this returns, it is safe.

        Args:
            episode: its extra arrays must be those that the manifest declares.
            attempt: its number in the dataset, which orders the episodes of all shards; by default they count up.

        Raises:
            DatasetError: its extra arrays are not those that the manifest declares.
            RunError: the disk is full; the episodes before are safe, and appending may be tried again.
        """
        rows = self._rows(episode)
        crc = 0
        with disk_errors(self._folder):
            try:
                for fd, spec, block in zip(self._data, self._specs, rows, strict=True):
                    data = block.tobytes()
                    crc = zlib.crc32(data, crc)
                    _write_at(fd, data, self.steps * spec.row_bytes)
                if self.sync:
                    for fd in self._data:
                        os.fdatasync(fd)
            except OSError:
                self._cut(self._folder)
                raise
        self._record(episode.task, episode.seed, attempt, length=len(episode), crc=crc, success=episode.success)
        self.episodes += 1
        self.steps += len(episode)

    def reject(self, task: str, seed: int, attempt: int | None = None) -> None:
        """Records an attempt that was not kept, so that it counts and is not repeated.

        Raises:
            RunError: the disk is full.
        """
        self._record(task, seed, attempt, length=0, crc=0, success=False)

    def close(self) -> None:
        """Closes the files and frees the shard for another writer."""
        files, self._files = self._files, []
        for fd in files:
            os.close(fd)

    def __enter__(self) -> EpisodeWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, path: Path) -> int:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._files.append(fd)
        return fd

    def _lock(self, folder: Path, wait_s: float) -> None:
        until = time.monotonic() + wait_s
        while True:
            try:
                return fcntl.flock(self._index, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise RunError(f"{folder} is being written by another process; stop it or wait") from None
            time.sleep(0.05)

    def _rows(self, episode: Episode) -> list[NDArray]:
        declared = {spec.name for spec in self.manifest.extra}
        if episode.extra.keys() != declared:
            raise DatasetError(
                f"episode with extra arrays {sorted(episode.extra)}; the manifest of {self.path} declares "
                f"{sorted(declared)}: give just these"
            )
        named: dict[str, NDArray] = dict(episode.extra)
        named.update(images=episode.images, actions=episode.actions, rewards=episode.rewards)
        for spec in self.manifest.extra:
            if named[spec.name].shape[1:] != spec.shape:
                raise DatasetError(
                    f"extra array {spec.name!r} has rows of shape {named[spec.name].shape[1:]}; "
                    f"the manifest of {self.path} declares {spec.shape}"
                )
        return [named[spec.name].astype(spec.numpy, copy=False) for spec in self._specs]

    def _record(self, task: str, seed: int, attempt: int | None, *, length: int, crc: int, success: bool) -> None:
        number = self.attempts if attempt is None else attempt
        record = make_record(
            start=self.steps, attempt=number, seed=seed, length=length, data_crc=crc, success=success, task=task
        )
        with disk_errors(self._folder):
            try:
                _write_at(self._index, record.tobytes(), self.attempts * RECORD.itemsize)
                # A lost rejection is only tried again, so it need not wait for the disk.
                if self.sync and length:
                    os.fdatasync(self._index)
            except OSError:
                self._cut(self._folder)
                raise
        self.attempts += 1

    def _cut(self, folder: Path) -> None:
        """Drops what lies behind the last whole record."""
        for fd, spec in zip(self._data, self._specs, strict=True):
            size, due = os.fstat(fd).st_size, self.steps * spec.row_bytes
            if size < due:
                raise DatasetError(
                    f"{folder / spec.file} has {size} bytes, its index needs {due}; restore the shard from a copy"
                )
            os.ftruncate(fd, due)
        os.ftruncate(self._index, self.attempts * RECORD.itemsize)


def tally(records: NDArray[np.void]) -> dict[str, dict[str, int]]:
    """By task: how many attempts were `tried`, `kept` and `succeeded`."""
    counts: dict[str, dict[str, int]] = {}
    for name in np.unique(records["task"]):
        mine = records[records["task"] == name]
        counts[name.decode()] = {
            "tried": len(mine),
            "kept": int((mine["length"] > 0).sum()),
            "succeeded": int(mine["success"].sum()),
        }
    return counts


def seal(path: Path, episodes: int | None = None) -> Manifest:
    """Declares the dataset complete with its first `episodes` (default: all), by number of attempt.

    Further episodes stay on disk, unseen, and count again when the collection is continued.

    Raises:
        DatasetError: the dataset is damaged or holds fewer episodes.
        RunError: the disk is full.
    """
    manifest = Manifest.load(path)
    shards = [read_index(shard) for shard in shard_folders(path)]
    records = np.concatenate([np.zeros(0, RECORD), *shards])
    records = records[np.argsort(records["attempt"], kind="stable")]
    ends = np.flatnonzero(records["length"])
    count = len(ends) if episodes is None else episodes
    if count > len(ends):
        raise DatasetError(f"{path} holds {len(ends)} episodes, not {count}; collect more first")
    if episodes is not None:
        records = records[: ends[count - 1] + 1 if count else 0]
    kept = records[records["length"] > 0]
    manifest = replace(
        manifest, complete=True, episodes=count, steps=int(kept["length"].sum()),
        tasks=tally(records), checksum=checksum(kept),
    )  # fmt: skip
    manifest.save(path)
    return manifest


def _write_at(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, offset)
        view, offset = view[done:], offset + done
