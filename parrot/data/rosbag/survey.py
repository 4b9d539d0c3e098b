"""First reading of a bag: when each message was, and what the small ones say. No picture is decoded."""

from __future__ import annotations

import json
import struct
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot.data.rosbag.mapping import Mapping
from parrot.data.rosbag.reader import Bag
from parrot.data.rosbag.storage import ALL, Buffer
from parrot.data.rosbag.verdicts import MARKERS
from parrot.errors import ConfigError, DatasetError
from parrot.spaces import ACTION_DIM, ACTION_NAMES, OUTCOME_NAMES

__all__ = ["DAMAGED", "Survey", "Track", "check_topics", "survey"]

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
VECTOR_TYPES = ("sensor_msgs/msg/JointState", "std_msgs/msg/Float32MultiArray", "std_msgs/msg/Float64MultiArray")
MARKER_TYPE = "std_msgs/msg/String"

LARGEST = 1e30
"""No number of an action or outcome is as large as this."""

HEAD = 16
"""Bytes of a message that hold its stamp."""

DAMAGED = -1
"""Stands for the stamp of a message that cannot be read."""

_LITTLE, _BIG = struct.Struct("<iI"), struct.Struct(">iI")
_NOTHING: NDArray[np.int64] = np.empty(0, np.int64)


@dataclass
class Track:
    """When the messages of a topic were; all arrays (n,), in the order of the storage."""

    type: str = ""
    receive: NDArray[np.int64] = field(default_factory=lambda: _NOTHING)
    """Time of reception, ns."""
    stamp: NDArray[np.int64] = field(default_factory=lambda: _NOTHING)
    """Stamp in the header, ns; where there is none, or zero, the time of reception."""
    order: NDArray[np.int64] = field(default_factory=lambda: _NOTHING)
    """Place among all messages of the bag."""
    exact: NDArray[np.int64] = field(default_factory=lambda: _NOTHING)
    """Stamp in the header as it stands there, zero included; `DAMAGED` in a message that cannot be read."""
    stamped: bool = False
    """Whether it has stamps of its own."""
    values: Any = None
    """Outcomes (n, 5), actions (n, 7) (not a number where damaged) or markers (list of str)."""

    def __len__(self) -> int:
        return len(self.receive)

    def time(self, mapping: Mapping) -> NDArray[np.int64]:
        """When each message was, as the mapping tells time, ns."""
        return self.stamp if mapping.time == "header" else self.receive


@dataclass
class Survey:
    """What a bag holds."""

    tracks: dict[str, Track]
    """All topics, by name."""
    image: Track
    action: Track
    outcome: Track
    marker: Track
    tears: list[int]
    """Places (`Track.order` of the last message before) where a damaged file ends."""
    broken: Counter[str]
    """By topic: messages that could not be read."""
    mapping: Mapping
    """What its topics mean, with nothing left open."""
    asked: str = ""
    """Topic of the actions that were asked for, where there are those that were executed, too."""
    episode: Track = field(default_factory=Track)
    """What is said of each episode before it begins (list of str)."""

    def task_before(self, image: int) -> str | None:
        """The task that was named last before the image at this place in its track; None if none was."""
        before = np.flatnonzero(self.episode.receive <= self.image.receive[image])
        try:
            task = json.loads(self.episode.values[before[-1]])["task"]
        except (IndexError, ValueError, TypeError, KeyError):
            return None
        return task if isinstance(task, str) and task.isprintable() else None


def check_topics(bag: Bag, mapping: Mapping, sources: tuple[str, ...] = ()) -> None:
    """Passes if the topics that the mapping names are there and of the right type.

    Args:
        bag: The bag.
        mapping: What its topics mean.
        sources: Topics that actions are derived from.

    Raises:
        ConfigError: one is not; the message lists the topics that are.
    """
    needed: dict[str, tuple[str, tuple[str, ...]]] = {"image": (mapping.topics.image, IMAGE_TYPES)}
    names, by = mapping.topics, mapping.episodes.by
    if mapping.recorded:
        executed = bag.topics.get(names.executed)
        known = executed is not None and executed.type in VECTOR_TYPES
        needed["action"] = (names.executed if known else names.action, VECTOR_TYPES)
    marker = names.marker if names.marker in bag.topics or names.episode not in bag.topics else names.episode
    by = by or ("markers" if marker in bag.topics and names.outcome not in bag.topics else "outcome")
    if by == "outcome" or mapping.success == "outcome":
        needed["outcome"] = (names.outcome, VECTOR_TYPES[:1])
    if by == "markers":
        needed["marker"] = (marker, (MARKER_TYPE,))
    derived = [(f"action (from: {mapping.action['from']})", (topic, ())) for topic in sources]
    there = ", ".join(f"{t.name} ({t.type})" for t in sorted(bag.topics.values(), key=lambda t: t.name)) or "none"
    for what, (topic, types) in [*needed.items(), *derived]:
        found = bag.topics.get(topic)
        if found is None:
            hint = "; say episodes: {by: gaps}, or length, for a bag without outcomes and markers"
            hint = hint if what == "outcome" else ""
            raise ConfigError(
                f"{bag.path}: {what} is mapped to {topic}, which is not there; its topics are {there}{hint}"
            )
        if types and found.type not in types:
            raise ConfigError(
                f"{bag.path}: {what} is mapped to {topic}, which is {found.type}, not {' or '.join(types)}; "
                f"its topics are {there}"
            )


