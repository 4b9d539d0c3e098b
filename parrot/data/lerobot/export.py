"""A dataset as a LeRobot 3.0 folder: `parrot data to-lerobot`.

Images are PNGs inside the parquet files, so that nothing is lost. `next.success` is true at the last frame of a
successful episode. The manifest goes along in `info.json`, seeds and numbers of attempts in the table of episodes:
lerobot passes over them, and `parrot data from-lerobot` makes the very same episodes of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from parrot.data.dataset import Dataset
from parrot.data.episode import Episode
from parrot.data.lerobot.layout import (
    ACTION,
    ATTEMPT,
    CHUNK_FILES,
    DATA_PATH,
    DONE,
    EPISODES_PATH,
    EXTRA,
    FILE_MB,
    IMAGE,
    INDEX_FEATURES,
    INFO_PATH,
    OURS,
    REWARD,
    SEED,
    STATS_PATH,
    SUCCESS,
    TASKS_PATH,
    VERSION,
    VIDEO_MB,
    library,
)
from parrot.data.lerobot.stats import Total, image_stats, vector_stats
from parrot.data.manifest import Manifest
from parrot.durable import atomic_folder, write_json
from parrot.errors import ConfigError, DatasetError
from parrot.spaces import ACTION_NAMES, IMAGE_SHAPE

__all__ = ["to_lerobot"]


def to_lerobot(
    source: Path, out: Path, *, fps: float | None = None, robot_type: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Writes the folder and returns its info.

    Args:
        source: Folder of the dataset.
        out: Folder to write.
        fps: Frames per second; default: the dataset's control rate.
        robot_type: Name of the robot there; default: the dataset's.
        progress: Called with the number of episodes done and of all.

    Raises:
        ConfigError: pyarrow is not installed, or nobody knows the rate.
        DatasetError: the dataset is empty or damaged, or `out` holds something else.
        RunError: the disk is full, or another process writes there.
    """
    library("pyarrow.parquet", "lerobot", "LeRobot's format")
    dataset = Dataset.open(source)
    fps = fps or dataset.manifest.control_hz
    if not fps or fps <= 0:
        raise ConfigError(f"{source} has no control rate; give the frames per second, --fps")
    if not len(dataset):
        raise DatasetError(f"{source} holds no episode; a LeRobot dataset needs one")
    features = _features(dataset.manifest)
    tasks = list(dict.fromkeys(dataset.tasks.tolist()))
    total = Total()
    with atomic_folder(out) as folder:
        frames, episodes = _Parts(folder, DATA_PATH, features), _Parts(folder, EPISODES_PATH)
        first = 0
        for number in range(len(dataset)):
            if not dataset.intact(number):
                raise DatasetError(f"{source}: episode {number} is damaged; restore it from a copy")
            episode = dataset.episode(number)
            columns, size = _columns(episode, number, first, tasks.index(episode.task), fps)
            chunk, file = frames.write(_arrow(columns, features), size)
            stats = {name: image_stats(episode.images) if name == IMAGE else vector_stats(np.asarray(values))
                     for name, values in columns.items()}  # fmt: skip
            total.add(stats)
            row = {
                "episode_index": number, "tasks": [episode.task], "length": len(episode), "data/chunk_index": chunk,
                "data/file_index": file, "dataset_from_index": first, "dataset_to_index": first + len(episode),
                SEED: np.uint64(episode.seed), ATTEMPT: np.uint64(dataset.attempts[number]),
            }  # fmt: skip
            row |= {f"stats/{name}/{k}": v.tolist() for name, of in stats.items() for k, v in of.items()}
            episodes.write_row(row)
            first += len(episode)
            if progress:
                progress(number + 1, len(dataset))
        frames.close()
        episodes.close()
        _write_tasks(folder / TASKS_PATH, tasks)
        write_json(folder / STATS_PATH, total.result())
        info = {
            "codebase_version": VERSION, "robot_type": robot_type or dataset.manifest.robot,
            "total_episodes": len(dataset), "total_frames": dataset.steps, "total_tasks": len(tasks),
            "chunks_size": CHUNK_FILES, "data_files_size_in_mb": FILE_MB, "video_files_size_in_mb": VIDEO_MB,
            "fps": int(fps) if float(fps).is_integer() else fps, "splits": {"train": f"0:{len(dataset)}"},
            "data_path": DATA_PATH, "video_path": None, "features": features,
            OURS: {**dataset.manifest.to_json(), "checksum": dataset.checksum()},
        }  # fmt: skip
        write_json(folder / INFO_PATH, info)
    return info


def _features(manifest: Manifest) -> dict[str, dict[str, Any]]:
    extra = {
        f"{EXTRA}{spec.name}": {"dtype": spec.dtype, "shape": list(spec.shape or (1,)), "names": None}
        for spec in manifest.extra
    }
    return {
        IMAGE: {"dtype": "image", "shape": list(IMAGE_SHAPE), "names": ["height", "width", "channels"]},
        ACTION: {"dtype": "float32", "shape": [len(ACTION_NAMES)], "names": list(ACTION_NAMES)},
        REWARD: {"dtype": "float32", "shape": [1], "names": None},
        DONE: {"dtype": "bool", "shape": [1], "names": None},
        SUCCESS: {"dtype": "bool", "shape": [1], "names": None},
        **extra,
        **INDEX_FEATURES,
    }


