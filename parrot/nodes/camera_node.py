"""A lab's camera to the observation: whatever size, encoding and compression it has, 48x48 rgb8 with its own stamp."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from rclpy.qos import ReliabilityPolicy, qos_profile_sensor_data
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image

from parrot.data.rosbag.images import to_rgb
from parrot.errors import ConfigError, SpaceError
from parrot.nodes import topics
from parrot.nodes.base import run
from parrot.nodes.lifecycle import ManagedNode
from parrot.nodes.messages import image_message, nanoseconds
from parrot.nodes.parameters import Range
from parrot.observe import observe
from parrot.sim.config import load_robot

__all__ = ["CameraNode", "CameraNodeConfig", "main"]

SLACK = 0.8
"""Share of the period between two observations after which a picture is taken: cameras are never quite on time."""

REPEAT = 2.0
"""Seconds between two warnings."""

STARTING = 4.0
"""Seconds of silence more that are forgiven before the first picture."""


@dataclass(frozen=True)
class CameraNodeConfig:
    """Parameters of camera_node."""

    robot: str = "xarm6"
    """The robot, a name in config/robots or the path of a YAML file, whose section `camera` names topic and crop."""
    topic: str = ""
    """The camera's topic; empty: the robot's."""
    encoding: Literal["auto", "raw", "compressed"] = "auto"
    """sensor_msgs/Image or CompressedImage; auto: the latter where the topic's name ends in /compressed."""
    crop: str = ""
    """x, y, width, height in pixels, or as shares if none is above 1, e.g. "80, 0, 480, 480"; empty: the robot's."""
    rate: Annotated[float, Range(0.0, 120.0)] = 0.0
    """Observations per second at most; 0: three for each control step. Pictures beyond are not even unpacked."""
    silence: Annotated[float, Range(0.05, 60.0)] = 1.0
    """Seconds without a picture after which the node warns."""
    frozen: Annotated[float, Range(0.1, 60.0)] = 1.0
    """Seconds of the very same picture after which the node warns; arm_node stops the arm by its own limit."""
    autostart: bool = True
    """Configure and activate the node at once, rather than wait for `ros2 lifecycle`."""


class CameraNode(ManagedNode[CameraNodeConfig]):
    """Unpacks only the pictures that it uses. A picture that cannot be used is counted, told, and left out."""

    NAME = "camera_node"
    CONFIG = CameraNodeConfig

    def __init__(self) -> None:
        super().__init__()
        self.autostart()

    def configure(self) -> None:
        """Finds out about topic, encoding and crop.

        Raises:
            ConfigError: the robot has no camera and no topic is given, or the crop is none.
        """
        config, robot = self.config, load_robot(self.config.robot)
        topic = config.topic or (robot.camera.topic if robot.camera else "")
        if not topic:
            raise ConfigError(f"robot {robot.name} names no camera; give the parameter topic, or `camera:` in its YAML")
        self.crop = parse_crop(config.crop) if config.crop else robot.camera.crop if robot.camera else None
        self.period = 1 / (config.rate or 3 * robot.control_hz)
        compressed = topic.endswith("/compressed") if config.encoding == "auto" else config.encoding == "compressed"
        self.kind = CompressedImage if compressed else Image
        self.due = self.heard_at = self.told_at = time.monotonic()
        self.changed_at, self.digest = time.monotonic(), 0
        self.observations = self.create_publisher(Image, topics.OBSERVATION, topics.NEWEST)
        self.topic = self.resolve_topic_name(topic)
        self.reliable = False
        self.hear()
        self.every(0.5, self.watch)
        self.get_logger().info(f"{self.topic} ({self.kind.__name__}), crop {self.crop or 'middle square'}")

    def activate(self) -> None:
        """Begins to count silence from here."""
        self.heard_at = self.changed_at = time.monotonic()

    def hear(self) -> None:
        """Subscribes, reliably if all who publish offer that."""
        qos = topics.SENSOR if self.reliable else qos_profile_sensor_data
        # Not unpacked by the executor: most pictures are not used.
        self.pictures = self.create_subscription(self.kind, self.topic, self.guarded(self.on_picture), qos, raw=True)

    def on_picture(self, data: bytes) -> None:
        """Publishes what is seen, if it is time for it."""
        now = time.monotonic()
        self.heard_at = now
        self.health.count("pictures")
        if not self.active or now < self.due:
            return
        self.due = now + SLACK * self.period
        try:
            message: Any = deserialize_message(data, self.kind)
            image = observe(to_rgb(message), self.crop)
        except (SpaceError, ValueError, MemoryError) as error:
            told = error if isinstance(error, SpaceError) else SpaceError(f"picture cannot be read: {error}")
            self.refuse("picture", told)
            return
        if (digest := hash(image.tobytes())) != self.digest:
            self.digest, self.changed_at = digest, now
        if not (stamp := nanoseconds(message.header.stamp)):
            self.health.count("pictures without a stamp")
            stamp = self.get_clock().now().nanoseconds
        found = image_message(image, stamp)
        found.header.frame_id = message.header.frame_id
        self.observations.publish(found)
        self.health.count("observations")
        self.health.took("observe", time.monotonic() - now)

    def watch(self) -> None:
        """Says so if the camera is silent or frozen; subscribes as the camera publishes."""
        now, offers = time.monotonic(), self.get_publishers_info_by_topic(self.topic)
        reliable = bool(offers) and all(o.qos_profile.reliability == ReliabilityPolicy.RELIABLE for o in offers)
        if reliable != self.reliable:
            self.reliable = reliable
            self.destroy_subscription(self.pictures)
            self.hear()
        if not self.active or now - self.told_at < REPEAT:
            return
        # A driver that is started at the same time takes a while.
        patience = self.config.silence + (0.0 if self.health.counts["pictures"] else STARTING)
        if now - self.heard_at > patience:
            wrong = {offer.topic_type for offer in offers} - {f"sensor_msgs/msg/{self.kind.__name__}"}
            reason = f"it is published as {', '.join(sorted(wrong))}" if wrong else f"{len(offers)} nodes publish it"
            self.health.count("silences")
            self.warn(
                f"no picture on {self.topic} for {now - self.heard_at:.1f} s ({reason}); is the camera's driver up?"
            )
        elif now - self.changed_at > self.config.frozen and self.health.counts["observations"]:
            self.health.count("freezes")
            self.warn(f"the picture on {self.topic} has not changed for {now - self.changed_at:.1f} s; is it frozen?")
        else:
            return
        self.told_at = now


def parse_crop(words: str) -> tuple[float, ...]:
    """The four numbers in a text.

    Raises:
        ConfigError: they are not four numbers.
    """
    try:
        found = tuple(float(word) for word in words.strip("[]() ").split(","))
    except ValueError:
        found = ()
    if len(found) != 4:
        raise ConfigError(f"crop {words!r}: give x, y, width, height, as in '80, 0, 480, 480'")
    return found


def main() -> None:
    """Runs the node."""
    run(CameraNode)


if __name__ == "__main__":
    main()