def survey(bag: Bag, mapping: Mapping, sources: tuple[str, ...] = ()) -> Survey:
    """Reads the whole bag once, as far as it is whole; of topics that nobody maps, only when messages came.

    Args:
        bag: The bag.
        mapping: What its topics mean.
        sources: Topics that actions are derived from.
    """
    topics, names = set(bag.topics), mapping.topics
    texts = (names.marker, names.episode)
    kinds: dict[str, tuple[str, ...]] = {names.outcome: VECTOR_TYPES[:1], **dict.fromkeys(texts, (MARKER_TYPE,))}
    kinds |= dict.fromkeys((names.action, names.executed), VECTOR_TYPES) if mapping.recorded else {}
    used = {topic for topic, types in kinds.items() if topic in topics and bag.topics[topic].type in types}
    columns = {topic: tuple(array("q") for _ in range(4)) for topic in topics}
    values: dict[str, list[Any]] = {topic: [] for topic in used}
    mapped = {names.image, *used, *sources}
    # Other topics may be of types that nobody has the definition of.
    stamp_at = {topic: bag.stamp_at(topic) if topic in mapped else None for topic in topics}
    broken: Counter[str] = Counter()
    need = {topic: ALL if topic in used else HEAD if topic in mapped else 0 for topic in topics}
    order, tears = 0, []
    for file, part in zip(bag.files, bag.parts(topics, need.__getitem__), strict=True):
        for topic, received, data in part:
            order += 1
            at = stamp_at[topic]
            stamp = 0 if at is None else _stamp(data, at)
            if stamp is None or (topic in mapped and len(data) < 4):
                broken[topic] += 1
                stamp = DAMAGED
            if topic in used:
                values[topic].append(_value(bag, topic, data, mapping, broken))
            row = (received, stamp if stamp > 0 else received, order, stamp)
            for column, value in zip(columns[topic], row, strict=True):
                column.append(value)
        if file.damage:
            tears.append(order)
    tracks = {}
    for topic in sorted(topics):
        receive, stamps, orders, exact = (np.array(column, np.int64) for column in columns[topic])
        tracks[topic] = Track(bag.topics[topic].type, receive, stamps, orders, exact, stamp_at[topic] is not None)
    for topic in used:
        found = values[topic]
        width = len(OUTCOME_NAMES) if topic == names.outcome else ACTION_DIM
        tracks[topic].values = found if topic in texts else np.array(found, np.float64).reshape(-1, width)
    tell = {topic: tracks[topic] for topic in used}
    outcome, marker, episode = (tell.get(name, Track()) for name in (names.outcome, names.marker, names.episode))
    if not len(marker) and any(word in MARKERS for word in episode.values or ()):
        marker = episode
    executed = mapping.recorded and len(tell.get(names.executed, ())) > 0
    fitted = mapping.fitted(len(outcome) > 0, any(word in MARKERS for word in marker.values or ()), executed)
    action = tell.get(fitted.topics.action, Track()) if mapping.recorded else Track()
    asked = names.action if executed and names.action != names.executed and len(tell.get(names.action, ())) else ""
    broken.pop(asked, None)
    return Survey(tracks, tracks[names.image], action, outcome, marker, tears, broken, fitted, asked, episode)


def _stamp(data: Buffer, at: int) -> int | None:
    """The stamp that stands there, ns; None in a message that is too short or no CDR."""
    if len(data) < at + 8:
        return 0 if at == 8 and len(data) >= 8 else None  # no transforms
    if data[0] != 0 or data[1] > 1:
        return None
    seconds, nanoseconds = (_LITTLE if data[1] else _BIG).unpack_from(data, at)
    return seconds * 1_000_000_000 + nanoseconds


def _value(bag: Bag, topic: str, data: Buffer, mapping: Mapping, broken: Counter[str]) -> Any:
    """What the message says; of a damaged one nothing that could be taken for something."""
    marker = topic in (mapping.topics.marker, mapping.topics.episode)
    outcome = topic == mapping.topics.outcome
    executed = topic == mapping.topics.executed
    names = OUTCOME_NAMES if outcome else () if marker else ACTION_NAMES if executed else mapping.action_names
    try:
        message = bag.deserialise(topic, data)
        if marker:
            return str(message.data).strip()
        if not hasattr(message, "name"):
            found = np.asarray(message.data, np.float64)
        else:
            place = {name: i for i, name in enumerate(message.name)}
            found = np.asarray(message.position, np.float64)[[place[name] for name in names]]
        if found.shape == (len(names),) and (np.abs(found) < LARGEST).all():
            return found
    except (DatasetError, AttributeError, KeyError, IndexError):
        pass
    broken[topic] += 1
    return "" if marker else np.full(len(names), np.nan)
