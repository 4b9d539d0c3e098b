"""What the doctor has seen of a graph while it only listened: plain values, without ROS, that the checks judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Endpoint", "JointSample", "Picture", "Seen", "Topic", "full", "gap", "rate"]


@dataclass(frozen=True)
class Endpoint:
    """A publisher or a subscription."""

    node: str
    """Name of its node."""
    type: str
    """Of its messages, e.g. `sensor_msgs/msg/Image`."""
    reliable: bool = True
    """Whether it sends, or asks for, each message until it arrives."""


@dataclass(frozen=True)
class Topic:
    """Who speaks and who hears."""

    publishers: tuple[Endpoint, ...] = ()
    """All of them."""
    subscribers: tuple[Endpoint, ...] = ()
    """All but the doctor."""


@dataclass(frozen=True)
class JointSample:
    """One message of joint states."""

    heard: float
    """Seconds of a monotonic clock."""
    wall: int
    """Nanoseconds of this machine's clock, when it was heard."""
    stamp: int
    """Nanoseconds, in its header."""
    names: tuple[str, ...]
    """The driver's names of the joints."""
    positions: tuple[float, ...]
    """rad or m."""


@dataclass(frozen=True)
class Picture:
    """One picture, of which the last alone is kept whole."""

    heard: float
    """Seconds of a monotonic clock."""
    wall: int
    """Nanoseconds of this machine's clock, when it was heard."""
    stamp: int
    """Nanoseconds, in its header."""
    encoding: str
    """As the message names it: encoding, or format if it is compressed."""
    size: tuple[int, int] = (0, 0)
    """Width and height, pixels."""
    digest: int = 0
    """Of the observation's pixels."""
    error: str = ""
    """Why no observation can be made of it."""


@dataclass(frozen=True)
class Seen:
    """A graph, as it was for a few seconds. Names are full: `/joint_states`."""

    seconds: float
    """How long it was listened to."""
    nodes: tuple[str, ...] = ()
    """Names of all nodes but the doctor."""
    topics: Mapping[str, Topic] = field(default_factory=dict)
    """Every topic by name."""
    services: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Service -> its types."""
    joints: tuple[JointSample, ...] = ()
    """As they came."""
    pictures: tuple[Picture, ...] = ()
    """As they came."""
    view: NDArray[np.uint8] | None = None
    """The last picture, whole: (rows, columns, 3) RGB."""
    clock: tuple[int, ...] = ()
    """What was said on /clock, nanoseconds."""
    description: str = ""
    """The URDF that the driver publishes."""
    status: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Node -> what its diagnostics say."""

    def topic(self, name: str) -> Topic:
        """The topic of this name, though nobody speaks or hears on it."""
        return self.topics.get(full(name), Topic())


def full(name: str) -> str:
    """The full name of a topic or service, seen from the root.

    Example:
        >>> full("estop"), full("/joint_states")
        ('/estop', '/joint_states')
    """
    return name if name.startswith("/") else f"/{name}"


def rate(heard: Sequence[float]) -> float:
    """Messages per second, of the times (s) at which they came; 0 if fewer than two did.

    Example:
        >>> rate([0.0, 0.1, 0.2])
        10.0
    """
    return (len(heard) - 1) / (heard[-1] - heard[0]) if len(heard) > 1 and heard[-1] > heard[0] else 0.0


def gap(heard: Sequence[float]) -> float:
    """The longest time between two of them, seconds."""
    return float(np.diff(heard).max()) if len(heard) > 1 else 0.0
