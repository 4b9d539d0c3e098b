"""Pictures in sensor_msgs/Image and CompressedImage to RGB. Takes any message with their fields, live or from a bag."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from parrot.errors import SpaceError

__all__ = ["ENCODINGS", "to_rgb"]

_BAYER = {
    f"bayer_{pattern}": getattr(cv2, f"COLOR_Bayer{pattern.upper()}2RGB")
    for pattern in ("rggb", "bggr", "gbrg", "grbg")
}

# Encoding -> bytes of a sample, samples of a pixel, OpenCV's conversion to RGB.
ENCODINGS: dict[str, tuple[int, int, int | None]] = {
    "rgb8": (1, 3, None),
    "bgr8": (1, 3, cv2.COLOR_BGR2RGB),
    "8UC3": (1, 3, cv2.COLOR_BGR2RGB),
    "rgba8": (1, 4, cv2.COLOR_RGBA2RGB),
    "bgra8": (1, 4, cv2.COLOR_BGRA2RGB),
    "8UC4": (1, 4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, 1, cv2.COLOR_GRAY2RGB),
    "8UC1": (1, 1, cv2.COLOR_GRAY2RGB),
    "rgb16": (2, 3, None),
    "bgr16": (2, 3, cv2.COLOR_BGR2RGB),
    "rgba16": (2, 4, cv2.COLOR_RGBA2RGB),
    "bgra16": (2, 4, cv2.COLOR_BGRA2RGB),
    "mono16": (2, 1, cv2.COLOR_GRAY2RGB),
    **{f"{name}8": (1, 1, code) for name, code in _BAYER.items()},
    **{f"{name}16": (2, 1, code) for name, code in _BAYER.items()},
    "yuv422": (1, 2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (1, 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (1, 2, cv2.COLOR_YUV2RGB_YUYV),
    "yuyv": (1, 2, cv2.COLOR_YUV2RGB_YUYV),
}
"""What can be read; of 16 bits the upper 8 are kept, and `8UC3` without colours is taken as OpenCV's own bgr."""


def to_rgb(message: Any) -> NDArray[np.uint8]:
    """The picture in the message, (rows, columns, 3) uint8 RGB.

    Raises:
        SpaceError: the encoding is not known, or the data are not a picture of that size.
    """
    return _raw(message) if hasattr(message, "encoding") else _compressed(message)


def _raw(message: Any) -> NDArray[np.uint8]:
    width, height, step, encoding = message.width, message.height, message.step, message.encoding
    if encoding not in ENCODINGS:
        raise SpaceError(f"image encoding {encoding or 'none'!r} is not known; use one of {', '.join(ENCODINGS)}")
    size, samples, code = ENCODINGS[encoding]
    row, data = width * size * samples, np.frombuffer(message.data, np.uint8)
    if row == 0 or step < row or len(data) < step * (height - 1) + row or height == 0:
        raise SpaceError(
            f"image is {encoding} {width}x{height} with {len(data)} bytes in rows of {step}; "
            f"expected {height} rows of at least {row}"
        )
    # The last row may lack its padding.
    rows = np.lib.stride_tricks.as_strided(data, (height, row), (step, 1), writeable=False)
    if size == 2:
        rows = rows[:, (0 if message.is_bigendian else 1) :: 2]
    pixels = np.ascontiguousarray(rows).reshape(height, width, samples)
    if code is None:
        return pixels
    if encoding in ("yuv422", "uyvy", "yuv422_yuy2", "yuyv") and width % 2:
        raise SpaceError(f"image is {encoding} with an odd width of {width}; two pixels share their colour in it")
    return np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def _compressed(message: Any) -> NDArray[np.uint8]:
    data = np.frombuffer(message.data, np.uint8)
    if "compressedDepth" in message.format or not len(data):
        raise SpaceError(f"compressed image of format {message.format!r} holds no colours; map another image topic")
    try:
        found = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise SpaceError(f"compressed image of format {message.format!r} is damaged: {error.err}") from error
    if found is None:
        raise SpaceError(f"compressed image of format {message.format!r} cannot be decoded; jpeg and png can")
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), np.uint8)
