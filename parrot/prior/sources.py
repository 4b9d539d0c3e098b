"""Several datasets as the data of one prior: how often each is drawn, and what makes their actions alike.

A weight says how often a step of a dataset is drawn beside the steps of the others, whatever the datasets' sizes: 2 is
twice as often as 1. Without weights every step is equally likely.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from parrot.data.dataset import Dataset
from parrot.data.manifest import Manifest
from parrot.errors import ConfigError, DatasetError

__all__ = ["ALLOWED", "Mix", "Sources", "source_table"]

log = logging.getLogger(__name__)

ALLOWED = ("camera", "renderer", "robot", "control_hz")
"""Fields of the manifest that may differ if the user says so. Test objects never mix with training objects."""


@dataclass(frozen=True)
class Mix:
    """How several datasets are used together.

    Raises:
        ConfigError: a weight is not above 0, or a field may not differ.
    """

    weights: tuple[float, ...] = ()
    """How often a step of each dataset is drawn; empty: all equally often."""
    convert: bool = False
    """Whether actions of another action scale are rescaled to that of the first dataset."""
    allow: tuple[str, ...] = ()
    """Those of `ALLOWED` in which the datasets may differ."""

    def __post_init__(self) -> None:
        if not all(math.isfinite(weight) and weight > 0 for weight in self.weights):
            raise ConfigError(f"--weights {' '.join(f'{w:g}' for w in self.weights)}: each must be above 0")
        for name in self.allow:
            if name not in ALLOWED:
                raise ConfigError(f"--allow {name}: choose of {', '.join(ALLOWED)}")


class Sources:
    """The data of a prior: one dataset or several, their weights and their actions in one scale.

    Example:
        >>> sources = Sources.open(["data/collect", "data/bags"], Mix(weights=(1, 3)))  # doctest: +SKIP
    """

    def __init__(self, dataset: Dataset, mix: Mix | None = None) -> None:
        """Of datasets that are open; see `open`."""
        self.dataset, self.mix = dataset, mix or Mix()
        count = len(dataset.paths)
        if self.mix.weights and len(self.mix.weights) != count:
            found = " ".join(f"{w:g}" for w in self.mix.weights)
            raise ConfigError(f"--weights {found}: give {count}, one for each dataset, or none")
        self.names = _names(dataset.paths)
        self.bounds = dataset.offsets[dataset.bounds]
        given = np.array(self.mix.weights or (1.0,) * count)
        self.weights = given / given[0]
        for k in range(count):
            for j in range(k):
                if same := dataset.shared(j, k):
                    log.warning(
                        "%s and %s share %d episodes: one may train on what the other holds out; leave one of them out",
                        self.names[j], self.names[k], same,
                    )  # fmt: skip
        self.factors = [
            _factors(manifest, dataset.manifests[0], path, dataset.paths[0])
            for manifest, path in zip(dataset.manifests, dataset.paths, strict=True)
        ]

    @classmethod
    def open(cls, paths: Path | str | Sequence[Path | str], mix: Mix | None = None) -> Sources:
        """Opens the datasets.

        Raises:
            ConfigError: the number of weights is not that of the datasets.
            DatasetError: one is missing or damaged, or they differ in what may not differ.
        """
        mix = mix or Mix()
        allow: Collection[str] = (*mix.allow, "action_scale") if mix.convert else mix.allow
        return cls(Dataset.open(paths, allow), mix)

    bounds: NDArray[np.int64]
    """(datasets + 1,): dataset k has the steps from bounds[k] to bounds[k + 1]."""
    weights: NDArray[np.float64]
    """(datasets,): on the scale of the first, whose is 1."""
    factors: list[NDArray[np.float32]]
    """(7,) for each dataset: what its actions are multiplied by."""

    @property
    def shares(self) -> NDArray[np.float64]:
        """(datasets,): share of the training pairs that each gives."""
        drawn = self.weights * np.diff(self.bounds)
        return drawn / max(drawn.sum(), 1e-300)

    @cached_property
    def actions(self) -> NDArray[np.float32]:
        """All actions, (steps, 7) float32 in [-1, 1], in the scale of the first dataset."""
        if all((factors == 1).all() for factors in self.factors):
            return self.dataset.actions
        actions = self.dataset.actions.copy()
        for k, factors in enumerate(self.factors):
            actions[self.bounds[k] : self.bounds[k + 1]] *= factors
        return np.clip(actions, -1.0, 1.0, out=actions)

    @cached_property
    def clipped(self) -> list[float]:
        """For each dataset the share of its steps with a component that its factor takes beyond ±1."""
        shares = []
        for k, factors in enumerate(self.factors):
            actions = self.dataset.actions[self.bounds[k] : self.bounds[k + 1]]
            # Where the robot's scale is the larger one: to the last digit, what was within stays within.
            beyond = (np.abs(actions * factors) > 1.0 + 1e-6).any(1)
            shares.append(float(beyond.mean()) if len(beyond) else 0.0)
        return shares

    def conversions(self) -> list[str]:
        """A line for each dataset whose actions are rescaled."""
        return [
            f"{name}: actions × {factors[0]:.4g} (translation), × {factors[3]:.4g} (rotation); "
            f"{clipped:.1%} of its steps clipped"
            for name, factors, clipped in zip(self.names, self.factors, self.clipped, strict=True)
            if (factors != 1).any()
        ]

    def identity(self) -> dict[str, Any]:
        """What a training that goes on must share, beside the episodes; empty for one dataset used as it is."""
        if len(self.names) == 1:
            return {}
        return {
            "datasets": len(self.names), "weights": self.weights.tolist(), "convert": self.mix.convert,
            "allow": sorted(self.mix.allow),
        }  # fmt: skip

    def describe(self) -> list[dict[str, Any]]:
        """For the card of the prior: each dataset, how often it is drawn, and how it differs from the first."""
        table = []
        first = self.dataset.manifests[0]
        for k, name in enumerate(self.names):
            manifest = self.dataset.manifests[k]
            other = {
                field: getattr(manifest, field)
                for field in (*ALLOWED, "action_scale", "kind", "catalogue")
                if getattr(manifest, field) != getattr(first, field)
            }
            table.append(
                {
                    "name": name, "checksum": self.dataset.checksum(k),
                    "episodes": int(self.dataset.bounds[k + 1] - self.dataset.bounds[k]),
                    "pairs": int(self.bounds[k + 1] - self.bounds[k]), "weight": float(self.weights[k]),
                    "share": round(float(self.shares[k]), 4), "action_factors": [float(f) for f in self.factors[k]],
                    "clipped": round(self.clipped[k], 4), "differs": other,
                }
            )  # fmt: skip
        return table


def source_table(sources: Sources, held_out_nats: Sequence[float]) -> Table:
    """Each dataset, how often it was drawn and how likely its held-out pairs are."""
    table = Table("dataset", "pairs", "weight", "drawn", "clipped", "held-out nats")
    for k, name in enumerate(sources.names):
        nats = held_out_nats[k]
        table.add_row(
            name, f"{sources.bounds[k + 1] - sources.bounds[k]:,}", f"{sources.weights[k]:.3g}",
            f"{sources.shares[k]:.1%}", f"{sources.clipped[k]:.2%}", f"{nats:.3f}" if math.isfinite(nats) else "-",
        )  # fmt: skip
    return table


def _names(paths: Sequence[Path]) -> list[str]:
    """The folders' names; those that occur twice get a number."""
    names: list[str] = []
    for path in paths:
        name = Path(path).resolve().name
        count = sum(other == name or other.startswith(f"{name}#") for other in names)
        names.append(f"{name}#{count + 1}" if count else name)
    return names


def _factors(manifest: Manifest, first: Manifest, path: Path, first_path: Path) -> NDArray[np.float32]:
    if manifest.action_scale == first.action_scale:
        return np.ones(7, np.float32)
    mine, target = _scale(manifest, path), _scale(first, first_path)
    return np.array([mine[0] / target[0]] * 3 + [mine[1] / target[1]] * 3 + [1.0], np.float32)


def _scale(manifest: Manifest, path: Path) -> tuple[float, float]:
    """Metres and radians of an action of 1."""
    try:
        scale = float(manifest.action_scale["translation"]), float(manifest.action_scale["rotation"])
    except (TypeError, KeyError, ValueError):
        scale = (0.0, 0.0)
    if not all(math.isfinite(number) and number > 0 for number in scale):
        raise DatasetError(
            f"{path}: action_scale {manifest.action_scale} names no translation and rotation above 0, so that actions "
            "cannot be converted; use only datasets of one scale"
        )
    return scale
