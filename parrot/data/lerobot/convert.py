"""A LeRobot 3.0 folder as a dataset: `parrot data from-lerobot`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot.data.episode import Episode
from parrot.data.lerobot.layout import EXTRA, INFO_PATH, OURS, REWARD, SUCCESS, library, read_info
from parrot.data.lerobot.mapping import Mapping, load_mapping
from parrot.data.lerobot.read import Frames, Row, episode_rows, frames, pictures, task_names
from parrot.data.lerobot.video import Videos
from parrot.data.manifest import ArraySpec, Manifest
from parrot.data.writer import EpisodeWriter, seal
from parrot.durable import atomic_folder
from parrot.errors import ConfigError, DatasetError, ParrotError
from parrot.observe import observe
from parrot.provenance import provenance
from parrot.spaces import ACTION_NAMES

__all__ = ["Report", "from_lerobot"]

TASK_BYTES = 43
"""Longest name of a task in a dataset's index."""


@dataclass(frozen=True)
class Report:
    """What came of an import."""

    manifest: Manifest
    """Of the new dataset."""
    clipped: dict[str, float]
    """By component of the action: share of the steps at which it was beyond ±1."""


def from_lerobot(
    folder: Path, out: Path, mapping: Path | None = None, progress: Callable[[int, int], None] | None = None
) -> Report:
    """Makes a dataset of the folder.

    Args:
        folder: Of a LeRobot dataset, format 3.0.
        out: Folder to write.
        mapping: YAML that says what the features mean; not needed for what parrot has exported.
        progress: Called with the number of episodes done and of all.

    Raises:
        ConfigError: the mapping makes no sense or does not fit the features, or a library is not installed.
        DatasetError: the folder is no such dataset or is damaged, or `out` holds something else.
        RunError: the disk is full, or another process writes there.
    """
    library("pyarrow.parquet", "lerobot", "LeRobot's format")
    info = read_info(folder)
    rules = Mapping() if mapping is None else load_mapping(mapping)
    try:
        reader = _Reader(folder, info, rules, exported=mapping is None and OURS in info)
    except ConfigError as error:
        where = mapping or f"{folder}, without --map"
        raise ConfigError(f"{where}: {error}") from None
    with atomic_folder(out) as place:
        with EpisodeWriter(place, reader.manifest, sync=False) as writer:
            for row, episode in zip(reader.rows, reader.episodes(), strict=True):
                writer.append(episode, row.attempt)
                if progress:
                    progress(row.number + 1, len(reader.rows))
        manifest = seal(place)
    shares = reader.beyond / max(manifest.steps, 1)
    return Report(manifest, dict(zip(ACTION_NAMES, shares.tolist(), strict=True)))


