"""The shapes that objects are made of. Each returns painted triangles and convex parts; lengths in millimetres.

A shape stands on the plane z = 0, centred on the z axis, unless its docstring says otherwise. Few triangles:
the software renderer pays for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["HULL_VERTICES", "SHAPES", "Patch", "Solid"]

Points = NDArray[np.float64]

HULL_VERTICES = 32
"""Most vertices of a convex part: contacts of larger hulls are slow and no better."""


@dataclass
class Patch:
    """Triangles of one paint."""

    paint: str
    """Name of a colour or texture."""
    triangles: Points
    """(n, 3, 3) corners, counter-clockwise seen from outside."""
    uv: Points
    """(n, 3, 2) texture coordinates."""


@dataclass
class Solid:
    """A shape's surface and its decomposition into convex parts."""

    patches: list[Patch]
    hulls: list[Points]
    """Points whose convex hulls make up the shape, (k, 3) each."""


def lathe(*, color: str, profile: Sequence[Sequence], sides: int = 10) -> Solid:
    """A profile of [radius, height] points turned about z, from the bottom's middle outwards, up and back to the axis.

    A third entry in a point paints the surface from there on.
    """
    ring = np.array([p[:2] for p in profile], float)
    paints = [color]
    for p in profile:
        paints.append(str(p[2]) if len(p) > 2 else paints[-1])
    angle = 2 * np.pi * np.arange(sides + 1) / sides
    around = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    length = np.linalg.norm(np.diff(ring, axis=0), axis=1)
    patches = []
    start = 0
    for i in range(len(ring) - 1):
        start = i if i and paints[i + 1] != paints[i] else start
        end = next((j for j in range(i + 1, len(ring) - 1) if paints[j + 1] != paints[i + 1]), len(ring) - 1)
        band = length[start:end].sum() or 1.0
        v = np.array([length[start:i].sum(), length[start : i + 1].sum()]) / band
        low, high = (np.column_stack([around * r, np.full(sides + 1, z)]) for r, z in ring[i : i + 2])
        u = np.arange(sides + 1) / sides
        k = np.arange(sides)
        tri = np.concatenate(
            [np.stack([low[k], low[k + 1], high[k + 1]], axis=1), np.stack([low[k], high[k + 1], high[k]], axis=1)]
        )
        lo, hi = (np.column_stack([u, np.full(sides + 1, x)]) for x in v)
        uv = np.concatenate(
            [np.stack([lo[k], lo[k + 1], hi[k + 1]], axis=1), np.stack([lo[k], hi[k + 1], hi[k]], axis=1)]
        )
        patches.append(Patch(paints[i + 1], tri, uv))
    chain = _convex_chain(ring, (HULL_VERTICES - 2) // sides)
    return Solid(patches, [np.concatenate([np.column_stack([around[:-1] * r, np.full(sides, z)]) for r, z in chain])])


def cylinder(*, color: str, radius: float, height: float, top: float | None = None, sides: int = 10) -> Solid:
    """A cylinder, or a cone of top radius `top`."""
    top = radius if top is None else top
    return lathe(color=color, profile=[[0, 0], [radius, 0], [top, height], [0, height]], sides=sides)


def ball(
    *, color: str, radius: float, latitudes: Sequence[float] = (-60, 90), rings: int = 5, sides: int = 10
) -> Solid:
    """A sphere cut flat at two latitudes in degrees: (-60, 90) is a ball with a flat base, (0, 90) a dome."""
    low, high = latitudes
    angle = np.radians(np.linspace(low, high, rings + 1))
    z = radius * np.sin(angle)
    arc = np.column_stack([radius * np.cos(angle), z - z[0]])
    arc[np.abs(arc) < 1e-9] = 0
    return lathe(color=color, profile=[[0, 0], *arc.tolist(), [0, arc[-1, 1]]], sides=sides)


def box(*, color: str, size: Sequence[float], taper: float | Sequence[float] = 1.0) -> Solid:
    """A box of `size` x, y, z; its top is `taper` times as wide (a number, or one each for x and y)."""
    tx, ty = (taper, taper) if isinstance(taper, int | float) else taper
    x, y, z = size[0] / 2, size[1] / 2, size[2]
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    ends = ((1, 1, 0), (tx, ty, z))
    return _loft(color, [np.column_stack([square * (x * a, y * b), np.full(4, h)]) for a, b, h in ends])


def prism(*, color: str, outline: Sequence[Sequence[float]], height: float) -> Solid:
    """A polygon of [x, y] corners, counter-clockwise, extruded upwards; the hull is that of the whole polygon."""
    from manifold3d import triangulate

    corners = np.array(outline, float)
    caps = np.asarray(triangulate([corners]))
    low = np.column_stack([corners, np.zeros(len(corners))])
    high = np.column_stack([corners, np.full(len(corners), height)])
    nxt = np.roll(np.arange(len(corners)), -1)
    sides = np.concatenate([np.stack([low, low[nxt], high[nxt]], axis=1), np.stack([low, high[nxt], high], axis=1)])
    triangles = np.concatenate([sides, high[caps], low[caps[:, ::-1]]])
    return Solid([_patch(color, triangles)], [np.concatenate([low, high])])


def tube(
    *,
    color: str,
    path: Sequence[Sequence[float]],
    radius: float | Sequence[float],
    sides: int = 6,
    closed: bool = False,
) -> Solid:
    """A tube along a path of [x, y, z] points, not moved to z = 0. `radius`: a number, or one for each point.

    Convex parts: one for each stretch of the path.
    """
    points = np.array(path, float)
    radii = np.broadcast_to(np.array(radius, float), len(points))
    step = (np.roll(points, -1, 0) - np.roll(points, 1, 0)) if closed else np.gradient(points, axis=0)
    tangent = step / np.linalg.norm(step, axis=1, keepdims=True)
    # The normal of the path's plane keeps the rings from twisting.
    spread = np.linalg.svd(points - points.mean(0))[2]
    side = spread[2] if len(points) > 2 else np.eye(3)[np.argmin(np.abs(tangent[0]))]
    angle = 2 * np.pi * np.arange(sides) / sides + np.pi / sides
    rings = []
    for p, t, r in zip(points, tangent, radii, strict=True):
        b = np.cross(t, side)
        b /= np.linalg.norm(b)
        rings.append(p + r * (np.outer(np.cos(angle), np.cross(b, t)) + np.outer(np.sin(angle), b)))
    return _loft(color, rings, closed=closed)


def torus(*, color: str, radius: float, thick: float, sides: int = 10, thick_sides: int = 6) -> Solid:
    """A ring of middle radius `radius` about z, lying on z = 0; the tube's own radius is `thick`."""
    angle = 2 * np.pi * np.arange(sides) / sides
    path = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), np.full(sides, thick)])
    return tube(color=color, path=path.tolist(), radius=thick, sides=thick_sides, closed=True)


