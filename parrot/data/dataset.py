"""Reading: all shards of one or several datasets as one sequence of episodes, by memory map.

Opening reads the manifest and the index (80 bytes an episode); images are read where they are asked for.
"""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from parrot.data.episode import Episode
from parrot.data.index import RECORD, checksum, read_index, shard_folders, shared
from parrot.data.manifest import ArraySpec, Manifest
from parrot.errors import DatasetError
from parrot.spaces import IMAGE_SHAPE

__all__ = ["Dataset"]

MEMORY_SHARE = 0.5
"""Images that need more than this share of the free memory are read without reading ahead."""


class Dataset:
    """Episodes on disk, in the order of their attempts; steps are numbered through all episodes.

    Example:
        >>> import tempfile
        >>> from parrot.data import EpisodeWriter
        >>> folder = Path(tempfile.mkdtemp()) / "demo"
        >>> episode = Episode(np.zeros((25, 48, 48, 3), np.uint8), np.zeros((25, 7)), np.zeros(25), "cap", True, 0)
        >>> with EpisodeWriter(folder, Manifest(kind="bags", robot="xarm6", renderer="camera")) as writer:
        ...     writer.append(episode)
        >>> dataset = Dataset.open(folder)
        >>> steps = np.random.default_rng(0).integers(dataset.steps, size=256)
        >>> dataset.images(steps).shape, dataset.actions[steps].shape
        ((256, 48, 48, 3), (256, 7))
    """

    def __init__(self, paths: Sequence[Path], allow: Collection[str] = ()) -> None:
        """Use `Dataset.open`."""
        self.paths = tuple(Path(path) for path in paths)
        self.allow = tuple(allow)
        self.refresh()

    @classmethod
    def open(cls, path: Path | str | Sequence[Path | str], allow: Collection[str] = ()) -> Dataset:
        """Opens a dataset, or several as one.

        `allow` names fields of the manifest in which they may differ although that changes what they mean.

        Raises:
            DatasetError: one is missing, truncated, foreign or damaged, or they cannot be mixed.
        """
        paths = [path] if isinstance(path, (str, Path)) else list(path)
        if not paths:
            raise DatasetError("no dataset given; give at least one folder")
        return cls([Path(p) for p in paths], allow)

    manifests: tuple[Manifest, ...]
    """Of each dataset."""
    bounds: NDArray[np.int64]
    """(datasets + 1,): dataset k has the episodes from bounds[k] to bounds[k + 1]."""
    manifest: Manifest
    """Its manifest; of several datasets the first one's, with the counts of all."""
    offsets: NDArray[np.int64]
    """(episodes + 1,): episode i has the steps from offsets[i] to offsets[i + 1]."""
    seeds: NDArray[np.uint64]
    """(episodes,)."""
    attempts: NDArray[np.uint64]
    """(episodes,): number of the attempt that each episode was."""
    success: NDArray[np.bool_]
    """(episodes,): whether the objective was met at the end."""
    tasks: NDArray[np.str_]
    """(episodes,): name of each episode's task."""

    def refresh(self) -> None:
        """Takes in what a writer has added since; arrays taken from the dataset before stay valid.

        Raises:
            DatasetError: as in `open`.
        """
        manifests = [Manifest.load(path) for path in self.paths]
        for path, other in zip(self.paths[1:], manifests[1:], strict=True):
            try:
                manifests[0].compatible_with(other, self.allow)
            except DatasetError as error:
                raise DatasetError(f"{self.paths[0]} and {path}: {error}") from None
        parts = [_Part(path, manifest) for path, manifest in zip(self.paths, manifests, strict=True)]
        self.manifests = tuple(manifests)
        self.bounds = np.cumsum([0, *(len(part.records) for part in parts)])
        first = np.cumsum([0, *(len(part.shards) for part in parts)])
        records = np.concatenate([part.records for part in parts])
        self._shards = [shard for part in parts for shard in part.shards]
        self._shard = np.concatenate([part.shard_of + n for part, n in zip(parts, first, strict=False)])
        self._records = records
        self._start = records["start"].astype(np.int64)
        self.offsets = np.concatenate([[0], np.cumsum(records["length"], dtype=np.int64)])
        self.seeds, self.attempts = records["seed"].copy(), records["attempt"].copy()
        self.success = records["success"].astype(bool)
        self.tasks = np.char.decode(records["task"], "utf-8")
        if len(parts) == 1:
            self.manifest = manifests[0]
        else:
            shared = tuple(spec for spec in manifests[0].extra if all(spec in m.extra for m in manifests))
            self.manifest = replace(
                manifests[0], extra=shared, complete=all(m.complete for m in manifests), episodes=len(self),
                steps=self.steps, checksum="",
            )  # fmt: skip
        self._specs = {spec.name: spec for spec in self.manifest.arrays}
        # Reading ahead brings a dataset that fits into memory there within the first few batches. Of a larger one it
        # would read far more than is used: 512 images of 1 GB from a cold disk took 1000 ms with, 15 ms without it;
        # from memory 0.4 ms with and 3 ms without.
        memory = psutil.virtual_memory().available
        self._large = sum(shard.rows for shard in self._shards) * int(np.prod(IMAGE_SHAPE)) > MEMORY_SHARE * memory
        for name in ("actions", "rewards"):
            self.__dict__.pop(name, None)

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self._records)

    @property
    def steps(self) -> int:
        """Number of steps of all episodes."""
        return int(self.offsets[-1])

    def images(self, steps: NDArray[np.integer] | Sequence[int] | slice) -> NDArray[np.uint8]:
        """The images of these steps, in any order: (B, 48, 48, 3) uint8."""
        return self.gather("images", steps)

    @cached_property
    def actions(self) -> NDArray[np.float32]:
        """All actions, (steps, 7) float32, read whole: 28 bytes a step."""
        return self.gather("actions", slice(None))

    @cached_property
    def rewards(self) -> NDArray[np.float32]:
        """All rewards, (steps,) float32."""
        return self.gather("rewards", slice(None))

    def gather(self, name: str, steps: NDArray[np.integer] | Sequence[int] | slice) -> NDArray:
        """The rows of any array, also an extra one, at these steps: (B, ...).

        Raises:
            DatasetError: there is no such array.
            IndexError: a step is negative or beyond the end.
        """
        if name not in self._specs:
            raise DatasetError(f"{self.paths[0]} has no array {name!r}; it has {', '.join(self._specs)}")
        spec = self._specs[name]
        shard, row = self._locate(steps)
        scattered = self._large and name == "images"
        shards = np.unique(shard) if len(self._shards) > 1 else shard[:1]
        if len(shards) == 1:
            return self._shards[shards[0]].gather(spec, row, scattered=scattered)
        out = np.empty((len(row), *spec.shape), spec.numpy)
        for k in shards:
            here = np.flatnonzero(shard == k)
            out[here] = self._shards[k].gather(spec, row[here], scattered=scattered)
        return out

    def episode(self, i: int) -> Episode:
        """Episode i as arrays of its own.

        Raises:
            IndexError: there is none.
        """
        if not -len(self) <= i < len(self):
            raise IndexError(f"episode {i} of {len(self)}")
        i %= len(self)
        rows = slice(int(self._start[i]), int(self._start[i] + self._records["length"][i]))
        shard = self._shards[self._shard[i]]
        named = {s.name: shard.rows_at(s, rows).copy() for s in self._specs.values()}
        return Episode(
            named.pop("images"), named.pop("actions"), named.pop("rewards"), task=str(self.tasks[i]),
            success=bool(self.success[i]), seed=int(self.seeds[i]), extra=named,
        )  # fmt: skip

    def __iter__(self) -> Iterator[Episode]:
        return (self.episode(i) for i in range(len(self)))

    def checksum(self, k: int | None = None) -> str:
        """SHA-256 over order, seeds, lengths and recorded CRCs of its episodes, or of dataset k's; reads no data."""
        return checksum(self._records if k is None else self._records[self.bounds[k] : self.bounds[k + 1]])

    def shared(self, j: int, k: int) -> int:
        """How many episodes datasets j and k have in common."""
        a, b = (self._records[self.bounds[i] : self.bounds[i + 1]] for i in (j, k))
        return len(shared(a, b))

    def verify(self, progress: Callable[[int], None] | None = None) -> list[int]:
        """Reads everything and returns the episodes whose contents do not match their CRC.

        Args:
            progress: called with the number of each episode that was read.
        """
        bad = []
        for i in range(len(self)):
            if not self.intact(i):
                bad.append(i)
            if progress:
                progress(i)
        return bad

    def intact(self, i: int) -> bool:
        """Reads episode i, also the arrays that other datasets opened with it lack, and compares it with its CRC."""
        record, shard, crc = self._records[i], self._shards[self._shard[i]], 0
        rows = slice(int(record["start"]), int(record["start"]) + int(record["length"]))
        for spec in shard.specs:
            crc = zlib.crc32(shard.rows_at(spec, rows).tobytes(), crc)
        return crc == record["data_crc"]

    def __reduce__(self) -> tuple[type[Dataset], tuple[tuple[Path, ...], tuple[str, ...]]]:
        """Travels to another process as its paths."""
        return Dataset, (self.paths, self.allow)

    def __repr__(self) -> str:
        where = ", ".join(map(str, self.paths))
        return f"Dataset({where}: {len(self)} episodes, {self.steps} steps, robot {self.manifest.robot})"

    def _locate(self, steps: NDArray[np.integer] | Sequence[int] | slice) -> tuple[NDArray, NDArray[np.int64]]:
        """Shard and row of each step, (B,) each."""
        if isinstance(steps, slice) and steps == slice(None):
            lengths = np.diff(self.offsets)
            row = np.arange(self.steps) + np.repeat(self._start - self.offsets[:-1], lengths)
            return np.repeat(self._shard, lengths), row
        index = np.arange(self.steps)[steps] if isinstance(steps, slice) else np.asarray(steps, dtype=np.int64)
        if len(index) and (index.min() < 0 or index.max() >= self.steps):
            raise IndexError(f"steps {index.min()} to {index.max()} of {self.steps}")
        episode = np.searchsorted(self.offsets, index, side="right") - 1
        return self._shard[episode], self._start[episode] + index - self.offsets[episode]


