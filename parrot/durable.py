"""Files that are either whole or not there: written beside their place, synced, then renamed into it."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from parrot.errors import RunError

__all__ = ["atomic_path", "disk_errors", "write_bytes", "write_json", "write_text"]


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns a full or read-only disk into one clear line.

    Raises:
        RunError: the block met ENOSPC, EDQUOT, EFBIG, EROFS or EACCES.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(f"{path}: the disk is full; free some space and start again, the run goes on") from error
        if error.errno == errno.EFBIG:
            raise RunError(f"{path}: a file is as large as this system allows; raise the limit (ulimit -f)") from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise RunError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error
        raise


def sync_folder(folder: Path) -> None:
    """Makes a rename in this folder survive a power cut."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; what is written there replaces `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: writers choose their format by it.
    tmp = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    with disk_errors(path):
        try:
            yield tmp
            fd = os.open(tmp, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
            os.replace(tmp, path)
            sync_folder(path.parent)
        finally:
            tmp.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes the bytes durably."""
    with atomic_path(path) as tmp, open(tmp, "wb") as file:
        _write_all(file, data)


def write_text(path: Path, text: str) -> None:
    """Writes the text durably, as UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Writes the value durably, as indented JSON."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def _write_all(file: IO[bytes], data: bytes) -> None:
    file.write(data)
    file.flush()
