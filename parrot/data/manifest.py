"""What a dataset is made of: enough to reproduce it, and to refuse to mix it with one that reads differently."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from parrot import durable
from parrot.errors import DatasetError
from parrot.spaces import ACTION_DIM, ACTION_NAMES, IMAGE_SHAPE

__all__ = ["ArraySpec", "Manifest"]

MANIFEST_FILE = "manifest.json"
FORMAT = "parrot-dataset"
VERSION = 1

_SUFFIXES = {"uint8": "u8", "int32": "i32", "int64": "i64", "float16": "f16", "float32": "f32", "float64": "f64"}


@dataclass(frozen=True)
class ArraySpec:
    """One array with a row for every step, kept as raw little-endian rows in a file of its own.

    Raises:
        DatasetError: the type is not one that is kept, or the name is no identifier.
    """

    name: str
    """Name of the array, e.g. `latents`."""
    dtype: str
    """NumPy's name of the element type, e.g. `float32`."""
    shape: tuple[int, ...]
    """Shape of one row: (7,) for actions, () for rewards."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        if self.dtype not in _SUFFIXES:
            raise DatasetError(f"array {self.name!r} has type {self.dtype!r}; use one of {', '.join(_SUFFIXES)}")
        if not self.name.isidentifier() or min(self.shape, default=1) < 1:
            raise DatasetError(f"array {self.name!r} {self.shape}: needs a plain name and positive sizes")

    @property
    def file(self) -> str:
        """File name below the shard, e.g. `latents.f32`."""
        return f"{self.name}.{_SUFFIXES[self.dtype]}"

    @property
    def numpy(self) -> np.dtype:
        """The element type on disk, little-endian."""
        return np.dtype(self.dtype).newbyteorder("<")

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.numpy.itemsize


_BASE_ARRAYS = (
    ArraySpec("images", "uint8", IMAGE_SHAPE),
    ArraySpec("actions", "float32", (ACTION_DIM,)),
    ArraySpec("rewards", "float32", ()),
)

_MIXING = (
    "robot", "renderer", "camera", "action_scale", "control_hz", "object_split", "image_shape", "action_names",
)  # fmt: skip
"""Fields that decide how an image or an action reads, and whether test objects can leak into a prior."""

_MIXED_BY = {
    "action_scale": " (`parrot prior train --convert` rescales actions)",
    **{
        name: f" (`parrot prior train --allow {name}` takes both)"
        for name in ("camera", "renderer", "robot", "control_hz")
    },
}
"""Where to go with datasets that differ in a field."""

_CONTINUING = (*_MIXING, "kind", "task", "seed", "catalogue", "extra")
"""Fields that a run must share with the dataset that it appends to."""


@dataclass(frozen=True)
class Manifest:
    """The description of a dataset, `manifest.json` in its folder.

    Two datasets may be mixed if they agree in robot, renderer, camera, action scale, control rate and object split.
    """

    kind: str
    """Where the episodes come from: `collect` (scripted), `replay` (a fine-tuning run), `bags` (recorded), `lerobot`
    (imported), or `mixed`."""
    robot: str
    """Name of the robot's YAML, e.g. `xarm6`."""
    renderer: str
    """What drew the images, e.g. `pybullet-tiny`, or `camera` for a real one. Pictures of two renderers differ."""
    camera: Any = None
    """Where the camera stands and what it sees; whatever JSON the simulator or the driver describes it by."""
    action_scale: Any = None
    """Metres and radians that an action of 1 stands for; JSON."""
    control_hz: float | None = None
    """Control steps per second; none if the time of a step has no meaning."""
    object_split: str = "train"
    """Objects of the scenes: `train` or `test`. Test objects never appear in the data of a prior."""
    catalogue: str = ""
    """Digest of the object catalogue that the scenes were drawn from."""
    task: str = ""
    """The task that was asked for; its episodes may carry the names of its parts. Empty: several."""
    seed: int | None = None
    """Base seed; attempt i uses the seed `SeedSequence(seed, spawn_key=(i,))`. None: the episodes' seeds have no common
    origin, as in recorded, merged and split data."""
    extra: tuple[ArraySpec, ...] = ()
    """Arrays beside images, actions and rewards, such as the latents of a replay."""
    image_shape: tuple[int, ...] = IMAGE_SHAPE
    """Rows, columns, channels of an image; uint8."""
    action_names: tuple[str, ...] = ACTION_NAMES
    """Names of an action's components, in order."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Commit, machine and versions that made it (`parrot.provenance`)."""
    created: str = ""
    """When it was begun: ISO 8601, UTC."""
    complete: bool = False
    """Whether it was sealed; the four fields below are filled in by then and stay as they were begun until then."""
    episodes: int = 0
    """Episodes in it; a sealed dataset offers just these, the first by number of attempt."""
    steps: int = 0
    """Steps of these episodes."""
    tasks: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By task: attempts (`tried`), episodes (`kept`) and successful episodes (`succeeded`)."""
    checksum: str = ""
    """SHA-256 over the order, seeds, lengths and contents' CRCs of these episodes."""

    def __post_init__(self) -> None:
        for name in ("image_shape", "action_names"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        specs = tuple(spec if isinstance(spec, ArraySpec) else ArraySpec(**spec) for spec in self.extra)
        object.__setattr__(self, "extra", specs)
        names = [spec.name for spec in self.arrays]
        if len(set(names)) != len(names):
            raise DatasetError(f"arrays {', '.join(names)}: a name occurs twice; rename the extra array")

    @property
    def arrays(self) -> tuple[ArraySpec, ...]:
        """All arrays of a step: images, actions, rewards, then the extra ones."""
        return (*_BASE_ARRAYS, *self.extra)

    def compatible_with(self, other: Manifest, allow: Collection[str] = ()) -> None:
        """Passes if episodes of both may be used together.

        Args:
            other: of the other dataset.
            allow: fields that may differ.

        Raises:
            DatasetError: a field that decides about it differs; the message names it.
        """
        if name := self._differs(other, [name for name in _MIXING if name not in allow]):
            mine, others = self._value(name), other._value(name)
            raise DatasetError(
                f"datasets cannot be mixed: {name} is {mine} in one and {others} in the other; "
                f"use them one by one, or collect both with the same settings{_MIXED_BY.get(name, '')}"
            )

    def continued_by(self, other: Manifest) -> None:
        """Passes if a run described by `other` may append to this dataset.

        Raises:
            DatasetError: a field differs; the message names it.
        """
        if name := self._differs(other, _CONTINUING):
            raise DatasetError(
                f"the dataset cannot be continued: {name} is {self._value(name)} in it and {other._value(name)} now; "
                "use the same settings or another folder"
            )

    def _differs(self, other: Manifest, names: Sequence[str]) -> str | None:
        """The first of these fields that differs."""
        mine, others = self.to_json(), other.to_json()
        return next((name for name in names if mine[name] != others[name]), None)

    def _value(self, name: str) -> str:
        return json.dumps(self.to_json()[name])

    def to_json(self) -> dict[str, Any]:
        """The manifest as JSON holds it (lists for tuples), with format and version in front."""
        return json.loads(json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}))

    def save(self, dataset: Path) -> None:
        """Writes it into the dataset's folder, whole or not at all.

        Raises:
            RunError: the disk is full or cannot be written.
        """
        durable.write_json(dataset / MANIFEST_FILE, self.to_json())

    @classmethod
    def load(cls, dataset: Path) -> Manifest:
        """Reads the manifest of the dataset in this folder.

        Raises:
            DatasetError: there is none, or it is damaged, foreign or of a newer version.
        """
        path = dataset / MANIFEST_FILE
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            what = f"has no {MANIFEST_FILE}, so it is no parrot dataset" if dataset.exists() else "does not exist"
            raise DatasetError(f"{dataset} {what}; give the folder that `parrot data collect --out` wrote") from None
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path} cannot be read ({error}); restore it from a copy") from error
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise DatasetError(f"{path} is not the manifest of a parrot dataset; give another folder")
        if (version := value.get("version")) != VERSION:
            raise DatasetError(f"{path} has version {version}, this parrot reads {VERSION}; upgrade parrot or collect")
        return cls.from_json(path, value)

    @classmethod
    def from_json(cls, path: Path, value: Mapping[str, Any]) -> Manifest:
        """The inverse of `to_json`, of what was found at `path`.

        Raises:
            DatasetError: it is damaged.
        """
        value = {k: v for k, v in value.items() if k not in ("format", "version")}
        known = {f.name for f in fields(cls)}
        if value.keys() != known:
            names = ", ".join(sorted(value.keys() ^ known))
            raise DatasetError(f"{path} lacks or adds the field {names}; restore it from a copy")
        for name, kinds in _KINDS.items():
            if not isinstance(value[name], kinds):
                raise DatasetError(f"{path}: {name} is {json.dumps(value[name])}; restore it from a copy")
        try:
            manifest = cls(**value)
        except (TypeError, ValueError, AttributeError) as error:
            raise DatasetError(f"{path} is damaged ({error}); restore it from a copy") from error
        for name, ours in (("image_shape", IMAGE_SHAPE), ("action_names", ACTION_NAMES)):
            if getattr(manifest, name) != ours:
                raise DatasetError(f"{path}: {name} is {getattr(manifest, name)}, parrot uses {ours}; convert it")
        return manifest


_KINDS: dict[str, type | tuple[type, ...]] = {
    "kind": str, "robot": str, "renderer": str, "control_hz": (int, float, type(None)), "object_split": str,
    "catalogue": str, "task": str, "seed": (int, type(None)), "extra": list, "image_shape": list,
    "action_names": list, "provenance": dict, "created": str, "complete": bool, "episodes": int, "steps": int,
    "tasks": dict, "checksum": str,
}  # fmt: skip
"""What JSON must hold in each field."""
