"""The physics: one PyBullet client with a table, an arm and the objects of one episode."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parrot.sim.bullet import pybullet
from parrot.sim.camera import Camera
from parrot.sim.config import RobotConfig, SceneConfig
from parrot.sim.meshes import light_urdf
from parrot.sim.objects.model import ObjectModel, Rgba
from parrot.sim.robot import Arm
from parrot.sim.unseen import drop_unseen, seen_urdf

__all__ = ["Placed", "World"]

_SETTLE = 12
"""Sub-steps after placing objects: they start at rest on the table, so this only closes the contacts."""

_FRICTION = 1.0
"""Lateral friction of objects and table; the fingers' is 2, and Bullet multiplies the two."""


@dataclass(frozen=True)
class Placed:
    """An object in the world."""

    model: ObjectModel
    body: int
    start: NDArray[np.float64]
    """Where its frame stood when the episode began, (3,) metres."""


class World:
    """A world with one arm. `place` starts an episode; `step` advances it by one control step."""

    def __init__(self, robot: RobotConfig, scene: SceneConfig, hide_unseen: bool = True) -> None:
        """`hide_unseen`: do not draw what of the arm the camera never sees; the pictures are the same."""
        self.robot, self.scene = robot, scene
        self.client = pybullet.connect(pybullet.DIRECT)
        self._substeps = max(1, round(1 / (robot.control_hz * scene.physics.substep)))
        self.objects: dict[str, Placed] = {}
        self._shapes: dict[str, tuple[int, int, list[Rgba]]] = {}
        self._textures: dict[Path, int] = {}
        urdf = light_urdf(robot)
        if hide_unseen:
            whole, urdf = urdf, seen_urdf(urdf, robot, scene)
            if not urdf.exists():
                self._build(whole)
                drop_unseen(self.arm, self.camera, whole, urdf)
        self._build(urdf)

    def _build(self, urdf: Path) -> None:
        c, physics = self.client, self.scene.physics
        pybullet.resetSimulation(physicsClientId=c)
        pybullet.setPhysicsEngineParameter(
            fixedTimeStep=physics.substep, numSolverIterations=physics.iterations, numSubSteps=0,
            deterministicOverlappingPairs=1, enableFileCaching=1, physicsClientId=c,
        )  # fmt: skip
        pybullet.setGravity(0, 0, physics.gravity, physicsClientId=c)
        # The arm comes first, as bodies are drawn in the order of their making: what lies behind is then not shaded.
        self.arm = Arm(c, self.robot, urdf)
        table = self.scene.table
        half = [s / 2 for s in table.size]
        self._table = pybullet.createMultiBody(
            0,
            pybullet.createCollisionShape(pybullet.GEOM_BOX, halfExtents=half, physicsClientId=c),
            pybullet.createVisualShape(
                pybullet.GEOM_BOX, halfExtents=half, rgbaColor=table.colour, specularColor=[0, 0, 0], physicsClientId=c
            ),
            [*table.centre, -half[2]],
            useMaximalCoordinates=physics.rigid,
            physicsClientId=c,
        )
        pybullet.changeDynamics(self._table, -1, lateralFriction=_FRICTION, physicsClientId=c)
        self.camera = Camera(c, self.scene.camera, self.scene.light)

    def place(self, objects: Sequence[tuple[ObjectModel, Sequence[float], float]], home: bool = True) -> None:
        """Clears the table, puts the arm at home and each object at (x, y) metres, turned by yaw radians.

        `home`: else the arm stays where it is, as when a person sets the table.
        """
        for placed in self.objects.values():
            pybullet.removeBody(placed.body, self.client)
        self.objects = {}
        if home:
            self.arm.reset()
        for model, xy, yaw in objects:
            start = np.array([xy[0], xy[1], 0.0005])
            self.objects[model.name] = Placed(model, self._create(model, start, yaw), start)
        for _ in range(_SETTLE):
            pybullet.stepSimulation(self.client)

    def _create(self, model: ObjectModel, position: NDArray[np.float64], yaw: float) -> int:
        collision, visual, colours = self._shape(model)
        orientation = pybullet.getQuaternionFromEuler([0, 0, yaw])
        fixed = model.role != "graspable"
        # PyBullet poses a body by its centre of mass; the catalogue, and everything outside this file, by its base.
        centre = np.zeros(3) if fixed else np.array(model.centre_of_mass)
        rotation = np.reshape(pybullet.getMatrixFromQuaternion(orientation), (3, 3))
        body = pybullet.createMultiBody(
            0.0 if fixed else model.mass, collision, visual, position.tolist(), orientation,
            centre.tolist(), useMaximalCoordinates=self.scene.physics.rigid, physicsClientId=self.client,
        )  # fmt: skip
        pybullet.resetBasePositionAndOrientation(
            body, (position + rotation @ centre).tolist(), orientation, self.client
        )
        pybullet.changeDynamics(
            body, -1, lateralFriction=_FRICTION, spinningFriction=0.005, rollingFriction=0.0005, restitution=0.0,
            linearDamping=0.04, angularDamping=0.1, physicsClientId=self.client,
        )  # fmt: skip
        for index, part in enumerate(model.visuals):
            if part.texture is not None:
                texture = self._texture(part.texture)
                pybullet.changeVisualShape(body, -1, index, textureUniqueId=texture, physicsClientId=self.client)
            if part.rgba != colours[index]:
                pybullet.changeVisualShape(body, -1, index, rgbaColor=part.rgba, physicsClientId=self.client)
        return body

    def _texture(self, path: Path) -> int:
        if path not in self._textures:
            self._textures[path] = pybullet.loadTexture(str(path), physicsClientId=self.client)
        return self._textures[path]

    def _shape(self, model: ObjectModel) -> tuple[int, int, list[Rgba]]:
        """Collision and visual shape of a model, read once for the life of the world, and its parts' colours."""
        if model.name not in self._shapes:
            c, parts = self.client, [str(path) for path in model.collisions]
            collision = pybullet.createCollisionShapeArray(
                shapeTypes=[pybullet.GEOM_MESH] * len(parts), fileNames=parts, physicsClientId=c
            )
            visuals = model.visuals
            visual = pybullet.createVisualShapeArray(
                shapeTypes=[pybullet.GEOM_MESH] * len(visuals),
                fileNames=[str(v.path) for v in visuals],
                rgbaColors=[list(v.rgba) for v in visuals],
                physicsClientId=c,
            )
            self._shapes[model.name] = (collision, visual, [v.rgba for v in visuals])
        return self._shapes[model.name]

    def step(self, action: NDArray[np.floating]) -> None:
        """One control step: the action (7,) in [-1, 1], then physics for 1 / control_hz seconds."""
        self.arm.command(action)
        for _ in range(self._substeps):
            pybullet.stepSimulation(self.client)

    def tick(self) -> None:
        """One sub-step of physics: `scene.physics.substep` seconds."""
        pybullet.stepSimulation(self.client)

    def bodies(self) -> list[list[float]]:
        """Position (3) in metres and quaternion (4) of each object's body, in the order in which they were placed."""
        states = [pybullet.getBasePositionAndOrientation(p.body, self.client) for p in self.objects.values()]
        return [[*position, *quaternion] for position, quaternion in states]

    def set_bodies(self, bodies: Sequence[Sequence[float]]) -> None:
        """Puts the objects' bodies there at once: the inverse of `bodies`."""
        for placed, body in zip(self.objects.values(), bodies, strict=True):
            pybullet.resetBasePositionAndOrientation(placed.body, body[:3], body[3:], self.client)

    def pose(self, name: str) -> tuple[NDArray[np.float64], float]:
        """Where an object's frame is, (3,) metres, and its yaw in radians."""
        placed = self.objects[name]
        (x, y, z), quaternion = pybullet.getBasePositionAndOrientation(placed.body, self.client)
        # Numbers rather than arrays: this is read a dozen times in each step.
        m = pybullet.getMatrixFromQuaternion(quaternion)
        if placed.model.role == "graspable":
            cx, cy, cz = placed.model.centre_of_mass
            x -= m[0] * cx + m[1] * cy + m[2] * cz
            y -= m[3] * cx + m[4] * cy + m[5] * cz
            z -= m[6] * cx + m[7] * cy + m[8] * cz
        return np.array((x, y, z)), math.atan2(m[3], m[0])

    def to_world(self, name: str, point: Sequence[float]) -> NDArray[np.float64]:
        """A point (3,) of the object's frame, in the world, metres."""
        placed = self.objects[name]
        _, quaternion = pybullet.getBasePositionAndOrientation(placed.body, self.client)
        rotation = np.reshape(pybullet.getMatrixFromQuaternion(quaternion), (3, 3))
        return self.pose(name)[0] + rotation @ np.asarray(point, dtype=np.float64)

    def speed(self, name: str) -> float:
        """Speed of an object, m/s."""
        linear, _ = pybullet.getBaseVelocity(self.objects[name].body, self.client)
        return float(np.linalg.norm(linear))

    def held(self, name: str) -> bool:
        """Whether a finger touches the object."""
        return self.arm.touches(self.objects[name].body)

    def close(self) -> None:
        """Ends the physics client."""
        if self.client >= 0:
            pybullet.disconnect(self.client)
            self.client = -1
