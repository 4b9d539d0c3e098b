"""Where an arm's tool point is for given joints, and the joints for a given tool pose: Pinocchio on the robot's URDF.

Without a simulator: for bags that hold joints instead of poses, and for arms whose driver takes joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from parrot.errors import ConfigError, SpaceError

if TYPE_CHECKING:
    from parrot.sim.config import RobotConfig

__all__ = ["Kinematics"]

_ITERATIONS = 200
"""Of the inverse; from a neighbouring pose it takes 3 to 6."""

_DAMPING = 1e-3
"""Of least squares, as a share of the error's norm: it vanishes near the solution, and so does the error it causes."""

_POSITION_TOLERANCE, _ROTATION_TOLERANCE = 1e-6, 1e-5
"""Metres and radians within which the inverse has arrived."""

_LARGEST_STEP = 0.3
"""Radians (or metres) that a joint moves in one iteration, where the Jacobian still tells the truth."""


class Kinematics:
    """An arm's joints and its tool point, in the frame of the URDF's root.

    Args:
        urdf: The robot's URDF, a file or, as a str, its text; meshes are not read.
        joints: Names of the arm's joints, in the order of the vectors q.
        tip_link: The link that carries the tool.
        tool_offset: (3,) metres from the tip link's frame to the tool point.
        base_link: The link in whose frame poses are, fixed to the root; empty: the root itself. A published URDF often
            stands on a link of its own, such as `world`.

    Raises:
        ConfigError: Pinocchio is not installed, the URDF cannot be read, it lacks a joint or a link, or its base moves.

    Example:
        >>> from parrot.sim.config import load_robot
        >>> arm = Kinematics.of(load_robot("xarm6"))
        >>> seed = np.array([0.0, -0.35, -1.05, 0.0, 1.40, 0.0])
        >>> position, rotation = arm.forward(seed)
        >>> position.round(3)[[0, 2]]
        array([0.379, 0.324])
        >>> q = arm.inverse(position + [0.01, 0.0, 0.0], rotation, seed)
        >>> float((arm.forward(q)[0] - position).round(3)[0])
        0.01
    """

    def __init__(
        self,
        urdf: Path | str,
        joints: Sequence[str],
        tip_link: str,
        tool_offset: Sequence[float] = (0.0, 0.0, 0.0),
        base_link: str = "",
    ) -> None:
        self._pin = pin = _pinocchio()
        self.joints = tuple(joints)
        where = urdf if isinstance(urdf, Path) else "robot_description"
        try:
            build = pin.buildModelFromUrdf if isinstance(urdf, Path) else pin.buildModelFromXML
            self._model = model = build(str(urdf))
        except (ValueError, RuntimeError) as error:
            raise ConfigError(f"{where}: not a URDF that can be read: {' '.join(str(error).split())}") from error
        known = [name for name in model.names if name != "universe"]
        if missing := [name for name in self.joints if name not in known]:
            raise ConfigError(f"{where}: has no joint {', '.join(missing)}; it moves by {', '.join(known)}")
        links = [frame.name for frame in model.frames if frame.type == pin.BODY]
        if missing := [name for name in (tip_link, base_link) if name and name not in links]:
            raise ConfigError(f"{where}: has no link {', '.join(missing)}; its links are {', '.join(links)}")
        self.base = base_link or links[0]
        """The link in whose frame poses are."""
        self._stand(where)
        link = model.frames[model.getFrameId(tip_link, pin.BODY)]
        offset = pin.SE3(np.eye(3), np.array(tool_offset, dtype=np.float64))
        frame = pin.Frame("parrot_tool", link.parentJoint, link.placement * offset, pin.OP_FRAME)
        self._tool = model.addFrame(frame)
        self._data = model.createData()
        self._neutral = pin.neutral(model)
        indices = [model.getJointId(name) for name in self.joints]
        self._columns = np.array([model.joints[index].idx_v for index in indices])
        self.lower, self.upper = self._limits(indices)
        speeds = np.asarray(model.velocityLimit)[self._columns]
        self.speed = np.where(speeds > 0, speeds, np.inf)
        """Highest speed of each joint (J,) by the URDF, rad/s or m/s; infinite where it names none."""

    @classmethod
    def of(cls, robot: RobotConfig) -> Kinematics:
        """The kinematics of a robot's YAML.

        Raises:
            ConfigError: as the constructor.
        """
        return cls(robot.urdf_path, robot.arm_joints, robot.tool_link, robot.tool_offset)

    def _stand(self, where: Path | str) -> None:
        """Puts the base link's frame where the model's root is.

        Raises:
            ConfigError: joints move the base.
        """
        model, pin = self._model, self._pin
        base = model.frames[model.getFrameId(self.base, pin.BODY)]
        if base.parentJoint != 0:
            raise ConfigError(
                f"{where}: base link {self.base} is moved by joint {model.names[base.parentJoint]}; an arm stands still"
            )
        away = base.placement.inverse()
        for index in range(1, model.njoints):
            if model.parents[index] == 0:
                model.jointPlacements[index] = away * model.jointPlacements[index]
        for frame in model.frames:
            if frame.parentJoint == 0:
                frame.placement = away * frame.placement

    def _limits(self, indices: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest position of each joint; a continuous joint, of two numbers in Pinocchio, has none."""
        lower, upper = np.full(len(indices), -np.inf), np.full(len(indices), np.inf)
        for k, joint in enumerate(self._model.joints[index] for index in indices):
            if joint.nq == 1:
                lower[k] = self._model.lowerPositionLimit[joint.idx_q]
                upper[k] = self._model.upperPositionLimit[joint.idx_q]
        return lower, upper

    def _place(self, q: NDArray[np.floating]) -> Any:
        """Pinocchio's configuration for joints q, and the tool's placement worked out in its data."""
        moved = np.zeros(self._model.nv)
        moved[self._columns] = q
        configuration = self._pin.integrate(self._model, self._neutral, moved)
        self._pin.framesForwardKinematics(self._model, self._data, configuration)
        return configuration

    def forward(self, q: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Position (3,) in metres and rotation (3, 3) of the tool point for joints q (J,), radians or metres."""
        self._place(q)
        placement = self._data.oMf[self._tool]
        return placement.translation.copy(), placement.rotation.copy()

    def jacobian(self, q: NDArray[np.floating]) -> NDArray[np.float64]:
        """(6, J): the tool point's velocity, then its angular velocity, in the base frame, for each joint's speed."""
        configuration = self._place(q)
        whole = self._pin.computeFrameJacobian(
            self._model, self._data, configuration, self._tool, self._pin.LOCAL_WORLD_ALIGNED
        )
        return np.asarray(whole)[:, self._columns]

    def inverse(
        self,
        position: NDArray[np.floating],
        rotation: NDArray[np.floating],
        seed: NDArray[np.floating],
        iterations: int = _ITERATIONS,
    ) -> NDArray[np.float64]:
        """Joints (J,) within their limits that bring the tool point there, found from `seed` by damped least squares.

        Args:
            position: (3,) metres.
            rotation: (3, 3).
            seed: (J,) where to start; from the joints of a moment ago the solution stays on the same branch.
            iterations: After which it gives up; where time matters, from a neighbouring pose, a tenth is plenty.

        Raises:
            SpaceError: the joints do not reach the pose from there; the message says how near they come.
        """
        pin, goal = self._pin, self._pin.SE3(np.asarray(rotation, float), np.asarray(position, float))
        q = np.clip(np.asarray(seed, dtype=np.float64), self.lower, self.upper)
        for _ in range(iterations):
            configuration = self._place(q)
            placement = self._data.oMf[self._tool]
            error = np.concatenate(
                [goal.translation - placement.translation, pin.log3(goal.rotation @ placement.rotation.T)]
            )
            away, turned = np.linalg.norm(error[:3]), np.linalg.norm(error[3:])
            if away < _POSITION_TOLERANCE and turned < _ROTATION_TOLERANCE:
                return q
            jacobian = pin.computeFrameJacobian(
                self._model, self._data, configuration, self._tool, pin.LOCAL_WORLD_ALIGNED
            )[:, self._columns]
            q = self._advance(q, jacobian, error)
        raise SpaceError(
            f"tool pose {np.round(goal.translation, 3).tolist()} is out of the joints' reach: "
            f"they come to {away * 1000:.1f} mm and {np.degrees(turned):.1f} degrees of it; aim within the workspace"
        )

    def _advance(
        self, q: NDArray[np.float64], jacobian: NDArray[np.float64], error: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """One iteration; what a joint at its limit cannot do, the others take over."""
        free = np.ones(len(q), dtype=bool)
        damping = _DAMPING * min(1.0, float(error @ error))
        for _ in range(len(q)):
            part = jacobian * free
            step = part.T @ np.linalg.solve(part @ part.T + (damping + 1e-12) * np.eye(6), error)
            step *= min(1.0, _LARGEST_STEP / max(float(np.abs(step).max()), 1e-12))
            # A joint that only arrives at its limit still goes there; one that stands at it is left out.
            stuck = free & (((q <= self.lower) & (step < 0)) | ((q >= self.upper) & (step > 0)))
            if not stuck.any():
                break
            free &= ~stuck
        return np.clip(q + step, self.lower, self.upper)


def _pinocchio() -> Any:
    try:
        import pinocchio
    except ImportError as error:
        raise ConfigError(
            f"the arm's kinematics need Pinocchio ({error}); install it with: pip install 'parrot[arm]'"
        ) from error
    return pinocchio
