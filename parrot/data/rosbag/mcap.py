"""An MCAP file (https://mcap.dev/spec) that grows by chunks, each of which a kill or a power cut leaves intact.

`rosbags` writes such files, too, but has no way to make what it has so far durable, or to complete a torn file.
`parrot.data.rosbag.repair` completes ours, at the end as after a kill.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["GrowingMcap", "Topic"]

MAGIC = b"\x89MCAP0\r\n"

HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX = range(1, 9)
STATISTICS, METADATA, METADATA_INDEX, SUMMARY_OFFSET, DATA_END = 0x0B, 0x0C, 0x0D, 0x0E, 0x0F
LIBRARY = "parrot"
"""Who wrote the file, and the name of the record that tells what it is about."""

CHUNK_BYTES = 1 << 20
"""A chunk is written when it has so many."""

HEAD = struct.Struct("<BQ")
"""Of a record: what it is, how many bytes follow."""

MESSAGE_HEAD = struct.Struct("<BQHIQQ")
"""Of a message: the record's head, channel, sequence, times of receipt and of publication in nanoseconds."""

CHUNK_HEAD = struct.Struct("<QQQIIQ")
"""Of an uncompressed chunk: first and last time, size, CRC-32, length of the compression's name, size again."""


@dataclass(frozen=True)
class Topic:
    """What a bag says of a topic."""

    name: str
    kind: str
    """Type, e.g. `sensor_msgs/msg/Image`."""
    definition: str = ""
    """The type's text, with those of the types in it."""
    qos: str = ""
    """Quality of service it was offered with, as rosbag2's YAML."""
    digest: str = ""
    """The type's hash (RIHS01)."""


class GrowingMcap:
    """A file that is being written, without buffers: after a failed write, what was complete still is.

    Args:
        path: The file, which must not exist.
        topics: What it may hold; messages name them by index.
        about: Whatever is to be known of it.
    """

    def __init__(self, path: Path, topics: Sequence[Topic], about: Mapping[str, str]) -> None:
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._fd, fcntl.LOCK_EX)  # who recovers bags leaves this one alone; a kill frees it
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._first, self._last = 2**63, 0
        self.size = 0
        """Bytes written."""
        self.torn = False
        """Whether a write has failed: nothing may be added any more."""
        head = [BEGINNING, record(METADATA, string(LIBRARY) + string_map(about))]
        kinds = list(dict.fromkeys(topic.kind for topic in topics))
        texts = {topic.kind: topic.definition for topic in topics}
        for number, kind in enumerate(kinds, start=1):
            body = struct.pack("<H", number) + string(kind) + string("ros2msg") + string(texts[kind])
            head.append(record(SCHEMA, body))
        for number, topic in enumerate(topics, start=1):
            body = struct.pack("<HH", number, kinds.index(topic.kind) + 1) + string(topic.name) + string("cdr")
            head.append(
                record(CHANNEL, body + string_map({"offered_qos_profiles": topic.qos, "topic_type_hash": topic.digest}))
            )
        self._append(b"".join(head))

    def _append(self, data: bytes) -> None:
        left = memoryview(data)
        self.torn = True
        while left:
            left = left[os.write(self._fd, left) :]
        self.torn = False
        self.size += len(data)

    def write(self, topic: int, nanoseconds: int, data: bytes) -> None:
        """Appends one serialised message of the topic of this index, received at that time."""
        size = MESSAGE_HEAD.size - HEAD.size + len(data)
        self._pending += (MESSAGE_HEAD.pack(MESSAGE, size, topic + 1, 0, nanoseconds, nanoseconds), data)
        self._pending_bytes += HEAD.size + size
        self._first, self._last = min(self._first, nanoseconds), max(self._last, nanoseconds)
        if self._pending_bytes >= CHUNK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hands what is pending to the system, as a chunk: a kill of this process cannot hurt it any more."""
        if self._pending and not self.torn:
            body = b"".join(self._pending)
            size = len(body)
            head = CHUNK_HEAD.pack(self._first, self._last, size, zlib.crc32(body), 0, size)
            self._append(HEAD.pack(CHUNK, len(head) + size) + head)
            self._append(body)
            self._append(message_indexes(body))
            self._pending, self._pending_bytes, self._first, self._last = [], 0, 2**63, 0

    def sync(self) -> None:
        """Makes what was written so far survive a power cut, too."""
        self.flush()
        os.fsync(self._fd)

    def settle(self) -> None:
        """Has the disk begin on what was written, so that the next `sync` has less to do; for another thread."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Lets go of the file as it is."""
        os.close(self._fd)


def message_indexes(body: bytes) -> bytes:
    """For each channel, when its messages of this chunk came and where they stand in it."""
    entries: dict[int, list[int]] = {}
    at = 0
    while at < len(body):
        _, length, channel, _, time, _ = MESSAGE_HEAD.unpack_from(body, at)
        entries.setdefault(channel, []).extend((time, at))
        at += HEAD.size + length
    return b"".join(
        record(MESSAGE_INDEX, struct.pack(f"<HI{len(pairs)}Q", channel, 8 * len(pairs), *pairs))
        for channel, pairs in entries.items()
    )


def record(kind: int, body: bytes) -> bytes:
    return HEAD.pack(kind, len(body)) + body


def string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<I", len(data)) + data


def string_map(pairs: Mapping[str, str]) -> bytes:
    body = b"".join(string(key) + string(value) for key, value in pairs.items())
    return struct.pack("<I", len(body)) + body


BEGINNING = MAGIC + record(HEADER, string("ros2") + string(LIBRARY))
"""Of each of our files."""
