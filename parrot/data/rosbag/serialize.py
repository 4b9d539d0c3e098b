"""Messages as bytes, without ROS: rclpy's own `serialize_message` may leave remains of other messages at the end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

__all__ = ["string_bytes", "vector_bytes"]


@cache
def _store() -> Typestore:
    return get_typestore(Stores.ROS2_JAZZY)


def vector_bytes(names: Sequence[str], values: NDArray[np.floating], stamp: int, frame: str = "") -> bytes:
    """A `sensor_msgs/msg/JointState` of named numbers, stamped in nanoseconds."""
    types = _store().types
    time = types["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
    message = types["sensor_msgs/msg/JointState"](
        header=types["std_msgs/msg/Header"](stamp=time, frame_id=frame),
        name=list(names),
        position=np.asarray(values, np.float64),
        velocity=np.zeros(0),
        effort=np.zeros(0),
    )
    return bytes(_store().serialize_cdr(message, "sensor_msgs/msg/JointState"))


def string_bytes(text: str) -> bytes:
    """A `std_msgs/msg/String`."""
    message = _store().types["std_msgs/msg/String"](data=text)
    return bytes(_store().serialize_cdr(message, "std_msgs/msg/String"))
