"""From a camera's picture to the observation, the same for a live camera and for a bag: crop, then resize by area.

The paper sees the world at 48×48 pixels (section 5); whatever camera a lab has is brought to that here.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from parrot.errors import SpaceError
from parrot.spaces import IMAGE_SHAPE, IMAGE_SIZE

__all__ = ["crop_box", "observe"]


def crop_box(width: int, height: int, crop: Sequence[float] | None = None) -> tuple[int, int, int, int]:
    """Left, top, width and height in pixels of what is seen of a picture.

    Args:
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        crop: x, y, width, height in pixels, or as shares of the picture if none is above 1; default: the largest
            square in the middle.

    Example:
        >>> crop_box(640, 480), crop_box(640, 480, (0.5, 0, 0.5, 1)), crop_box(640, 480, (10, 20, 300, 200))
        ((80, 0, 480, 480), (320, 0, 320, 480), (10, 20, 300, 200))

    Raises:
        SpaceError: the crop has no area or leaves the picture.
    """
    if crop is None:
        side = min(width, height)
        x, y, w, h = (width - side) // 2, (height - side) // 2, side, side
    elif max(crop) <= 1:
        x, y = round(crop[0] * width), round(crop[1] * height)
        w, h = round((crop[0] + crop[2]) * width) - x, round((crop[1] + crop[3]) * height) - y
    else:
        x, y, w, h = (round(v) for v in crop)
    if x < 0 or y < 0 or w < 1 or h < 1 or x + w > width or y + h > height:
        shown = "" if crop is None else f" {list(crop)}"
        raise SpaceError(f"crop{shown} leaves the picture of {width}x{height}; give x, y, width, height within it")
    return x, y, w, h


def observe(rgb: NDArray[np.uint8], crop: Sequence[float] | None = None) -> NDArray[np.uint8]:
    """The observation in a picture of any size; one that has 48×48 pixels (after cropping) passes unchanged.

    Args:
        rgb: (rows, columns, 3) uint8.
        crop: As in `crop_box`.

    Returns:
        (48, 48, 3) uint8, an array of its own.

    Raises:
        SpaceError: the picture is none, or the crop leaves it.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise SpaceError(f"picture is {rgb.dtype} {rgb.shape}; expected uint8 (rows, columns, 3)")
    x, y, w, h = crop_box(rgb.shape[1], rgb.shape[0], crop)
    part = rgb[y : y + h, x : x + w]
    if part.shape == IMAGE_SHAPE:
        return part.copy()
    return np.asarray(cv2.resize(part, (IMAGE_SIZE, IMAGE_SIZE), interpolation=cv2.INTER_AREA), np.uint8)
