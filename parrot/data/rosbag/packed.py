"""A file of a bag that was compressed as a whole, read like any other."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from parrot.data.rosbag.storage import BagTopic, Buffer, Damage, Need, Storage
from parrot.data.rosbag.storage_mcap import McapFile
from parrot.data.rosbag.storage_sqlite import SqliteFile
from parrot.data.rosbag.unpacking import Scratch, Unpacking
from parrot.errors import DatasetError

__all__ = ["PackedFile", "open_file"]


def open_file(path: Path, shown: Path, growing: Unpacking | None = None) -> Storage:
    """The storage in this file.

    Args:
        path: The file.
        shown: What errors call it.
        growing: What still fills it.

    Raises:
        DatasetError: it is no bag.
    """
    try:
        if path.suffix == ".mcap":
            return McapFile(path, growing)
        if growing:
            growing.wait()
        return SqliteFile(path)
    except (DatasetError, ValueError, struct.error) as error:
        raise DatasetError(str(error) if str(path) in str(error) else f"{shown}: {error}") from None


class PackedFile:
    """One `.mcap.zstd` or `.db3.zstd` file. It is decompressed when it is read, and the next one meanwhile.

    Args:
        path: The file.
        scratch: Where it is decompressed.
        notes: Where it is said what is odd about it.
        known: Whether all of the bag's topics are known, so that nothing must be read to learn them.
        may_fail: Whether it may hold nothing: the last file of a recorder that was killed.

    Raises:
        DatasetError: it is no bag.
        RunError: there is no room for it.
    """

    def __init__(self, path: Path, scratch: Scratch, notes: list[str], known: bool, may_fail: bool) -> None:
        self.path, self.damage = path, None
        self.topics: dict[int, BagTopic] = {}
        self.custom: dict[str, str] = {}
        self._scratch, self._notes, self._may_fail = scratch, notes, may_fail
        if not known:
            found = scratch.get(path)
            found.wait()
            if storage := self._open(found):
                self.topics, self.custom = storage.topics, storage.custom

    damage: Damage | None

    def messages(self, topics: set[str], need: Need) -> Iterator[tuple[str, int, Buffer]]:
        """As of `Storage`."""
        self.damage = None
        found = self._scratch.get(self.path)
        if (storage := self._open(found)) is None:
            return
        self._scratch.ahead(self.path)
        try:
            yield from storage.messages(topics, need)
        finally:
            self.damage = storage.damage
            self._tell(found)

    def _open(self, found: Unpacking) -> Storage | None:
        """The storage in what is there or on its way."""
        try:
            storage = open_file(found.target, self.path, None if found.done else found)
        except DatasetError as error:
            if not self._may_fail:
                raise
            # It may have been begun and not filled when the recorder was killed.
            self._note(f"{self.path.name} cannot be read and is left out: {error}")
            storage = None
        self._tell(found)
        return storage

    def _tell(self, found: Unpacking) -> None:
        if found.done and found.why:
            self._note(f"{self.path.name}: {found.why}; only what comes before is used")

    def _note(self, line: str) -> None:
        if line not in self._notes:
            self._notes.append(line)
