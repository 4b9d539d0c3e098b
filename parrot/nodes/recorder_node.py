"""Records the loop's topics into an MCAP bag that `ros2 bag` reads; what a finished episode left is never lost."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image, JointState

from parrot.data.rosbag.writer import BagWriter, free_path, recover
from parrot.errors import SpaceError
from parrot.nodes import topics
from parrot.nodes.base import GraphNode, run
from parrot.nodes.messages import vector_from
from parrot.nodes.parameters import Range
from parrot.spaces import OUTCOME_NAMES, Outcome

__all__ = ["RecorderNode", "RecorderNodeConfig", "main"]

TOPICS: dict[str, tuple[type, str]] = {
    topics.IMAGE: (Image, "sensor_msgs/msg/Image"),
    topics.LATENT: (JointState, "sensor_msgs/msg/JointState"),
    topics.ACTION: (JointState, "sensor_msgs/msg/JointState"),
    topics.OUTCOME: (JointState, "sensor_msgs/msg/JointState"),
    topics.JOINT_STATES: (JointState, "sensor_msgs/msg/JointState"),
}
"""What is recorded: topic -> message class and the type's name. All begin with a header."""

LOOP_TOPICS = (topics.IMAGE, topics.ACTION, topics.OUTCOME)
"""What every step has."""

STAMP = struct.Struct("<iI")
"""Seconds and nanoseconds of the header's stamp, the first field, after the four bytes that name the encoding."""

QUIET = 0.3
"""Seconds without a message after which, at the end, no more are expected to come."""


@dataclass(frozen=True)
class RecorderNodeConfig:
    """Parameters of recorder_node."""

    bag: str = "bag"
    """Folder of the bag; if it exists, the bag is called BAG_2, BAG_3 and so on."""
    split_episodes: Annotated[int, Range(1, 1_000_000)] = 100
    """Episodes in each MCAP file of the bag."""
    task: str = ""
    """Noted in the bag's metadata."""
    robot: str = ""
    """Noted in the bag's metadata."""


class RecorderNode(GraphNode[RecorderNodeConfig]):
    """Writes messages as they come, undecoded; the outcome tells it where an episode ends."""

    NAME = "recorder_node"
    CONFIG = RecorderNodeConfig

    def __init__(self) -> None:
        super().__init__()
        wanted = Path(self.config.bag).expanduser()
        if wanted.is_dir() and recover(wanted):
            self.get_logger().info(f"{wanted}: its recorder was killed; all finished episodes are recovered")
        about = {key: value for key in ("task", "robot") if (value := getattr(self.config, key))}
        names = {topic: self.resolve_topic_name(topic) for topic in TOPICS}
        self.bag = BagWriter(
            free_path(wanted), {names[topic]: kind for topic, (_, kind) in TOPICS.items()}, about,
            self.config.split_episodes,
        )  # fmt: skip
        self.latest: dict[str, bytes] = {}
        self.unpaired: dict[bytes, set[str]] = {}
        self.heard_at = time.monotonic()
        for topic, (message, _) in TOPICS.items():
            self.listen(message, topic, self.writer(topic, names[topic]), raw=True)
        self.get_logger().info(f"recording to {self.bag.path}")

    def writer(self, topic: str, name: str) -> Callable[[bytes], None]:
        """What to do with a message of this topic."""

        def write(data: bytes) -> None:
            self.heard_at = time.monotonic()
            stamp = data[4 : 4 + STAMP.size]
            if self.latest.get(topic) == stamp:
                self.health.count("repeated messages left out")
                return
            self.latest[topic] = stamp
            if topic in LOOP_TOPICS:
                self.pair(stamp, topic)
            self.bag.write(name, time.time_ns(), data)
            self.health.count("messages")
            if topic == topics.OUTCOME:
                self.end_episode(data)

        return write

    def pair(self, stamp: bytes, topic: str) -> None:
        """Keeps book of the moments whose image, action and outcome have not all come."""
        missing = self.unpaired.setdefault(stamp, set(LOOP_TOPICS))
        missing.discard(topic)
        if not missing:
            del self.unpaired[stamp]

    def end_episode(self, data: bytes) -> None:
        """Makes the episode durable if this outcome is its last."""
        try:
            values = vector_from(deserialize_message(data, JointState), OUTCOME_NAMES, "outcome")
            outcome = Outcome.from_vector(values)
        except SpaceError as error:
            self.refuse("outcome", error)
            return
        if outcome.done:
            self.bag.end_episode()
            self.health.count("episodes")

    def settled(self) -> bool:
        """Whether the others' last messages have come."""
        return time.monotonic() - self.heard_at > QUIET

    def close(self) -> None:
        """Completes the bag."""
        self.bag.close()
        if self.bag.messages:
            episodes, messages = self.bag.episodes, self.bag.messages
            self.get_logger().info(f"{self.bag.path}: {episodes} episodes, {messages} messages")
        # The step that was under way when the recorder began or ended is nobody's fault.
        if (lost := len(self.unpaired) - 2) > 0:
            self.warn(f"{self.bag.path}: {lost} steps lack their image, action or outcome; was the machine overloaded?")


def main() -> None:
    """Runs the node."""
    run(RecorderNode)


if __name__ == "__main__":
    main()
