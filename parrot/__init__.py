"""parrot: data-driven behavioral priors for reinforcement learning on robot arms (Singh et al., ICLR 2021).

Importing it registers the Gymnasium environments `parrot/...`; PyTorch and PyBullet load when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from parrot.sim.registration import register

if TYPE_CHECKING:
    from parrot.prior import load_prior
    from parrot.rl import LatentActionWrapper
    from parrot.rl.policy import load_policy

__all__ = ["LatentActionWrapper", "__version__", "load_policy", "load_prior"]

LAZY = {"load_prior": "parrot.prior", "LatentActionWrapper": "parrot.rl", "load_policy": "parrot.rl.policy"}


register()


def read_version() -> str:
    """The version in package.xml, which setup.py, pip and ROS read too."""
    from xml.etree import ElementTree

    from parrot.resources import share

    return ElementTree.parse(share("package.xml")).findtext("version") or "unknown"


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = read_version()
    elif name in LAZY:
        value = getattr(importlib.import_module(LAZY[name]), name)
    else:
        raise AttributeError(f"module 'parrot' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