class _Reader:
    """The folder's episodes as parrot's."""

    def __init__(self, folder: Path, info: dict[str, Any], rules: Mapping, *, exported: bool) -> None:
        self.folder, self.rules = folder, rules
        self.features: dict[str, dict[str, Any]] = info["features"]
        self.image = self._camera()
        self.columns, self.scale, self.offset = self._components()
        self.beyond = np.zeros(len(ACTION_NAMES), np.int64)
        video = self.features[self.image]["dtype"] == "video"
        self.videos = Videos(folder, info["video_path"], self.image, info["fps"]) if video else None
        self.rows = episode_rows(folder, self.image if video else None)
        self.tasks = {number: self._task(name) for number, name in task_names(folder).items()}
        self.reward = rules.reward or (REWARD if REWARD in self.features else None)
        if self.reward is not None:
            self._feature(self.reward, "reward")
        self.success = rules.success or (SUCCESS if SUCCESS in self.features else "all")
        if self.success == SUCCESS:
            self._feature(SUCCESS, "success")
        self.manifest = self._exported(info) if exported else self._described(info)

    def episodes(self) -> Iterator[Episode]:
        """All episodes, in order."""
        numbers = [self.rules.action.key, "task_index", *(f"{EXTRA}{spec.name}" for spec in self.manifest.extra)]
        numbers += [self.reward] if self.reward else []
        numbers += [SUCCESS] if self.success == SUCCESS else []
        numbers += ["timestamp"] if self.videos else [self.image]
        for found in frames(self.folder, self.rows, list(dict.fromkeys(numbers))):
            try:
                yield self._episode(found)
            except DatasetError:
                raise
            except ParrotError as error:
                raise DatasetError(f"{self.folder}: episode {found.row.number}: {error}") from error

    def _episode(self, found: Frames) -> Episode:
        row, columns = found.row, found.columns
        starts = np.arange(0, row.length, self.rules.every)
        success = bool(columns[SUCCESS].any()) if self.success == SUCCESS else self.success == "all"
        rewards = np.zeros(len(starts), np.float32)
        if self.reward:
            rewards = np.maximum.reduceat(columns[self.reward].reshape(row.length), starts).astype(np.float32)
        else:
            rewards[-1] = success
        return Episode(
            np.stack([observe(picture, self.rules.crop) for picture in self._pictures(row, columns, starts)]),
            self._actions(columns[self.rules.action.key], starts), rewards,
            self.tasks[int(columns["task_index"][0])], success, row.number if row.seed is None else row.seed,
            {s.name: columns[f"{EXTRA}{s.name}"].reshape(row.length, *s.shape) for s in self.manifest.extra},
        )  # fmt: skip

    def _pictures(self, row: Row, columns: dict[str, Any], starts: NDArray[np.integer]) -> Iterator[NDArray[np.uint8]]:
        if self.videos:
            return self.videos.frames(row.video, columns["timestamp"].ravel()[starts])
        return pictures(self.folder, [columns[self.image][start] for start in starts])

    def _actions(self, values: NDArray, starts: NDArray[np.integer]) -> NDArray[np.float32]:
        """(T, 7) float32 in [-1, 1] of the frames' values; what needs no change stays as it is, to the bit."""
        values = values.reshape(len(values), -1)
        ends = np.minimum(starts + self.rules.every, len(values)) - 1
        actions = np.zeros((len(starts), len(ACTION_NAMES)), np.float32)
        for k, (name, column) in enumerate(zip(ACTION_NAMES, self.columns, strict=True)):
            if column is not None:
                raw = values[:, column]
                raw = raw[ends] if name == "gripper" else np.add.reduceat(raw, starts)
                same = self.scale[k] == 1.0 and self.offset[k] == 0.0
                actions[:, k] = raw if same else raw * self.scale[k] + self.offset[k]
        self.beyond += (np.abs(actions) > 1.0 + 1e-6).sum(0)
        return np.clip(actions, -1.0, 1.0)

    def _camera(self) -> str:
        known = [name for name, feature in self.features.items() if feature["dtype"] in ("image", "video")]
        if self.rules.image is None and len(known) == 1:
            return known[0]
        if self.rules.image not in known:
            asked = f"image: {self.rules.image} is none" if self.rules.image else "image: name one"
            raise ConfigError(f"{asked} of the features with images: {', '.join(known) or 'there is none'}")
        return self.rules.image

    def _feature(self, name: str, field: str) -> dict[str, Any]:
        if name not in self.features:
            raise ConfigError(f"{field}: there is no feature {name}; there are {', '.join(self.features)}")
        return self.features[name]

    def _components(self) -> tuple[list[int | None], list[float], list[float]]:
        """For each of parrot's components: where it lies in the feature, factor and offset."""
        rule = self.rules.action
        feature = self._feature(rule.key, "action: key")
        size = int(np.prod(feature["shape"]))
        named = feature.get("names") or []
        # Some datasets nest the names: {"motors": [...]} or {"axes": [...]}.
        named = [n for value in named.values() for n in value] if isinstance(named, dict) else list(named)
        columns: list[int | None] = []
        for ours in ACTION_NAMES:
            theirs = rule.names.get(ours)
            if theirs is None:
                columns.append(None)
            elif isinstance(theirs, int) and 0 <= theirs < size:
                columns.append(theirs)
            elif theirs in named:
                columns.append(named.index(theirs))
            else:
                known = ", ".join(map(str, named)) or "without names"
                raise ConfigError(f"action: names: {ours}: {rule.key} has no {theirs}; it has {size} numbers: {known}")
        scale = [float(rule.scale.get(name, 1.0)) for name in ACTION_NAMES]
        return columns, scale, [float(rule.offset.get(name, 0.0)) for name in ACTION_NAMES]

    def _task(self, text: str) -> str:
        name = self.rules.task or str(self.rules.tasks.get(text, text))
        if len(name.encode()) > TASK_BYTES:
            raise ConfigError(f"task {name!r} has more than {TASK_BYTES} bytes; name it: `tasks: {{{text}: NAME}}`")
        return name

    def _exported(self, info: dict[str, Any]) -> Manifest:
        """The manifest that came along from parrot."""
        ours = Manifest.from_json(self.folder / INFO_PATH, info[OURS])
        origin = {"made_by": "from-lerobot", "source_1": f"{ours.checksum} (exported to LeRobot and back)"}
        return self._new(replace(ours, provenance={**provenance("pyarrow"), **origin}))

    def _described(self, info: dict[str, Any]) -> Manifest:
        rules = self.rules
        robot = rules.robot or info.get("robot_type")
        if not robot:
            raise ConfigError("robot: the dataset names none; name one")
        about = f"{self.folder.name}: {info['total_episodes']} episodes, robot_type {info.get('robot_type')}"
        names = set(self.tasks.values())
        return self._new(
            Manifest(
                kind="lerobot", robot=robot, renderer=rules.renderer, camera=rules.camera,
                action_scale=rules.action_scale, control_hz=info["fps"] / rules.every,
                object_split=rules.object_split, task=names.pop() if len(names) == 1 else "",
                provenance={**provenance("pyarrow"), "made_by": "from-lerobot", "source_1": about},
            )
        )  # fmt: skip

    def _new(self, manifest: Manifest) -> Manifest:
        extra: tuple[ArraySpec, ...] = manifest.extra
        for spec in extra:
            self._feature(f"{EXTRA}{spec.name}", "extra arrays")
        created = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return replace(manifest, seed=None, created=created, complete=False, episodes=0, steps=0, tasks={}, checksum="")
