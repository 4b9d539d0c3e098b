"""What decides how images and actions read: robot, camera, renderer, action scale, control rate.

A policy is good for the embodiment that it was made on and for no other; datasets compare the same fields.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from parrot.sim.camera import RENDERER
from parrot.sim.config import load_robot, load_scene

__all__ = ["Embodiment", "embodiment_of"]


@dataclass(frozen=True)
class Embodiment:
    """The body of a policy."""

    robot: str
    """Name in the robot's YAML."""
    renderer: str
    """What makes the images: the simulator's renderer, or `camera` for a real one."""
    camera: Any
    """Where the camera stands and what it sees; JSON."""
    action_scale: dict[str, float]
    """Metres and radians that an action of 1 stands for."""
    control_hz: float
    """Control steps per second."""

    def difference(self, other: Embodiment) -> tuple[str, str, str] | None:
        """The first field in which the other one differs, what it is here and what it is there."""
        for field in fields(self):
            mine, theirs = (json.dumps(getattr(e, field.name), sort_keys=True) for e in (self, other))
            if mine != theirs:
                return field.name, mine, theirs
        return None


def embodiment_of(robot: str | Path, renderer: str) -> Embodiment:
    """The embodiment of the robot of this name, or in this YAML file, seen by this renderer.

    Raises:
        ConfigError: there is no such robot.
    """
    config = load_robot(str(robot))
    if renderer == RENDERER:
        camera = json.loads(json.dumps(asdict(load_scene().camera)))
    else:
        crop = config.camera.crop if config.camera else None
        camera = {"crop": None if crop is None else list(crop)}
    return Embodiment(config.name, renderer, camera, asdict(config.action_scale), config.control_hz)
