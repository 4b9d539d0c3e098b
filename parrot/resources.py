"""Where the data that comes with parrot lies: `config/`, `sim/`, `models/`, `launch/`; and the user's cache."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil

from parrot.errors import ConfigError

__all__ = ["cache_dir", "idle_cores", "share"]


def share(*parts: str) -> Path:
    """Path of a file or folder that comes with parrot, e.g. `share("config", "robots", "xarm6.yaml")`.

    Found in the source checkout, else in the environment that parrot is installed in (pip and colcon
    both install to `PREFIX/share/parrot`).

    Raises:
        ConfigError: there is none.
    """
    package = Path(__file__).resolve().parent
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    # Only a checkout has setup.py there; beside an installed package lie other people's folders `config` or `launch`.
    checkout = [package.parent] if (package.parent / "setup.py").is_file() else []
    roots = [*checkout, *(p / "share" / "parrot" for p in [*package.parents, Path(sys.prefix), *prefixes])]
    for root in roots:
        if (path := root.joinpath(*parts)).exists():
            return path
    raise ConfigError(f"{'/'.join(parts)} does not come with parrot; looked below {', '.join(map(str, roots[:2]))}")


def cache_dir(*parts: str) -> Path:
    """A folder for what parrot can make again (decimated and generated meshes), created if need be.

    `$PARROT_CACHE`, else `$XDG_CACHE_HOME/parrot`, else `~/.cache/parrot`.
    """
    base = os.environ.get("PARROT_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "parrot"
    )
    path = Path(base, *parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


def idle_cores(seconds: float = 0.5) -> int:
    """How many cores have nothing to do, measured for so long; at least 1.

    PyTorch's threads wait for each other at every operation: a second one on a core that is taken made a training step
    of the fast prior 20 times slower (0.4 instead of 7.8 a second; one thread alone: 16).
    """
    cores = psutil.cpu_count() or 1
    return max(1, round(cores * (1 - psutil.cpu_percent(seconds) / 100)))
