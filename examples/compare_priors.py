"""The last step of bags_to_prior.sh: held-out likelihood and random-z success of both priors, side by side."""

import csv
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from parrot.data.dataset import Dataset
from parrot.results import write_results


def main(folder: Annotated[Path, tyro.conf.Positional], seed: int = 0) -> None:
    """Print the table and write it as bags_to_prior.csv.

    Args:
        folder: What bags_to_prior.sh filled.
        seed: Of the data, the trainings and the trials.
    """
    rows, data = [], {}
    for kind in ("bagged", "collected"):
        data[kind] = Dataset.open([folder / kind])
        training = list(csv.DictReader((folder / f"prior_{kind}" / "metrics.csv").open()))[-1]
        trials = next(r for r in csv.DictReader((folder / f"random_z_{kind}.csv").open()) if r["policy"] == "prior")
        rows.append({
            "data": kind, "demonstrations": len(data[kind]), "gradient_steps": training["step"],
            "held_out_nats": round(float(training["held_out_nats"]), 3), "episodes": trials["episodes"],
            "random_z_lifts": trials["lifted"], "low": trials["lifted_low"], "high": trials["lifted_high"],
            "seed": seed,
        })  # fmt: skip
    write_results(folder / "bags_to_prior.csv", rows)
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(str, row.values()))
    console = Console()
    console.print(table)
    same = len(data["bagged"]) == len(data["collected"]) and all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for a, b in zip(*data.values(), strict=True)
        for name in ("images", "actions", "rewards")
    )
    console.print(
        f"images, actions and rewards are {'the same to the byte' if same else 'NOT the same'} in both datasets"
    )
    console.print(f"written: {folder / 'bags_to_prior.csv'}", soft_wrap=True)


if __name__ == "__main__":
    tyro.cli(main)
