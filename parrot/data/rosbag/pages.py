"""The bytes of a file as views: of one that is complete, or of one that still grows."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Protocol

from parrot.data.rosbag.unpacking import Unpacking

__all__ = ["Growing", "Mapped", "Pages"]


class Pages(Protocol):
    """What is read from front to back."""

    def view(self, begin: int, end: int) -> memoryview | None:
        """These bytes; None if the file ends before."""

    def forget(self, begin: int, end: int) -> None:
        """Gives back the memory of what was read."""

    def close(self) -> None:
        """Nothing more will be viewed; what was stays."""


class Mapped:
    """A complete file: what nobody looks at is never read."""

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:
            self._pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._data = memoryview(self._pages)

    def view(self, begin: int, end: int) -> memoryview | None:
        """As of `Pages`."""
        return self._data[begin:end] if end <= len(self._data) else None

    def forget(self, begin: int, end: int) -> None:
        """As of `Pages`; it stays in the system's cache of files."""
        begin -= begin % mmap.PAGESIZE
        if (length := end - end % mmap.PAGESIZE - begin) > 0:
            self._pages.madvise(mmap.MADV_DONTNEED, begin, length)

    def close(self) -> None:
        """Unmapped with the last view."""


class Growing:
    """A file that is being decompressed: a view waits for its last byte."""

    def __init__(self, unpacking: Unpacking) -> None:
        self._unpacking = unpacking
        self._fd = os.open(unpacking.target, os.O_RDONLY)

    def view(self, begin: int, end: int) -> memoryview | None:
        """As of `Pages`."""
        if self._unpacking.wait(end) < end:
            return None
        data = bytearray(end - begin)
        view = memoryview(data)
        while view:
            count = os.preadv(self._fd, [view], end - len(view))
            view = view[count:]
        return memoryview(data)

    def forget(self, begin: int, end: int) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)
