"""What the simulator knows of an object: meshes to draw, convex parts to collide with, and where to grasp it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Interior", "ObjectModel", "Rgba", "Visual"]

Rgba = tuple[float, float, float, float]


@dataclass(frozen=True)
class Visual:
    """One mesh of one colour."""

    path: Path
    """Wavefront OBJ, in metres and in the object's frame, with outward normals and texture coordinates."""
    rgba: Rgba
    """Colour, each component in [0, 1]; white under a texture."""
    texture: Path | None = None
    """PNG, or None for plain colour."""


@dataclass(frozen=True)
class Interior:
    """Where something put into (or onto) a container counts as placed: a disc or rectangle, and heights."""

    floor_height: float
    """Height of the surface on which things come to rest, m above the container's base."""
    top_height: float
    """Upper edge of the walls; the floor's height where there are none, m above the base."""
    radius: float | None = None
    """Radius of a round interior, m; None if it is rectangular."""
    half_extents: tuple[float, float] | None = None
    """Half width along x and y of a rectangular interior, m; None if it is round."""

    def contains(self, x: float, y: float) -> bool:
        """Whether the point, in the container's frame and in metres, lies above the floor."""
        if self.radius is not None:
            return x * x + y * y <= self.radius**2
        assert self.half_extents is not None
        return abs(x) <= self.half_extents[0] and abs(y) <= self.half_extents[1]


@dataclass(frozen=True)
class ObjectModel:
    """One object of the catalogue. Frame: origin on the ground plane under its middle, z up, metres, radians."""

    name: str
    """Unique in the catalogue."""
    category: str
    """Everyday word for what it is; a whole category belongs to one split."""
    split: str
    """`train` or `test`."""
    role: str
    """`graspable`, `container` (things go into it) or `target` (things go onto it)."""
    visuals: tuple[Visual, ...]
    """Meshes that the camera sees."""
    collisions: tuple[Path, ...]
    """Convex hulls, one OBJ each, at most 32 vertices."""
    mass: float
    """Mass, kg."""
    size: tuple[float, float, float]
    """Extents of the upright object along x, y and z, m."""
    centre_of_mass: tuple[float, float, float]
    """Centre of the volume of the convex parts, m."""
    grasp_height: float
    """Height above the base at which the fingers' middle should close, m."""
    grasp_yaw: float | None
    """Direction in which the fingers move as they close, angle from the object's x axis, rad; None: any will do."""
    grasp_xy: tuple[float, float]
    """Point between the fingers, m from the origin in the object's frame."""
    triangles: int
    """Triangles that the renderer draws, over all visuals."""
    interior: Interior | None = None
    """Where placed things lie; None for graspable objects."""

    def to_json(self) -> dict[str, Any]:
        """Plain values; paths become names of files in the object's folder."""
        return {
            **vars(self),
            "visuals": [[v.path.name, v.rgba, v.texture.name if v.texture else None] for v in self.visuals],
            "collisions": [path.name for path in self.collisions],
            "interior": vars(self.interior) if self.interior else None,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], folder: Path) -> ObjectModel:
        """The inverse of `to_json`, for an object whose files lie in `folder`."""
        visuals = tuple(
            Visual(folder / name, tuple(rgba), folder / texture if texture else None)
            for name, rgba, texture in value["visuals"]
        )
        interior = value["interior"]
        if interior and interior["half_extents"]:
            interior = {**interior, "half_extents": tuple(interior["half_extents"])}
        tuples = {key: tuple(value[key]) for key in ("size", "centre_of_mass", "grasp_xy")}
        return cls(**{
            **value, **tuples, "visuals": visuals, "collisions": tuple(folder / name for name in value["collisions"]),
            "interior": Interior(**interior) if interior else None,
        })  # fmt: skip
