"""Turns a definition into files: an OBJ for each paint, an OBJ for each convex part, textures, `model.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot.errors import ConfigError
from parrot.sim.objects.definition import Definition
from parrot.sim.objects.model import Interior, ObjectModel, Visual
from parrot.sim.objects.shapes import HULL_VERTICES, SHAPES, Patch, Points, Solid
from parrot.sim.objects.textures import PATTERNS

__all__ = ["build_object", "rotation"]

_MM = 1e-3
"""Object files speak of millimetres and grams."""


def build_object(definition: Definition, folder: Path) -> ObjectModel:
    """Writes the object's files into `folder` and returns its model.

    Raises:
        ConfigError: the numbers in the definition do not make a solid object.
    """
    body = definition.body
    try:
        if definition.mesh is not None:
            from parrot.sim.objects.meshfile import load_mesh

            solid = load_mesh(definition.mesh, **{k: v for k, v in body["mesh"].items() if k != "file"})
        else:
            solid = _assemble(body["parts"])
        hulls = [_convex(points) for points in solid.hulls]
        flat = [i for i, (points, faces) in enumerate(hulls) if _volume(points[faces])[0] < 1]
        if flat:
            raise ValueError(f"collision part {flat[0] + 1} is flat (under 1 mm3)")
    except (TypeError, ValueError, IndexError, ArithmeticError, RuntimeError) as error:
        raise ConfigError(f"{definition.where}: cannot be built: {' '.join(str(error).split())}") from error
    if not hulls:
        raise ConfigError(f"{definition.where}: no part collides; leave out one 'collide: none'")
    base = min(points[:, 2].min() for points, _ in hulls)
    visuals = _write_visuals(solid.patches, body["paints"], base, folder)
    collisions, centre, volume = [], np.zeros(3), 0.0
    for i, (points, faces) in enumerate(hulls):
        points = (points - (0, 0, base)) * _MM
        path = folder / f"collision{i}.obj"
        _write_obj(path, points[faces])
        collisions.append(path)
        weight, middle = _volume(points[faces])
        centre, volume = centre + weight * middle, volume + weight
    corners = np.concatenate([p.triangles.reshape(-1, 3) for p in solid.patches])
    size = np.ptp(corners, axis=0) * _MM
    grasp = body.get("grasp", {})
    across = grasp.get("across")
    model = ObjectModel(
        name=definition.name,
        category=definition.category,
        split=definition.split,
        role=definition.role,
        visuals=visuals,
        collisions=tuple(collisions),
        mass=body["mass"] * _MM,
        size=_triple(size),
        centre_of_mass=_triple(centre / volume),
        grasp_height=grasp["height"] * _MM if "height" in grasp else float(size[2]) / 2,
        grasp_yaw=None if across is None else float(np.radians(across)),
        grasp_xy=(grasp.get("at", (0, 0))[0] * _MM, grasp.get("at", (0, 0))[1] * _MM),
        triangles=sum(len(p.triangles) for p in solid.patches),
        interior=_interior(body.get("interior")),
    )
    (folder / "model.json").write_text(json.dumps(model.to_json()))
    return model


def rotation(degrees: list[float]) -> Points:
    """Turns about x, then y, then z, (3, 3)."""
    (a, b, c), (x, y, z) = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (
        np.array([[c, -z, 0], [z, c, 0], [0, 0, 1]])
        @ np.array([[b, 0, y], [0, 1, 0], [-y, 0, b]])
        @ np.array([[1, 0, 0], [0, a, -x], [0, x, a]])
    )


def _assemble(parts: list[dict[str, Any]]) -> Solid:
    whole = Solid([], [])
    groups: dict[str, list[Points]] = {}
    for part in parts:
        own = {k: v for k, v in part.items() if k not in ("shape", "at", "turn", "stretch", "collide")}
        solid = SHAPES[part["shape"]](**own)
        matrix = rotation(part.get("turn", [0, 0, 0])) @ np.diag(part.get("stretch", [1, 1, 1]))
        shift = np.array(part.get("at", [0, 0, 0]), float)
        for patch in solid.patches:
            triangles = patch.triangles @ matrix.T + shift
            span = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
            solid_ones = np.linalg.norm(span, axis=1) > 1e-6  # tips of cones collapse quads to triangles
            whole.patches.append(Patch(patch.paint, triangles[solid_ones], patch.uv[solid_ones]))
        hulls = [points @ matrix.T + shift for points in solid.hulls]
        collide = part.get("collide", "parts" if part["shape"] == "rim" else "hull")
        if collide == "parts":
            whole.hulls += hulls
        elif collide == "hull":
            whole.hulls.append(np.concatenate(hulls))
        elif collide != "none":
            groups.setdefault(collide, []).extend(hulls)
    whole.hulls += [np.concatenate(hulls) for hulls in groups.values()]
    return whole


def _write_visuals(patches: list[Patch], paints: dict[str, Any], base: float, folder: Path) -> tuple[Visual, ...]:
    visuals = []
    for i, (name, paint) in enumerate(paints.items()):
        chosen = [p for p in patches if p.paint == name and len(p.triangles)]
        if not chosen:
            continue
        path = folder / f"visual{i}.obj"
        triangles = np.concatenate([p.triangles for p in chosen]) - (0, 0, base)
        _write_obj(path, triangles * _MM, np.concatenate([p.uv for p in chosen]))
        if isinstance(paint, dict):
            texture = folder / f"texture{i}.png"
            _write_texture(texture, paint)
            visuals.append(Visual(path, (1.0, 1.0, 1.0, 1.0), texture))
        else:
            visuals.append(Visual(path, (paint[0], paint[1], paint[2], 1.0)))
    return tuple(visuals)


def _write_texture(path: Path, paint: dict[str, Any]) -> None:
    from PIL import Image

    pixels = PATTERNS[paint["pattern"]](np.array(paint["colors"]), paint["cells"])
    Image.fromarray((pixels * 255).round().astype(np.uint8)).save(path)


def _write_obj(path: Path, triangles: Points, uv: Points | None = None) -> None:
    """A flat-shaded OBJ; every triangle has its own corners and normal."""
    corners, index = np.unique(triangles.reshape(-1, 3).round(7), axis=0, return_inverse=True)
    faces = index.reshape(-1, 3) + 1
    lines = ["v {:.7g} {:.7g} {:.7g}".format(*c) for c in corners]
    if uv is None:
        lines += ["f {} {} {}".format(*f) for f in faces]
    else:
        normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        lines += ["vt {:.4f} {:.4f}".format(*t) for t in uv.reshape(-1, 2)]
        lines += ["vn {:.4f} {:.4f} {:.4f}".format(*n) for n in normal]
        for i, face in enumerate(faces):
            lines.append("f " + " ".join(f"{v}/{3 * i + k + 1}/{i + 1}" for k, v in enumerate(face)))
    path.write_text("\n".join(lines) + "\n")


def _convex(points: Points) -> tuple[Points, NDArray[np.int64]]:
    """Vertices and outward faces of the points' hull, of at most `HULL_VERTICES` vertices."""
    import trimesh

    hull = trimesh.convex.convex_hull(points)
    if len(hull.vertices) > HULL_VERTICES:
        hull = trimesh.convex.convex_hull(_extremes(np.asarray(hull.vertices)))
    return np.asarray(hull.vertices), np.asarray(hull.faces)


