"""The frames of a LeRobot 3.0 folder, episode by episode, from parquet files and videos; memory stays flat."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from parrot.data.lerobot.layout import ATTEMPT, SEED, TASKS_PATH, library
from parrot.errors import DatasetError

__all__ = ["Frames", "Row", "episode_rows", "frames", "pictures", "task_names"]

READ_ROWS = 64
"""Frames that are read at a time: pictures of 640×480 as PNG take some 20 MB then."""


@dataclass(frozen=True)
class Row:
    """What the table of episodes says of one."""

    number: int
    """`episode_index`."""
    length: int
    """Frames."""
    seed: int | None
    """Of episodes that parrot has exported."""
    attempt: int | None
    """Likewise: the number of its attempt."""
    video: dict[str, Any]
    """`chunk_index`, `file_index` and `from_timestamp` of the video that was asked for."""


@dataclass(frozen=True)
class Frames:
    """An episode's columns by name: numbers (T, ...), and the images as a list of what the file holds."""

    row: Row
    columns: dict[str, Any]


def episode_rows(folder: Path, video: str | None) -> list[Row]:
    """The table of episodes, by number; `video`: the feature whose videos are to be found.

    Raises:
        DatasetError: it is missing or damaged.
    """
    pq = library("pyarrow.parquet", "lerobot", "LeRobot's format")
    names = ["episode_index", "length"]
    videos = [f"videos/{video}/{name}" for name in ("chunk_index", "file_index", "from_timestamp")] if video else []
    rows = []
    for path in _files(folder / "meta" / "episodes"):
        with _damage(path):
            file = pq.ParquetFile(path)
            known = set(file.schema_arrow.names)
            table = file.read(columns=[*names, *videos, *({SEED, ATTEMPT} & known)]).to_pylist()
            for row in table:
                place = {name.rpartition("/")[2]: row[name] for name in videos}
                rows.append(Row(row["episode_index"], row["length"], row.get(SEED), row.get(ATTEMPT), place))
    rows.sort(key=lambda row: row.number)
    if [row.number for row in rows] != list(range(len(rows))):
        raise DatasetError(f"{folder}: its table of episodes has gaps; restore it from a copy")
    return rows


def task_names(folder: Path) -> dict[int, str]:
    """Number -> task.

    Raises:
        DatasetError: the table is missing or damaged.
    """
    pq = library("pyarrow.parquet", "lerobot", "LeRobot's format")
    path = folder / TASKS_PATH
    with _damage(path):
        table = pq.read_table(path)
        (text,) = (name for name in table.column_names if name != "task_index")  # `task`, or pandas' unnamed index
        return dict(zip(table["task_index"].to_pylist(), table[text].to_pylist(), strict=True))


def frames(folder: Path, rows: Sequence[Row], columns: Sequence[str]) -> Iterator[Frames]:
    """The episodes, in order, with these columns.

    Raises:
        DatasetError: a file is missing or damaged, or the frames are not those of the table of episodes.
    """
    pq = library("pyarrow.parquet", "lerobot", "LeRobot's format")
    pending = iter(rows)
    row, parts = next(pending, None), list[Any]()
    for path in _files(folder / "data"):
        with _damage(path):
            file = pq.ParquetFile(path)
            lacking = {*columns, "episode_index", "frame_index"} - set(file.schema_arrow.names)
            if lacking:
                raise DatasetError(f"{path} lacks the column {', '.join(sorted(lacking))}; restore it from a copy")
            for batch in file.iter_batches(READ_ROWS, columns=[*columns, "episode_index", "frame_index"]):
                while len(batch):
                    done = sum(map(len, parts))
                    taken = batch.slice(0, row.length - done) if row else batch
                    numbers = np.arange(done, done + len(taken))
                    if (
                        row is None
                        or (taken["episode_index"].to_numpy() != row.number).any()
                        or (taken["frame_index"].to_numpy() != numbers).any()
                    ):
                        raise DatasetError(f"{path}: its frames are not those of the table of episodes; copy it again")
                    parts.append(taken)
                    batch = batch.slice(len(taken))
                    if done + len(taken) == row.length:
                        yield Frames(row, {name: _values([part[name] for part in parts]) for name in columns})
                        row, parts = next(pending, None), []
    if row is not None:
        raise DatasetError(f"{folder}: frames of episode {row.number} of {len(rows)} are missing; copy it again")


def pictures(folder: Path, values: Sequence[Any]) -> Iterator[NDArray[np.uint8]]:
    """The images in a column: (rows, columns, 3) uint8 each.

    Raises:
        DatasetError: one is no picture.
    """
    for value in values:
        path = folder / (value.get("path") or "")
        data = value["bytes"] if value.get("bytes") is not None else _bytes(path)
        try:
            yield np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        except (UnidentifiedImageError, OSError, ValueError) as error:
            raise DatasetError(f"{folder}: an image cannot be decoded ({error}); copy the dataset again") from error


def _bytes(path: Path) -> bytes:
    with _damage(path):
        return path.read_bytes()


def _values(parts: Sequence[Any]) -> Any:
    """Arrow's arrays as one array of NumPy; structs, which images are, as a list."""
    import pyarrow as pa

    if pa.types.is_struct(parts[0].type):
        return [value for part in parts for value in part.to_pylist()]
    shape: list[int] = []
    flat = list(parts)
    count = sum(map(len, flat))
    while isinstance(flat[0], (pa.ListArray, pa.LargeListArray, pa.FixedSizeListArray)):
        flat = [part.flatten() for part in flat]
        total = sum(map(len, flat))
        shape.append(total // max(count, 1))
        count = total
    values = np.concatenate([part.to_numpy(zero_copy_only=False) for part in flat])
    return values.reshape(-1, *shape)


def _files(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*/*.parquet"))
    if not found:
        raise DatasetError(f"{folder} holds no parquet file; give the folder of a LeRobot {'v3.0'} dataset")
    return found


class _damage:  # noqa: N801
    """Errors of reading in this block become one line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        import pyarrow as pa

        if isinstance(error, (pa.ArrowException, OSError, KeyError, ValueError)):
            reason = " ".join(str(error).split())[:200]
            raise DatasetError(f"{self.path} cannot be read ({reason}); copy the dataset again") from error
