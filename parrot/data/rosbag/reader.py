"""Opens any rosbag2 bag: a folder or a single file, MCAP or SQLite, zstd by message, by file or not at all.

Messages come in the order of the storage, as views where possible; nothing is deserialised before it is asked for.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from backports import zstd
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from parrot.data.rosbag.packed import PackedFile, open_file
from parrot.data.rosbag.storage import ALL, BagTopic, Buffer, Damage, Need, Storage
from parrot.data.rosbag.unpacking import Scratch
from parrot.errors import DatasetError

__all__ = ["Bag", "BagMessage"]

ENDS = (".mcap", ".db3", ".mcap.zstd", ".db3.zstd")
_ZSTD = b"\x28\xb5\x2f\xfd"  # begins a zstd frame; a serialised message begins with a zero
_SAMPLE = 1 << 16

BagMessage = tuple[str, int, Buffer]
"""Topic, time of reception in nanoseconds, serialised data."""


class Bag:
    """A bag that is open for reading.

    What was compressed file by file is decompressed to the system's temporary folder, until it is closed.

    Args:
        path: The bag's folder, or one of its files.
        peek: Take topics and `custom` from metadata.yaml, where there is one, and leave the files closed.

    Raises:
        DatasetError: there is no bag, or nothing of it can be read.
        RunError: there is no room for what must be decompressed.
    """

    def __init__(self, path: Path, peek: bool = False) -> None:
        self.path = path
        self._scratch: Scratch | None = None
        metadata = _metadata(path)
        self.notes: list[str] = []
        """What was odd about the bag's files."""
        files = _files(path, metadata, self.notes)
        self.digest = _digest(files)
        """Hex digest that tells the bag from any other, wherever it lies."""
        self._packed = str(metadata.get("compression_mode", "")).lower() == "message"
        self._default = _distribution(str(metadata.get("ros_distro", "")))
        self._stores: dict[str, Typestore] = {}
        self.custom: dict[str, str] = dict(metadata.get("custom_data") or {})
        """`custom_data` of the bag's metadata, such as `task` and `robot`."""
        listed = metadata.get("topics_with_message_count")
        topics = [_listed(topic["topic_metadata"]) for topic in listed or ()]
        self.files: list[Storage] = []
        if not peek or not topics:
            try:
                self.files = self._storages(files, topics)
            except BaseException:
                self.close()
                raise
            # Those that only metadata.yaml knows have no message, or stand where a file is damaged.
            topics = [*(topic for file in self.files for topic in file.topics.values()), *topics]
            if not metadata:
                first = next(self.files[0].messages({t.name for t in topics}, lambda _: ALL), ("", 0, b""))
                self._packed = first[2][:4] == _ZSTD
        for file in self.files:
            self.custom = {**file.custom, **self.custom}
        self.topics: dict[str, BagTopic] = {}
        """By name."""
        for topic in topics:
            if not (topic.name + topic.type).isprintable():
                raise DatasetError(f"{path}: is damaged where it names its topics; restore it from a copy")
            if (known := self.topics.setdefault(topic.name, topic)).type != topic.type:
                raise DatasetError(f"{path}: {topic.name} is {known.type} and {topic.type}; split the bag by type")

    @property
    def damage(self) -> list[Damage]:
        """What the latest reading could not read."""
        return [file.damage for file in self.files if file.damage]

    def parts(self, topics: set[str], need: Need) -> Iterator[Iterator[BagMessage]]:
        """For each file its messages of these topics in the order of the storage, as far as it is whole.

        Data that are not needed or cannot be read are empty, or less than the whole.
        """
        for file in self.files:
            yield self._messages(file, topics, need)

    def _messages(self, file: Storage, topics: set[str], need: Need) -> Iterator[BagMessage]:
        size = 0

        def asked(topic: str) -> int:
            nonlocal size
            size = need(topic)
            # How long compressed data must be for that is not known.
            return ALL if size and self._packed else size

        for topic, time, data in file.messages(topics, asked):
            if self._packed and data:
                try:
                    data = zstd.ZstdDecompressor().decompress(data, -1 if size == ALL else size)
                except zstd.ZstdError:
                    data = b""
            yield topic, time, data

    def deserialise(self, topic: str, data: Buffer) -> Any:
        """The message.

        Raises:
            DatasetError: the type is not known, or the data are no such message.
        """
        kind = self.topics[topic].type
        try:
            return self._store(topic).deserialize_cdr(data, kind)
        except (SerdeError, struct.error, IndexError, ValueError) as error:
            raise DatasetError(f"{self.path}: a message of {topic} is damaged: {error}") from error

    def stamp_at(self, topic: str) -> int | None:
        """Where the stamp of a message stands in its data; None if its type has no header and begins with no time."""
        if self.topics[topic].type == "tf2_msgs/msg/TFMessage":
            return 8  # after the number of transforms
        fields = self._store(topic).fielddefs[self.topics[topic].type][1]
        first = fields[0][1][1] if fields else None
        return 4 if first in ("std_msgs/msg/Header", "builtin_interfaces/msg/Time") else None

    def close(self) -> None:
        """Removes what was decompressed."""
        if self._scratch:
            self._scratch.close()

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _storages(self, files: list[Path], topics: list[BagTopic]) -> list[Storage]:
        packed = [file for file in files if file.suffix == ".zstd"]
        known = bool(topics) and all(topic.type in self._default.fielddefs for topic in topics)
        if packed:
            self._scratch = Scratch(packed)
        found: list[Storage] = []
        for file in files:
            last = bool(found) and file == files[-1]
            try:
                if self._scratch and file.suffix == ".zstd":
                    found.append(PackedFile(file, self._scratch, self.notes, known, last))
                else:
                    found.append(open_file(file, file))
            except DatasetError as error:
                if not last:
                    raise
                # It may have been begun and not filled when the recorder was killed.
                self.notes.append(f"{file.name} cannot be read and is left out: {error}")
        return found

    def _store(self, topic: str) -> Typestore:
        """The definitions for this topic: those in the bag, else those of its distribution.

        Raises:
            DatasetError: there are none.
        """
        if topic in self._stores:
            return self._stores[topic]
        found, store = self.topics[topic], self._default
        if found.definition:
            parse = get_types_from_idl if "idl" in found.definition_format else None
            try:
                types = parse(found.definition) if parse else get_types_from_msg(found.definition, found.type)
                store = get_typestore(Stores.EMPTY)
                store.register(types)
                if _names(store, found.type) != _names(self._default, found.type, or_of=store):
                    store = self._default  # a definition of a type that everybody knows is damaged
            except (TypesysError, KeyError):
                store = self._default
        if found.type not in store.fielddefs or found.serialisation != "cdr":
            raise DatasetError(
                f"{self.path}: {topic} is {found.type} ({found.serialisation}), whose definition is not in the bag; "
                "map another topic"
            )
        self._stores[topic] = store
        return store


