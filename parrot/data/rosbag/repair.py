"""Completes an MCAP file of `GrowingMcap`, in place: cuts off what a kill tore and writes the summary."""

from __future__ import annotations

import os
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from parrot.data.rosbag.mcap import (
    BEGINNING,
    CHANNEL,
    CHUNK,
    CHUNK_HEAD,
    CHUNK_INDEX,
    DATA_END,
    FOOTER,
    HEAD,
    LIBRARY,
    MAGIC,
    MESSAGE_INDEX,
    METADATA,
    METADATA_INDEX,
    SCHEMA,
    STATISTICS,
    SUMMARY_OFFSET,
    Topic,
    message_indexes,
    record,
    string,
)
from parrot.durable import sync_folder

__all__ = ["Contents", "complete"]

DATA = {SCHEMA, CHANNEL, CHUNK, MESSAGE_INDEX, METADATA}
"""Records that stand before the summary of our files."""


@dataclass
class Contents:
    """What a completed file holds."""

    counts: Counter[str] = field(default_factory=Counter)
    """Topic -> messages."""
    start: int = 0
    """Time of the first message, ns; 0 without any."""
    end: int = 0
    topics: list[Topic] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)


@dataclass
class _Chunk:
    """A chunk and the records that index it, as they stand in the file."""

    at: int
    size: int
    first: int
    last: int
    crc: int
    body_size: int
    indexes: dict[int, int] = field(default_factory=dict)
    """Channel -> where its index stands."""
    indexes_size: int = 0
    counts: Counter[int] = field(default_factory=Counter)

    @property
    def end(self) -> int:
        return self.at + self.size

    @property
    def body_at(self) -> int:
        return self.at + HEAD.size + CHUNK_HEAD.size


@dataclass
class _Scan:
    """The intact records of a file, from its beginning."""

    ours: bool
    """Whether the file begins as ours do, or is torn in there."""
    end: int
    """Where they end."""
    schemas: list[bytes] = field(default_factory=list)
    channels: list[bytes] = field(default_factory=list)
    metadata: tuple[int, bytes] = (0, b"")
    chunks: list[_Chunk] = field(default_factory=list)


def complete(path: Path, *, check: bool, limit: int | None = None) -> Contents | None:
    """Cuts off what is torn and writes the summary, in place; None if the file is not one of ours.

    Safe to be killed in, and to be done again. A file without a message stays as it is.

    Args:
        path: A file that `GrowingMcap` wrote.
        check: Read all chunks, and end before the first that is damaged.
        limit: Bytes to keep at most; what is beyond is cut off.
    """
    with open(path, "r+b") as file:
        scan = _scan(file, os.fstat(file.fileno()).st_size if limit is None else limit, check)
        if not scan.ours:
            return None
        if not scan.chunks:
            return Contents()
        _index_again(file, scan)
        file.seek(scan.end)
        file.truncate()
        contents = _contents(scan)
        file.write(_summary(scan, contents))
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
    return contents


def _scan(file: IO[bytes], size: int, check: bool) -> _Scan:
    beginning = file.read(len(BEGINNING))
    found = _Scan(ours=BEGINNING.startswith(beginning), end=len(BEGINNING))
    while found.ours and found.end + HEAD.size <= size:
        file.seek(found.end)
        kind, length = HEAD.unpack(file.read(HEAD.size))
        after = found.end + HEAD.size + length
        if kind not in DATA or after > size:
            break
        if kind == CHUNK:
            first, last, body_size, crc, _, _ = CHUNK_HEAD.unpack(file.read(CHUNK_HEAD.size))
            chunk = _Chunk(found.end, after - found.end, first, last, crc, body_size)
            if check and (CHUNK_HEAD.size + body_size != length or zlib.crc32(file.read(body_size)) != crc):
                break
            found.chunks.append(chunk)
        elif kind == MESSAGE_INDEX:
            (channel, entries) = struct.unpack("<HI", file.read(6))
            chunk = found.chunks[-1]
            chunk.indexes[channel] = found.end
            chunk.indexes_size += after - found.end
            chunk.counts[channel] = entries // 16
        else:
            _note(found, kind, HEAD.pack(kind, length) + file.read(length))
        found.end = after
    return found


def _note(found: _Scan, kind: int, whole: bytes) -> None:
    if kind == METADATA:
        found.metadata = (found.end, whole)
    else:
        (found.schemas if kind == SCHEMA else found.channels).append(whole)


