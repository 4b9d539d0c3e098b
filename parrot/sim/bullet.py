"""PyBullet, imported without the build date that it prints to standard output."""

from __future__ import annotations

import os
import sys

sys.stdout.flush()
_saved = os.dup(1)
_sink = os.open(os.devnull, os.O_WRONLY)
try:
    os.dup2(_sink, 1)
    import pybullet
finally:
    os.dup2(_saved, 1)
    os.close(_saved)
    os.close(_sink)

__all__ = ["pybullet"]