def rim(
    *,
    color: str,
    height: float,
    thick: float,
    radius: float | None = None,
    size: Sequence[float] | None = None,
    flare: float = 0.0,
    sides: int = 12,
) -> Solid:
    """A wall around a round (`radius`) or rectangular (`size` x, y) interior, measured inside at the bottom.

    It leans outwards by `flare` at the top. Convex parts: one for each straight piece, so that the inside stays empty.
    """
    if radius is not None:
        angle = 2 * np.pi * np.arange(sides) / sides
        corner = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        inner, grow = corner * radius, corner
    else:
        corner = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
        inner, grow = corner * np.array(size) / 2, corner
    loops = [
        np.column_stack([inner + grow * out, np.full(len(inner), z)])
        for out, z in ((thick, 0), (thick + flare, height), (flare, height), (0, 0))
    ]
    nxt = np.roll(np.arange(len(inner)), -1)
    triangles = [
        np.stack(corners, axis=1) for a, b in pairwise(loops) for corners in ((a, a[nxt], b[nxt]), (a, b[nxt], b))
    ]
    hulls = [np.stack([loop[k] for loop in loops for k in (i, nxt[i])]) for i in range(len(inner))]
    return Solid([_patch(color, np.concatenate(triangles))], hulls)


SHAPES: dict[str, Callable[..., Solid]] = {
    f.__name__: f for f in (lathe, cylinder, ball, box, prism, tube, torus, rim)
}  # fmt: skip


def _loft(color: str, rings: list[Points], closed: bool = False) -> Solid:
    """Skin over rings of equally many points, with flat ends unless closed."""
    pairs = list(zip(rings, rings[1:] + rings[:1] if closed else rings[1:], strict=False))
    n = len(rings[0])
    k, nxt = np.arange(n), np.roll(np.arange(n), -1)
    triangles = [t for a, b in pairs for t in (np.stack([a, a[nxt], b[nxt]], axis=1), np.stack([a, b[nxt], b], axis=1))]
    if not closed:
        fan = np.column_stack([np.zeros(n - 2, int), k[1:-1], k[2:]])
        triangles += [rings[-1][fan], rings[0][fan[:, ::-1]]]
    return Solid([_patch(color, np.concatenate(triangles))], [np.concatenate(pair) for pair in pairs])


def _patch(color: str, triangles: Points) -> Patch:
    """Paints triangles as if the picture were projected on them along their dominant axis."""
    volume = np.einsum("ni,ni", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2]))
    if volume < 0:  # outlines and paths may run either way round
        triangles = triangles[:, ::-1]
    low, high = triangles.min((0, 1)), triangles.max((0, 1))
    unit = (triangles - low) / np.maximum(high - low, 1e-9)
    normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    planes = np.array([[1, 2], [0, 2], [0, 1]])[np.abs(normal).argmax(1)]
    return Patch(color, triangles, np.take_along_axis(unit, planes[:, None, :].repeat(3, 1), axis=2))


def _convex_chain(ring: Points, limit: int) -> Points:
    """The outer boundary of a profile with at most `limit` rings (a tip on the axis counts as none), lowest first."""
    chain: list[Points] = []
    for p in sorted(ring.tolist(), key=lambda q: (q[1], q[0])):
        point = np.array(p)
        while len(chain) > 1 and _area(chain[-2], chain[-1], point) <= 1e-9:
            chain.pop()
        chain.append(point)
    if len(chain) > 1 and chain[0][1] == chain[1][1]:  # the disc at the bottom: its edge is enough
        chain.pop(0)
    while sum(p[0] > 0 for p in chain) > max(limit, 2):
        loss = [_area(*chain[i - 1 : i + 2]) for i in range(1, len(chain) - 1)]
        chain.pop(1 + int(np.argmin(loss)))
    return np.array(chain)


def _area(a: Points, b: Points, c: Points) -> float:
    """Twice the signed area of a triangle of 2-D points."""
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
