"""Small questions to a deserialised message of any type."""

from __future__ import annotations

from typing import Any

from parrot.errors import ConfigError

__all__ = ["kind_of", "nanoseconds", "wrong_type"]


def nanoseconds(stamp: Any) -> int:
    """A Time or Duration as one number."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def kind_of(message: Any) -> str:
    """Name of its type, e.g. `sensor_msgs/msg/JointState`."""
    return str(getattr(message, "__msgtype__", type(message).__name__))


def wrong_type(topic: str, message: Any, needed: str) -> ConfigError:
    """What to raise where a topic holds another type than its setting needs."""
    return ConfigError(f"action: topic {topic} holds {kind_of(message)}, not {needed}; name another topic or `from`")
