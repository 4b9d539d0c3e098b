"""The limits of a real arm, from the sections `safety:` and `workspace:` of its YAML; they cannot be switched off.

Whoever has `Limits` has limits: a value that would mean "none" (0, negative, infinite, not a number, beyond what any
tabletop arm needs) is a ConfigError of one line, however the object is made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from parrot.errors import ConfigError
from parrot.sim.config import RobotConfig

__all__ = ["Limits"]

_WIDEST: dict[str, float] = {
    "period": 1.0,
    "translation": 0.2,
    "rotation": 1.0,
    "step_translation": 0.2,
    "step_rotation": 1.0,
    "linear_speed": 1.5,
    "angular_speed": 2 * math.pi,
    "joint_speed": math.pi,
    "joint_margin": 0.5,
    "singularity": 0.5,
    "watchdog": 10,
    "joints_stale": 1.0,
    "camera_stale": 2.0,
    "camera_frozen": 10.0,
    "ramp": 10.0,
}
"""The largest value that each may have; all are above 0."""

_SMALLEST: dict[str, float] = {"joint_margin": 0.01, "singularity": 0.005, "ramp": 0.2}
"""Of those that protect by being large."""

_FARTHEST = (1.5, 1.5, 1.5, 1.4, 1.4, 3.0)
"""How far the workspace may reach either way: metres, and radians short of where roll and yaw become one axis."""


@dataclass(frozen=True)
class Limits:
    """What no command ever leaves. SI units; a pose is x, y, z, roll, pitch, yaw as in `parrot.rotations`."""

    period: float
    """Seconds of a control step: how far ahead any command reaches."""
    translation: float
    """Metres that an action of 1 means."""
    rotation: float
    """Radians that an action of 1 means."""
    lower: tuple[float, ...]
    """Lowest pose (6,) of the tool point in the base frame."""
    upper: tuple[float, ...]
    """Highest pose (6,)."""
    step_translation: float
    """Metres by which one action may move the commanded pose."""
    step_rotation: float
    """Radians by which one action may turn it."""
    linear_speed: float
    """m/s of the tool point."""
    angular_speed: float
    """rad/s of the tool."""
    joint_speed: float
    """rad/s of each joint."""
    joint_margin: float
    """rad from the joints' limits."""
    joints: tuple[tuple[float, float], ...]
    """rad, the range of each joint (J,), infinite where only the URDF's holds."""
    singularity: float
    """Smallest singular value of the Jacobian."""
    watchdog: int
    """Control periods without an action after which the arm holds."""
    joints_stale: float
    """Seconds without joint states after which it stops."""
    camera_stale: float
    """Seconds without a new picture after which it stops."""
    camera_frozen: float
    """Seconds of the same picture after which it stops."""
    ramp: float
    """Seconds in which the speed caps grow after a stop."""
    gripper: tuple[float, float]
    """Smallest and largest opening; 0 closed, 1 open."""

    def __post_init__(self) -> None:
        for name, widest in _WIDEST.items():
            _check(name, getattr(self, name), _SMALLEST.get(name, 0.0), widest)
        if not isinstance(self.watchdog, int):
            raise ConfigError(f"safety limit watchdog is {self.watchdog!r}; give a whole number of control periods")
        if len(self.lower) != 6 or len(self.upper) != 6:
            raise ConfigError(f"workspace {self.lower} to {self.upper}: give x, y, z of both corners, tilt and yaw")
        for axis, low, high, far in zip(_AXES, self.lower, self.upper, _FARTHEST, strict=True):
            if not (_number(low) and _number(high) and -far <= low < high <= far):
                raise ConfigError(
                    f"workspace {axis} from {low!r} to {high!r}: give two numbers in [-{far}, {far}], the lower first"
                )
        if not isinstance(self.joints, tuple) or not all(map(_range, self.joints)):
            raise ConfigError(
                f"safety limit joints is {self.joints!r}; it cannot be switched off: give ranges, lower end first"
            )
        if (
            len(self.gripper) != 2
            or not all(map(_number, self.gripper))
            or not 0 <= self.gripper[0] < self.gripper[1] <= 1
        ):
            raise ConfigError(
                f"safety limit gripper is {self.gripper!r}; give two openings in [0, 1], the smaller first"
            )

    @classmethod
    def of(cls, robot: RobotConfig) -> Limits:
        """The limits in a robot's YAML; a section `safety:` that is missing means cautious ones, not none.

        Example:
            >>> from parrot.sim.config import load_robot
            >>> Limits.of(load_robot("xarm6")).period
            0.1

        Raises:
            ConfigError: a limit is none; the message has robot, limit, value and what it may be.
        """
        safety, space = robot.safety, robot.workspace
        if not _number(robot.control_hz) or robot.control_hz <= 0:
            raise ConfigError(f"robot {robot.name}: control_hz is {robot.control_hz!r}; give steps a second, above 0")
        try:
            return cls(
                period=1 / robot.control_hz,
                translation=robot.action_scale.translation,
                rotation=robot.action_scale.rotation,
                lower=(*space.lower, -space.tilt, -space.tilt, -space.yaw),
                upper=(*space.upper, space.tilt, space.tilt, space.yaw),
                step_translation=safety.step.translation,
                step_rotation=safety.step.rotation,
                linear_speed=safety.speed.linear,
                angular_speed=safety.speed.angular,
                joint_speed=safety.speed.joint,
                joints=_ranges(safety.joints, robot.arm_joints),
                **{name: getattr(safety, name) for name in _SAME},
            )
        except ConfigError as error:
            raise ConfigError(f"robot {robot.name}: {error}") from error


_AXES = ("x", "y", "z", "roll", "pitch", "yaw")

_SAME = (
    "joint_margin",
    "singularity",
    "watchdog",
    "joints_stale",
    "camera_stale",
    "camera_frozen",
    "ramp",
    "gripper",
)
"""Fields that `safety:` calls by the same name."""


def _ranges(given: dict[str, tuple[float, float]], names: tuple[str, ...]) -> tuple[tuple[float, float], ...]:
    """The range of each joint (J,), from those that the YAML names."""
    for name, found in given.items():
        if name not in names:
            raise ConfigError(f"safety limit joints names {name!r}; the arm's joints are {', '.join(names)}")
        if not _range(found) or not all(map(_number, found)):
            raise ConfigError(f"safety limit joints: {name} is {found!r}; give two numbers, rad, the lower first")
    return tuple((given[name][0], given[name][1]) if name in given else (-math.inf, math.inf) for name in names)


def _range(value: object) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    return all(isinstance(end, int | float) for end in value) and value[0] < value[1]


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check(name: str, value: float, smallest: float, widest: float) -> None:
    if not _number(value) or value <= 0 or value < smallest or value > widest:
        least = f"at least {smallest:g}" if smallest else "above 0"
        raise ConfigError(
            f"safety limit {name} is {value!r}; it cannot be switched off: give a number {least}, at most {widest:.4g}"
        )
