"""Between the safety core and an arm's driver: joint states come in, and what the core lets out goes to the wire.

Drivers (parrot.arm.drivers) speak of topics, types and fields; here these become messages. Types that are not among the
common interfaces are imported when a driver asks for them.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState

from parrot.arm.drivers import make_driver
from parrot.arm.limits import Limits
from parrot.arm.safety import FAULTS, Command, SafetyCore
from parrot.errors import ConfigError, SpaceError
from parrot.kinematics import Kinematics
from parrot.nodes.base import GraphNode
from parrot.rotations import DOWN

if TYPE_CHECKING:
    from parrot.sim.config import RobotConfig

__all__ = ["DriverLink", "filled"]


class DriverLink:
    """One arm on the wire. Nothing is sent but what the safety core lets out.

    Raises:
        ConfigError: the robot has no driver, or its messages are not installed.
    """

    def __init__(self, node: GraphNode[Any], robot: RobotConfig) -> None:
        if robot.driver is None:
            raise ConfigError(f"robot {robot.name} names no driver; give its YAML a section `driver:`, or robot:=emulated")
        self._node, self.robot = node, robot
        kinematics = Kinematics.of(robot)
        self.core = SafetyCore(Limits.of(robot), kinematics)
        self.driver = make_driver(robot)
        self.home = kinematics.inverse(np.array(robot.home.position), DOWN, np.array(robot.home.joints))
        self.joints: NDArray[np.float64] | None = None
        """Of the arm, newest, radians."""
        self.states: JointState | None = None
        """The newest message about joints, all of them."""
        self.fault = FAULTS[1]
        """Why the arm is stopped; empty: it may move."""
        self._outlets: dict[str, Any] = {}
        self.topic = node.resolve_topic_name(robot.driver.joint_states)
        node.listen(JointState, self.topic, self._on_joints, qos=qos_profile_sensor_data)

    def _on_joints(self, message: JointState) -> None:
        try:
            found = self.driver.joints(list(message.name), list(message.position))
        except SpaceError as error:
            self._node.refuse("joint states", error)
            return
        if found is None:  # of other joints: some drivers publish the gripper's apart
            return
        self.joints, self.states = np.asarray(found, np.float64), message
        self.core.observe(self.joints, time.monotonic())

    def tick(self) -> str:
        """Repeats the standing command, or sends a hold; why the arm is stopped, empty if it may move."""
        command = self.core.tick(time.monotonic())
        self.fault = "no joint states yet" if command is None else command.reason if command.reason in FAULTS else ""
        self.send(command)
        return self.fault

    def send(self, command: Command | None) -> None:
        """Puts the command on the wire."""
        if command is None:
            return
        for topic, kind, fields in self.driver.messages(command):
            self._outlet(topic, kind)(filled(kind, fields))

    def _outlet(self, topic: str, kind: str) -> Any:
        """What sends a message of this type there: a publisher, or a service that is not waited for."""
        if topic not in self._outlets:
            cls = imported(kind)
            if "/srv/" in kind:
                self._outlets[topic] = self._node.create_client(cls, topic).call_async
            else:
                self._outlets[topic] = self._node.create_publisher(cls, topic, 10).publish
        return self._outlets[topic]

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


def imported(kind: str) -> Any:
    """The class of a type, `package/msg/Name` or `package/srv/Name`.

    Raises:
        ConfigError: its package is not installed.
    """
    package, group, name = kind.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.{group}"), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"the driver's message type {kind} is not installed ({error}); build or install the ROS package {package}"
        ) from error


def filled(kind: str, fields: Mapping[str, Any]) -> Any:
    """A message (or a service's request) of this type with these fields; messages within are mappings, too."""
    cls = imported(kind)
    cls = cls.Request if "/srv/" in kind else cls
    return _filled(cls, fields)


def _filled(cls: Any, fields: Mapping[str, Any]) -> Any:
    kinds = cls.get_fields_and_field_types()
    return cls(**{name: _value(kinds[name], value) for name, value in fields.items()})


def _value(kind: str, value: Any) -> Any:
    """One field: `double`, `sequence<double>`, `package/Name` or `sequence<package/Name>`."""
    inner = kind[len("sequence<") : -1].partition(",")[0] if kind.startswith("sequence<") else kind
    if "/" not in inner:
        return value
    package, name = inner.split("/")
    cls = imported(f"{package}/msg/{name}")
    if inner is kind:
        return _filled(cls, value) if isinstance(value, Mapping) else value
    return [_filled(cls, item) if isinstance(item, Mapping) else item for item in value]