def _metadata(path: Path) -> dict[str, Any]:
    """What metadata.yaml says; empty without one.

    Raises:
        DatasetError: it cannot be read, or there is no such path.
    """
    if not path.exists():
        raise DatasetError(f"{path}: there is no such bag; give its folder, or an .mcap or .db3 file")
    file = path / "metadata.yaml"
    if not file.is_file():
        return {}
    try:
        return dict(yaml.safe_load(file.read_text())["rosbag2_bagfile_information"])
    except (OSError, ValueError, yaml.YAMLError, TypeError, KeyError) as error:
        why = " ".join(str(error).split())
        raise DatasetError(f"{file}: cannot be read ({why}); give the bag's .mcap or .db3 file instead") from error


def _listed(topic: dict[str, Any]) -> BagTopic:
    """A topic of metadata.yaml."""
    return BagTopic(str(topic["name"]), str(topic["type"]), str(topic["serialization_format"]))


def _files(path: Path, metadata: dict[str, Any], notes: list[str]) -> list[Path]:
    """The bag's storage files in order.

    Raises:
        DatasetError: there is none.
    """
    if path.is_file():
        if not path.name.endswith(ENDS):
            raise DatasetError(f"{path}: is no bag; give a folder, or a file that ends in {', '.join(ENDS)}")
        return [path]
    names = [Path(str(name)).name for name in metadata.get("relative_file_paths") or ()]
    there = sorted((p.name for p in path.iterdir() if p.name.endswith(ENDS)), key=_natural)
    for name in (n for n in names if n not in there):
        notes.append(f"{name} is missing; metadata.yaml names it")
    files = [path / name for name in names if name in there] if names else [path / name for name in there]
    if not metadata and files:
        notes.append("there is no metadata.yaml: its recorder was killed; `ros2 bag reindex` would write one")
    if not files:
        raise DatasetError(f"{path}: holds no bag (no .mcap or .db3 file); give the folder that ros2 bag recorded")
    return files


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts bag_2 before bag_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _digest(files: list[Path]) -> str:
    """Of sizes, beginnings and ends of the files."""
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(f"{size} ".encode())
        with open(path, "rb") as file:
            digest.update(file.read(_SAMPLE))
            file.seek(max(size - _SAMPLE, 0))
            digest.update(file.read())
    return digest.hexdigest()


def _names(store: Typestore, kind: str, or_of: Typestore | None = None) -> list[str]:
    """Names of a type's fields; of a type that the store does not know those in the other one."""
    known = store if or_of is None or kind in store.fielddefs else or_of
    return [name for name, _ in known.fielddefs[kind][1]]


def _distribution(name: str) -> Typestore:
    """The definitions of this ROS 2 distribution, of Jazzy if it is not known."""
    store = getattr(Stores, f"ROS2_{name.upper()}", Stores.ROS2_JAZZY)
    return get_typestore(store)