def _index_again(file: IO[bytes], scan: _Scan) -> None:
    """The records after the last chunk may be torn, so they are written anew from the chunk."""
    chunk = scan.chunks[-1]
    file.seek(chunk.body_at)
    indexes = message_indexes(file.read(chunk.body_size))
    file.seek(chunk.end)
    file.write(indexes)
    chunk.indexes, chunk.counts, chunk.indexes_size = {}, Counter(), len(indexes)
    at = 0
    while at < len(indexes):
        _, length = HEAD.unpack_from(indexes, at)
        channel, entries = struct.unpack_from("<HI", indexes, at + HEAD.size)
        chunk.indexes[channel], chunk.counts[channel] = chunk.end + at, entries // 16
        at += HEAD.size + length
    scan.end = chunk.end + len(indexes)


def _contents(scan: _Scan) -> Contents:
    kinds = {}
    for schema in scan.schemas:
        (number,) = struct.unpack_from("<H", schema, HEAD.size)
        kind, at = _text(schema, HEAD.size + 2)
        kinds[number] = (kind, _text(schema, _text(schema, at)[1])[0])
    found = Contents(about=dict(_pairs(scan.metadata[1], _text(scan.metadata[1], HEAD.size)[1])))
    counts = sum((chunk.counts for chunk in scan.chunks), Counter[int]())
    for channel in scan.channels:
        number, kind_number = struct.unpack_from("<HH", channel, HEAD.size)
        name, at = _text(channel, HEAD.size + 4)
        more = dict(_pairs(channel, _text(channel, at)[1]))
        found.topics.append(Topic(name, *kinds[kind_number], more["offered_qos_profiles"], more["topic_type_hash"]))
        found.counts[name] = counts[number]
    found.start, found.end = min(c.first for c in scan.chunks), max(c.last for c in scan.chunks)
    return found


def _summary(scan: _Scan, contents: Contents) -> bytes:
    """All that follows the data: summary, footer."""
    data_end = record(DATA_END, bytes(4))
    start = at = scan.end + len(data_end)
    chunks = []
    for chunk in scan.chunks:
        offsets = b"".join(struct.pack("<HQ", channel, where) for channel, where in chunk.indexes.items())
        body = struct.pack("<QQQQI", chunk.first, chunk.last, chunk.at, chunk.size, len(offsets)) + offsets
        body += struct.pack("<Q", chunk.indexes_size) + string("") + struct.pack("<QQ", *[chunk.body_size] * 2)
        chunks.append(record(CHUNK_INDEX, body))
    where, metadata = scan.metadata
    about = record(METADATA_INDEX, struct.pack("<QQ", where, len(metadata)) + string(LIBRARY))
    channels = [struct.unpack_from("<H", channel, HEAD.size)[0] for channel in scan.channels]
    counts = b"".join(
        struct.pack("<HQ", number, contents.counts[topic.name])
        for number, topic in zip(channels, contents.topics, strict=True)
    )
    sizes = (len(scan.schemas), len(channels), 0, 1, len(scan.chunks), contents.start, contents.end, len(counts))
    statistics = record(STATISTICS, struct.pack("<QHIIIIQQI", contents.counts.total(), *sizes) + counts)
    groups = b""
    parts = [data_end]
    for kind, records in (
        (SCHEMA, scan.schemas), (CHANNEL, scan.channels), (CHUNK_INDEX, chunks), (METADATA_INDEX, [about]),
        (STATISTICS, [statistics]),
    ):  # fmt: skip
        size = sum(map(len, records))
        if size:
            groups += record(SUMMARY_OFFSET, struct.pack("<BQQ", kind, at, size))
        parts += records
        at += size
    footer = HEAD.pack(FOOTER, 20) + struct.pack("<QQ", start, at)
    crc = zlib.crc32(b"".join([*parts[1:], groups, footer]))
    return b"".join([*parts, groups, footer, struct.pack("<I", crc), MAGIC])


def _text(whole: bytes, at: int) -> tuple[str, int]:
    """The string at this place, and where it ends."""
    (size,) = struct.unpack_from("<I", whole, at)
    return whole[at + 4 : at + 4 + size].decode(), at + 4 + size


def _pairs(whole: bytes, at: int) -> Iterator[tuple[str, str]]:
    (size,) = struct.unpack_from("<I", whole, at)
    at, end = at + 4, at + 4 + size
    while at < end:
        key, at = _text(whole, at)
        value, at = _text(whole, at)
        yield key, value
