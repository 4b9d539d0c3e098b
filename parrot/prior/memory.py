"""Memory that is used again and again, as by every step of a training, stays with the process."""

from __future__ import annotations

import ctypes

__all__ = ["keep_freed_memory"]

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt(3)."""

LARGEST = 2**31 - 1
"""The largest value that mallopt takes."""


def keep_freed_memory() -> bool:
    """Has the C library keep what is freed instead of giving it back to the kernel; False where it is not glibc.

    A training step frees and allocates the same large buffers. Given back each time, every page of them is mapped and
    zeroed anew: two fifths of a step of preset `paper` on one core.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return all(mallopt(parameter, LARGEST) for parameter in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD))