class _Shard:
    """The files of one writer; `rows` steps of them are indexed."""

    def __init__(self, folder: Path, specs: tuple[ArraySpec, ...], rows: int) -> None:
        self.folder, self.specs, self.rows = folder, specs, rows
        self._maps: dict[tuple[str, bool], tuple[NDArray, mmap.mmap]] = {}
        for spec in specs:
            path, due = folder / spec.file, rows * spec.row_bytes
            size = path.stat().st_size if path.exists() else 0
            if size < due:
                raise DatasetError(
                    f"{path} has {size} bytes, its index needs {due}: it was truncated; restore it from a copy"
                )

    def rows_at(self, spec: ArraySpec, rows: slice) -> NDArray:
        """A view of neighbouring rows, read as they are touched."""
        return self._map(spec, scattered=False)[0][rows]

    def gather(self, spec: ArraySpec, rows: NDArray[np.int64], *, scattered: bool) -> NDArray:
        """A copy of any rows, (B, ...); `scattered`: read these and nothing around them."""
        array, pages = self._map(spec, scattered)
        if scattered:
            # Ask for all of them first: waiting for one after the other is ten times slower.
            for start in (rows * spec.row_bytes // mmap.PAGESIZE * mmap.PAGESIZE).tolist():
                pages.madvise(mmap.MADV_WILLNEED, start, min(spec.row_bytes + mmap.PAGESIZE, len(pages) - start))
        return np.take(array, rows, axis=0)

    def _map(self, spec: ArraySpec, scattered: bool) -> tuple[NDArray, mmap.mmap]:
        key = (spec.name, scattered)
        if key not in self._maps:
            with open(self.folder / spec.file, "rb") as file:
                pages = mmap.mmap(file.fileno(), self.rows * spec.row_bytes, access=mmap.ACCESS_READ)
            if scattered:
                pages.madvise(mmap.MADV_RANDOM)
            self._maps[key] = (np.frombuffer(pages, spec.numpy).reshape(self.rows, *spec.shape), pages)
        return self._maps[key]


class _Part:
    """One dataset's shards and the records of its episodes, in the order of attempts."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        folders = shard_folders(path)
        indexes = [read_index(folder) for folder in folders]
        self.shards = [
            _Shard(folder, manifest.arrays, int(index["length"].sum()))
            for folder, index in zip(folders, indexes, strict=True)
        ]
        kept = [index[index["length"] > 0] for index in indexes]
        records = np.concatenate([np.zeros(0, RECORD), *kept])
        shard_of = np.repeat(np.arange(len(kept)), [len(k) for k in kept])
        order = np.argsort(records["attempt"], kind="stable")
        if manifest.complete:
            order = order[: manifest.episodes]
        self.records, self.shard_of = records[order], shard_of[order]
        if manifest.complete and checksum(self.records) != manifest.checksum:
            raise DatasetError(
                f"{path} holds other episodes than when it was completed ({len(order)} of {manifest.episodes} found, "
                "or changed); restore its shards from a copy"
            )
