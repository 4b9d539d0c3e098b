"""What a bag's topics mean: the mapping YAML of `parrot data from-bags`; docs/demonstrations.md has examples."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from parrot.errors import ConfigError
from parrot.fields import build, read_yaml
from parrot.spaces import ACTION_NAMES

__all__ = ["EpisodeRule", "ImageRule", "Mapping", "Topics", "load_mapping"]


@dataclass(frozen=True)
class Topics:
    """Names of topics, as they are in the bag."""

    image: str = "/camera/image"
    """Image or CompressedImage of sensor_msgs: what the policy is to see."""
    action: str = "/action"
    """Actions in parrot's sense, for `action: {from: recorded}`: a JointState with seven names, or seven numbers in a
    Float32MultiArray or Float64MultiArray."""
    executed: str = "/action_executed"
    """The same after the arm's limits, with parrot's own names; where it has messages, it is used instead of `action`.
    Empty: never."""
    outcome: str = "/outcome"
    """JointState with `reward success terminated truncated step` for each step, where there is one."""
    marker: str = "/marker"
    """String `start`, `success`, `failure` or `discard`, where there is one."""
    episode: str = "/episode"
    """String before an episode's first image: JSON with its `task`, as `parrot data to-bags` writes it.
    Where there is no `marker`, the words of one are understood here, too."""


@dataclass(frozen=True)
class ImageRule:
    """How a picture becomes an observation."""

    crop: tuple[float, ...] | None = None
    """x, y, width, height in pixels, or as shares of the picture if none is above 1; default: the largest square in
    the middle."""


@dataclass(frozen=True)
class EpisodeRule:
    """Where episodes begin and end."""

    by: Literal["outcome", "markers", "gaps", "length"] | None = None
    """`outcome`: with the outcome that is terminated or truncated, or with a marker. `markers`: from `start` to
    `success` or `failure`. `gaps`: where no image comes for `gap`. `length`: pieces of `length`, broken at gaps, too.
    Default: outcome, or markers for a bag that has markers and no outcomes."""
    gap: float = 2.0
    """Seconds without an image that part two episodes; no episode holds such a gap."""
    length: float = 2.5
    """Seconds of an episode, for `by: length`."""
    min_steps: int = 2
    """Shorter episodes are dropped."""
    max_steps: int = 10_000
    """Longer episodes are dropped."""


@dataclass(frozen=True)
class Mapping:
    """A mapping YAML. Every field has a default; the defaults fit the bags of parrot's own graph."""

    topics: Topics = field(default_factory=Topics)
    """Which topic is what; those of derived actions are named under `action`."""
    image: ImageRule = field(default_factory=ImageRule)
    """What of the picture is seen."""
    episodes: EpisodeRule = field(default_factory=EpisodeRule)
    """Where episodes begin and end."""
    action: MappingType[str, Any] = field(default_factory=lambda: {"from": "recorded"})
    """`from: recorded`, with `names` (parrot's name: name in the message) where they differ; or `from` one of poses,
    tf, joint_states, twist, trajectory, with the settings of that source."""
    pairing: Literal["exact", "resample"] | None = None
    """`exact`: an image and the action (and outcome) with the very same stamp are a step. `resample`: steps of
    1/control_hz. Default: exact for recorded actions of episodes by outcome, else resample."""
    time: Literal["header", "receive"] = "header"
    """What tells when something was: the stamp in its header (where there is none, or zero, the time of reception), or
    always the time of reception."""
    tolerance: float = 0.15
    """Seconds: how old an image may be at its step, how long after it its action may come, how far derived actions may
    be from the samples they are derived from."""
    jump: float = 1.0
    """Seconds by which a clock must jump, or two topics' clocks must differ, for the episode to be dropped."""
    control_hz: float | None = None
    """Steps per second of the dataset; default: the robot's."""
    success: Literal["outcome", "marker", "all", "none"] | None = None
    """What tells whether an episode succeeded; with `none` nobody knows, and nothing is left out for it. Default:
    outcome for episodes by outcome (or what a marker says against it), marker for those by markers, else all."""
    task: str | None = None
    """Name of the task; default: what the bag's metadata say, else `demonstration`."""
    robot: str | None = None
    """Name of the robot's YAML; default: what the bag's metadata say."""
    renderer: str | None = None
    """What made the images; default: what the bag's metadata say, else `camera`."""
    camera: Any = None
    """Any description of where the camera stands. Datasets with different ones are not mixed."""
    object_split: Literal["train", "test"] | None = None
    """Whether the objects are for training or for tests; default: what the bag's metadata say, else train."""

    def __post_init__(self) -> None:
        rule, source = self.episodes, self.action.get("from")
        # Where it is the bag that decides how episodes are cut, `fitted` fills in the rest.
        if self.pairing is None and rule.by is not None:
            exact = source == "recorded" and rule.by == "outcome" and self.time == "header"
            object.__setattr__(self, "pairing", "exact" if exact else "resample")
        if self.success is None and rule.by is not None:
            default = {"outcome": "outcome", "markers": "marker"}.get(rule.by, "all")
            object.__setattr__(self, "success", default)
        if self.pairing == "exact" and (source != "recorded" or self.time != "header"):
            raise ConfigError(f"pairing: exact needs recorded actions and time: header; found {source}, {self.time}")
        if self.success == "marker" and rule.by not in (None, "markers"):
            raise ConfigError(f"success: marker needs episodes by markers; found by: {rule.by}")
        for name, value in {
            "tolerance": self.tolerance, "jump": self.jump, "episodes: gap": rule.gap, "episodes: length": rule.length,
            "episodes: min_steps": rule.min_steps, "control_hz": 1.0 if self.control_hz is None else self.control_hz,
        }.items():  # fmt: skip
            if not value > 0:
                raise ConfigError(f"{name}: {value} is not above 0")
        if self.image.crop is not None and (
            len(self.image.crop) != 4 or not all(isinstance(v, (int, float)) and v >= 0 for v in self.image.crop)
        ):
            raise ConfigError(f"image: crop: expected x, y, width, height, found {list(self.image.crop)}")
        if source == "recorded":
            self.action_names  # noqa: B018

    def fitted(self, outcomes: bool, markers: bool, executed: bool) -> Mapping:
        """This mapping with nothing left open, for a bag that has outcomes, markers, and actions that were executed."""
        by = self.episodes.by or ("markers" if self.success == "marker" or (markers and not outcomes) else "outcome")
        topics = replace(self.topics, action=self.topics.executed) if executed and self.recorded else self.topics
        action = {"from": "recorded"} if executed and self.recorded else self.action
        return replace(self, topics=topics, action=action, episodes=replace(self.episodes, by=by))

    @property
    def recorded(self) -> bool:
        """Whether actions are recorded as they are, not derived."""
        return self.action.get("from") == "recorded"

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names in the recorded messages, in the order of parrot's.

        Raises:
            ConfigError: a name is unknown.
        """
        names = self.action.get("names") or {}
        for kind, found in (("action", set(self.action) - {"from", "names"}), ("names", set(names) - {*ACTION_NAMES})):
            if found:
                known = "from, names" if kind == "action" else ", ".join(ACTION_NAMES)
                raise ConfigError(f"{kind}: unknown {', '.join(sorted(map(str, found)))}; the fields are {known}")
        return tuple(str(names.get(name, name)) for name in ACTION_NAMES)


def load_mapping(path: Path | None) -> Mapping:
    """The mapping in this file; without one, that of parrot's own graph.

    Raises:
        ConfigError: the file cannot be read, or a field is unknown, or its value is of another type or makes no sense.
    """
    if path is None:
        return Mapping()
    try:
        return build(Mapping, read_yaml(path), str(path))
    except ConfigError as error:
        raise ConfigError(str(error) if str(error).startswith(str(path)) else f"{path}: {error}") from None
