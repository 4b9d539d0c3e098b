"""Messages as bytes, without ROS: rclpy's own `serialize_message` may leave remains of other messages at the end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

__all__ = ["image_bytes", "string_bytes", "vector_bytes"]


@cache
def _store() -> Typestore:
    return get_typestore(Stores.ROS2_JAZZY)


def image_bytes(image: NDArray[np.uint8], stamp: int, frame: str) -> bytes:
    """A `sensor_msgs/msg/Image` in rgb8 of a picture (rows, columns, 3), stamped in nanoseconds."""
    rows, columns, channels = image.shape
    message = _store().types["sensor_msgs/msg/Image"](
        header=_header(stamp, frame), height=rows, width=columns, encoding="rgb8", is_bigendian=0,
        step=columns * channels, data=np.ascontiguousarray(image).reshape(-1),
    )  # fmt: skip
    return _encode(message)


def vector_bytes(
    names: Sequence[str], values: NDArray[np.floating] | list[float], stamp: int, frame: str = ""
) -> bytes:
    """A `sensor_msgs/msg/JointState` of named numbers, stamped in nanoseconds."""
    empty = np.zeros(0)
    message = _store().types["sensor_msgs/msg/JointState"](
        header=_header(stamp, frame), name=list(names), position=np.asarray(values, np.float64), velocity=empty,
        effort=empty,
    )  # fmt: skip
    return _encode(message)


def string_bytes(text: str) -> bytes:
    """A `std_msgs/msg/String`."""
    return _encode(_store().types["std_msgs/msg/String"](data=text))


def _header(stamp: int, frame: str) -> Any:
    types = _store().types
    time = types["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
    return types["std_msgs/msg/Header"](stamp=time, frame_id=frame)


def _encode(message: Any) -> bytes:
    return bytes(_store().serialize_cdr(message, message.__msgtype__))
