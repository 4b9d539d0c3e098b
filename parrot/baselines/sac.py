"""SAC from scratch: the same learner on raw actions, without any recorded data (paper, section 5)."""

from __future__ import annotations

from pathlib import Path

from parrot.rl.algorithms import Algorithm, Start, random_encoder
from parrot.rl.presets import SACConfig

__all__ = ["ALGORITHM"]


def start(config: SACConfig, weights: Path | None, seed: int) -> Start:
    """Random weights."""
    return Start(*random_encoder(config, seed))


ALGORITHM = Algorithm(
    name="sac",
    title="soft actor-critic from scratch on raw actions",
    label="SAC",
    colour="tab:gray",
    before="random actions",
    start=start,
)
