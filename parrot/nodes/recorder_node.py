"""Records a graph into an MCAP bag that `ros2 bag` reads; what it has called kept is never lost.

What it decides by is in `parrot.data.rosbag.verdicts` (episodes), `steps` (what belongs together) and `watch` (rates).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger

from parrot.data.rosbag.serialize import string_bytes, vector_bytes
from parrot.data.rosbag.verdicts import MARKERS, Marker, Tally
from parrot.data.rosbag.writer import BagWriter, free_path, recover_all
from parrot.errors import ConfigError, RunError, SpaceError
from parrot.nodes import topics
from parrot.nodes.base import GraphNode, run
from parrot.nodes.ear import Ear, further_topics, message_class
from parrot.nodes.messages import nanoseconds, vector_from
from parrot.nodes.recorder_config import RecorderNodeConfig
from parrot.nodes.steps import Steps, stamp_in
from parrot.nodes.watch import GB, Overview, expectations
from parrot.spaces import ACTION_NAMES, OUTCOME_NAMES, Outcome, check_action

__all__ = ["RecorderNode", "main"]

TOPICS = {
    topics.IMAGE: "sensor_msgs/msg/Image",
    topics.LATENT: "sensor_msgs/msg/JointState",
    topics.ACTION: "sensor_msgs/msg/JointState",
    topics.OUTCOME: "sensor_msgs/msg/JointState",
    topics.JOINT_STATES: "sensor_msgs/msg/JointState",
    topics.MARKER: "std_msgs/msg/String",
}
"""What is recorded in any case: topic -> type. All but the marker begin with a header."""

LOOP_TOPICS = (topics.IMAGE, topics.ACTION, topics.OUTCOME)
"""What every step has."""

QUIET = 0.3
"""Seconds without a message after which, at the end, no more are expected to come."""

LATE = 0.5
"""Seconds that the other messages of a step may come after its outcome: topics have no order among them."""

ECHO = 2.0
"""Seconds within which a marker that we published ourselves comes back."""


class RecorderNode(GraphNode[RecorderNodeConfig]):
    """Writes messages as they come, undecoded; markers and outcomes tell it where an episode ends."""

    NAME = "recorder_node"
    CONFIG = RecorderNodeConfig

    def __init__(self) -> None:
        super().__init__()
        config, now = self.config, time.monotonic()
        # A system's clock that is set while we record would turn the order of the messages round.
        self.epoch = time.time_ns() - time.monotonic_ns()
        wanted = Path(config.bag).expanduser()
        for recovered in recover_all(wanted):
            self.get_logger().info(f"{recovered}: its recorder was killed; all finished episodes are recovered")
        self.names = {topic: self.resolve_topic_name(topic) for topic in TOPICS}
        kinds = dict(TOPICS)
        for topic, kind in further_topics(config.topics).items():
            name = self.resolve_topic_name(topic)
            if name not in self.names.values():
                self.names[topic], kinds[topic] = name, kind
        classes = {kind: message_class(kind) for kind in kinds.values()}
        expected = self.expected()
        self.bag = BagWriter(
            free_path(wanted), {self.names[topic]: kind for topic, kind in kinds.items()}, config.about(),
            config.split_episodes, round(config.split_gb * GB),
        )  # fmt: skip
        self.tally = Tally()
        self.steps = Steps(LOOP_TOPICS)
        self.echoes: list[tuple[str, float]] = []
        self.ending: tuple[bytes, float] | None = None
        self.heard_at = self.reported_at = now
        self.reported_messages = 0
        self.overview = Overview(self.bag.path, kinds, expected, config.silence, config.min_free_gb, now)
        callbacks = {topic: self.on_loop(topic) if topic in TOPICS else self.on_further(topic) for topic in kinds}
        callbacks.update({topics.IMAGE: self.on_image, topics.ACTION: self.on_action, topics.OUTCOME: self.on_outcome})
        callbacks[topics.MARKER] = self.on_marker
        self.ears = [Ear(self, topic, classes[kinds[topic]], call) for topic, call in callbacks.items()]
        self.ears.append(Ear(self, topics.ACTION_EXECUTED, JointState, self.on_executed))
        self.markers = self.create_publisher(String, topics.MARKER, topics.LOOP)
        for marker in MARKERS:
            self.create_service(Trigger, f"~/{marker}", self.guarded(self.service(marker)))
        self.every(0.1, self.end)
        self.every(0.5, self.adapt)
        self.every(1.0, self.look)
        self.show()
        self.get_logger().info(f"recording to {self.bag.path}")
        self.look()

    def expected(self) -> dict[str, float]:
        """Topic -> least rate, of what must not fall silent.

        Raises:
            ConfigError: one of them is not recorded.
        """
        known = {name: topic for topic, name in self.names.items()}
        found = {}
        for topic, rate in expectations(self.config.expected).items():
            name = self.resolve_topic_name(topic)
            if name not in known:
                raise ConfigError(f"{topic} is expected but not recorded; name it and its type in topics")
            found[known[name]] = rate
        return found

    # What comes.

    def write(self, topic: str, data: bytes) -> None:
        """Appends a message of the topic to the bag.

        Raises:
            RunError: the disk is full; what was kept is.
        """
        self.health.count("messages")
        self.overview.heard(topic, time.monotonic())
        try:
            self.bag.write(self.names[topic], self.epoch + time.monotonic_ns(), data)
        except RunError as error:
            raise self.stopped(error) from error
        if topic in LOOP_TOPICS:
            self.end()

    def stopped(self, error: RunError) -> RunError:
        """What to say when nothing can be written any more."""
        reason = str(error.__cause__.strerror if isinstance(error.__cause__, OSError) else error)
        return RunError(
            f"{self.bag.path}: recording has stopped ({reason}); {self.standing}, all of them safe: "
            "free some space and record again"
        )

    def keep(self, *, ended: bool) -> None:
        """Makes durable what was recorded, and only then says so.

        Raises:
            RunError: the disk is full.
        """
        try:
            if ended:
                self.bag.end_episode()
                self.health.count("episodes")
            else:
                self.bag.sync()
        except RunError as error:
            raise self.stopped(error) from error
        self.show()
        self.get_logger().debug(f"safe: {self.standing}")

    def is_new(self, topic: str, data: bytes) -> bool:
        """Whether the message is not the last one said again."""
        self.heard_at = time.monotonic()
        if self.steps.is_new(topic, data):
            return True
        self.health.count("repeated messages left out")
        self.overview.heard(topic, self.heard_at)
        return False

    def on_loop(self, topic: str) -> Callable[[bytes], None]:
        """What to do with a message of the loop."""
        return lambda data: self.write(topic, data) if self.is_new(topic, data) else None

    def on_further(self, topic: str) -> Callable[[bytes], None]:
        """What to do with a message of a topic that is nothing to us."""
        return lambda data: self.write(topic, data)

    def on_image(self, data: bytes) -> None:
        """An image may begin an episode."""
        if self.is_new(topics.IMAGE, data):
            self.write(topics.IMAGE, data)
            self.tally.image()

    def on_action(self, data: bytes) -> None:
        """An action is recorded within its limits, unless the arm itself says what it executed."""
        if self.count_publishers(topics.ACTION_EXECUTED):
            return
        try:
            message = deserialize_message(data, JointState)
            asked = vector_from(message, ACTION_NAMES, "action")
            action = check_action(asked)
        except SpaceError as error:
            self.refuse("action", error)
            return
        if not self.is_new(topics.ACTION, data):
            return
        if (abs(asked) > 1).any():
            self.health.count("actions clipped")
            data = vector_bytes(ACTION_NAMES, action, nanoseconds(message.header.stamp), message.header.frame_id)
        self.write(topics.ACTION, data)

    def on_executed(self, data: bytes) -> None:
        """What the arm has executed is the bag's action."""
        if self.is_new(topics.ACTION, data):
            self.write(topics.ACTION, data)

    def on_outcome(self, data: bytes) -> None:
        """The episode is durable before anything else is recorded, if this outcome is its last."""
        if not self.is_new(topics.OUTCOME, data):
            return
        self.write(topics.OUTCOME, data)
        try:
            values = vector_from(deserialize_message(data, JointState), OUTCOME_NAMES, "outcome")
            outcome = Outcome.from_vector(values)
        except SpaceError as error:
            self.refuse("outcome", error)
            return
        if self.tally.outcome(done=outcome.done, success=outcome.success, step=outcome.step):
            self.ending = stamp_in(data), time.monotonic()
            self.end()

    def end(self) -> None:
        """Keeps an episode that an outcome has ended, once the image and the action of its last step are here, too."""
        if self.ending is not None:
            stamp, since = self.ending
            # A reset ends an episode with an image that nobody will act on.
            if self.steps.is_complete(stamp) or time.monotonic() - since > LATE:
                self.ending = None
                self.keep(ended=True)

    def on_marker(self, data: bytes) -> None:
        """A marker that somebody else published."""
        word = deserialize_message(data, String).data
        now = time.monotonic()
        self.echoes = [(echo, until) for echo, until in self.echoes if until > now]
        ours = next((item for item in self.echoes if item[0] == word), None)
        if ours is not None:
            self.echoes.remove(ours)
        elif word in MARKERS:
            self.mark(word, data)
        else:
            self.refuse("marker", SpaceError(f"marker {word!r} is not known; publish one of {', '.join(MARKERS)}"))

    # Episodes.

    def mark(self, marker: Marker, data: bytes) -> tuple[bool, str]:
        """Records a marker durably; whether it meant anything, and where the recording stands."""
        if not self.tally.mark(marker):
            self.warn(f"{marker}: no episode is under way; mark its start first")
            return False, f"no episode is under way: mark its start first; {self.standing}"
        self.write(topics.MARKER, data)
        self.keep(ended=marker in ("success", "failure"))
        self.get_logger().info(f"{marker}: {self.standing}")
        return True, self.standing

    def service(self, marker: Marker) -> Callable[[Any, Any], Any]:
        """The service that marks; it answers when the episode is durable."""

        def answer(request: Any, response: Any) -> Any:
            try:
                response.success, response.message = self.mark(marker, string_bytes(marker))
            except RunError as error:
                response.message = str(error)
                raise
            if response.success:
                self.echoes.append((marker, time.monotonic() + ECHO))
                self.markers.publish(String(data=marker))
            return response

        return answer

    # What is shown.

    def adapt(self) -> None:
        """Listens the way that each topic is offered."""
        for ear in self.ears:
            ear.adapt()

    def look(self) -> None:
        """Says what has changed: topics that fall silent or come back, the disk; and now and then how things are."""
        now = time.monotonic()
        for topic, bad, line in self.overview.look(now):
            if bad:
                self.warn(f"{line} ({self.count_publishers(topic)} publish it)" if topic else line)
            else:
                self.get_logger().info(line)
        self.health.facts.update(self.overview.facts())
        if now - self.reported_at >= self.config.report_period and self.bag.messages > self.reported_messages:
            self.reported_at, self.reported_messages = now, self.bag.messages
            self.get_logger().info(f"{self.standing}; {self.overview}")

    def show(self) -> None:
        """Puts the episodes that are safe into the diagnostics."""
        self.standing = str(self.tally)
        tally, facts = self.tally, self.health.facts
        facts["episodes kept"] = str(tally.kept.total())
        facts.update({verdict: str(tally.kept[verdict]) for verdict in ("success", "failure")})
        facts["discarded"] = str(tally.counts["discarded"])

    # The end.

    def settled(self) -> bool:
        """Whether the others' last messages have come."""
        return time.monotonic() - self.heard_at > QUIET

    def close(self) -> None:
        """Completes the bag."""
        self.bag.close()
        self.show()
        if self.bag.messages:
            self.get_logger().info(f"{self.bag.path}: {self.standing}; {self.bag.messages} messages")
        # The step that was under way when the recorder began or ended is nobody's fault.
        if self.tally.outcomes and (lost := self.steps.incomplete - 2) > 0:
            self.warn(f"{self.bag.path}: {lost} steps lack their image, action or outcome; was the machine overloaded?")


def main() -> None:
    """Runs the node."""
    run(RecorderNode)


if __name__ == "__main__":
    main()
