"""New datasets out of old ones: merged, split, thinned out; every episode equals its original to the byte.

A result is written beside its place and renamed into it when it is sealed and on the disk: it is whole or not there.
Attempts are numbered anew, in the order of the sources. The attempts that were not kept stay with the next episode that
was, so that the counts by task of the parts of a split add up to those of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parrot.data.dataset import Dataset
from parrot.data.index import RECORD, checksum, read_index, shard_folders, shared
from parrot.data.manifest import MANIFEST_FILE, ArraySpec, Manifest
from parrot.data.writer import EpisodeWriter, seal, tally
from parrot.durable import atomic_folder
from parrot.errors import ConfigError, DatasetError, RunError
from parrot.provenance import provenance

__all__ = ["merge", "split", "subsample"]

MIXED = "mixed"
"""Kind of a dataset whose sources are of several kinds."""

Progress = Callable[[int, int], None]
"""Called with the number of episodes done and of all."""


def merge(
    sources: Sequence[Path], out: Path, *, common_extra: bool = False, progress: Progress | None = None
) -> Manifest:
    """One dataset with all episodes of several, in the order given.

    Args:
        sources: Folders of at least two datasets.
        out: Folder to write; if it holds this very result already, nothing is done.
        common_extra: Keep only the extra arrays that all sources have, where they differ.
        progress: As `Progress`.

    Raises:
        ConfigError: fewer than two sources.
        DatasetError: they cannot be mixed, share an episode or are damaged, or `out` holds something else.
        RunError: the disk is full, or another process writes there.
    """
    if len(sources) < 2:
        raise ConfigError(f"merging {len(sources)} dataset: give at least two")
    opened = [_Source.open(path) for path in sources]
    for other in opened[1:]:
        try:
            opened[0].manifest.compatible_with(other.manifest)
        except DatasetError as error:
            raise DatasetError(f"{opened[0].path} and {other.path}: {error}") from None
    _refuse_overlap(opened)
    extra = _shared_extra(opened, common_extra)
    return _write(out, [_Selection(source) for source in opened], extra, "merge", progress)


def split(
    source: Path, outs: tuple[Path, Path], *, share: float = 0.9, count: int | None = None, seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Manifest, Manifest]:  # fmt: skip
    """Two datasets with the episodes of one, each in one of them, by chance.

    Args:
        source: Folder of the dataset.
        outs: Folders to write; one that holds this very result already is left as it is.
        share: Share of the episodes that the first one gets.
        count: Instead, how many.
        seed: Of the choice.
        progress: As `Progress`, for each result.

    Raises:
        ConfigError: one of the two would be empty, or both are one folder.
        DatasetError: the dataset is damaged, or a folder holds something else.
        RunError: the disk is full, or another process writes there.
    """
    if Path(outs[0]).resolve() == Path(outs[1]).resolve():
        raise ConfigError(f"--out {outs[0]} {outs[1]}: give two folders")
    opened = _Source.open(source)
    episodes = len(opened.dataset)
    first = round(share * episodes) if count is None else count
    if not 0 < first < episodes:
        raise ConfigError(f"{first} of the {episodes} episodes of {source} in the first part: each part needs one")
    chosen = np.zeros(episodes, bool)
    chosen[np.random.default_rng(seed).permutation(episodes)[:first]] = True
    extra = opened.manifest.extra
    how = f"split, seed {seed}, {first} of {episodes}"
    parts = [(outs[0], chosen, f"{how}: the chosen"), (outs[1], ~chosen, f"{how}: the others")]
    return tuple(_write(out, [_Selection(opened, mask)], extra, what, progress) for out, mask, what in parts)  # type: ignore[return-value]


def subsample(
    source: Path, out: Path, *, count: int | None = None, share: float | None = None, success_only: bool = False,
    task: str | None = None, seed: int = 0, progress: Progress | None = None,
) -> Manifest:  # fmt: skip
    """A dataset with some episodes of another, chosen by chance, in their order.

    Args:
        source: Folder of the dataset.
        out: Folder to write; if it holds this very result already, nothing is done.
        count: How many episodes.
        share: Instead, the share of those that pass the filters; neither: all that pass.
        success_only: Only successful episodes; the others count as attempts that were not kept.
        task: Only episodes of this task.
        seed: Of the choice.
        progress: As `Progress`.

    Raises:
        ConfigError: none passes, fewer pass than asked for, or both `count` and `share` are given.
        DatasetError: the dataset is damaged, or `out` holds something else.
        RunError: the disk is full, or another process writes there.
    """
    if count is not None and share is not None:
        raise ConfigError(f"--count {count} --share {share:g}: give one of the two")
    opened = _Source.open(source)
    dataset = opened.dataset
    of_task = np.ones(len(dataset), bool) if task is None else dataset.tasks == task
    if task is not None and not of_task.any():
        raise ConfigError(
            f"--task {task}: {source} has no such episode; it has {', '.join(np.unique(dataset.tasks)) or 'none'}"
        )
    passing = np.flatnonzero(of_task & dataset.success) if success_only else np.flatnonzero(of_task)
    wanted = len(passing) if share is None else round(share * len(passing))
    wanted = wanted if count is None else count
    if not 0 < wanted <= len(passing):
        raise ConfigError(f"{wanted} episodes out of {source}: {len(passing)} of its {len(dataset)} pass; ask for 1 up")
    chosen = np.zeros(len(dataset), bool)
    chosen[np.random.default_rng(seed).permutation(passing)[:wanted]] = True
    # Failures are attempts like those that the collection did not keep: the rate of success must not become 100%
    # by leaving them out. In a choice of some episodes they are left out at the same rate.
    failed = of_task & ~dataset.success & success_only
    if failed.any() and wanted < len(passing):
        failed &= np.random.default_rng([seed, 1]).random(len(dataset)) < wanted / len(passing)
    filters = [f"task {task}"] * (task is not None) + ["successful"] * success_only
    how = f"subsample, seed {seed}, {wanted} of {len(passing)} {' '.join(filters)}".rstrip()
    return _write(out, [_Selection(opened, chosen, failed)], opened.manifest.extra, how, progress)


@dataclass(frozen=True)
class _Source:
    """A dataset with all attempts that count, also those that were not kept."""

    path: Path
    dataset: Dataset
    attempts: NDArray[np.void]  # of RECORD, ordered by number of attempt

    @classmethod
    def open(cls, path: Path) -> _Source:
        dataset = Dataset.open(path)
        shards = [read_index(folder) for folder in shard_folders(Path(path))]
        records = np.concatenate([np.zeros(0, RECORD), *shards])
        records = records[np.argsort(records["attempt"], kind="stable")]
        # What a seal leaves out is unseen; trailing attempts that were not kept count if all episodes do.
        ends = np.flatnonzero(records["length"])
        if dataset.manifest.complete and tally(records) != dataset.manifest.tasks:
            records = records[: ends[len(dataset) - 1] + 1] if len(dataset) else records[:0]
        records = records[: _until(records, len(dataset))]
        if not np.array_equal(records["attempt"][records["length"] > 0], dataset.attempts):
            raise RunError(f"{path} is being written; wait until that has ended")
        return cls(Path(path), dataset, records)

    @property
    def manifest(self) -> Manifest:
        return self.dataset.manifest

    def line(self) -> str:
        """What provenance says of it; the checksum comes first."""
        made = self.manifest.provenance.get("commit", "unknown")
        return (
            f"{self.dataset.checksum()} ({self.path.name}: {len(self.dataset)} episodes, {self.manifest.kind}, "
            f"base seed {self.manifest.seed}, commit {made})"
        )


def _until(records: NDArray[np.void], episodes: int) -> int:
    """Records up to the one before episode number `episodes`, which a writer may have added in the meantime."""
    ends = np.flatnonzero(records["length"])
    return int(ends[episodes]) if len(ends) > episodes else len(records)


@dataclass(frozen=True)
class _Selection:
    """Some episodes of a source, with the attempts that they took."""

    source: _Source
    chosen: NDArray[np.bool_] | None = None  # (episodes,); None: all
    demoted: NDArray[np.bool_] | None = None  # (episodes,): count as attempts that were not kept

    def rows(self) -> tuple[NDArray[np.void], NDArray[np.int64]]:
        """Records to write, and which episode of the dataset each is; -1: an attempt that was not kept."""
        records = self.source.attempts
        kept = records["length"] > 0
        if self.chosen is None:
            return records, np.where(kept, np.cumsum(kept) - 1, -1)
        # The episode that an attempt led to: itself, or the next one; those after the last belong to the last.
        leads = np.minimum(np.cumsum(kept) - kept, len(self.chosen) - 1)
        demoted = np.zeros_like(self.chosen) if self.demoted is None else self.demoted
        taken = (self.chosen | demoted)[leads]
        episode = np.where(kept & self.chosen[leads], leads, -1)
        return records[taken], episode[taken]


def _refuse_overlap(sources: Sequence[_Source]) -> None:
    """An episode that two sources share would count twice."""
    for k, source in enumerate(sources):
        for before in sources[:k]:
            if len(same := shared(before.attempts, source.attempts)):
                raise DatasetError(
                    f"{before.path} and {source.path} share {len(same)} episodes, one with seed {same[0]['seed']}: "
                    "leave one of them out"
                )


def _shared_extra(sources: Sequence[_Source], common: bool) -> tuple[ArraySpec, ...]:
    first, *others = (source.manifest.extra for source in sources)
    shared = tuple(spec for spec in first if all(spec in other for other in others))
    for source in sources:
        if len(source.manifest.extra) != len(shared) and not common:
            lost = ", ".join(spec.name for spec in source.manifest.extra if spec not in shared)
            raise DatasetError(f"{source.path} has extra arrays that not all have: {lost}; drop them by --common-extra")
    return shared


def _one(values: Sequence[str], otherwise: str) -> str:
    return values[0] if len(set(values)) == 1 else otherwise


def _write(
    out: Path, selections: Sequence[_Selection], extra: tuple[ArraySpec, ...], how: str, progress: Progress | None
) -> Manifest:
    out = Path(out)
    manifests = [selection.source.manifest for selection in selections]
    chosen = [selection.rows() for selection in selections]
    if _holds(out, chosen, extra, manifests):
        return Manifest.load(out)
    sources = {f"source_{k}": selection.source.line() for k, selection in enumerate(selections, start=1)}
    manifest = replace(
        manifests[0],
        kind=_one([m.kind for m in manifests], MIXED), task=_one([m.task for m in manifests], ""),
        catalogue=_one([m.catalogue for m in manifests], ""),
        seed=None,  # each episode has its own; and nobody shall go on collecting into a part of a split
        extra=extra, provenance={**provenance(), "made_by": how, **sources},
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        complete=False, episodes=0, steps=0, tasks={}, checksum="",
    )  # fmt: skip
    total, done = sum(int((episode >= 0).sum()) for _, episode in chosen), 0
    names = {spec.name for spec in extra}
    with atomic_folder(out) as folder:
        with EpisodeWriter(folder, manifest, sync=False) as writer:
            for selection, (records, episodes) in zip(selections, chosen, strict=True):
                dataset = selection.source.dataset
                for record, i in zip(records, episodes.tolist(), strict=True):
                    if i < 0:
                        writer.reject(record["task"].decode(), int(record["seed"]))
                        continue
                    if not dataset.intact(i):
                        raise DatasetError(f"{selection.source.path}: episode {i} is damaged; restore it from a copy")
                    episode = dataset.episode(i)
                    writer.append(replace(episode, extra={k: v for k, v in episode.extra.items() if k in names}))
                    done += 1
                    if progress:
                        progress(done, total)
        return seal(folder)


def _holds(
    out: Path, chosen: Sequence[tuple[NDArray[np.void], NDArray[np.int64]]], extra: tuple[ArraySpec, ...],
    manifests: Sequence[Manifest],
) -> bool:  # fmt: skip
    """Whether the result is there already: its checksum follows from the sources' records."""
    if not (out / MANIFEST_FILE).is_file() or any(m.extra != extra for m in manifests):
        return False
    records = np.concatenate([records for records, _ in chosen])
    records["attempt"] = np.arange(len(records))
    kept = records[np.concatenate([episode for _, episode in chosen]) >= 0]
    found = Manifest.load(out)
    return found.complete and found.checksum == checksum(kept)
