"""Files and folders that are either whole or not there: written beside their place, synced, then renamed into it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from parrot.errors import DatasetError, RunError

__all__ = ["atomic_folder", "atomic_path", "disk_errors", "write_bytes", "write_json", "write_text"]


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


@contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """A folder to write; when the block ends well, it is put on the disk and takes the place of `out`.

    What a killed process has left there is cleared away. Nothing remains of a block that fails.

    Raises:
        DatasetError: `out` exists and is not an empty folder.
        RunError: another process writes it, or the disk is full.
    """
    out = out.absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out} exists already; choose a new or empty folder")
    folder = out.with_name(f".{out.name}.part")
    with disk_errors(out):
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{out}: another process writes it; wait for that one or choose another folder") from None
        try:
            with disk_errors(out):
                _clear(folder)
                yield folder
                _sync(folder)
                if out.exists():
                    out.rmdir()
                folder.rename(out)
                sync_folder(out.parent)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    finally:
        os.close(fd)


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


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _sync(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        sync_folder(path)
