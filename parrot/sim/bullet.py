"""PyBullet, imported without the build date that it prints to standard error."""

from __future__ import annotations

import os

_saved = os.dup(2)
_sink = os.open(os.devnull, os.O_WRONLY)
try:
    os.dup2(_sink, 2)
    import pybullet
finally:
    os.dup2(_saved, 2)
    os.close(_saved)
    os.close(_sink)

__all__ = ["pybullet"]
