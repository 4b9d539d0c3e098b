"""What a recorder has called kept, and what is in the bags that it leaves."""

from __future__ import annotations

import re
from pathlib import Path

from graph_tools import Running
from rosbags.highlevel import AnyReader

SAFE = re.compile(r"safe: episodes kept: (\d+) \((\d+) success, (\d+) failure\)")
"""What recorder_node logs, at level debug, when an episode is durable."""


def claimed(running: Running) -> tuple[int, int]:
    """Episodes, and those with success, that the recorder had called kept when it was killed."""
    found = SAFE.findall(running.output)
    return (int(found[-1][0]), int(found[-1][1])) if found else (0, 0)


def read(bag: Path) -> list[tuple[str, object]]:
    """Topic and message, in the order in which they came."""
    if not (bag / "metadata.yaml").is_file():
        return []
    with AnyReader([bag]) as reader:
        return [(c.topic, reader.deserialize(raw, c.msgtype)) for c, _, raw in reader.messages()]


def episodes(bag: Path) -> list[tuple[bool, int, int]]:
    """Success, steps, and steps with image and action, of each episode of which the bag has every outcome."""
    stamps: dict[str, set[int]] = {topic: set() for topic in ("/camera/image", "/action")}
    outcomes: dict[int, list[float]] = {}
    for topic, message in read(bag):
        if topic in stamps or topic == "/outcome":
            stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            if topic == "/outcome":
                outcomes[stamp] = message.position
            else:
                stamps[topic].add(stamp)
    found, steps, whole, known_from_start = [], 0, 0, True
    for stamp, (_, success, terminated, truncated, step) in outcomes.items():
        known_from_start &= step == steps
        steps += 1
        whole += all(stamp in known for known in stamps.values())
        if terminated or truncated:
            found += [(bool(success), steps, whole)] if known_from_start else []
            steps, whole, known_from_start = 0, 0, True
    return found
