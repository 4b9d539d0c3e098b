"""MCAP files read from front to back, chunk by chunk, so that a torn one gives what is whole (https://mcap.dev/spec).

rosbags reads MCAP by its index, which a file that was cut off lacks, and copies each message three times. Here chunks
are checked and decompressed ahead on threads, and a message is a view of its chunk; where that is not compressed, it is
a view of the file, so that pictures that nobody asks for are never read.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import lz4.frame
import yaml
from backports import zstd

from parrot.data.rosbag.mcap import (
    CHANNEL,
    CHUNK,
    DATA_END,
    FOOTER,
    HEAD,
    LIBRARY,
    MAGIC,
    MESSAGE,
    METADATA,
    METADATA_INDEX,
    SCHEMA,
)
from parrot.data.rosbag.pages import Growing, Mapped, Pages
from parrot.data.rosbag.storage import BagTopic, Buffer, Damage, Need
from parrot.data.rosbag.unpacking import Unpacking
from parrot.errors import DatasetError

__all__ = ["McapFile"]

FOOTER_BYTES = 37
"""The footer's record and the magic that ends the file."""

AHEAD = 3
"""Chunks that are read ahead; rosbag2 makes them of about a megabyte."""

LAST_KIND, OWN_KIND = DATA_END, 128
"""The last kind of record that the specification knows, and the first that is free for applications."""

LARGEST = 1 << 32
"""Bytes of a record beyond which its length is taken as damage."""

LATEST = 1 << 63
"""No time of reception, in nanoseconds, is as late as this."""

_UNREADABLE = (ValueError, TypeError, AttributeError, OverflowError, MemoryError, struct.error, yaml.YAMLError)
"""What comes of taking bytes for what they are not."""

_MESSAGE = struct.Struct("<HIQQ")
_CHUNK = struct.Struct("<QQQI")
_U16, _U32, _U64 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<Q")


class McapFile:
    """One MCAP file.

    Args:
        path: The file.
        growing: What still fills it; its topics are then known as its messages are read, not before.

    Raises:
        DatasetError: it is no MCAP file of ROS 2.
    """

    def __init__(self, path: Path, growing: Unpacking | None = None) -> None:
        self.path, self._growing = path, growing
        self.topics: dict[int, BagTopic] = {}
        """Channel -> its topic."""
        self.custom: dict[str, str] = {}
        """`custom_data` of the rosbag2 metadata in the file."""
        self.damage: Damage | None = None
        """Where and why reading ended before the end of the file."""
        self._at = 0  # where what is being read begins
        self._schemas: dict[int, tuple[str, str, str]] = {}
        self._nameless = False  # whether a channel came without its schema
        if growing:
            growing.wait(len(MAGIC))
        with open(path, "rb") as file:
            head = file.read(len(MAGIC))
            file.seek(0, os.SEEK_END)
            self.size = file.tell()
        if head != MAGIC:
            raise DatasetError(f"{path}: is no MCAP file (or was cut off within its first bytes); restore it")
        if growing:
            return
        try:
            found = self._read_summary()
        except _UNREADABLE:  # what it says stands in the file's body, too
            found = False
        if not found:
            self.topics.clear()
            for _ in self._scan(set()):
                pass

    def messages(self, topics: set[str], need: Need) -> Iterator[tuple[str, int, Buffer]]:
        """As of `Storage`."""
        for channel, time, data in self._scan(topics):
            name = self.topics[channel].name
            yield name, time, data if need(name) else b""

    def _read_summary(self) -> bool:
        """Reads the channels from the end of the file; whether there are any, with their schemas."""
        with open(self.path, "rb") as file:
            if self.size < len(MAGIC) + FOOTER_BYTES:
                return False
            file.seek(self.size - FOOTER_BYTES)
            tail = file.read()
            begin = _U64.unpack_from(tail, 9)[0]
            if tail[0] != FOOTER or tail[-8:] != MAGIC or not 0 < begin < self.size - FOOTER_BYTES:
                return False
            file.seek(begin)
            summary = memoryview(file.read(self.size - FOOTER_BYTES - begin))
            for kind, body in _records(summary):
                self._learn(kind, body)
                if kind == METADATA_INDEX:
                    offset, length = _U64.unpack_from(body)[0], _U64.unpack_from(body, 8)[0]
                    file.seek(offset + HEAD.size)
                    self._learn(METADATA, memoryview(file.read(max(length - HEAD.size, 0))))
        # Writers need not repeat there what stands in the body: channels, schemas, both or neither.
        return bool(self.topics) and not self._nameless

    def _learn(self, kind: int, body: Buffer) -> None:
        """Takes in a schema, a channel or rosbag2's metadata."""
        if kind == SCHEMA:
            number, at = _U16.unpack_from(body)[0], 2
            name, at = _string(body, at)
            encoding, at = _string(body, at)
            self._schemas[number] = (name, encoding, _string(body, at)[0])
        elif kind == CHANNEL:
            number, schema = _U16.unpack_from(body)[0], _U16.unpack_from(body, 2)[0]
            topic, at = _string(body, 4)
            serialisation = _string(body, at)[0]
            kind_name, encoding, text = self._schemas.get(schema, ("unknown", "", ""))
            self._nameless |= schema > 0 and schema not in self._schemas
            self.topics[number] = BagTopic(topic, kind_name, serialisation, encoding, text)
        elif kind == METADATA:
            name, at = _string(body, 0)
            end = at + 4 + _U32.unpack_from(body, at)[0]
            at += 4
            pairs: dict[str, str] = {}
            while at < end:
                key, at = _string(body, at)
                pairs[key], at = _string(body, at)
            if name == LIBRARY:  # what parrot's recorder writes first
                self.custom = {**pairs, **self.custom}
            elif name == "rosbag2" and "serialized_metadata" in pairs:
                self.custom |= (yaml.safe_load(pairs["serialized_metadata"]) or {}).get("custom_data") or {}

    def _scan(self, topics: set[str]) -> Iterator[tuple[int, int, Buffer]]:
        """Channel, time and data of each message of these topics, as far as the file is whole."""
        for block in self._blocks():
            for kind, body in _records(block):
                if kind == MESSAGE:
                    channel, _, time, _ = _MESSAGE.unpack_from(body)
                    found = self.topics.get(channel)
                    if found is None or time >= LATEST:
                        self.damage = Damage(self.path, self._at, "has a damaged message")
                        return
                    if found.name in topics:
                        yield channel, time, body[_MESSAGE.size :]
                elif kind in (SCHEMA, CHANNEL, METADATA):
                    try:
                        self._learn(kind, body)
                    except _UNREADABLE as error:
                        self.damage = Damage(self.path, self._at, f"has a damaged record ({error})")
                        return

    def _blocks(self) -> Iterator[memoryview]:
        """The records of the data section: of each chunk together, of what stands outside of chunks one by one."""
        self.damage = None
        pages: Pages = Mapped(self.path) if self._growing is None else Growing(self._growing)
        at = len(MAGIC)
        waiting: deque[tuple[int, Future[memoryview]]] = deque()
        with ThreadPoolExecutor(2) as pool:
            try:
                while self.damage is None:
                    head = pages.view(at, at + HEAD.size)
                    kind, length = (0, LARGEST) if head is None else HEAD.unpack(head)
                    end = at + HEAD.size + length
                    found = pages.view(at, end) if length < LARGEST else None
                    if found is None:
                        self.damage = Damage(self.path, at, "ends within a record")
                    elif kind == 0 or LAST_KIND < kind < OWN_KIND:
                        self.damage = Damage(self.path, at, f"has a record of the unknown kind {kind}")
                    elif kind == CHUNK:
                        waiting.append((at, pool.submit(_chunk, found[HEAD.size :])))
                    elif kind in (SCHEMA, CHANNEL, MESSAGE, METADATA):
                        whole: Future[memoryview] = Future()
                        whole.set_result(found)
                        waiting.append((at, whole))
                    at = end
                    ended = kind == FOOTER or self.damage is not None
                    while waiting and (ended or len(waiting) > AHEAD):
                        begin, block = waiting.popleft()
                        self._at = begin
                        yield _result(begin, block)
                        pages.forget(begin, waiting[0][0] if waiting else begin)
                    if ended:
                        break
            except _DamagedChunkError as error:
                self.damage = Damage(self.path, error.at, f"has a damaged chunk ({error})")
            finally:
                pool.shutdown(cancel_futures=True)
                pages.close()


