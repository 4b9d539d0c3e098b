"""Leaves out of an arm's visual meshes what the camera never sees: drawing it costs as much as what it does see.

Most triangles of an arm look away from a fixed camera, lie inside its housing or stay outside the picture wherever
the tool goes. Which these are is found by trying: many poses, each drawn once with the depth of every pixel.
"""

from __future__ import annotations

import hashlib
import os
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parrot.durable import atomic_path, write_text
from parrot.resources import cache_dir
from parrot.sim.camera import Camera
from parrot.sim.config import RobotConfig, SceneConfig
from parrot.sim.robot import Arm

__all__ = ["drop_unseen", "seen_urdf"]

_VERSION = 2
"""Counted up when the way of looking changes, so that old caches are left alone."""

_POSES = 400
"""Poses that are tried; about five seconds' work, once."""

_SIZE = 192
"""Pixels along each side of the pictures that are searched: four times the observation's, for films of it too."""

_NEAR = 0.003
"""Metres behind the visible surface at which a point still counts as visible: a pixel is about two wide."""

_POINTS = np.array([(3, 3, 3), (8, 1, 0), (0, 8, 1), (1, 0, 8), (4, 4, 1), (4, 1, 4), (1, 4, 4)]) / 9
"""Where in a triangle its visibility is tried: barycentric coordinates (7, 3)."""


def seen_urdf(urdf: Path, robot: RobotConfig, scene: SceneConfig) -> Path:
    """Where the copy of a robot's URDF for this scene's camera is kept; `drop_unseen` writes it."""
    what = f"{robot.workspace} {robot.home} {robot.tool_offset} {robot.gripper} {scene.camera} {_VERSION}"
    return cache_dir("robots", f"{urdf.parent.name}-{hashlib.sha256(what.encode()).hexdigest()[:16]}") / urdf.name


def drop_unseen(arm: Arm, camera: Camera, urdf: Path, out: Path) -> None:
    """Writes a copy of the arm's URDF, and beside it of its meshes, without the triangles that are never seen.

    Args:
        arm: as loaded from `urdf`, alone in its world; it is moved about.
        camera: what looks at it.
        urdf: with visual meshes as Wavefront files beside it.
        out: the new URDF.
    """
    import trimesh

    meshes = {path: trimesh.load_mesh(path, process=False) for path, _ in arm.visuals()}
    seen = {path: np.zeros(len(mesh.faces), dtype=bool) for path, mesh in meshes.items()}
    rng, space = np.random.default_rng(0), arm.config.workspace
    turn = np.array([space.tilt, space.tilt, space.yaw])
    for _ in range(_POSES):
        arm.pose(rng.uniform(space.lower, space.upper), rng.uniform(-turn, turn), rng.uniform())
        depth = camera.depth(_SIZE)
        for path, frame in arm.visuals():
            seen[path] |= _visible(meshes[path].triangles, frame, camera, depth)
    root = ET.fromstring(urdf.read_bytes())
    for solid in root.iterfind(".//collision/geometry/mesh"):
        solid.set("filename", os.path.relpath(urdf.parent / solid.attrib["filename"], out.parent))
    for link in root.iter("link"):
        for visual in link.findall("visual"):
            mesh = visual.find("geometry/mesh")
            if mesh is None:
                continue
            path = urdf.parent / mesh.attrib["filename"]
            faces = _with_neighbours(meshes[path].faces, seen[path])
            if not faces.any():
                link.remove(visual)
                continue
            cut = trimesh.Trimesh(meshes[path].vertices, meshes[path].faces[faces], process=False)
            cut.remove_unreferenced_vertices()
            mesh.set("filename", path.name)
            with atomic_path(out.parent / path.name) as tmp:
                cut.export(tmp, include_normals=False)
    write_text(out, ET.tostring(root, encoding="unicode"))


def _visible(
    triangles: NDArray[np.float64], frame: NDArray[np.float64], camera: Camera, depth: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which triangles (N, 3, 3) of a mesh at this frame (4, 4) show in a picture of these depths (S, S): (N,)."""
    points = (_POINTS @ triangles).reshape(-1, 3) @ frame[:3, :3].T + frame[:3, 3]
    where, away = camera.project(points)
    size = len(depth)
    column, row = (where * size).astype(np.int64).T
    inside = (away > 0) & (column >= 0) & (column < size) & (row >= 0) & (row < size)
    visible = np.zeros(len(points), dtype=bool)
    visible[inside] = away[inside] < depth[row[inside], column[inside]] + _NEAR
    return np.any(visible.reshape(len(triangles), -1), axis=1)


def _with_neighbours(faces: NDArray[np.integer], seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The faces (N, 3) that were seen, and those that share a corner with one of them."""
    return np.any(np.isin(faces, faces[seen]), axis=1)
