"""The learning curve of a prior: the rows of `metrics.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
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
    """Log-likelihood of a training pair, mean since the last row."""
    held_out_nats: float
    """Log-likelihood of a held-out pair."""
    lr: float
    """Learning rate."""
    steps_per_second: float
    """Since the last row."""
    by_source: tuple[float, ...] = ()
    """Of several datasets, `held_out_nats` for each; NaN: it has no held-out pair."""

    def numbers(self, sources: Sequence[str]) -> dict[str, float]:
        """Its numbers by column; those of the datasets have columns of their own."""
        plain = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "by_source"}
        return {**plain, **{f"held_out_nats {name}": n for name, n in zip(sources, self.by_source, strict=False)}}


def write_metrics(rows: Sequence[Metrics], sources: Sequence[str]) -> str:
    """The rows as CSV, with a column for each of several datasets."""
    text = io.StringIO()
    blank = Metrics(0, 0.0, 0.0, 0.0, 0.0, 0.0, (0.0,) * (len(sources) if len(sources) > 1 else 0))
    table = csv.DictWriter(text, list(blank.numbers(sources)), lineterminator="\n")
    table.writeheader()
    table.writerows(row.numbers(sources) for row in rows)
    return text.getvalue()


def read_metrics(text: str) -> list[Metrics]:
    """The rows of a CSV that `write_metrics` wrote."""
    plain = [field.name for field in fields(Metrics) if field.name not in ("step", "by_source")]
    rows = []
    for row in csv.DictReader(io.StringIO(text)):
        by_source = tuple(float(value) for name, value in row.items() if name.startswith("held_out_nats "))
        numbers: dict[str, Any] = {name: float(row[name]) for name in plain}
        rows.append(Metrics(step=int(row["step"]), by_source=by_source, **numbers))
    return rows
