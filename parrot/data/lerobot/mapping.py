"""What the features of a LeRobot dataset mean: the mapping YAML of `parrot data from-lerobot`."""

from __future__ import annotations

import math
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from parrot.data.lerobot.layout import ACTION
from parrot.errors import ConfigError
from parrot.fields import build, read_yaml
from parrot.spaces import ACTION_NAMES

__all__ = ["ActionRule", "Mapping", "load_mapping"]


@dataclass(frozen=True)
class ActionRule:
    """How an action comes of a feature of displacements: number = value × scale + offset, then clipped to ±1."""

    key: str = ACTION
    """Name of the feature."""
    names: MappingType[str, Any] = field(default_factory=lambda: {name: name for name in ACTION_NAMES})
    """parrot's name: the component's name in the feature, or its place from 0. What is left out is 0 at every step."""
    scale: MappingType[str, Any] = field(default_factory=dict)
    """parrot's name: factor, e.g. 25 where the feature has metres and an action of 1 is 0.04 m; default: 1."""
    offset: MappingType[str, Any] = field(default_factory=dict)
    """parrot's name: what is added then, e.g. scale 2 and offset -1 for a gripper from 0 to 1; default: 0."""

    def __post_init__(self) -> None:
        for name, table in (("names", self.names), ("scale", self.scale), ("offset", self.offset)):
            if wrong := set(table) - {*ACTION_NAMES}:
                found = ", ".join(sorted(map(str, wrong)))
                raise ConfigError(f"action: {name}: unknown {found}; the names are {', '.join(ACTION_NAMES)}")
        for table in (self.scale, self.offset):
            for name, value in table.items():
                if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                    raise ConfigError(f"action: {name}: expected a number, found {value!r}")


@dataclass(frozen=True)
class Mapping:
    """A mapping YAML. Every field has a default; the defaults fit what `parrot data to-lerobot` writes."""

    image: str | None = None
    """Feature with the images; default: the only one of type image or video."""
    crop: tuple[float, ...] | None = None
    """x, y, width, height in pixels, or as shares of the picture if none is above 1; default: the largest square in
    the middle."""
    action: ActionRule = field(default_factory=ActionRule)
    """Where the actions come from."""
    reward: str | None = None
    """Feature with the rewards; default: `next.reward`, or, without it, 1 at the last step of a success, else 0."""
    success: Literal["next.success", "all", "none"] | None = None
    """What tells whether an episode succeeded: its `next.success` at any frame, or all or none did. Default:
    `next.success` where there is one, else all."""
    task: str | None = None
    """Name of the task of all episodes; default: their own, which must have at most 43 bytes."""
    tasks: MappingType[str, Any] = field(default_factory=dict)
    """Instead, LeRobot's sentence: name of the task."""
    robot: str | None = None
    """Name of the robot; default: the dataset's `robot_type`."""
    renderer: str = "camera"
    """What made the images."""
    camera: Any = None
    """Any description of where the camera stands. Datasets with different ones are not mixed."""
    action_scale: Any = None
    """`translation` and `rotation`: metres and radians that an action of 1 stands for."""
    every: int = 1
    """Frames in a step: the control rate is that of the frames divided by this. Displacements of the frames add up, the
    gripper's last word counts, and the largest reward."""
    object_split: Literal["train", "test"] = "train"
    """Whether the objects are for training or for tests."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError(f"every: {self.every} is not above 0")
        crop = self.crop
        if crop is not None and (len(crop) != 4 or not all(isinstance(v, (int, float)) and v >= 0 for v in crop)):
            raise ConfigError(f"crop: expected x, y, width, height, found {list(crop)}")


def load_mapping(path: Path) -> Mapping:
    """The mapping in this file.

    Raises:
        ConfigError: the file cannot be read, or a field is unknown, or its value is of another type or makes no sense.
    """
    try:
        return build(Mapping, read_yaml(path), str(path))
    except ConfigError as error:
        if str(error).startswith(str(path)):
            raise
        raise ConfigError(f"{path}: {error}") from None
