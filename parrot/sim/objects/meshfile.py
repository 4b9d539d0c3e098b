"""Meshes from files (ShapeNet, YCB, pybullet_data): scaled, stood upright, decimated, cut into convex parts."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from parrot.sim.objects.shapes import HULL_VERTICES, Patch, Points, Solid

__all__ = ["load_mesh"]

_VHACD = """
import sys, pybullet
pybullet.vhacd(sys.argv[1], sys.argv[2], sys.argv[3], resolution=50_000, maxNumVerticesPerCH=32)
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
        ValueError: the file holds no triangles.
    """
    import trimesh

    from parrot.sim.objects.build import rotation

    scene = trimesh.load(file, force="scene", group_material=False, split_object=True, skip_materials=True)
    groups = [m for m in scene.dump() if isinstance(m, trimesh.Trimesh) and len(m.faces)]
    if not groups:
        raise ValueError(f"{file} holds no triangles")
    whole = trimesh.util.concatenate(groups)
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
    whole.merge_vertices(merge_tex=True, merge_norm=True)
    if len(whole.faces) > faces:
        whole = whole.simplify_quadric_decimation(face_count=faces)
    triangles = (np.asarray(whole.triangles) @ matrix.T - origin) * factor
    return Solid(
        [Patch(color, triangles, np.zeros((len(triangles), 3, 2)))], [(p @ matrix.T - origin) * factor for p in parts]
    )


def _decompose(mesh) -> list[Points]:  # noqa: ANN001 - a trimesh.Trimesh, whose import is deferred
    import trimesh

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.obj"), Path(folder, "out.obj")
        mesh.export(source)
        subprocess.run(
            [sys.executable, "-c", _VHACD, source, target, Path(folder, "log.txt")], check=True, capture_output=True
        )
        scene = trimesh.load(target, force="scene", split_object=True, skip_materials=True)
        return [np.asarray(m.vertices) for m in scene.dump()]
