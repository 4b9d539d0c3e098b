"""The action's seventh number from the gripper's own topic: what the gripper is told to be at each step."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from parrot.data.rosbag.messages import kind_of
from parrot.data.rosbag.streams import Samples
from parrot.errors import ConfigError

__all__ = ["Gripper", "GripperSettings"]

_INITIAL = {"open": 1.0, "closed": -1.0, "keep": 0.0}


@dataclass(frozen=True)
class GripperSettings:
    """`gripper`, within the section `action`."""

    topic: str
    """JointState, Float32, Float64, Bool, GripperCommand, or any message with a number for the gripper."""
    open: float
    """The number when open: a position, a percentage; of a Bool true is 1 and false is 0."""
    closed: float
    """The number when closed on nothing."""
    joint: str | None = None
    """Which joint of a JointState; not needed if it has but one."""
    field: str | None = None
    """Where the number stands in the message, e.g. `command.position`; found by itself in the types above."""
    open_above: float = 0.8
    """Opening, 0 closed to 1 open, from which on the gripper counts as open."""
    closed_below: float = 0.6
    """Opening below which it counts as closed. A measured gripper stays open by the width of what it holds: for
    measurements, choose both above the widest object. Between the two it stays what it was."""
    initial: Literal["open", "closed", "keep"] = "keep"
    """What it counts as before the first message: `open`, `closed`, or `keep`, the action that changes nothing."""


class Gripper:
    """Emits +1 while the gripper is told to be open (or is open), -1 while closed, for each step.

    The state of a step is the last one before the step's end: a command that comes within a step is that step's action.
    """

    def __init__(self, settings: GripperSettings, dropped: Counter[str]) -> None:
        if settings.open == settings.closed:
            raise ConfigError(f"action: gripper: open and closed are both {settings.open}; give the two positions")
        if not settings.closed_below <= settings.open_above:
            raise ConfigError(
                f"action: gripper: closed_below {settings.closed_below} is above open_above {settings.open_above}; "
                "swap them"
            )
        self.settings = settings
        self._before = _INITIAL[settings.initial]
        self._samples = Samples(1, settings.topic, dropped)

    def feed(self, topic: str, message: Any, time: int) -> None:
        """Takes a message; a JointState of other joints is passed over."""
        value = self._value(message)
        if value is not None:
            self._samples.add(time, [value])

    def _value(self, message: Any) -> float | None:
        settings = self.settings
        if settings.field is not None:
            return _number(message, settings.field, settings.topic)
        if hasattr(message, "name") and hasattr(message, "position"):
            return _joint(message, settings)
        for path in ("data", "position", "command.position"):
            if hasattr(message, path.partition(".")[0]):
                return _number(message, path, settings.topic)
        raise ConfigError(
            f"action: gripper: no number is known in {kind_of(message)} on {settings.topic}; name it as field, "
            f"it has {_fields(message)}"
        )

    def commands(self, ends: NDArray[np.int64]) -> NDArray[np.float64]:
        """The seventh number of the steps that end at these times: (T,) of -1, 0 and 1."""
        settings = self.settings
        times, rows = self._samples.sorted()
        opening = (rows[:, 0] - settings.closed) / (settings.open - settings.closed)
        said = np.where(opening >= settings.open_above, 1.0, np.where(opening < settings.closed_below, -1.0, 0.0))
        # Between the thresholds a sample says nothing: the last one that did counts.
        spoke = np.flatnonzero(said)
        index = np.searchsorted(times[spoke], ends, side="left") - 1
        states = np.full(len(ends), self._before)
        known = index >= 0
        states[known] = said[spoke][index[known]]
        return states

    def forget(self, before: int | None) -> None:
        """Frees what is not needed from then on, but for the state that is in force."""
        self._before = _INITIAL[self.settings.initial] if before is None else self.commands(np.array([before]))[0]
        self._samples.forget(before)


def _joint(message: Any, settings: GripperSettings) -> float | None:
    names = list(message.name)
    if settings.joint is None:
        if len(names) != 1:
            raise ConfigError(
                f"action: gripper: {settings.topic} has the joints {', '.join(names) or 'none'}; name one as joint"
            )
        return float(message.position[0])
    if settings.joint not in names or len(message.position) != len(names):
        return None
    return float(message.position[names.index(settings.joint)])


def _number(message: Any, path: str, topic: str) -> float:
    value = message
    try:
        for part in path.split("."):
            value = value[int(part)] if part.isdigit() else getattr(value, part)
        return float(value)
    except (AttributeError, IndexError, TypeError, ValueError):
        raise ConfigError(
            f"action: gripper: {kind_of(message)} on {topic} has no number {path}; it has {_fields(message)}"
        ) from None


def _fields(message: Any) -> str:
    return ", ".join(name for name in vars(message) if not name.startswith("__"))
