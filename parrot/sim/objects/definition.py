"""Reads an object file (YAML): which objects there are, of which category and split, and what each is made of.

The keys are described at the top of `sim/objects.yaml`. Lengths there are millimetres and grams, angles degrees.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from parrot.errors import ConfigError
from parrot.sim.objects.shapes import SHAPES
from parrot.sim.objects.textures import PATTERNS

__all__ = ["Definition", "read_definitions"]

_COLLIDE = ("hull", "groups", "parts")
"""How a mesh from a file may collide."""

_ROLES = ("graspable", "container", "target")
_SPLITS = ("train", "test")
_KEYS = ("name", "category", "split", "role", "mass", "grasp", "interior", "parts", "mesh")
_PLACING = ("shape", "at", "turn", "stretch", "collide")
_MESH_KEYS = ("file", "height", "scale", "turn", "color", "faces", "collide")
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_GENERATORS = b"1"
"""To be raised when shapes or textures come out otherwise from the same definition."""


@dataclass(frozen=True)
class Definition:
    """One checked entry of an object file."""

    name: str
    category: str
    split: str
    role: str
    body: dict[str, Any]
    """The entry as it stands in the file, with the paints that its file defines."""
    mesh: Path | None
    """File that the object's mesh comes from; None if it is made of parts."""
    where: str
    """File and object, for messages."""

    @property
    def digest(self) -> str:
        """Hash of all that the file says of the object, and of its mesh file."""
        sha = hashlib.sha256(_GENERATORS + json.dumps(self.body, sort_keys=True, default=str).encode())
        if self.mesh is not None:
            sha.update(self.mesh.read_bytes())
        return sha.hexdigest()


def read_definitions(path: Path) -> list[Definition]:
    """The objects that a YAML file (or the `objects.yaml` in a folder) defines.

    Raises:
        ConfigError: the file is missing or says something that cannot be built; names the object and the key.
    """
    path = path / "objects.yaml" if path.is_dir() else path
    try:
        document = yaml.load(path.read_text(), Loader=_YAML)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give an object file or its folder") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict) or not isinstance(document.get("objects"), list):
        raise ConfigError(f"{path}: no list 'objects'; see sim/objects.yaml for an example")
    _known(document, ("objects", "colors", "textures"), str(path))
    paints = _paints(document, path)
    return [_entry(entry, i, paints, path) for i, entry in enumerate(document["objects"])]


def _paints(document: dict[str, Any], path: Path) -> dict[str, Any]:
    """Colours as [r, g, b] and textures as {pattern, colors, cells}, by name."""
    paints: dict[str, Any] = {}
    for name, value in _mapping(document.get("colors") or {}, str(path), "colors").items():
        paints[name] = _color(value, f"{path}: color {name!r}")
    plain = dict(paints)
    for name, value in _mapping(document.get("textures") or {}, str(path), "textures").items():
        where = f"{path}: texture {name!r}"
        if not isinstance(value, dict):
            raise ConfigError(f"{where} is {value!r}; expected pattern, colors and cells")
        _known(value, ("pattern", "colors", "cells"), where)
        _choice(value.get("pattern"), PATTERNS, where, "pattern")
        colors = value.get("colors")
        if not isinstance(colors, list) or len(colors) != 2:
            raise ConfigError(f"{where}: colors {colors!r}; expected two colours")
        cells = value.get("cells", 4)
        if not isinstance(cells, int) or not 1 <= cells <= 64:
            raise ConfigError(f"{where}: cells {cells!r}; give a whole number from 1 to 64")
        mixed = [plain[c] if c in plain else _color(c, where) for c in map(str, colors)]
        paints[name] = {"pattern": value["pattern"], "colors": mixed, "cells": cells}
    return paints


