"""What a robot's YAML says about the real arm: its sections `safety:`, `driver:` and `camera:`.

`config/robots/xarm6.yaml` explains every field. Types and names are checked here; what the safety limits may be is
checked where they are used, in `parrot.arm.limits`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["CameraSource", "DriverConfig", "GripperCommand", "SafetyConfig", "SpeedCaps", "StepCaps"]


@dataclass(frozen=True)
class StepCaps:
    """How far one action may move the commanded pose."""

    translation: float = 0.05
    """Metres, length of the displacement."""
    rotation: float = 0.30
    """Radians, length of (roll, pitch, yaw)."""


@dataclass(frozen=True)
class SpeedCaps:
    """How fast a command may move the arm away from where it is measured to be."""

    linear: float = 0.25
    """Of the tool point, m/s."""
    angular: float = 1.0
    """Of the tool, rad/s."""
    joint: float = 1.0
    """Of each joint, rad/s (m/s of a slide); the URDF's own limit holds, too."""


@dataclass(frozen=True)
class SafetyConfig:
    """Limits between the policy and the driver. What is left out has the cautious value here; none can be left off."""

    step: StepCaps = field(default_factory=StepCaps)
    speed: SpeedCaps = field(default_factory=SpeedCaps)
    joint_margin: float = 0.05
    """Radians that each joint keeps from its limits in the URDF."""
    joints: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Ranges (rad) that joints keep to inside the URDF's, by name: they keep a wrist from turning over."""
    singularity: float = 0.02
    """The Jacobian's smallest singular value (metres, radians) never falls below."""
    watchdog: int = 3
    """Control periods without an action after which the arm holds."""
    joints_stale: float = 0.2
    """Seconds without joint states after which the arm stops."""
    camera_stale: float = 0.5
    """Seconds without a new picture after which the arm stops."""
    camera_frozen: float = 2.0
    """Seconds of the very same picture after which the arm stops."""
    ramp: float = 1.0
    """Seconds after each stop in which the speed caps grow from nothing to their full values."""
    gripper: tuple[float, float] = (0.0, 1.0)
    """Smallest and largest opening that is ever commanded; 0 closed, 1 open."""


@dataclass(frozen=True)
class GripperCommand:
    """How the gripper is commanded."""

    topic: str
    """Topic (or, with xarm, service) of its commands."""
    open: float
    """The driver's number when open."""
    closed: float
    """The driver's number when closed."""
    kind: Literal["joint_trajectory", "float64_multi_array", "joint_single", "gripper_move"] = "joint_trajectory"
    """A trajectory of `joint`, a Float64MultiArray, Interbotix's JointSingleCommand, or xArm's service."""
    joint: str = ""
    """Name of the gripper's joint, where the message has one."""


@dataclass(frozen=True)
class DriverConfig:
    """The driver of the arm, and its topics."""

    kind: Literal["joint_trajectory", "servo", "xarm", "interbotix"]
    """Which translation; docs/safety.md lists them."""
    command: str
    """Topic of the arm's commands."""
    joint_states: str = "/joint_states"
    """Topic on which the driver publishes sensor_msgs/JointState."""
    description: str = ""
    """Topic of the URDF that the driver publishes (std_msgs/String, latched); empty: robot_description beside
    `joint_states`."""
    joints: tuple[str, ...] = ()
    """The driver's names of `arm_joints`, in the same order; empty: the same names."""
    gripper: GripperCommand | None = None
    """The gripper; without it none is commanded."""
    hz: float = 50.0
    """How often the standing command is repeated, for drivers that time out."""
    frame: str = ""
    """Frame of twists (servo): the name of the robot's base link."""
    group: str = "arm"
    """Joint group (interbotix)."""


@dataclass(frozen=True)
class CameraSource:
    """The camera that sees the workspace."""

    topic: str
    """sensor_msgs/Image, or sensor_msgs/CompressedImage where the name ends in /compressed."""
    hz: float = 30.0
    """Pictures a second."""
    crop: tuple[float, float, float, float] | None = None
    """x, y, width, height in pixels, or as shares if none is above 1; left out: the largest square in the middle."""
