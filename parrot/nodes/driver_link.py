"""Between the safety core and an arm's driver: joint states come in, and what the core lets out goes to the wire.

Drivers (parrot.arm.drivers) speak of topics, types and fields; here these become messages. Types that are not among the
common interfaces are imported when a driver asks for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rclpy.client import Client
from rclpy.duration import Duration
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState

from parrot.arm.description import describe, description_topic
from parrot.arm.drivers import Message, make_driver
from parrot.arm.drivers.types import fill, type_named
from parrot.arm.limits import Limits
from parrot.arm.safety import FAULTS, Command, SafetyCore
from parrot.nodes.base import GraphNode
from parrot.nodes.description import read_description
from parrot.rotations import DOWN

if TYPE_CHECKING:
    from parrot.sim.config import RobotConfig

__all__ = ["DriverLink"]


class DriverLink:
    """One arm on the wire. Nothing is sent but what the safety core lets out.

    Args:
        node: Whose publishers and subscriptions these are.
        robot: The arm.
        description_timeout: Seconds to look for a published URDF, once the driver publishes joint states.

    Raises:
        ConfigError: the robot has no driver, its messages are not installed, or the published URDF is another arm's.
    """

    def __init__(self, node: GraphNode[Any], robot: RobotConfig, description_timeout: float) -> None:
        self._node, self.robot = node, robot
        self.topic = node.resolve_topic_name(make_driver(robot).states)
        published = read_description(node, description_topic(robot), description_timeout, self.topic)
        kinematics, taken, note = describe(robot, published)
        node.health.facts["kinematics"] = note
        if taken or not published:
            node.get_logger().info(f"kinematics: {note}")
        else:
            node.warn(f"kinematics: {note}")
        self.core = SafetyCore(Limits.of(robot), kinematics)
        self.driver = make_driver(robot, kinematics)
        self.home = kinematics.inverse(np.array(robot.home.position), DOWN, np.array(robot.home.joints))
        self.joints: NDArray[np.float64] | None = None
        """Of the arm, newest, radians."""
        self.states: JointState | None = None
        """The newest message about joints, all of them."""
        self.fault = FAULTS[1]
        """Why the arm is stopped; empty: it may move."""
        self._repeat = 0.9 / self.driver.hz  # a little early, since the ticks do not fall upon it
        self._outlets: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {}
        self._sent: tuple[float, Command] | None = None
        # On a driver of its own: what is not installed shows before anything moves, and publishers are found by then.
        probe = Command(self.home, self.home, self.core.limits.gripper[1], self.core.limits.period, "")
        for message in make_driver(robot, kinematics).messages(probe):
            self._outlet(message)
        for message in self.driver.setup():
            self._post(message)
        node.listen(JointState, self.topic, self._on_joints, qos=qos_profile_sensor_data)

    def _on_joints(self, message: JointState) -> None:
        found = self.driver.joints(self.driver.states, {"name": message.name, "position": message.position})
        if found is None:  # of other joints: some drivers publish the gripper's apart
            return
        self.joints, self.states = np.asarray(found, np.float64), message
        self.core.observe(self.joints, time.monotonic())

    def tick(self) -> str:
        """Sends a hold at once if one is due, and the standing command as often as the driver needs it.

        Returns:
            Why the arm is stopped; empty if it may move.
        """
        now = time.monotonic()
        command = self.core.tick(now)
        self.fault = "no joint states yet" if command is None else command.reason if command.reason in FAULTS else ""
        if command is not None and (self._sent is None or self._news(command) or now - self._sent[0] >= self._repeat):
            self.send(command)
        return self.fault

    def _news(self, command: Command) -> bool:
        assert self._sent is not None
        last = self._sent[1]
        return command.reason != last.reason or bool((command.joints != last.joints).any())

    def act(self, action: NDArray[np.float64]) -> NDArray[np.float64]:
        """Executes an action (7,) as far as the limits allow; returns what that was, as an action."""
        self.send(self.core.act(action, time.monotonic()))
        scale, done = self.robot.action_scale, action.copy()
        done[:6] = self.core.advanced / np.repeat([scale.translation, scale.rotation], 3)
        return np.clip(done, -1.0, 1.0)

    def send(self, command: Command | None) -> None:
        """Puts the command on the wire."""
        if command is None:
            return
        self._sent = (time.monotonic(), command)
        for message in self.driver.messages(command):
            self._post(message)

    def _outlet(self, message: Message) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
        """What makes an empty message or request of this type, and what sends it there."""
        topic, cls = message.topic, type_named(message.type)
        if topic not in self._outlets:
            if "/srv/" in message.type:
                self._outlets[topic] = (cls.Request, self._caller(self._node.create_client(cls, topic)))
            else:
                self._outlets[topic] = (cls, self._node.create_publisher(cls, topic, 10).publish)
        return self._outlets[topic]

    def _caller(self, client: Client) -> Callable[[Any], None]:
        """Calls the service without waiting for its answer, if it is there: drivers repeat what they ask for."""

        def call(request: Any) -> None:
            if client.service_is_ready():
                client.call_async(request)
            else:
                self._node.health.count(f"calls of {client.srv_name} that nobody heard")

        return call

    def _post(self, message: Message) -> None:
        """Publishes the message, or calls the service."""
        empty, send = self._outlet(message)
        send(fill(empty(), message.fields, self._node.get_clock().now().to_msg()))

    def at_home(self, tolerance: float) -> bool:
        """Whether every joint is within so many radians of home."""
        return self.joints is not None and bool((np.abs(self.joints - self.home) <= tolerance).all())

    def close(self) -> None:
        """Sends a hold, and waits until it has arrived."""
        self.core.estop(time.monotonic())
        self.tick()
        for publisher in list(self._node.publishers):
            if publisher.topic_name in {self._node.resolve_topic_name(topic) for topic in self._outlets}:
                publisher.wait_for_all_acked(Duration(seconds=0.5))
