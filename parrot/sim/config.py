"""What a robot and a scene are, as read from `config/robots/NAME.yaml` and `sim/scenes/NAME.yaml`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from parrot.errors import ConfigError
from parrot.fields import build, read_yaml
from parrot.resources import share
from parrot.sim.hardware import CameraSource, DriverConfig, SafetyConfig

__all__ = [
    "ActionScale",
    "CameraConfig",
    "GripperConfig",
    "RobotConfig",
    "SceneConfig",
    "load_robot",
    "load_scene",
]

T = TypeVar("T")


@dataclass(frozen=True)
class ActionScale:
    """What an action of 1 means."""

    translation: float
    """Metres."""
    rotation: float
    """Radians."""


@dataclass(frozen=True)
class HomeConfig:
    """Where an episode starts."""

    position: tuple[float, ...]
    """Tool point in the base frame, metres; the gripper points down."""
    joints: tuple[float, ...]
    """Arm joints (rad) from which the inverse kinematics starts."""


@dataclass(frozen=True)
class WorkspaceConfig:
    """The box that the tool point never leaves."""

    lower: tuple[float, ...]
    """Metres, base frame."""
    upper: tuple[float, ...]
    """Metres, base frame."""
    tilt: float
    """Largest roll and pitch away from pointing down, radians."""
    yaw: float
    """Largest turn either way, radians."""


@dataclass(frozen=True)
class GripperConfig:
    """The joints of the gripper, driven together."""

    joints: tuple[str, ...]
    """Names in the URDF."""
    open: float
    """Joint position when open (m or rad)."""
    closed: float
    """Joint position when closed on nothing (m or rad)."""
    opening: float
    """Metres between the pads when open."""
    force: float
    """Largest joint effort (N or N m)."""
    speed: float
    """Largest joint speed (m/s or rad/s)."""


@dataclass(frozen=True)
class RobotConfig:
    """One arm; `config/robots/xarm6.yaml` explains every field."""

    name: str
    urdf: str
    arm_joints: tuple[str, ...]
    tool_link: str
    tool_offset: tuple[float, ...]
    control_hz: float
    action_scale: ActionScale
    home: HomeConfig
    workspace: WorkspaceConfig
    gripper: GripperConfig
    decimate: int
    safety: SafetyConfig = field(default_factory=SafetyConfig)
    driver: DriverConfig | None = None
    camera: CameraSource | None = None

    @property
    def urdf_path(self) -> Path:
        """Where its URDF lies.

        Raises:
            ConfigError: it is not there.
        """
        path = Path(self.urdf) if Path(self.urdf).is_absolute() else share("sim") / self.urdf
        if not path.exists():
            raise ConfigError(f"robot {self.name}: urdf {path} does not exist")
        return path


@dataclass(frozen=True)
class TableConfig:
    """The table; its top is the plane z = 0."""

    size: tuple[float, ...]
    centre: tuple[float, ...]
    colour: tuple[float, ...]


@dataclass(frozen=True)
class ObjectsConfig:
    """Where objects start."""

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    gap: float


@dataclass(frozen=True)
class CameraConfig:
    """The fixed camera."""

    position: tuple[float, ...]
    target: tuple[float, ...]
    fov: float
    near: float
    far: float


@dataclass(frozen=True)
class LightConfig:
    """The one light."""

    direction: tuple[float, ...]


@dataclass(frozen=True)
class PhysicsConfig:
    """Integration of the simulated world."""

    substep: float
    iterations: int
    rigid: bool
    gravity: float


@dataclass(frozen=True)
class SceneConfig:
    """What stands around the arm; `sim/scenes/tabletop.yaml` explains every field."""

    table: TableConfig
    objects: ObjectsConfig
    camera: CameraConfig
    light: LightConfig
    physics: PhysicsConfig


def load_robot(name: str) -> RobotConfig:
    """The robot of this name, or in this YAML file.

    Raises:
        ConfigError: there is none, or a field is missing, unknown or of another type.
    """
    return _load(RobotConfig, name, ("config", "robots"))


def load_scene(name: str = "tabletop") -> SceneConfig:
    """The scene of this name, or in this YAML file.

    Raises:
        ConfigError: there is none, or a field is missing, unknown or of another type.
    """
    return _load(SceneConfig, name, ("sim", "scenes"))


def _load(cls: type[T], name: str, folder: tuple[str, ...]) -> T:
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        known = sorted(p.stem for p in share(*folder).glob("*.yaml"))
        if name not in known:
            raise ConfigError(f"{folder[-1][:-1]} {name!r} is not known; choose {', '.join(known)} or give a YAML file")
        path = share(*folder, f"{name}.yaml")
    return build(cls, read_yaml(path), str(path))
