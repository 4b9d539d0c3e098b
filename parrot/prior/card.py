"""The model card: what a prior was made of and by which command, as data in the file and as a page beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from parrot.durable import write_text
from parrot.prior.base import Prior
from parrot.prior.kinds import kind
from parrot.prior.presets import TrainConfig
from parrot.prior.sources import Sources
from parrot.provenance import provenance
from parrot.resources import share

__all__ = ["make_card", "write_card"]

_FROM_MANIFEST = ("robot", "renderer", "camera", "action_scale", "control_hz", "object_split")


def make_card(
    config: TrainConfig, data: Sources, step: int, seconds: float, held_out_nats: float | None,
    by_source: Sequence[float] = (),
) -> dict[str, Any]:  # fmt: skip
    """The card of a prior trained on that data; `robot`, `camera` and `action_scale` are for nodes to check.

    Of several datasets these are the first one's; `sources` says how the others differ.
    """
    dataset = data.dataset
    return {
        **{
            name: _joined([getattr(manifest, name) for manifest in dataset.manifests]) for name in ("kind", "catalogue")
        },
        **{name: getattr(dataset.manifest, name) for name in _FROM_MANIFEST},
        "episodes": len(dataset),
        "pairs": dataset.steps,
        "tasks": {str(task): int(n) for task, n in zip(*np.unique(dataset.tasks, return_counts=True), strict=True)},
        "dataset_checksum": dataset.checksum(),
        "mix": data.identity(),
        "sources": [
            {**source, "held_out_nats": nats if math.isfinite(nats) else None}
            for source, nats in zip(data.describe(), by_source or [math.nan] * len(data.names), strict=True)
        ]
        if len(data.names) > 1
        else [],
        "training": asdict(config),
        "steps": step,
        "seconds": round(seconds, 1),
        "held_out_nats": held_out_nats,
        "provenance": provenance("torch"),
    }


def write_card(card: dict[str, Any], path: Path) -> None:
    """Writes the card as a page of Markdown, from `models/CARD.md.in`."""
    settings = {k: v for k, v in card["training"].items() if k != "model"} | card["training"]["model"]
    nats, model = card["held_out_nats"], card["training"]["model"]["kind"]
    score = "score not measured" if nats is None else f"score {nats:.2f}"
    if issubclass(kind(model).model, Prior):
        score = "log-likelihood not measured" if nats is None else f"log-likelihood {nats:.2f} nats"
    about = {"robot": str(card["robot"]), "title": kind(model).title, "model": model}
    fields = {
        **{name: str(value) for name, value in card.items()},
        "minutes": f"{card['seconds'] / 60:.1f}",
        "score": score,
        "head": _filled("CARD_flow.md.in" if model == "flow" else "CARD_model.md.in", about),
        "tasks": ", ".join(f"{task} {n:,}" for task, n in card["tasks"].items()),
        "sources": _source_table(card["sources"]),
        "settings": "\n".join(f"| {name} | {value} |" for name, value in sorted(settings.items())),
        "versions": ", ".join(f"{name} {value}" for name, value in card["provenance"].items()),
    }
    write_text(path, _filled("CARD.md.in", fields))


def _filled(template: str, fields: Mapping[str, str]) -> str:
    """The template of that name in `models`, filled in."""
    return Template(share("models", template).read_text(encoding="utf-8")).substitute(fields)


def _joined(values: Sequence[str]) -> str:
    """The values that occur, in order."""
    return ", ".join(dict.fromkeys(values))


def _source_table(sources: Sequence[Mapping[str, Any]]) -> str:
    """Several datasets as a section of Markdown; nothing for one."""
    if not sources:
        return ""
    lines = [
        "## Data by source", "",
        "A weight says how often a step is drawn beside those of the others. The fields above are the first dataset's.",
        "",
        "| dataset | episodes, pairs | weight | drawn | held-out nats | actions × | clipped | differs in | checksum |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for source in sources:
        nats = source["held_out_nats"]
        differs = "; ".join(f"{name} {value}" for name, value in source["differs"].items())
        factors = source["action_factors"]
        cells = (
            source["name"], f"{source['episodes']:,}, {source['pairs']:,}", f"{source['weight']:.3g}",
            f"{source['share']:.1%}", "not measured" if nats is None else f"{nats:.2f}",
            "1" if set(factors) == {1.0} else f"{factors[0]:.4g} (translation), {factors[3]:.4g} (rotation)",
            f"{source['clipped']:.2%}", differs or "nothing", source["checksum"],
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n\n"
