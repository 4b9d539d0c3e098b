"""What all drivers share: names, joint states, the gripper."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parrot.arm.safety import Command
from parrot.errors import ConfigError
from parrot.kinematics import Kinematics
from parrot.sim.config import RobotConfig
from parrot.sim.hardware import DriverConfig, GripperCommand

__all__ = ["AT_ONCE", "NOW", "Driver", "Message", "duration"]

NOW = "now"
"""As a stamp: the moment of sending."""

AT_ONCE = {"sec": 0, "nanosec": 0}
"""The stamp that means "start when this arrives"."""

_GRIPPER_REPEAT = 1.0
"""Seconds after which the gripper's command is sent again though it has not changed, for a driver that started late."""


class Message(NamedTuple):
    """One message, or a request to a service, whose type then has /srv/ in its name."""

    topic: str
    type: str
    fields: dict[str, Any]


class Driver:
    """Commands to messages, joint states to joints. It remembers only what it said last."""

    hz: float
    """How often the standing command has to be sent."""
    calm: float
    """Seconds over which drivers of velocities spread what is left of a way; in less the arm would hunt for its end."""

    def __init__(self, robot: RobotConfig, config: DriverConfig, kinematics: Kinematics) -> None:
        if config.joints and len(config.joints) != len(robot.arm_joints):
            raise ConfigError(
                f"robot {robot.name}: driver joints {', '.join(config.joints)} are {len(config.joints)}; "
                f"give the driver's names of {', '.join(robot.arm_joints)}, or leave them out"
            )
        if not 1 <= config.hz <= 1000:
            raise ConfigError(f"robot {robot.name}: driver hz is {config.hz:g}; give 1 to 1000")
        if config.gripper is not None:
            _check_gripper(robot.name, config.gripper)
        self.config, self.kinematics = config, kinematics
        self.period = 1 / robot.control_hz
        self.calm = self.period / 2
        self.names = config.joints or robot.arm_joints
        self.states = config.joint_states
        self.hz = robot.control_hz
        self._said: float | None = None
        self._since = 0

    def setup(self) -> list[Message]:
        """Requests to services before the first command."""
        return []

    def messages(self, command: Command) -> list[Message]:
        """What to send for a command of the safety core."""
        return [*self.arm(command), *self._gripper(command)]

    def arm(self, command: Command) -> list[Message]:
        """What to send to the arm's joints."""
        raise NotImplementedError

    def joints(self, topic: str, fields: Mapping[str, Any]) -> NDArray[np.float64] | None:
        """The arm's joints (J,) in a JointState's `name` and `position`; None: it is not about all of them."""
        if topic != self.states or len(fields["name"]) > len(fields["position"]):
            return None
        places = dict(zip(fields["name"], fields["position"], strict=False))
        if not all(name in places for name in self.names):
            return None
        return np.array([places[name] for name in self.names], dtype=np.float64)

    def _gripper(self, command: Command) -> list[Message]:
        how, opening = self.config.gripper, command.gripper
        if how is None or opening is None:
            return []
        self._since += 1
        if opening == self._said and self._since < _GRIPPER_REPEAT * self.hz:
            return []
        self._said, self._since = opening, 0
        return [_gripper_message(how, how.closed + opening * (how.open - how.closed), self.period)]


def _check_gripper(robot: str, how: GripperCommand) -> None:
    if not (math.isfinite(how.open) and math.isfinite(how.closed) and how.open != how.closed):
        raise ConfigError(f"robot {robot}: gripper opens at {how.open:g}, closes at {how.closed:g}; give two numbers")
    if how.kind in ("joint_trajectory", "joint_single") and not how.joint:
        raise ConfigError(f"robot {robot}: gripper {how.kind} needs joint: the driver's name of the gripper's joint")


def _gripper_message(how: GripperCommand, value: float, period: float) -> Message:
    if how.kind == "joint_trajectory":
        point = {"positions": [value], "time_from_start": duration(period)}
        fields = {"header": {"stamp": AT_ONCE, "frame_id": ""}, "joint_names": [how.joint], "points": [point]}
        return Message(how.topic, "trajectory_msgs/msg/JointTrajectory", fields)
    if how.kind == "float64_multi_array":
        return Message(how.topic, "std_msgs/msg/Float64MultiArray", {"data": [value]})
    if how.kind == "joint_single":
        return Message(how.topic, "interbotix_xs_msgs/msg/JointSingleCommand", {"name": how.joint, "cmd": value})
    return Message(how.topic, "xarm_msgs/srv/GripperMove", {"pos": value, "wait": False, "timeout": 10.0})


def duration(seconds: float) -> dict[str, int]:
    """builtin_interfaces/Duration.

    Example:
        >>> duration(0.1)
        {'sec': 0, 'nanosec': 100000000}
    """
    nanoseconds = round(seconds * 1e9)
    return {"sec": nanoseconds // 10**9, "nanosec": nanoseconds % 10**9}
