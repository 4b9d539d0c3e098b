"""The learning curve of a prior: the rows of `metrics.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

__all__ = ["Metrics", "read_metrics", "write_metrics"]


@dataclass(frozen=True)
class Metrics:
    """One row of `metrics.csv`."""

    step: int
    """Gradient steps made."""
    seconds: float
    """Seconds spent on them."""
    train_nats: float
    """Log-likelihood of a training pair, mean since the last row; of a kind of model that has none, its score."""
    held_out_nats: float
    """The same of a held-out pair."""
    lr: float
    """Learning rate."""
    steps_per_second: float
    """Since the last row."""
    by_source: tuple[float, ...] = ()
    """Of several datasets, `held_out_nats` for each; NaN: it has no held-out pair."""
    measures: Mapping[str, float] = field(default_factory=dict)
    """Further figures of held-out pairs, of the model's own (`Model.measures`)."""

    def numbers(self, sources: Sequence[str]) -> dict[str, float]:
        """Its numbers by column; those of the datasets have columns of their own."""
        by_source = {f"held_out_nats {name}": n for name, n in zip(sources, self.by_source, strict=False)}
        measures = {f"{_MEASURE}{name}": value for name, value in self.measures.items()}
        return {**{name: getattr(self, name) for name in _PLAIN}, **by_source, **measures}


_PLAIN = [field.name for field in fields(Metrics) if field.name not in ("by_source", "measures")]
_MEASURE = "held_out "


def write_metrics(rows: Sequence[Metrics], sources: Sequence[str]) -> str:
    """The rows as CSV, with a column for each of several datasets."""
    text = io.StringIO()
    measures = rows[-1].measures if rows else {}
    blank = Metrics(0, 0.0, 0.0, 0.0, 0.0, 0.0, (0.0,) * (len(sources) if len(sources) > 1 else 0), measures)
    table = csv.DictWriter(text, list(blank.numbers(sources)), lineterminator="\n")
    table.writeheader()
    table.writerows(row.numbers(sources) for row in rows)
    return text.getvalue()


def read_metrics(text: str) -> list[Metrics]:
    """The rows of a CSV that `write_metrics` wrote."""
    rows = []
    for row in csv.DictReader(io.StringIO(text)):
        by_source = tuple(float(value) for name, value in row.items() if name.startswith("held_out_nats "))
        measures = {name.removeprefix(_MEASURE): float(v) for name, v in row.items() if name.startswith(_MEASURE)}
        numbers: dict[str, Any] = {name: float(row[name]) for name in _PLAIN if name != "step"}
        rows.append(Metrics(step=int(row["step"]), by_source=by_source, measures=measures, **numbers))
    return rows