def _extremes(points: Points) -> Points:
    """A spread-out choice of hull vertices: first the flat base, on which the object stands, then the farthest ones."""
    span = np.ptp(points, axis=0)
    scaled = points / span
    base = np.flatnonzero(points[:, 2] < points[:, 2].min() + 0.01 * span[2])
    chosen = [int(i) for i in base[np.argsort(scaled[base, 0])][:: max(1, len(base) // 10)]][:10]
    chosen += [int(i) for axis in range(3) for i in (scaled[:, axis].argmin(), scaled[:, axis].argmax())]
    chosen = list(dict.fromkeys(chosen))
    distance = np.linalg.norm(scaled[:, None] - scaled[chosen], axis=-1).min(1)
    while len(chosen) < HULL_VERTICES:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(scaled - scaled[chosen[-1]], axis=1))
    return points[chosen]


def _volume(triangles: Points) -> tuple[float, Points]:
    """Volume and centroid of a closed surface."""
    volumes = np.einsum("ni,ni->n", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])) / 6
    volume = float(volumes.sum())
    return volume, (volumes[:, None] * triangles.sum(1) / 4).sum(0) / max(volume, 1e-12)


def _interior(inside: dict[str, Any] | None) -> Interior | None:
    if inside is None:
        return None
    half = inside.get("half")
    return Interior(
        floor_height=inside["floor"] * _MM,
        top_height=inside.get("top", inside["floor"]) * _MM,
        radius=inside["radius"] * _MM if "radius" in inside else None,
        half_extents=(half[0] * _MM, half[1] * _MM) if half else None,
    )


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (round(float(v), 6) for v in values)
    return x, y, z
