"""SQLite files of rosbag2, read row by row in the order of recording, so that a torn one gives what is whole.

SQLite takes the missing part of a file's last page for zeros and refuses a file that lacks pages. Here the file ends
with its last whole page, and reading ends with the first message that lies beyond.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import apsw
import yaml

from parrot.data.rosbag.storage import BagTopic, Buffer, Damage, Need
from parrot.errors import DatasetError

__all__ = ["SqliteFile"]

MAGIC = b"SQLite format 3\0"
_VFS = "parrot-whole-pages"


class _WholePages(apsw.VFSFile):
    """A file that ends with its last whole page."""

    def __init__(self, inherit: str, name: Any, flags: list[int]) -> None:
        super().__init__(inherit, name, flags)
        head = super().xRead(18, 0) if super().xFileSize() >= 18 else b""
        page = int.from_bytes(head[16:18], "big") if len(head) == 18 else 1
        self._page = 65536 if page == 1 else max(page, 512)

    def xFileSize(self) -> int:  # noqa: N802
        size = super().xFileSize()
        return size - size % self._page


class _Vfs(apsw.VFS):
    def __init__(self) -> None:
        super().__init__(_VFS, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return _WholePages("", name, flags)


@cache
def _vfs() -> _Vfs:
    """The one instance, which must live as long as a file is open."""
    return _Vfs()


class SqliteFile:
    """One .db3 file.

    Raises:
        DatasetError: it is no bag, or is damaged where it says what topics it has.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage: Damage | None = None
        """Which message is the first that cannot be read, and why."""
        with open(path, "rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise DatasetError(f"{path}: is no SQLite file (or was cut off within its first bytes); restore it")
        try:
            self._db = self._open()
            tables = {row[0] for row in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not {"topics", "messages"} <= tables:
                raise DatasetError(
                    f"{path}: holds no topics: it is no bag, or was cut off within its first bytes; restore it"
                )
            texts = self._definitions() if "message_definitions" in tables else {}
            rows = self._db.execute("SELECT id, name, type, serialization_format FROM topics ORDER BY id")
            self.topics = {
                int(number): BagTopic(str(name), str(kind), str(serialisation), *texts.get(kind, ("", "")))
                for number, name, kind, serialisation in rows
            }
            self.custom = self._custom() if "metadata" in tables else {}
        except (apsw.Error, ValueError, TypeError) as error:
            raise DatasetError(f"{path}: is damaged before its first message ({error}); restore it") from error

    def _open(self) -> apsw.Connection:
        _vfs()
        # Without a log beside it the file is all there is; with one, what the recorder wrote last stands in the log.
        if _has(self.path, "-journal"):
            raise DatasetError(
                f"{self.path}: was being written when its recorder was killed; have SQLite undo the half-written rest: "
                f"sqlite3 {self.path.name} .tables"
            )
        alone = not _has(self.path, "-wal")
        uri = self.path.resolve().as_uri() + ("?immutable=1" if alone else "?mode=ro")
        db = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI, vfs=_VFS if alone else None)
        # Else a file that lacks pages is refused as a whole, by the count in its header.
        db.execute("PRAGMA writable_schema = ON")
        return db

    def _definitions(self) -> dict[str, tuple[str, str]]:
        rows = self._db.execute("SELECT topic_type, encoding, encoded_message_definition FROM message_definitions")
        return {kind: (encoding, text) for kind, encoding, text in rows}

    def _custom(self) -> dict[str, str]:
        rows = list(self._db.execute("SELECT metadata FROM metadata ORDER BY id DESC LIMIT 1"))
        try:
            found: Any = yaml.safe_load(rows[0][0]) if rows else {}
            found = found.get("rosbag2_bagfile_information", found)
            return dict(found.get("custom_data") or {})
        except (yaml.YAMLError, ValueError, TypeError, AttributeError):  # damaged, and needed by nobody
            return {}

    def messages(self, topics: set[str], need: Need) -> Iterator[tuple[str, int, Buffer]]:
        """As of `Storage`."""
        self.damage = None
        wanted = {number: topic.name for number, topic in self.topics.items() if topic.name in topics}
        marks = ",".join("?" * len(wanted))
        last = 0
        blob: apsw.Blob | None = None
        try:
            # No index: where pages are missing, a message that it names may not be there. And no data: those of a
            # picture that nobody asks for are never read.
            query = f"SELECT id, topic_id, timestamp FROM messages NOT INDEXED WHERE topic_id IN ({marks}) ORDER BY id"
            for number, topic, time in self._db.execute(query, tuple(wanted)):
                if not isinstance(number, int) or not isinstance(time, int) or number <= last:
                    self.damage = Damage(self.path, last + 1, "has a damaged message")
                    return
                last, data = number, b""
                if size := need(wanted[topic]):
                    try:
                        if blob is None:
                            blob = self._db.blob_open("main", "messages", "data", number, False)
                        else:
                            blob.reopen(number)
                        data = blob.read(min(size, blob.length()))
                    except apsw.Error:
                        _close(blob)
                        blob = None
                yield wanted[topic], time, data
        except apsw.Error as error:
            self.damage = Damage(self.path, last + 1, f"cannot be read further: {error}")
        finally:
            _close(blob)


def _has(path: Path, end: str) -> bool:
    """Whether SQLite keeps a log beside the file."""
    log = path.with_name(path.name + end)
    return log.is_file() and log.stat().st_size > 0


def _close(blob: apsw.Blob | None) -> None:
    """Closes a handle without a word: what it could not read was said already."""
    if blob is not None:
        blob.close(True)
