"""The catalogue: all objects by name, their meshes made once and kept in the user's cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from parrot.durable import disk_errors
from parrot.errors import ConfigError
from parrot.resources import cache_dir, share
from parrot.sim.objects.definition import Definition, read_definitions
from parrot.sim.objects.model import ObjectModel

__all__ = ["Catalogue", "load_catalogue"]


@dataclass(frozen=True)
class Catalogue:
    """Everyday objects, whole categories of them either for training or for test (paper, appendix C.3)."""

    objects: Mapping[str, ObjectModel]
    """All objects by name, in the order of their files."""
    digest: str
    """Hash of all definitions (and mesh files): two datasets with the same digest saw the same objects."""

    def select(
        self, split: str | None = None, role: str | None = None, category: str | None = None
    ) -> list[ObjectModel]:
        """The objects of a split, role and category; None takes any."""
        return [
            o
            for o in self.objects.values()
            if split in (None, o.split) and role in (None, o.role) and category in (None, o.category)
        ]

    def __getitem__(self, name: str) -> ObjectModel:
        """The object of that name.

        Raises:
            ConfigError: there is none.
        """
        try:
            return self.objects[name]
        except KeyError:
            known = ", ".join(self.objects)
            raise ConfigError(f"object {name!r} is not in the catalogue; choose from {known}") from None


def load_catalogue(extra: Sequence[Path] = ()) -> Catalogue:
    """The objects that come with parrot and those of further object files (or folders with an `objects.yaml`).

    The first call generates the meshes (some seconds); later ones, in any process, read the cache.

    Raises:
        ConfigError: an object file is wrong, two objects share a name, or a category is in both splits.
    """
    definitions: dict[str, Definition] = {}
    split_of: dict[str, Definition] = {}
    for path in (share("sim", "objects.yaml"), *map(Path, extra)):
        for new in read_definitions(path):
            if old := definitions.get(new.name):
                raise ConfigError(f"{new.where} has the name of another object ({old.where}); rename one")
            known = split_of.setdefault(new.category, new)
            if known.split != new.split:
                raise ConfigError(
                    f"{new.where}: category {new.category!r} in split {new.split!r}, but {known.where} has it in "
                    f"{known.split!r}; no category may be in both"
                )
            definitions[new.name] = new
    digest = hashlib.sha256()
    models = {}
    for name, definition in definitions.items():
        digest.update(definition.digest.encode())
        models[name] = _cached(definition)
    return Catalogue(models, digest.hexdigest())


def _cached(definition: Definition) -> ObjectModel:
    """The object's model from the cache, built first if it is not there or damaged."""
    key = hashlib.sha256((definition.digest + _code()).encode()).hexdigest()[:24]
    root = cache_dir("objects")
    folder = root / key
    if model := _read(folder):
        return model
    from parrot.sim.objects.build import build_object

    with disk_errors(folder):
        # Made aside and renamed: processes that start together each build it, the first one's stays.
        aside = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=root))
        try:
            build_object(definition, aside)
            (aside / "files.json").write_text(json.dumps({p.name: p.stat().st_size for p in aside.iterdir()}))
            try:
                os.rename(aside, folder)
            except OSError:
                if not _read(folder):  # damaged, not somebody else's
                    shutil.rmtree(folder, ignore_errors=True)
                    os.rename(aside, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    model = _read(folder)
    assert model is not None
    return model


def _read(folder: Path) -> ObjectModel | None:
    """The model in the folder; None unless all its files are there and whole."""
    try:
        sizes = json.loads((folder / "files.json").read_text())
        if any(os.stat(folder / name).st_size != size for name, size in sizes.items()):
            return None
        return ObjectModel.from_json(json.loads((folder / "model.json").read_text()), folder)
    except (OSError, ValueError):
        return None


@cache
def _code() -> str:
    """Hash of the code that generates meshes, so that a change of it leaves old caches behind."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(p.read_bytes() for p in sources)).hexdigest()
