"""Light copies of a robot's visual meshes, made once and cached.

A frame of PyBullet's software renderer costs 14 ms with the 100,000 triangles of the stock xArm6 and under
1 ms with 3,000, so the meshes are decimated at first use and the URDF is rewritten to use them.
"""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
from pathlib import Path

from parrot.durable import atomic_path, write_text
from parrot.errors import ConfigError
from parrot.resources import cache_dir
from parrot.sim.config import RobotConfig

__all__ = ["light_urdf"]

_VERSION = 3
"""Counted up when the way of decimating changes, so that old caches are left alone."""

_SMALLEST = 20
"""Triangles that every body of a mesh keeps, however small its share of the budget."""

_SMALLEST_BODY = 0.02
"""Share of its mesh's surface below which a body is left out."""


def light_urdf(robot: RobotConfig) -> Path:
    """Path of the robot's URDF with visual meshes of about `robot.decimate` triangles in all.

    Raises:
        ConfigError: the URDF or one of its meshes is missing, or it has none.
    """
    source = robot.urdf_path
    text = source.read_bytes()
    folder = cache_dir("robots", hashlib.sha256(text + f"{robot.decimate} {_VERSION}".encode()).hexdigest()[:16])
    urdf = folder / source.name
    if urdf.exists():
        return urdf
    root = ET.fromstring(text)
    if root.find(".//visual") is None:
        raise ConfigError(f"robot {robot.name} has nothing to draw in {source}: it is for a real arm; simulate another")
    meshes = {}
    for mesh in root.iter("mesh"):
        path = _resolve(mesh.attrib["filename"], source)
        light = folder / f"{hashlib.sha256(str(path).encode()).hexdigest()[:12]}.obj"
        meshes[path] = light
        mesh.set("filename", light.name)  # beside the URDF, so that the folder may move
    _decimate(meshes, robot.decimate)
    write_text(urdf, ET.tostring(root, encoding="unicode"))
    return urdf


def _resolve(filename: str, urdf: Path) -> Path:
    if filename.startswith("package://pybullet_data/"):
        import pybullet_data

        path = Path(pybullet_data.getDataPath(), filename.removeprefix("package://pybullet_data/"))
    else:
        path = urdf.parent / filename
    if not path.exists():
        raise ConfigError(f"{urdf.name}: mesh {filename} does not exist at {path}")
    return path


def _decimate(meshes: dict[Path, Path], budget: int) -> None:
    """Shares the triangles out by surface area: what looks large keeps more of them."""
    import trimesh

    loaded = {path: trimesh.load_mesh(path) for path in meshes}
    everything = budget >= sum(len(mesh.faces) for mesh in loaded.values())
    bodies = {}
    for path, mesh in loaded.items():
        if everything:
            bodies[path] = [mesh]
            continue
        # Screws and other small or hidden bodies cost triangles and are not seen at 48x48; simplifying each body by
        # itself reaches its budget where simplifying them together stops short or tears holes.
        bodies[path] = [b for b in mesh.split(only_watertight=False) if b.area > _SMALLEST_BODY * mesh.area] or [mesh]
    area = sum(body.area for parts in bodies.values() for body in parts)
    for path, light in meshes.items():
        for index, body in enumerate(bodies[path]):
            keep = max(_SMALLEST, round(budget * body.area / area))
            if keep < len(body.faces):
                bodies[path][index] = body.simplify_quadric_decimation(face_count=keep)
        with atomic_path(light) as tmp:
            trimesh.util.concatenate(bodies[path]).export(tmp)
