"""Results: CSV files in which every row says which commit and which seed made it, and how sure a success rate is."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from parrot.durable import write_text
from parrot.errors import ConfigError
from parrot.provenance import commit

__all__ = ["wilson", "write_results"]


def write_results(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes the rows, which share their columns, with the commit as the last one if they have none of their own.

    Raises:
        ConfigError: there are no rows, or one has no seed: such a result could not be reproduced.
        RunError: the disk is full or read-only.
    """
    if not rows or any("seed" not in row for row in rows):
        raise ConfigError(f"{path}: a result needs rows, each with its seed; got {len(rows)} rows")
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys([*rows[0], "commit"])), lineterminator="\n")
    writer.writeheader()
    here = commit()
    writer.writerows({"commit": here, **row} for row in rows)
    write_text(path, text.getvalue())


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's 95% interval of a success rate; trials above 0.

    Example:
        >>> [round(end, 3) for end in wilson(15, 20)]
        [0.531, 0.888]
    """
    z = 1.96
    middle = (successes + z * z / 2) / (trials + z * z)
    reach = z * math.sqrt(successes * (trials - successes) / trials + z * z / 4) / (trials + z * z)
    return max(0.0, middle - reach), min(1.0, middle + reach)
