"""What comes from outside, as numbers or refused: whoever sends commands, joints and times is not trusted."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["real", "vector"]


def real(value: Any) -> float | None:
    """The number, if it is one and finite."""
    try:
        return float(value) if isinstance(value, numbers.Real) and math.isfinite(value) else None
    except OverflowError:
        return None


def vector(values: Any, length: int) -> NDArray[np.float64] | None:
    """The numbers (length,), if they are that many, real and finite."""
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "iuf" or array.shape != (length,):
            return None
        with np.errstate(over="ignore"):
            found = np.array(array, dtype=np.float64)
    except Exception:  # whatever a sender's object does when it is looked at
        return None
    return found if np.isfinite(found).all() else None
