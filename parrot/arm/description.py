"""Which URDF an arm's kinematics come from: the one that its driver publishes, where that fits the robot's YAML.

The driver's own `robot_description` knows best where the links of this very arm are (some drivers put calibrated
lengths into it); the file of the YAML says what is meant by base and tool, and how far the joints may go at most.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from parrot.errors import ConfigError
from parrot.kinematics import Kinematics
from parrot.sim.config import RobotConfig

__all__ = ["Described", "describe", "description_topic"]

AGREE = 0.02
"""Metres by which the tool point may differ between both URDFs: calibration is millimetres, another gripper is more."""

PLACES = 25
"""Of the joints, at which both are compared."""


class Described(NamedTuple):
    """An arm's kinematics and where they are from."""

    kinematics: Kinematics
    published: bool
    """Whether they are those of the published URDF."""
    note: str
    """What to know about that, for a person."""


def description_topic(robot: RobotConfig) -> str:
    """Where the robot's driver publishes its URDF: as its YAML says, else beside the joint states.

    Example:
        >>> from parrot.sim.config import load_robot
        >>> description_topic(load_robot("wx250s")), description_topic(load_robot("xarm6"))
        ('/wx250s/robot_description', '/robot_description')
    """
    if robot.driver is None:
        return "/robot_description"
    return robot.driver.description or f"{robot.driver.joint_states.rpartition('/')[0]}/robot_description"


def describe(robot: RobotConfig, published: str) -> Described:
    """The kinematics of the published URDF, with the tighter joint limits of both; of the file if that has none of it.

    Args:
        robot: The robot's YAML.
        published: The URDF's text; empty if none is published.

    Raises:
        ConfigError: the file cannot be used, or both disagree about where the tool is: one of them is not this arm's.
    """
    own = Kinematics.of(robot)
    if not published:
        return Described(own, False, f"no robot_description is published; {robot.urdf} counts")
    joints = robot.arm_joints if robot.driver is None else robot.driver.joints or robot.arm_joints
    try:
        found = Kinematics(published, joints, robot.tool_link, robot.tool_offset, own.base)
    except ConfigError as error:
        return Described(own, False, f"{error}; {robot.urdf} counts")
    apart = max(float(np.linalg.norm(own.forward(q)[0] - found.forward(q)[0])) for q in _places(robot, own))
    if apart > AGREE:
        raise ConfigError(
            f"robot {robot.name}: robot_description puts the tool point up to {apart * 1000:.0f} mm away from where "
            f"{robot.urdf} does; correct urdf or tool_link in its YAML, or what the driver is started with"
        )
    found.lower, found.upper = np.maximum(own.lower, found.lower), np.minimum(own.upper, found.upper)
    found.speed = np.minimum(own.speed, found.speed)
    return Described(found, True, f"robot_description, within {apart * 1000:.1f} mm of {robot.urdf}")


def _places(robot: RobotConfig, arm: Kinematics) -> list[NDArray[np.float64]]:
    """Home's joints, and some all over what the joints may do; always the same."""
    rng = np.random.default_rng(0)
    lower, upper = np.maximum(arm.lower, -np.pi), np.minimum(arm.upper, np.pi)
    return [np.array(robot.home.joints), *rng.uniform(lower, upper, (PLACES, len(lower)))]
