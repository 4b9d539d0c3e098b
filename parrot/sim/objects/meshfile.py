"""Meshes from files (ShapeNet, YCB, pybullet_data): scaled, stood upright, decimated, cut into convex parts."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from parrot.sim.objects.shapes import Patch, Points, Solid

if TYPE_CHECKING:
    from trimesh import Trimesh

__all__ = ["load_mesh"]

_VHACD = """
import sys, pybullet
pybullet.vhacd(*sys.argv[1:4], resolution=200_000, concavity=1e-4, gamma=1e-5, maxNumVerticesPerCH=32)
"""
"""V-HACD prints to the C library's stdout and cannot be told not to, so it runs in a process of its own."""


def load_mesh(
    file: Path,
    *,
    color: str,
    height: float | None = None,
    scale: float | None = None,
    turn: Sequence[float] = (0, 0, 0),
    faces: int = 150,
    collide: str = "hull",
) -> Solid:
    """The mesh in millimetres, turned (degrees about x, y, z), its middle over the origin and its base on z = 0.

    `collide`: one `hull`, the hulls of the file's own `groups`, or convex `parts` found by V-HACD.

    Raises:
        ValueError: the file is no mesh, holds no triangles, or has no convex parts.
    """
    import trimesh

    from parrot.sim.objects.build import rotation

    groups = _load_groups(file)
    whole = trimesh.Trimesh(
        np.concatenate([m.vertices for m in groups]),
        np.concatenate([m.faces + n for m, n in zip(groups, _starts(groups), strict=True)]),
    )
    if collide == "groups":
        parts = [np.asarray(m.vertices) for m in groups]
    elif collide == "parts":
        parts = _decompose(whole)
    else:
        parts = [np.asarray(whole.vertices)]
    matrix = rotation(list(turn))
    turned = np.asarray(whole.vertices) @ matrix.T
    low, high = turned.min(0), turned.max(0)
    factor = scale if scale is not None else (height or 0) / (high[2] - low[2])
    origin = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    if len(whole.faces) > faces:
        whole = whole.simplify_quadric_decimation(face_count=faces)
    triangles = (np.asarray(whole.triangles) @ matrix.T - origin) * factor
    return Solid(
        [Patch(color, triangles, np.zeros((len(triangles), 3, 2)))], [(p @ matrix.T - origin) * factor for p in parts]
    )


def _load_groups(file: Path) -> list[Trimesh]:
    """The file's meshes, one for each of its objects or groups."""
    import trimesh

    try:
        # The option that splits an OBJ at its `o` lines has an s from trimesh 5 on; each ignores the other's.
        split: dict[str, Any] = {"split_object": True, "split_objects": True}
        scene = trimesh.load_scene(file, group_material=False, skip_materials=True, **split)
    except Exception as error:  # each format's reader fails in its own way
        raise ValueError(f"{file} cannot be read as a mesh ({error})") from error
    groups = [m for m in scene.dump() if isinstance(m, trimesh.Trimesh) and len(m.faces)]
    if not groups:
        raise ValueError(f"{file} holds no triangles")
    return groups


def _starts(groups: list[Trimesh]) -> list[int]:
    """Index of each group's first vertex when all are put in one list."""
    return [0, *np.cumsum([len(m.vertices) for m in groups])[:-1].tolist()]


def _decompose(mesh: Trimesh) -> list[Points]:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.obj"), Path(folder, "out.obj")
        mesh.export(source)
        command = [sys.executable, "-c", _VHACD, str(source), str(target), str(Path(folder, "log.txt"))]
        if subprocess.run(command, capture_output=True).returncode or not target.exists():
            raise ValueError("V-HACD found no convex parts; use 'collide: hull'")
        return [np.asarray(m.vertices) for m in _load_groups(target)]
