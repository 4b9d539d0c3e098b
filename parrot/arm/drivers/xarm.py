"""UFACTORY's xarm_api: joint velocities on its topic vc_set_joint_velocity, each with the time after which it ends.

The topic has to be enabled (`services.vc_set_joint_velocity` among xarm_driver's parameters), and the controller's
firmware to be 1.8 or later: older ones do not end a velocity by themselves.
"""

from __future__ import annotations

import numpy as np

from parrot.arm.drivers.base import Driver, Message
from parrot.arm.safety import Command
from parrot.kinematics import Kinematics
from parrot.sim.config import RobotConfig
from parrot.sim.hardware import DriverConfig

__all__ = ["XArmDriver"]

_VELOCITY_MODE, _READY = 4, 0
"""Numbers of xArm's modes and states."""

_STILL = 1e-3
"""Radians within which a joint is where it should be."""


class XArmDriver(Driver):
    """Velocities that end where the command ends."""

    def __init__(self, robot: RobotConfig, config: DriverConfig, kinematics: Kinematics) -> None:
        super().__init__(robot, config, kinematics)
        self.hz = config.hz

    def setup(self) -> list[Message]:
        """Joint velocity mode."""
        place = self.config.command.rpartition("/")[0]
        return [
            Message(f"{place}/set_mode", "xarm_msgs/srv/SetInt16", {"data": _VELOCITY_MODE}),
            Message(f"{place}/set_state", "xarm_msgs/srv/SetInt16", {"data": _READY}),
        ]

    def arm(self, command: Command) -> list[Message]:
        """The velocities, rad/s, zero where the arm is to hold."""
        way = command.joints - command.measured
        way = np.where(np.abs(way) > _STILL, way, 0.0)
        seconds = max(command.seconds, self.calm)
        fields = {
            "speeds": (way / seconds).tolist(),
            "is_sync": True,
            "is_tool_coord": False,
            "duration": seconds,
        }
        return [Message(self.config.command, "xarm_msgs/msg/MoveVelocity", fields)]