def _columns(
    episode: Episode, number: int, first: int, task: int, fps: float
) -> tuple[dict[str, list[bytes] | NDArray], int]:
    """The columns of an episode's frames, and about how many bytes they take."""
    steps = np.arange(len(episode))
    last = steps == len(episode) - 1
    pictures = [cv2.imencode(".png", image[..., ::-1])[1].tobytes() for image in episode.images]
    columns: dict[str, list[bytes] | NDArray] = {
        IMAGE: pictures, ACTION: episode.actions, REWARD: episode.rewards, DONE: last,
        SUCCESS: last & episode.success,
        **{f"{EXTRA}{name}": values for name, values in episode.extra.items()},
        "timestamp": (steps / fps).astype(np.float32), "frame_index": steps,
        "episode_index": np.full_like(steps, number), "index": first + steps, "task_index": np.full_like(steps, task),
    }  # fmt: skip
    size = sum(map(len, pictures)) + sum(v.nbytes for v in columns.values() if isinstance(v, np.ndarray))
    return columns, size


def _arrow(columns: dict[str, list[bytes] | NDArray], features: dict[str, dict[str, Any]]) -> Any:
    """The columns as a table of Arrow, typed as lerobot's reader wants them."""
    import pyarrow as pa

    arrays: dict[str, Any] = {}
    for name, feature in features.items():
        values, shape = columns[name], tuple(feature["shape"])
        if feature["dtype"] == "image":
            kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
            arrays[name] = pa.array([{"bytes": value, "path": None} for value in values], kind)
            continue
        flat = pa.array(np.ascontiguousarray(values, feature["dtype"]).ravel())
        if shape == (1,):
            arrays[name] = flat
        elif len(shape) == 1:
            arrays[name] = pa.FixedSizeListArray.from_arrays(flat, shape[0])
        else:  # as Array2D and so on of `datasets` are stored
            for length in (*shape[:0:-1], shape[0]):
                flat = pa.ListArray.from_arrays(np.arange(0, len(flat) + 1, length, dtype=np.int32), flat)
            arrays[name] = flat
    return pa.table(arrays)


class _Parts:
    """A table in files of limited size, chunk-000/file-000 and so on."""

    def __init__(self, folder: Path, pattern: str, features: dict[str, dict[str, Any]] | None = None) -> None:
        self.folder, self.pattern = folder, pattern
        self._metadata = {"huggingface": json.dumps(_hugging_face(features))} if features else None
        self._file = 0
        self._bytes = 0
        self._writer: Any = None
        self._rows: list[dict[str, Any]] = []

    @property
    def place(self) -> tuple[int, int]:
        """Chunk and file that is being written."""
        return divmod(self._file, CHUNK_FILES)

    def write(self, table: Any, size: int) -> tuple[int, int]:
        """Adds a table of about so many bytes; returns the chunk and file that it went to."""
        import pyarrow.parquet as pq

        if self._bytes and self._bytes + size > FILE_MB * 2**20:
            self._end_file()
        if self._writer is None:
            chunk, file = self.place
            path = self.folder / self.pattern.format(chunk_index=chunk, file_index=file)
            path.parent.mkdir(parents=True, exist_ok=True)
            schema = table.schema.with_metadata(self._metadata) if self._metadata else table.schema
            self._writer = pq.ParquetWriter(path, schema, compression="snappy", use_dictionary=False)
        self._writer.write_table(table.cast(self._writer.schema))
        self._bytes += size
        return self.place

    def write_row(self, row: dict[str, Any]) -> None:
        """Adds a row of the table of episodes; they are written a hundred at a time."""
        self._rows.append(row)
        if len(self._rows) == 100:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            # Below the limit: a row takes some kilobytes of statistics.
            size = len(json.dumps(self._rows[0], default=int)) * len(self._rows)
            if self._bytes and self._bytes + size > FILE_MB * 2**20:
                self._end_file()
            chunk, file = self.place
            table = pa.Table.from_pylist(
                [{**row, "meta/episodes/chunk_index": chunk, "meta/episodes/file_index": file} for row in self._rows]
            )
            for name in (SEED, ATTEMPT):  # left to itself, Arrow takes what fits into 63 bits for signed
                column = pa.array([row[name] for row in self._rows], pa.uint64())
                table = table.set_column(table.schema.get_field_index(name), name, column)
            self._rows = []
            self.write(table, size)

    def close(self) -> None:
        """Ends the last file."""
        self._flush()
        self._end_file()

    def _end_file(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer, self._bytes = None, 0
            self._file += 1


def _hugging_face(features: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What `datasets` and the Hub's viewer know the columns' types by."""

    def kind(feature: dict[str, Any]) -> dict[str, Any]:
        value, shape = {"dtype": feature["dtype"], "_type": "Value"}, feature["shape"]
        if feature["dtype"] == "image":
            return {"_type": "Image"}
        if shape == [1]:
            return value
        if len(shape) == 1:
            return {"feature": value, "length": shape[0], "_type": "List"}
        return {"shape": shape, "dtype": feature["dtype"], "_type": f"Array{len(shape)}D"}

    return {"info": {"features": {name: kind(feature) for name, feature in features.items()}}}


def _write_tasks(path: Path, tasks: list[str]) -> None:
    """Task -> number, as pandas writes a frame whose index are the tasks."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    index = "__index_level_0__"
    text = {"pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    number = {"pandas_type": "int64", "numpy_type": "int64", "metadata": None}
    pandas = {
        "index_columns": [index], "column_indexes": [],
        "columns": [
            {"name": "task_index", "field_name": "task_index", **number}, {"name": None, "field_name": index, **text},
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__}, "pandas_version": "2.0.0",
    }  # fmt: skip
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), index: pa.array(tasks, pa.string())})
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(pandas)}), path)
