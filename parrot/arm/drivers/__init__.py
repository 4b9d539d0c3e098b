"""Drivers of real arms: a command of the safety core in the messages of a driver, and its joint states back.

Pure translation: nothing here decides anything, has a clock, or imports ROS. Messages are topic (or service), type and
fields; `parrot.arm.drivers.types` makes ROS messages of them.
"""

from __future__ import annotations

from parrot.arm.drivers.base import NOW, Driver, Message
from parrot.arm.drivers.interbotix import InterbotixDriver
from parrot.arm.drivers.joint_trajectory import JointTrajectoryDriver
from parrot.arm.drivers.servo import ServoDriver
from parrot.arm.drivers.xarm import XArmDriver
from parrot.errors import ConfigError
from parrot.kinematics import Kinematics
from parrot.sim.config import RobotConfig

__all__ = ["NOW", "Driver", "Message", "make_driver"]

_DRIVERS: dict[str, type[Driver]] = {
    "joint_trajectory": JointTrajectoryDriver,
    "servo": ServoDriver,
    "xarm": XArmDriver,
    "interbotix": InterbotixDriver,
}


def make_driver(robot: RobotConfig, kinematics: Kinematics | None = None) -> Driver:
    """The translation that the robot's YAML names; `kinematics` saves reading the URDF again.

    Example:
        >>> from parrot.sim.config import load_robot
        >>> make_driver(load_robot("emulated")).states
        '/emulated/joint_states'

    Raises:
        ConfigError: the YAML has no driver, or one that does not fit the arm.
    """
    if robot.driver is None:
        raise ConfigError(f"robot {robot.name} has no section driver in its YAML; config/robots/xarm6.yaml shows one")
    return _DRIVERS[robot.driver.kind](robot, robot.driver, kinematics or Kinematics.of(robot))
