"""The model card: what a prior was made of and by which command, as data in the file and as a page beside it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from parrot.data.dataset import Dataset
from parrot.durable import write_text
from parrot.prior.presets import TrainConfig
from parrot.provenance import provenance
from parrot.resources import share

__all__ = ["make_card", "write_card"]

_FROM_MANIFEST = ("kind", "robot", "renderer", "camera", "action_scale", "control_hz", "object_split", "catalogue")


def make_card(
    config: TrainConfig, dataset: Dataset, step: int, seconds: float, held_out_nats: float | None
) -> dict[str, Any]:
    """The card of a prior trained on that dataset; `robot`, `camera` and `action_scale` are for nodes to check."""
    manifest = dataset.manifest
    return {
        **{name: getattr(manifest, name) for name in _FROM_MANIFEST},
        "episodes": len(dataset),
        "pairs": dataset.steps,
        "tasks": {str(task): int(n) for task, n in zip(*np.unique(dataset.tasks, return_counts=True), strict=True)},
        "dataset_checksum": dataset.checksum(),
        "training": asdict(config),
        "steps": step,
        "seconds": round(seconds, 1),
        "held_out_nats": held_out_nats,
        "provenance": provenance("torch"),
    }


def write_card(card: dict[str, Any], path: Path) -> None:
    """Writes the card as a page of Markdown, from `models/CARD.md.in`."""
    settings = {k: v for k, v in card["training"].items() if k != "model"} | card["training"]["model"]
    nats = card["held_out_nats"]
    fields = {
        **{name: str(value) for name, value in card.items()},
        "minutes": f"{card['seconds'] / 60:.1f}",
        "held_out_nats": "not measured" if nats is None else f"{nats:.2f}",
        "tasks": ", ".join(f"{task} {n:,}" for task, n in card["tasks"].items()),
        "settings": "\n".join(f"| {name} | {value} |" for name, value in sorted(settings.items())),
        "versions": ", ".join(f"{name} {value}" for name, value in card["provenance"].items()),
    }
    write_text(path, Template(share("models", "CARD.md.in").read_text(encoding="utf-8")).substitute(fields))
