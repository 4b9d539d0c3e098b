"""Writes rosbag2 bags (MCAP) that lose no finished episode, whatever kills the recorder.

A bag is a folder that `ros2 bag` reads: `metadata.yaml` and one MCAP file for every so many episodes. What belongs
to no file yet stands in a journal beside them, synced at the end of each episode; `recover` makes a file of it.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal

import yaml
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from parrot.durable import disk_errors, sync_folder, write_text
from parrot.errors import DatasetError

__all__ = ["BagWriter", "free_path", "recover"]

JOURNAL = "journal.part"
"""Name of the journal in a bag's folder."""

SIZE = struct.Struct("<I")
"""Of the journal's head, which names topics and types."""

RECORD = struct.Struct("<HQI")
"""Head of a record in the journal: which topic, when in nanoseconds, how many bytes."""

BAG_VERSION: Literal[8] = 8
"""Of metadata.yaml: what ROS 2 Iron wrote, and what all later ones read."""

INFORMATION = "rosbag2_bagfile_information"
"""The only key of metadata.yaml."""

_FOREVER = QosTime(9223372036, 854775807)

_QOS = Qos(
    history=QosHistory.KEEP_LAST, depth=50, reliability=QosReliability.RELIABLE, durability=QosDurability.VOLATILE,
    deadline=_FOREVER, lifespan=_FOREVER, liveliness=QosLiveliness.AUTOMATIC, liveliness_lease_duration=_FOREVER,
    avoid_ros_namespace_conventions=False,
)  # fmt: skip
"""How the graph offers its topics; `ros2 bag play` offers them likewise."""


def free_path(path: Path) -> Path:
    """The path itself if nothing is there, else the first of `PATH_2`, `PATH_3`, … that is free."""
    candidates = (path.with_name(f"{path.name}_{n}") for n in range(2, 1_000_000))
    return path if not path.exists() else next(p for p in candidates if not p.exists())


class BagWriter:
    """A bag that is being written.

    Args:
        path: The bag's folder, which must not exist.
        topics: Topic -> message type, e.g. `/action` -> `sensor_msgs/msg/JointState`.
        about: What else is to be known of the bag, e.g. its task and robot; goes to the metadata's `custom_data`.
        split: Episodes in each file.

    Raises:
        DatasetError: the folder exists.
        RunError: it cannot be written.
    """

    def __init__(
        self, path: Path, topics: Mapping[str, str], about: Mapping[str, str] | None = None, split: int = 100
    ) -> None:
        if path.exists():
            raise DatasetError(f"{path}: exists already; give another name for the bag")
        self.path, self.split = path, split
        self.episodes = 0
        self.messages = 0
        self._indices = {topic: index for index, topic in enumerate(topics)}
        self._head = yaml.safe_dump({"topics": dict(topics), "about": dict(about or {})}, sort_keys=False).encode()
        with disk_errors(path):
            path.mkdir(parents=True)
        self._journal = self._new_journal()

    def _new_journal(self) -> IO[bytes]:
        with disk_errors(self.path):
            journal = open(self.path / JOURNAL, "wb")  # noqa: SIM115
            journal.write(SIZE.pack(len(self._head)) + self._head)
        return journal

    def write(self, topic: str, nanoseconds: int, data: bytes) -> None:
        """Appends one serialised message, received at that time.

        Raises:
            RunError: the disk is full.
        """
        with disk_errors(self.path):
            self._journal.write(RECORD.pack(self._indices[topic], nanoseconds, len(data)) + data)
        self.messages += 1

    def end_episode(self) -> None:
        """Makes what was written so far survive a kill and a power cut.

        Raises:
            RunError: the disk is full.
        """
        with disk_errors(self.path):
            self._journal.flush()
            os.fsync(self._journal.fileno())
        self.episodes += 1
        if self.episodes % self.split == 0:
            self._close_file()
            self._journal = self._new_journal()

    def _close_file(self) -> None:
        with disk_errors(self.path):
            self._journal.close()
            _journal_to_file(self.path)

    def close(self) -> None:
        """Completes the bag; one without a message vanishes.

        Raises:
            RunError: the disk is full; the journal stays, and `recover` completes the bag later.
        """
        if self._journal.closed:
            return
        self._close_file()
        if self.messages == 0:
            self.path.rmdir()


def recover(path: Path) -> bool:
    """Completes a bag whose recorder was killed; whether there was anything to do.

    Raises:
        RunError: the disk is full or the folder cannot be written.
    """
    if not (path / JOURNAL).is_file():
        return False
    with disk_errors(path):
        _journal_to_file(path)
    return True


def _read_journal(journal: Path) -> tuple[dict[str, Any], Iterator[tuple[str, int, bytes]]]:
    """Head and messages of a journal; a torn tail is left out."""
    data = journal.read_bytes()
    size = SIZE.unpack_from(data)[0] if len(data) >= SIZE.size else 0
    begin = SIZE.size + size
    head: dict[str, Any] = yaml.safe_load(data[SIZE.size : begin]) if size and begin <= len(data) else {}
    names = list(head.get("topics", ()))

    def messages() -> Iterator[tuple[str, int, bytes]]:
        at = begin
        while names and at + RECORD.size <= len(data):
            index, nanoseconds, length = RECORD.unpack_from(data, at)
            at += RECORD.size
            if at + length > len(data):
                return
            yield names[index], nanoseconds, data[at : at + length]
            at += length

    return head, messages()


def _journal_to_file(path: Path) -> None:
    """Turns the journal into the bag's next MCAP file, enters that in metadata.yaml and removes the journal."""
    journal, metadata, scratch = path / JOURNAL, path / "metadata.yaml", path / ".part"
    head, messages = _read_journal(journal)
    shutil.rmtree(scratch, ignore_errors=True)
    store = get_typestore(Stores.ROS2_JAZZY)
    counts: Counter[str] = Counter()
    with Writer(scratch, version=BAG_VERSION, storage_plugin=StoragePlugin.MCAP) as writer:
        for key, value in head.get("about", {}).items():
            writer.set_custom_data(key, value)
        connections = {
            topic: writer.add_connection(topic, kind, typestore=store, offered_qos_profiles=[_QOS])
            for topic, kind in head.get("topics", {}).items()
        }
        for topic, nanoseconds, data in messages:
            writer.write(connections[topic], nanoseconds, data)
            counts[topic] += 1
    if counts:
        new = yaml.safe_load((scratch / "metadata.yaml").read_text())[INFORMATION]
        old = yaml.safe_load(metadata.read_text())[INFORMATION] if metadata.is_file() else None
        name = f"{path.name}_{len(old['files']) if old else 0}.mcap"
        os.replace(next(scratch.glob("*.mcap")), path / name)
        new["relative_file_paths"] = [name]
        new["files"][0]["path"] = name
        write_text(metadata, yaml.safe_dump({INFORMATION: _joined(old, new) if old else new}, sort_keys=False))
    shutil.rmtree(scratch)
    journal.unlink()
    sync_folder(path)


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
