"""Writes rosbag2 bags (MCAP) that lose no finished episode, whatever kills the recorder.

A bag is a folder that `ros2 bag` reads: `metadata.yaml` and one MCAP file for every so many episodes or bytes. The file
under way is complete up to its last synced episode at any moment; `recover` enters it in the metadata after a kill.
"""

from __future__ import annotations

import fcntl
import itertools
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import yaml

from parrot.data.rosbag.definitions import definition
from parrot.data.rosbag.mcap import GrowingMcap, Topic
from parrot.data.rosbag.repair import Contents, complete
from parrot.durable import disk_errors, sync_folder, write_text
from parrot.errors import DatasetError, RunError

__all__ = ["BagWriter", "free_path", "recover", "recover_all"]

BAG_VERSION: Literal[8] = 8
"""Of metadata.yaml: what ROS 2 Iron wrote, and what all later ones read."""

INFORMATION = "rosbag2_bagfile_information"
"""The only key of metadata.yaml."""

SETTLE_BYTES = 32 << 20
"""The disk is set to work when so much was written, so that the end of a long episode need not wait for all of it."""

QOS = """\
- history: 1
  depth: 50
  reliability: 1
  durability: 2
  deadline: {sec: 9223372036, nsec: 854775807}
  lifespan: {sec: 9223372036, nsec: 854775807}
  liveliness: 1
  liveliness_lease_duration: {sec: 9223372036, nsec: 854775807}
  avoid_ros_namespace_conventions: false"""
"""How the graph offers its topics, reliable and volatile; `ros2 bag play` offers them likewise."""


def free_path(path: Path) -> Path:
    """The path itself if nothing is there, else the first of `PATH_2`, `PATH_3`, … that is free."""
    return next(p for p in _numbered(path) if not p.exists())


def _numbered(path: Path) -> Iterator[Path]:
    """Gives PATH, PATH_2, PATH_3 and so on."""
    yield path
    yield from (path.with_name(f"{path.name}_{n}") for n in itertools.count(2))


