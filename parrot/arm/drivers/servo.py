"""MoveIt Servo: geometry_msgs/TwistStamped in the base frame, `command_in_type: speed_units`, ee_frame the tool link.

Servo goes on with a twist until its `incoming_command_timeout` (0.1 s by default), so twists are repeated faster than
that while the arm moves, and a killed sender moves it no further than the twist leads in that time.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from parrot.arm.drivers.base import NOW, Driver, Message
from parrot.arm.safety import Command
from parrot.errors import ConfigError
from parrot.kinematics import Kinematics
from parrot.sim.config import RobotConfig
from parrot.sim.hardware import DriverConfig

__all__ = ["ServoDriver"]

_TIMEOUT = 0.1
"""Servo's default `incoming_command_timeout`, seconds."""

_STILL = np.array([5e-4] * 3 + [2e-3] * 3)
"""Metres and radians within which the arm is where it should be: twists of the sensors' noise would only shake it."""


class ServoDriver(Driver):
    """Twists towards the target; zero ones where it is reached, and then silence, on which Servo halts.

    A zero twist makes some versions of Servo repeat an old set point, so they end once Servo has surely heard one.
    """

    def __init__(self, robot: RobotConfig, config: DriverConfig, kinematics: Kinematics) -> None:
        super().__init__(robot, config, kinematics)
        if not config.frame:
            raise ConfigError(f"robot {robot.name}: driver servo needs frame: the name of the base link in its URDF")
        if config.hz * _TIMEOUT < 2:
            raise ConfigError(
                f"robot {robot.name}: driver hz is {config.hz:g}; Servo halts {_TIMEOUT} s after a command, "
                f"so give at least {2 / _TIMEOUT:.0f}"
            )
        self.hz = config.hz
        self._offset = np.array(robot.tool_offset)
        self._zeros = math.ceil(config.hz * _TIMEOUT)
        self._left = 0

    def arm(self, command: Command) -> list[Message]:
        """The twist, or nothing."""
        way = self._displacement(command)
        moves = bool((np.abs(way) > _STILL).any())
        self._left = self._zeros if moves else self._left - 1
        if self._left < 0:
            return []
        speed = (way / max(command.seconds, self.calm) if moves else np.zeros(6)).tolist()
        linear, angular = (dict(zip("xyz", part, strict=True)) for part in (speed[:3], speed[3:]))
        header = {"stamp": NOW, "frame_id": self.config.frame}
        fields = {"header": header, "twist": {"linear": linear, "angular": angular}}
        return [Message(self.config.command, "geometry_msgs/msg/TwistStamped", fields)]

    def _displacement(self, command: Command) -> NDArray[np.float64]:
        """(6,): of the tool link's origin in metres, and the rotation vector of its turn, in the base frame."""
        (start, before), (end, after) = (self.kinematics.forward(q) for q in (command.measured, command.joints))
        way = (end - after @ self._offset) - (start - before @ self._offset)
        return np.concatenate([way, Rotation.from_matrix(after @ before.T).as_rotvec()])
