"""Where LeRobot 3.0 keeps what: paths, names of columns, and the extra that reads and writes them.

Taken from lerobot 0.4.4, `lerobot/datasets/utils.py` and `lerobot_dataset.py`.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from parrot.errors import ConfigError, DatasetError

__all__ = [
    "ACTION",
    "ATTEMPT",
    "CHUNK_FILES",
    "DATA_PATH",
    "DONE",
    "EPISODES_PATH",
    "EXTRA",
    "FILE_MB",
    "IMAGE",
    "INDEX_FEATURES",
    "INFO_PATH",
    "OURS",
    "REWARD",
    "SEED",
    "STATS_PATH",
    "SUCCESS",
    "TASKS_PATH",
    "VERSION",
    "VIDEO_MB",
    "library",
    "read_info",
]

VERSION = "v3.0"
"""Of the format."""
INFO_PATH = "meta/info.json"
STATS_PATH = "meta/stats.json"
TASKS_PATH = "meta/tasks.parquet"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"

CHUNK_FILES = 1000
"""Files in a folder."""
FILE_MB = 100
"""Size in megabytes at which a file of data ends."""
VIDEO_MB = 200
"""The same of videos, of which parrot writes none."""

IMAGE = "observation.images.camera"
"""Where parrot puts its images."""
ACTION = "action"
REWARD = "next.reward"
DONE = "next.done"
SUCCESS = "next.success"
EXTRA = "extra."
"""What the names of a dataset's extra arrays begin with there."""
SEED = "parrot/seed"
ATTEMPT = "parrot/attempt"
"""Columns of the episodes' table, of what parrot has exported."""
OURS = "parrot"
"""Field of info.json with the manifest of the dataset that was exported."""

INDEX_FEATURES: dict[str, dict[str, Any]] = {
    "timestamp": {"dtype": "float32", "shape": [1], "names": None},
    "frame_index": {"dtype": "int64", "shape": [1], "names": None},
    "episode_index": {"dtype": "int64", "shape": [1], "names": None},
    "index": {"dtype": "int64", "shape": [1], "names": None},
    "task_index": {"dtype": "int64", "shape": [1], "names": None},
}
"""Columns that every such dataset has."""


def library(name: str, extra: str, why: str) -> Any:
    """The module of an optional dependency.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise ConfigError(f"{why} needs {package}, which is not installed; pip install 'parrot[{extra}]'") from error


def read_info(folder: Path) -> dict[str, Any]:
    """The dataset's info.json.

    Raises:
        DatasetError: it is missing or damaged, or of another version of the format.
    """
    path = folder / INFO_PATH
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        version, _ = info["codebase_version"], info["features"]
    except FileNotFoundError:
        raise DatasetError(f"{folder} has no {INFO_PATH}, so it is no LeRobot dataset; give another folder") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} cannot be read ({error!r}); restore it from a copy") from error
    if not str(version).startswith("v3."):
        raise DatasetError(
            f"{folder} has LeRobot's format {version}; parrot reads {VERSION}: convert it with "
            "lerobot/datasets/v30/convert_dataset_v21_to_v30.py"
        )
    return info
