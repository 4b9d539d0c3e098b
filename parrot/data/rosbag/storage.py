"""What both kinds of storage of a rosbag2 bag have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["ALL", "BagTopic", "Buffer", "Damage", "Need", "Storage"]

Buffer = bytes | memoryview
"""Serialised data."""

ALL = 1 << 62
"""Bytes of a message: all that it has."""

Need = Callable[[str], int]
"""Asked with the topic of each message in turn: how many of its bytes are needed at least; 0: none."""


@dataclass(frozen=True)
class BagTopic:
    """A topic as a storage file declares it."""

    name: str
    type: str
    """E.g. `sensor_msgs/msg/Image`."""
    serialisation: str = "cdr"
    definition_format: str = ""
    """`ros2msg`, `ros2idl`, or empty where no definition is stored."""
    definition: str = ""


@dataclass(frozen=True)
class Damage:
    """Where a file stops being readable."""

    path: Path
    at: int
    """Byte in an MCAP file, message in a SQLite file."""
    why: str

    def __str__(self) -> str:
        return f"{self.path.name} {self.why} (at {self.at:,}); only what comes before is used"


class Storage(Protocol):
    """One file of a bag."""

    path: Path
    damage: Damage | None

    @property
    def custom(self) -> dict[str, str]:
        """`custom_data` of the rosbag2 metadata in the file."""

    @property
    def topics(self) -> dict[int, BagTopic]:
        """Number -> topic."""

    def messages(self, topics: set[str], need: Need) -> Iterator[tuple[str, int, Buffer]]:
        """Topic, time of reception (ns) and serialised data of each message of these topics, in the file's order.

        Data that cannot be read are empty.
        """
