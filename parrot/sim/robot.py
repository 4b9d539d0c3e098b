"""The simulated arm: takes displacements of its tool point, integrates the commanded pose, drives its joints there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parrot.errors import ConfigError
from parrot.rotations import rotation_of
from parrot.sim.bullet import pybullet
from parrot.sim.config import RobotConfig
from parrot.spaces import GRIPPER_CLOSE, GRIPPER_OPEN

__all__ = ["Arm"]

_JOINT_RATE = 71.74
"""Rate (1/s) at which the motor removes a joint's error: 45% of it in a sub-step of 1/120 s; higher overshoots."""

_PAD_FRICTION, _PAD_STIFFNESS, _PAD_DAMPING = 8.0, 6000.0, 60.0
"""Rubber pads: they give (N/m, N s/m) and stick. Rigid ones squeeze a domed cap out: 9 of 24 lifts instead of 24. Soft
ones sink in, at 1000 N/m by 8 to 17 mm, until Bullet takes their tips for caught: what was let go hung on a finger."""

_GEAR_FORCE = 100.0
"""Newtons with which the fingers' gear keeps them symmetric, well above the closing force."""


class Arm:
    """One arm in the world of one physics client.

    The command is integrated (REP-103 base frame), never re-read from the sagging arm, and kept in the workspace.
    """

    def __init__(self, client: int, config: RobotConfig, urdf: Path) -> None:
        self.config = config
        self._client = client
        self.body = pybullet.loadURDF(str(urdf), useFixedBase=True, physicsClientId=client)
        joints, links = {}, {}
        self._movable: list[int] = []
        for index in range(pybullet.getNumJoints(self.body, client)):
            info = pybullet.getJointInfo(self.body, index, client)
            joints[info[1].decode()] = links[info[12].decode()] = index
            if info[2] != pybullet.JOINT_FIXED:
                self._movable.append(index)
        try:
            self._arm = [joints[name] for name in config.arm_joints]
            self._fingers = [joints[name] for name in config.gripper.joints]
            self._tool = links[config.tool_link]
        except KeyError as error:
            raise ConfigError(f"robot {config.name}: the URDF has no joint or link {error}") from error
        self._places = [self._movable.index(j) for j in self._arm]
        self._offset = np.array(config.tool_offset)
        self.joint_names = (*config.arm_joints, *config.gripper.joints)
        # Bullet's gains are by step, and its contacts damp by their stiffness times the step as well: converted, motors
        # and pads are the same whatever the step is.
        step = pybullet.getPhysicsEngineParameters(client)["fixedTimeStep"]
        self._joint_gain = 1.0 - math.exp(-_JOINT_RATE * step)
        pad_damping = max(0.0, _PAD_DAMPING - _PAD_STIFFNESS * step)
        for joint in self._fingers:
            pybullet.changeDynamics(
                self.body, joint, lateralFriction=_PAD_FRICTION, spinningFriction=0.02, rollingFriction=0.001,
                contactStiffness=_PAD_STIFFNESS, contactDamping=pad_damping, physicsClientId=client,
            )  # fmt: skip
        self._gear()
        self._home = self._solve_home()
        self.reset()

    def _gear(self) -> None:
        """Ties the fingers together: two motors of equal force alone would let a held object slide sideways."""
        first, *others = self._fingers
        for joint in others:
            gear = pybullet.createConstraint(
                self.body, first, self.body, joint, pybullet.JOINT_GEAR, [0, 1, 0], [0, 0, 0], [0, 0, 0],
                physicsClientId=self._client,
            )  # fmt: skip
            pybullet.changeConstraint(gear, gearRatio=-1, maxForce=_GEAR_FORCE, erp=0.5, physicsClientId=self._client)

    def _solve_home(self) -> list[float]:
        self.position = np.array(self.config.home.position)
        self.rpy = np.zeros(3)
        self._set_joints(self.config.home.joints)
        return self._converge(50)

    def _converge(self, steps: int) -> list[float]:
        """Moves the joints until the tool point is where it was commanded to be; each step comes nearer."""
        for _ in range(steps):
            solution = self._inverse_kinematics()
            self._set_joints(solution)
        return solution

    def reset(self) -> None:
        """Puts the arm at home, gripper open, at once."""
        self.position = np.array(self.config.home.position)
        self.rpy = np.zeros(3)
        self.closing = False
        self._set_joints(self._home)
        for joint in self._fingers:
            pybullet.resetJointState(self.body, joint, self.config.gripper.open, 0.0, self._client)
        self._drive(self._home)

    def command(self, action: NDArray[np.floating]) -> None:
        """Moves the commanded pose by the action (7,) in [-1, 1] and aims the motors at it."""
        scale, space = self.config.action_scale, self.config.workspace
        self.position = np.clip(self.position + scale.translation * action[:3], space.lower, space.upper)
        limits = np.array([space.tilt, space.tilt, space.yaw])
        self.rpy = np.clip(self.rpy + scale.rotation * action[3:6], -limits, limits)
        if action[6] > GRIPPER_OPEN:
            self.closing = False
        elif action[6] < GRIPPER_CLOSE:
            self.closing = True
        self._drive(self._inverse_kinematics())

    def _inverse_kinematics(self) -> list[float]:
        rotation = rotation_of(self.rpy)
        # The inverse kinematics aims the link's frame; the tool point lies at an offset in it.
        origin = self.position - rotation @ self._offset
        solution = pybullet.calculateInverseKinematics(
            self.body, self._tool, origin.tolist(), _quaternion(rotation), maxNumIterations=80,
            residualThreshold=1e-6, physicsClientId=self._client,
        )  # fmt: skip
        return [solution[place] for place in self._places]

    def _drive(self, joints: list[float]) -> None:
        self.follow(joints, self.config.gripper.closed if self.closing else self.config.gripper.open)

    def follow(self, joints: Sequence[float] | NDArray[np.float64], finger: float) -> None:
        """Aims the motors at joints (rad) and at a position of the fingers (m or rad), as a driver of joints does."""
        gripper = self.config.gripper
        pybullet.setJointMotorControlArray(
            self.body, self._arm, pybullet.POSITION_CONTROL, targetPositions=list(joints),
            forces=[300.0] * len(joints), positionGains=[self._joint_gain] * len(joints), physicsClientId=self._client,
        )  # fmt: skip
        for joint in self._fingers:
            pybullet.setJointMotorControl2(
                self.body, joint, pybullet.POSITION_CONTROL, targetPosition=finger, force=gripper.force,
                maxVelocity=gripper.speed, positionGain=0.3, physicsClientId=self._client,
            )  # fmt: skip

    def _set_joints(self, joints: list[float] | tuple[float, ...]) -> None:
        for joint, value in zip(self._arm, joints, strict=True):
            pybullet.resetJointState(self.body, joint, value, 0.0, self._client)

    def visuals(self) -> list[tuple[Path, NDArray[np.float64]]]:
        """The meshes that are drawn, and where each one's frame is in the world: (4, 4)."""
        found = []
        for _, link, _, _, path, position, quaternion, *_ in pybullet.getVisualShapeData(self.body, 0, self._client):
            frame = _frame(position, quaternion)
            if link >= 0:
                state = pybullet.getLinkState(self.body, link, 0, 1, self._client)
                frame = _frame(state[4], state[5]) @ frame
            found.append((Path(path.decode()), frame))
        return found

    def pose(self, position: NDArray[np.floating], rpy: NDArray[np.floating], opening: float) -> None:
        """Puts the tool point at (3,) metres at once, turned by (3,) radians, as near as the joints allow.

        `opening` of the gripper: 0 closed, 1 open.
        """
        self.position, self.rpy = np.asarray(position, dtype=np.float64), np.asarray(rpy, dtype=np.float64)
        self._set_joints(self._home)
        self._converge(10)
        gripper = self.config.gripper
        for joint in self._fingers:
            place = gripper.closed + opening * (gripper.open - gripper.closed)
            pybullet.resetJointState(self.body, joint, place, 0.0, self._client)

    def tool(self) -> NDArray[np.float64]:
        """Where the tool point really is: (3,) metres."""
        state = pybullet.getLinkState(self.body, self._tool, 0, 1, self._client)
        rotation = np.reshape(pybullet.getMatrixFromQuaternion(state[5]), (3, 3))
        return np.array(state[4]) + rotation @ self._offset

    def joints(self) -> NDArray[np.float64]:
        """Positions of `joint_names`, in radians and metres."""
        states = pybullet.getJointStates(self.body, self._arm + self._fingers, self._client)
        return np.array([state[0] for state in states])

    def set_joints(self, positions: Sequence[float]) -> None:
        """Puts the joints of `joint_names` there at once, in radians and metres."""
        for joint, value in zip(self._arm + self._fingers, positions, strict=True):
            pybullet.resetJointState(self.body, joint, value, 0.0, self._client)

    def rotation(self) -> NDArray[np.float64]:
        """How the tool really is turned: (3, 3) in the base frame."""
        state = pybullet.getLinkState(self.body, self._tool, 0, 1, self._client)
        return np.reshape(pybullet.getMatrixFromQuaternion(state[5]), (3, 3))

    def opening(self) -> float:
        """How far the gripper is open: 1 open, 0 closed on nothing."""
        gripper = self.config.gripper
        position = pybullet.getJointState(self.body, self._fingers[0], self._client)[0]
        return float((gripper.closed - position) / (gripper.closed - gripper.open))

    def touches(self, body: int) -> bool:
        """Whether a finger is in contact with the body."""
        return any(pybullet.getContactPoints(self.body, body, finger, -1, self._client) for finger in self._fingers)


def _frame(position: Sequence[float], quaternion: Sequence[float]) -> NDArray[np.float64]:
    frame = np.eye(4)
    frame[:3, :3] = np.reshape(pybullet.getMatrixFromQuaternion(quaternion), (3, 3))
    frame[:3, 3] = position
    return frame


def _quaternion(r: NDArray[np.float64]) -> list[float]:
    """(x, y, z, w) of a rotation that points down give or take a tilt, where x^2 + y^2 dominates."""
    if r[0, 0] >= r[1, 1]:
        s = 2 * math.sqrt(max(1e-12, 1 + r[0, 0] - r[1, 1] - r[2, 2]))
        return [s / 4, (r[0, 1] + r[1, 0]) / s, (r[0, 2] + r[2, 0]) / s, (r[2, 1] - r[1, 2]) / s]
    s = 2 * math.sqrt(max(1e-12, 1 - r[0, 0] + r[1, 1] - r[2, 2]))
    return [(r[0, 1] + r[1, 0]) / s, s / 4, (r[1, 2] + r[2, 1]) / s, (r[0, 2] - r[2, 0]) / s]