def _color(value: Any, where: str) -> list[float]:
    """'#rrggbb' as three numbers in [0, 1]."""
    try:
        if len(value) != 7 or value[0] != "#":
            raise ValueError
        return [int(value[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {value!r} is not a colour; write '#rrggbb' or a name under 'colors'") from error


def _entry(entry: Any, index: int, paints: dict[str, Any], path: Path) -> Definition:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise ConfigError(f"{path}: object number {index + 1} has no name")
    where = f"{path}: object {entry['name']!r}"
    _known(entry, _KEYS, where)
    category = entry.get("category")
    if not isinstance(category, str):
        raise ConfigError(f"{where}: category {category!r}; give a word, e.g. bottle")
    _choice(entry.get("split"), _SPLITS, where, "split")
    role = entry.get("role", "graspable")
    _choice(role, _ROLES, where, "role")
    if not _number(entry.get("mass")) or entry["mass"] <= 0:
        raise ConfigError(f"{where}: mass {entry.get('mass')!r}; give grams, above 0")
    _numbers(entry.get("grasp", {}), {"height": 0, "across": 0, "at": 2}, where, "grasp")
    _interior(entry, role, where)
    if ("parts" in entry) == ("mesh" in entry):
        raise ConfigError(f"{where}: give either 'parts' or 'mesh'")
    mesh = None
    if "mesh" in entry:
        mesh = _mesh(_mapping(entry["mesh"], where, "mesh"), path, where)
        used = {entry["mesh"].get("color")}
    else:
        used = _parts(entry["parts"], where)
    own = {}
    for paint in sorted(used - {None}):
        own[paint] = paints[paint] if paint in paints else _color(paint, where)
    return Definition(entry["name"], category, entry["split"], role, {**entry, "paints": own}, mesh, where)


def _interior(entry: dict[str, Any], role: str, where: str) -> None:
    if (role == "graspable") == ("interior" in entry):
        raise ConfigError(f"{where}: 'interior' is for containers and targets, and they need one")
    if "interior" not in entry:
        return
    inside = entry["interior"]
    _numbers(inside, {"floor": 0, "top": 0, "radius": 0, "half": 2}, where, "interior")
    if "floor" not in inside or ("radius" in inside) == ("half" in inside):
        raise ConfigError(f"{where}: interior {inside!r}; give floor, and either radius or half: [x, y]")


def _parts(parts: Any, where: str) -> set[str]:
    """Checks the parts and returns the paints that they use."""
    if not isinstance(parts, list) or not parts:
        raise ConfigError(f"{where}: parts {parts!r}; give a list of shapes")
    used = set()
    for i, part in enumerate(parts):
        here = f"{where}, part {i + 1}"
        shape = str(_mapping(part, here, "part").get("shape"))
        _choice(shape, SHAPES, here, "shape")
        here += f" ({shape})"
        parameters = inspect.signature(SHAPES[shape]).parameters
        _known(part, (*_PLACING, *parameters), here)
        missing = [p.name for p in parameters.values() if p.default is p.empty and p.name not in part]
        if missing:
            raise ConfigError(f"{here}: {missing[0]!r} is missing")
        if not isinstance(part.get("collide", "hull"), str):
            raise ConfigError(f"{here}: collide {part['collide']!r}; write hull, parts, none or a group's name")
        used.add(str(part["color"]))
        if shape == "lathe":
            profile = part["profile"]
            if not isinstance(profile, list) or not all(isinstance(p, list) and len(p) in (2, 3) for p in profile):
                raise ConfigError(f"{here}: profile {profile!r}; give points [radius, height, colour if it changes]")
            used.update(str(point[2]) for point in profile if len(point) > 2)
    return used


def _mesh(mesh: dict[str, Any], path: Path, where: str) -> Path:
    _known(mesh, _MESH_KEYS, f"{where}: mesh")
    _choice(mesh.get("collide", "hull"), _COLLIDE, f"{where}: mesh", "collide")
    if ("height" in mesh) == ("scale" in mesh):
        raise ConfigError(f"{where}: mesh: give either height (mm) or scale (file's units to mm)")
    if not isinstance(mesh.get("color"), str) or not isinstance(mesh.get("file"), str):
        raise ConfigError(f"{where}: mesh: give file and color")
    package, _, inside = mesh["file"].partition(":")
    if inside and package == "pybullet_data":
        import pybullet_data

        file = Path(pybullet_data.getDataPath(), inside)
    else:
        file = path.parent / mesh["file"]
    if not file.is_file():
        raise ConfigError(f"{where}: mesh file {file} does not exist; paths are relative to the YAML's folder")
    return file


def _known(value: dict[str, Any], keys: Iterable[str], where: str) -> None:
    for key in value:
        if key not in keys:
            raise ConfigError(f"{where}: unknown key {key!r}; known are {', '.join(keys)}")


def _choice(value: Any, choices: Iterable[str], where: str, key: str) -> None:
    if value not in list(choices):
        raise ConfigError(f"{where}: {key} {value!r}; choose from {', '.join(choices)}")


def _mapping(value: Any, where: str, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: {key} {value!r}; expected keys with values")
    return value


def _numbers(value: Any, sizes: dict[str, int], where: str, key: str) -> None:
    """Checks a mapping of numbers (size 0) and of lists of so many numbers."""
    _known(_mapping(value, where, key), sizes, f"{where}: {key}")
    for name, given in value.items():
        size = sizes[name]
        entries = [given] if size == 0 else given
        if not isinstance(entries, list) or len(entries) != max(size, 1) or not all(map(_number, entries)):
            raise ConfigError(f"{where}: {key}: {name} {given!r}; give {f'{size} numbers' if size else 'a number'}")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
