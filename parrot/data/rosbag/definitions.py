"""The text and the hash of message types, which a bag carries so that any reader understands it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from parrot.errors import ConfigError

__all__ = ["definition"]


@cache
def _store() -> Typestore:
    return get_typestore(Stores.ROS2_JAZZY)


def definition(kind: str) -> tuple[str, str]:
    """Text and hash (RIHS01) of a message type, e.g. `sensor_msgs/msg/Image`.

    Those that do not belong to ROS itself are read from the .msg files of the installed packages.

    Raises:
        ConfigError: it is not installed.
    """
    store = _store()
    _learn(kind, store)
    return store.generate_msgdef(kind, ros_version=2)[0], store.hash_rihs01(kind)


def _learn(kind: str, store: Typestore) -> None:
    """Registers the type and those in it, where they are not known yet."""
    if kind in store.types:
        return
    package, _, name = kind.partition("/msg/")
    roots = [*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sys.prefix]
    paths = [Path(root, "share", package, "msg", f"{name}.msg") for root in roots]
    path = next((path for path in paths if name and path.is_file()), None)
    if path is None:
        raise ConfigError(f"message type {kind!r} is not installed; source the workspace that has {package}")
    types = get_types_from_msg(path.read_text(encoding="utf-8"), kind)
    for _, fields in types.values():
        for _, described in fields:
            for other in _named(described):
                if other not in types:
                    _learn(other, store)
    store.register(types)


def _named(described: Any) -> Iterator[str]:
    """The types that a field is made of, other than numbers and text."""
    kind, what = described
    if kind == Nodetype.NAME:
        yield what
    elif kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        yield from _named(what[0])
