"""Between numpy and ROS messages. A vector with names travels as JointState, an observation as Image."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import Image, JointState

from parrot.errors import SpaceError
from parrot.spaces import IMAGE_SHAPE, IMAGE_SIZE

__all__ = ["image_from", "image_message", "nanoseconds", "time_message", "vector_from", "vector_message"]

CAMERA_FRAME = "camera"
"""Frame of the images."""


def nanoseconds(stamp: Time) -> int:
    """A stamp as one number, which compares and hashes."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def time_message(stamp: int) -> Time:
    """The inverse of `nanoseconds`."""
    return Time(sec=stamp // 1_000_000_000, nanosec=stamp % 1_000_000_000)


def image_message(image: NDArray[np.uint8], stamp: int) -> Image:
    """The observation (48, 48, 3) uint8 as a message."""
    message = Image(height=IMAGE_SIZE, width=IMAGE_SIZE, encoding="rgb8", step=3 * IMAGE_SIZE)
    message.header.stamp = time_message(stamp)
    message.header.frame_id = CAMERA_FRAME
    # An array of bytes is taken as it is; anything else is checked byte by byte, 100 times slower.
    message.data = array("B", image.tobytes())
    return message


def image_from(message: Image) -> NDArray[np.uint8]:
    """The observation (48, 48, 3) uint8 in the message.

    Raises:
        SpaceError: it is no rgb8 image of 48x48.
    """
    size = (message.height, message.width)
    if message.encoding != "rgb8" or size != (IMAGE_SIZE, IMAGE_SIZE):
        raise SpaceError(
            f"image is {message.encoding or 'of no encoding'} {message.width}x{message.height}; "
            f"expected rgb8 {IMAGE_SIZE}x{IMAGE_SIZE}: crop and resize it where it is published"
        )
    row = 3 * IMAGE_SIZE
    if message.step < row or len(message.data) != message.step * IMAGE_SIZE:
        raise SpaceError(
            f"image has {len(message.data)} bytes in rows of {message.step}; expected {IMAGE_SIZE} rows of {row}"
        )
    rows = np.frombuffer(message.data, np.uint8).reshape(IMAGE_SIZE, message.step)
    return rows[:, :row].reshape(IMAGE_SHAPE)


def vector_message(names: Sequence[str], values: Sequence[float] | NDArray[np.floating], stamp: int) -> JointState:
    """Named numbers as a message."""
    message = JointState(name=list(names), position=array("d", np.asarray(values, np.float64).tobytes()))
    message.header.stamp = time_message(stamp)
    return message


def vector_from(message: JointState, names: Sequence[str], what: str) -> NDArray[np.float64]:
    """The numbers of these names in the message, in the order of `names`.

    Raises:
        SpaceError: the message has other names, another length, or numbers that are not finite.
    """
    found = tuple(message.name)
    values = np.array(message.position, dtype=np.float64)
    if len(found) != len(values) or sorted(found) != sorted(names):
        raise SpaceError(
            f"{what} has {len(values)} numbers named {', '.join(found) or 'nothing'}; "
            f"expected {len(names)} named {', '.join(names)}"
        )
    if found != tuple(names):
        values = values[[found.index(name) for name in names]]
    if not np.isfinite(values).all():
        bad = [name for name, value in zip(names, values, strict=True) if not np.isfinite(value)]
        raise SpaceError(f"{what} is not finite in {', '.join(bad)}: send finite numbers")
    return values
