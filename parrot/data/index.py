"""The index of a shard: one fixed-size record for each attempt, written after the attempt's data are on disk.

An episode exists once its record does. A record of length 0 stands for an attempt that was not kept. The
record's own CRC tells a torn tail, left by a kill or a power cut, from damage in the middle of a file.
"""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parrot.errors import DatasetError

__all__ = ["INDEX_FILE", "RECORD", "SHARDS", "checksum", "make_record", "read_index", "shard_folders", "shared"]

SHARDS = "shards"
INDEX_FILE = "index.bin"

RECORD = np.dtype(
    [
        ("start", "<u8"),  # first row in the shard's files
        ("attempt", "<u8"),  # number of the attempt in the dataset; orders the episodes of all shards
        ("seed", "<u8"),
        ("length", "<u4"),  # steps; 0: the attempt was not kept
        ("data_crc", "<u4"),  # CRC-32 of the rows of all arrays, in the manifest's order
        ("success", "u1"),
        ("task", "S43"),  # UTF-8
        ("crc", "<u4"),  # CRC-32 of all the bytes before
    ]
)
_BODY = RECORD.itemsize - 4


def make_record(
    *, start: int, attempt: int, seed: int, length: int, data_crc: int, success: bool, task: str
) -> NDArray[np.void]:
    """One record, (1,) of `RECORD`.

    Raises:
        DatasetError: the task's name is too long.
    """
    name = task.encode()
    if len(name) > RECORD["task"].itemsize:
        raise DatasetError(f"task {task!r} has {len(name)} bytes; at most {RECORD['task'].itemsize} fit: shorten it")
    record = np.zeros(1, RECORD)
    record[0] = (start, attempt, seed, length, data_crc, success, name, 0)
    record["crc"] = zlib.crc32(record.tobytes()[:_BODY])
    return record


def read_index(shard: Path) -> NDArray[np.void]:
    """All whole records of the shard, (n,) of `RECORD`, without the torn tail that a kill may leave.

    Raises:
        DatasetError: the index is missing, or a record is damaged though a good one follows it.
    """
    path = shard / INDEX_FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}); restore the shard from a copy") from error
    records = np.frombuffer(data, RECORD, count=len(data) // RECORD.itemsize)
    view = memoryview(data)
    size = RECORD.itemsize
    found = np.fromiter((zlib.crc32(view[i * size : i * size + _BODY]) for i in range(len(records))), np.uint32)
    good = np.flatnonzero(found == records["crc"])
    whole = int(good[-1]) + 1 if len(good) else 0
    if whole != len(good):
        bad = int(np.flatnonzero(found != records["crc"])[0])
        raise DatasetError(f"{path}: record {bad} of {whole} is damaged; restore the shard from a copy")
    records = records[:whole]
    ends = np.cumsum(records["length"], dtype=np.uint64)
    if not np.array_equal(records["start"], ends - records["length"]):
        raise DatasetError(f"{path}: records do not follow one another; restore the shard from a copy")
    return records


def shard_folders(dataset: Path) -> list[Path]:
    """The dataset's shards, by name.

    Raises:
        DatasetError: there is no folder of shards.
    """
    try:
        folders = sorted(p for p in (dataset / SHARDS).iterdir() if p.is_dir())
    except OSError as error:
        raise DatasetError(
            f"{dataset / SHARDS} cannot be read ({error.strerror}); restore the dataset from a copy"
        ) from error
    # A writer killed at its very beginning leaves a folder with no index and no data.
    return [p for p in folders if (p / INDEX_FILE).exists() or any(f.stat().st_size for f in p.iterdir())]


def checksum(records: NDArray[np.void]) -> str:
    """SHA-256 of what the episodes are, whatever shards and rows they lie in."""
    kept = np.stack([records[name].astype("<u8") for name in ("attempt", "seed", "length", "data_crc", "success")], 1)
    return hashlib.sha256(kept.tobytes() + records["task"].tobytes()).hexdigest()


def shared(a: NDArray[np.void], b: NDArray[np.void]) -> NDArray[np.void]:
    """What two indexes have in common: seed, length, CRC and task of each episode that is in both."""
    names = ["seed", "length", "data_crc", "task"]
    return np.intersect1d(a[a["length"] > 0][names], b[b["length"] > 0][names])