class _DamagedChunkError(Exception):
    def __init__(self, at: int, why: str) -> None:
        super().__init__(why)
        self.at = at


def _result(at: int, block: Future[memoryview]) -> memoryview:
    try:
        return block.result()
    except (*_UNREADABLE, zstd.ZstdError, RuntimeError, EOFError) as error:
        raise _DamagedChunkError(at, str(error)) from error


def _chunk(data: memoryview) -> memoryview:
    """The records of a chunk, decompressed and checked.

    Raises:
        ValueError: it is damaged.
    """
    _, _, size, crc = _CHUNK.unpack_from(data)
    compression, begin = _string(data, _CHUNK.size)
    packed = data[begin + 8 : begin + 8 + _U64.unpack_from(data, begin)[0]]
    if not len(packed):
        records = packed  # not even an empty frame
    elif compression == "zstd":
        records = memoryview(zstd.decompress(packed))
    elif compression == "lz4":
        records = memoryview(lz4.frame.decompress(packed))
    elif compression == "":
        records = packed
    else:
        raise ValueError(f"compression {compression!r} is not known")
    if len(records) != size:
        raise ValueError(f"{len(records)} bytes instead of {size}")
    if crc and zlib.crc32(records) != crc:
        raise ValueError("its checksum does not fit")
    for _ in _records(records):
        pass
    return records


def _records(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Kind and contents of each record.

    Raises:
        ValueError: one reaches beyond the end.
    """
    at, size = 0, len(data)
    while at < size:
        if at + HEAD.size > size:
            raise ValueError("a record is cut off")
        kind, length = HEAD.unpack_from(data, at)
        at += HEAD.size
        if at + length > size or (kind == MESSAGE and length < _MESSAGE.size):
            raise ValueError("a record has a wrong length")
        yield kind, data[at : at + length]
        at += length


def _string(data: Buffer, at: int) -> tuple[str, int]:
    """The string there, and where it ends."""
    length = _U32.unpack_from(data, at)[0]
    if at + 4 + length > len(data):
        raise ValueError("a string is cut off")
    return bytes(data[at + 4 : at + 4 + length]).decode(), at + 4 + length
