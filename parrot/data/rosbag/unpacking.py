"""Files of a bag that were compressed as a whole, decompressed on a thread: the reader follows close behind.

They go to the system's temporary folder, since a bag is read twice: the next file while one is being read. As many stay
for the second reading as there is room for; the others are decompressed again.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from backports import zstd

from parrot.errors import RunError

__all__ = ["Scratch", "Unpacking"]

BLOCK = 1 << 20
"""Bytes that are decompressed at once."""

SHARE = 0.9
"""How much of the space that is free may be taken."""

LOOK = 64
"""Blocks between two looks at the space that is free."""

GUESS = 3
"""How much larger a file is taken to become that does not say how large."""

HEADER = 18
"""Bytes of a zstd frame's header, at most."""


class Unpacking:
    """One file on its way.

    Args:
        source: The `.zstd` file.
        target: Where its contents go.
        stop: Set when nobody wants it any more.
    """

    def __init__(self, source: Path, target: Path, stop: threading.Event) -> None:
        self.source, self.target = source, target
        self.size = 0
        """Bytes that are there."""
        self.done = False
        """Whether these are all."""
        self.why = ""
        """Why it ends before it should."""
        with open(source, "rb") as file:
            head = file.read(HEADER)
        try:
            self.least = zstd.get_frame_info(head).decompressed_size or 0
        except zstd.ZstdError:  # said when it is read
            self.least = 0
        """Bytes that it will have at least."""
        self.expected = self.least or GUESS * source.stat().st_size
        """Bytes that it is taken to have."""
        self._stop, self._changed = stop, threading.Condition()
        self._error: Exception | None = None

    def run(self) -> None:
        """Does the work."""
        try:
            self._unpack()
        except OSError as error:
            self._error = RunError(f"{self.target.parent}: {self.source.name} cannot be decompressed there: {error}")
        except Exception as error:  # raised where somebody waits for it
            self._error = error
        finally:
            self.finish()

    def _unpack(self) -> None:
        machine, blocks, data = zstd.ZstdDecompressor(), 0, b""
        with open(self.source, "rb") as packed, open(self.target, "wb", buffering=0) as plain:
            while not self._stop.is_set():
                if machine.eof:
                    if not (data := machine.unused_data or packed.read(BLOCK)):
                        return
                    machine = zstd.ZstdDecompressor()
                elif machine.needs_input and not (data := packed.read(BLOCK)):
                    self.why = "is cut off"
                    return
                try:
                    made, data = machine.decompress(data, BLOCK), b""  # never more, however well it was packed
                except zstd.ZstdError as error:
                    self.why = f"is damaged ({error})"
                    return
                blocks += 1
                if blocks % LOOK == 0 and room(self.target.parent) < LOOK * BLOCK and self.size >= self.least:
                    raise full(self.target.parent, self.source, self.size)
                left = memoryview(made)
                while left:
                    left = left[plain.write(left) :]
                self.grow(len(made))

    def grow(self, count: int) -> None:
        """So many bytes more are there."""
        with self._changed:
            self.size += count
            self._changed.notify_all()

    def finish(self) -> None:
        """No more will come."""
        with self._changed:
            self.done = True
            self._changed.notify_all()

    def wait(self, size: int | None = None) -> int:
        """How many bytes are there, once there are so many, or all.

        Raises:
            RunError: there is no room for them.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.done or (size is not None and self.size >= size))
        if self._error is not None:
            raise self._error
        return self.size


class Scratch:
    """Where a bag's files are decompressed to, as many as there is room for.

    Args:
        sources: The `.zstd` files, in the order in which they are read.
    """

    def __init__(self, sources: list[Path]) -> None:
        self._sources = sources
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._there: dict[Path, Unpacking] = {}
        self._largest = 0
        """Bytes of the largest file so far."""
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1)

    def get(self, source: Path) -> Unpacking:
        """The file, on its way or there; those that were got before may go.

        Raises:
            RunError: there is no room for it.
        """
        if source not in self._there:
            self._begin(source, must=True)
        return self._there[source]

    def ahead(self, source: Path) -> None:
        """Begins with the file that comes after this one, if there is room for both."""
        index = self._sources.index(source) + 1
        if index < len(self._sources) and self._sources[index] not in self._there:
            self._begin(self._sources[index], must=False)

    def _begin(self, source: Path, must: bool) -> None:
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="parrot-bag-")
        folder = Path(self._folder.name)
        found = Unpacking(source, folder / source.stem, self._stop)
        coming = sum(max(other.expected - other.size, 0) for other in self._there.values() if not other.done)
        self._largest = max([self._largest, *(other.size for other in self._there.values())])
        if not found.least:  # files of a bag are about as large as each other
            found.expected = max(found.expected, self._largest)
        while found.expected > room(folder) - coming:
            if not must:
                return
            if not (others := [other for other in self._there.values() if other.done]):
                if found.least:
                    raise full(folder, source, found.least)
                break
            # The one that will be asked for last.
            last = max(others, key=lambda other: self._distance(source, other.source))
            last.target.unlink()
            del self._there[last.source]
        self._there[source] = found
        self._pool.submit(found.run)

    def _distance(self, here: Path, there: Path) -> int:
        """How many files are read before that one, from this one on."""
        return (self._sources.index(there) - self._sources.index(here)) % len(self._sources)

    def close(self) -> None:
        """Removes everything."""
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)
        if self._folder is not None:
            self._folder.cleanup()


def room(folder: Path) -> int:
    """Bytes that may be taken there."""
    return int(SHARE * shutil.disk_usage(folder).free)


def full(folder: Path, source: Path, size: int) -> RunError:
    """What to say when a file does not fit."""
    return RunError(
        f"{folder.parent}: has {room(folder) / 1e6:,.0f} MB to spare, but {source} has {size / 1e6:,.0f} MB or more "
        "when it is decompressed; set TMPDIR to a folder with more room"
    )