class BagWriter:
    """A bag that is being written.

    Args:
        path: The bag's folder, which must not exist.
        topics: Topic -> message type, e.g. `/action` -> `sensor_msgs/msg/JointState`.
        about: What else is to be known of the bag, e.g. its task and robot; goes to the metadata's `custom_data`.
        split: Episodes in each file.
        split_bytes: Bytes after which a file ends with its episode; with twice as many it ends in its midst.

    Raises:
        DatasetError: the folder exists.
        ConfigError: a type is unknown.
        RunError: it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        topics: Mapping[str, str],
        about: Mapping[str, str] | None = None,
        split: int = 100,
        split_bytes: int = 1 << 30,
    ) -> None:
        if path.exists():
            raise DatasetError(f"{path}: exists already; give another name for the bag")
        self.path, self.split, self.split_bytes = path, split, split_bytes
        self.episodes = 0
        self.messages = 0
        texts = {kind: definition(kind) for kind in topics.values()}
        self._topics = [Topic(name, kind, texts[kind][0], QOS, texts[kind][1]) for name, kind in topics.items()]
        self._indices = {name: index for index, name in enumerate(topics)}
        self._about = dict(about or {})
        self._files = 0
        self._closed = False
        with disk_errors(path):
            path.mkdir(parents=True)
            sync_folder(path.parent)
        self._new_file()

    def _new_file(self) -> None:
        with disk_errors(self.path):
            name = f"{self.path.name}_{self._files}.mcap"
            self._file = GrowingMcap(self.path / name, self._topics, self._about)
            sync_folder(self.path)
        self._files += 1
        self._kept, self._settled = self._file.size, 0
        self._settling: threading.Thread | None = None

    def write(self, topic: str, nanoseconds: int, data: bytes) -> None:
        """Appends one serialised message, received at that time.

        Raises:
            RunError: the disk is full.
        """
        with disk_errors(self.path):
            self._file.write(self._indices[topic], nanoseconds, data)
        self.messages += 1
        if self._file.size >= 2 * self.split_bytes:
            self._next_file()
        elif self._file.size - self._settled >= SETTLE_BYTES:
            self._settle()

    def _settle(self) -> None:
        """Has the disk begin, beside us."""
        if self._settling is None or not self._settling.is_alive():
            self._settled = self._file.size
            self._settling = threading.Thread(target=_settle, args=(self._file,), daemon=True)
            self._settling.start()

    def sync(self) -> None:
        """Makes what was written so far survive a kill and a power cut.

        Raises:
            RunError: the disk is full.
        """
        with disk_errors(self.path):
            self._file.sync()
        self._kept = self._file.size

    def end_episode(self) -> None:
        """Makes the episode survive a kill and a power cut; a new file begins if this one is large enough.

        Raises:
            RunError: the disk is full.
        """
        self.sync()
        self.episodes += 1
        if self.episodes % self.split == 0 or self._file.size >= self.split_bytes:
            self._next_file()

    def _next_file(self) -> None:
        self.sync()
        self._complete_file()
        self._new_file()

    def _complete_file(self) -> None:
        """Completes the file and enters it in the metadata."""
        if self._settling is not None:
            self._settling.join()
        self._file.close()
        torn = self._file.torn
        try:
            with disk_errors(self.path):
                _enter(self._file.path, check=torn)
        except RunError:
            # What belongs to no kept episode makes room for the summary.
            with disk_errors(self.path):
                _enter(self._file.path, check=torn, limit=self._kept)

    def close(self) -> None:
        """Completes the bag; one without a message vanishes.

        Raises:
            RunError: the disk is full; what is kept stays, and `recover` completes the bag later.
        """
        if self._closed:
            return
        self._closed = True
        # Once a write has failed, what is pending has no place; it belongs to no kept episode.
        with suppress(OSError):
            self._file.flush()
        self._complete_file()
        if not any(self.path.iterdir()):
            self.path.rmdir()


def _settle(file: GrowingMcap) -> None:
    with suppress(OSError):  # `sync` meets it again, and tells
        file.settle()


def recover(path: Path) -> bool:
    """Completes a bag whose recorder was killed; whether there was anything to do.

    Raises:
        RunError: it is still being recorded, the disk is full, or the folder cannot be written.
    """
    metadata = path / "metadata.yaml"
    entered = _read(metadata)["relative_file_paths"] if metadata.is_file() else []
    torn = [file for file in sorted(path.glob("*.mcap"), key=_number) if file.name not in entered]
    if any(_in_use(file) for file in torn):
        raise RunError(f"{path}: is being recorded; end its recorder first")
    with disk_errors(path):
        done = [_enter(file, check=True) for file in torn]
    return any(done)


def recover_all(path: Path) -> list[Path]:
    """Completes those of PATH, PATH_2, PATH_3 and so on whose recorders were killed; which ones that were.

    Raises:
        RunError: the disk is full or a folder cannot be written.
    """
    found = list(itertools.takewhile(Path.is_dir, _numbered(path)))
    return [bag for bag in found if not any(map(_in_use, bag.glob("*.mcap"))) and recover(bag)]


def _in_use(file: Path) -> bool:
    """Whether a recorder is writing it."""
    with open(file, "rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _number(file: Path) -> tuple[int, str]:
    number = file.stem.rpartition("_")[2]
    return (int(number) if number.isdecimal() else 0, file.name)


def _read(metadata: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(metadata.read_text())[INFORMATION]
    return found


def _enter(file: Path, *, check: bool, limit: int | None = None) -> bool:
    """Completes the file and enters it in metadata.yaml, or removes it if it is empty; False: it is another's."""
    contents = complete(file, check=check, limit=limit)
    if contents is None:
        return False
    if not contents.counts.total():
        file.unlink()
        sync_folder(file.parent)
        return True
    metadata = file.parent / "metadata.yaml"
    new = _information(file.name, contents)
    old = _read(metadata) if metadata.is_file() else None
    write_text(metadata, yaml.safe_dump({INFORMATION: _joined(old, new) if old else new}, sort_keys=False))
    return True


def _information(name: str, contents: Contents) -> dict[str, Any]:
    """Metadata of a bag with this one file."""
    count = contents.counts.total()
    begin = {"nanoseconds_since_epoch": contents.start}
    duration = {"nanoseconds": contents.end - contents.start}
    return {
        "version": BAG_VERSION,
        "storage_identifier": "mcap",
        "relative_file_paths": [name],
        "duration": duration,
        "starting_time": begin,
        "message_count": count,
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic.name,
                    "type": topic.kind,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": topic.qos,
                    "type_description_hash": topic.digest,
                },
                "message_count": contents.counts[topic.name],
            }
            for topic in contents.topics
        ],
        "compression_format": "",
        "compression_mode": "",
        "files": [{"path": name, "starting_time": begin, "duration": duration, "message_count": count}],
        "custom_data": contents.about or None,
        "ros_distro": "rosbags",
    }


def _joined(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Metadata of a bag with the files of both."""
    before = {t["topic_metadata"]["name"]: t["message_count"] for t in old["topics_with_message_count"]}
    for topic in new["topics_with_message_count"]:
        topic["message_count"] += before[topic["topic_metadata"]["name"]]
    files = old["files"] + new["files"]
    starts = [f["starting_time"]["nanoseconds_since_epoch"] for f in files]
    ends = [s + f["duration"]["nanoseconds"] for s, f in zip(starts, files, strict=True)]
    return {
        **new,
        "relative_file_paths": old["relative_file_paths"] + new["relative_file_paths"],
        "files": files,
        "starting_time": {"nanoseconds_since_epoch": min(starts)},
        "duration": {"nanoseconds": max(ends) - min(starts)},
        "message_count": old["message_count"] + new["message_count"],
    }
