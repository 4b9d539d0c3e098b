"""Looks at a graph without touching it, for `parrot doctor`: a node that has subscriptions and nothing else.

It publishes nothing and calls nothing, so whatever is wrong, looking cannot move an arm.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import String

from parrot.arm.description import description_topic
from parrot.arm.doctor.seen import Endpoint, JointSample, Picture, Seen, Topic, full
from parrot.data.rosbag.images import to_rgb
from parrot.errors import SpaceError
from parrot.nodes import topics
from parrot.nodes.description import LATCHED
from parrot.nodes.messages import nanoseconds
from parrot.observe import observe
from parrot.sim.config import RobotConfig

__all__ = ["NAME", "Doctor", "look"]

NAME = "parrot_doctor"

SENSES = QoSProfile(depth=500, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Of what is listened to as it comes, from whoever publishes it, however reliably."""

DISCOVERY = 1.5
"""Seconds that driver and camera may take to be found, before what comes is counted."""

GRAPH_TOPICS = ("/parameter_events", "/rosout")
"""Every node's own."""


class Doctor(Node):
    """Subscriptions to joint states, camera, clock, URDF and diagnostics, and what came by them."""

    def __init__(self, robot: RobotConfig, context: Context) -> None:
        super().__init__(NAME, context=context, start_parameter_services=False, enable_rosout=False)
        self.robot = robot
        self.joints: list[JointSample] = []
        self.pictures: list[Picture] = []
        self.view: NDArray[np.uint8] | None = None
        self.clock: list[int] = []
        self.description = ""
        self.status: dict[str, dict[str, str]] = {}
        self.create_subscription(Clock, topics.CLOCK, self._on_clock, SENSES)
        self.create_subscription(String, description_topic(robot), self._on_description, LATCHED)
        self.create_subscription(DiagnosticArray, topics.DIAGNOSTICS, self._on_status, 10)

    def begin(self) -> None:
        """Subscribes to what is counted; the camera as reliably as it publishes, as camera_node does."""
        if self.robot.driver is not None:
            self.create_subscription(JointState, self.robot.driver.joint_states, self._on_joints, SENSES)
        if self.robot.camera is not None:
            name = self.robot.camera.topic
            kind = CompressedImage if name.endswith("/compressed") else Image
            offers = self.get_publishers_info_by_topic(name)
            reliable = bool(offers) and all(_reliable(offer) for offer in offers)
            self.create_subscription(
                kind, name, self._on_picture, topics.SENSOR if reliable else qos_profile_sensor_data
            )

    def found(self) -> bool:
        """Whether driver and camera have been discovered."""
        driver, camera = self.robot.driver, self.robot.camera
        names = ([driver.joint_states] if driver else []) + ([camera.topic] if camera else [])
        return all(self.count_publishers(name) for name in names)

    def _on_clock(self, message: Clock) -> None:
        self.clock.append(nanoseconds(message.clock))

    def _on_description(self, message: String) -> None:
        self.description = message.data

    def _on_status(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.status[status.name] = {item.key: item.value for item in status.values}

    def _on_joints(self, message: JointState) -> None:
        heard, wall = time.monotonic(), time.time_ns()
        self.joints.append(
            JointSample(heard, wall, nanoseconds(message.header.stamp), tuple(message.name), tuple(message.position))
        )

    def _on_picture(self, message: Any) -> None:
        heard, wall = time.monotonic(), time.time_ns()
        encoding = message.encoding if isinstance(message, Image) else message.format
        size, digest, error = (0, 0), 0, ""
        if isinstance(message, Image):
            size = (message.width, message.height)
        assert self.robot.camera is not None
        try:
            self.view = to_rgb(message)
            size = (self.view.shape[1], self.view.shape[0])
            digest = hash(observe(self.view, self.robot.camera.crop).tobytes())
        except (SpaceError, ValueError, MemoryError) as problem:
            error = str(problem)
        self.pictures.append(Picture(heard, wall, nanoseconds(message.header.stamp), encoding, size, digest, error))

    def seen(self, seconds: float) -> Seen:
        """All that was seen, and the graph as it is now."""
        found = {name: self._topic(name) for name, _ in self.get_topic_names_and_types() if name not in GRAPH_TOPICS}
        return Seen(
            seconds=seconds,
            nodes=tuple(name for name, _ in self.get_node_names_and_namespaces() if name != NAME),
            topics=found,
            services={full(name): tuple(types) for name, types in self.get_service_names_and_types()},
            joints=tuple(self.joints),
            pictures=tuple(self.pictures),
            view=self.view,
            clock=tuple(self.clock),
            description=self.description,
            status=self.status,
        )

    def _topic(self, name: str) -> Topic:
        def ends(infos: list[TopicEndpointInfo]) -> tuple[Endpoint, ...]:
            return tuple(Endpoint(i.node_name, i.topic_type, _reliable(i)) for i in infos if i.node_name != NAME)

        return Topic(ends(self.get_publishers_info_by_topic(name)), ends(self.get_subscriptions_info_by_topic(name)))


def _reliable(info: TopicEndpointInfo) -> bool:
    return bool(info.qos_profile.reliability == ReliabilityPolicy.RELIABLE)


def look(
    robot: RobotConfig, seconds: float, domain: int | None = None, watch: Callable[[Doctor], object] | None = None
) -> Seen:
    """What is to be seen of the graph in so many seconds, besides the moment that finding it takes.

    Args:
        robot: Whose topics to listen to.
        seconds: How long.
        domain: ROS domain; default: that of the environment.
        watch: Called again and again while it listens.
    """
    context = Context()
    rclpy.init(args=[], context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = Doctor(robot, context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)

        def listen(enough: Callable[[], bool], longest: float) -> None:
            begin = time.monotonic()
            while not enough() and time.monotonic() - begin < longest:
                executor.spin_once(timeout_sec=0.05)
                if watch is not None:
                    watch(node)

        try:
            listen(node.found, DISCOVERY)
            node.begin()
            listen(lambda: False, seconds)
            return node.seen(seconds)
        finally:
            executor.shutdown()
            node.destroy_node()
    finally:
        context.try_shutdown()
