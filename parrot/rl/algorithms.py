"""What `algo` means: where the image encoder starts, how large the latent is, whether it is squashed.

`parrot` acts in the latent space of a prior (paper, section 4.2); `sac` is the same learner on raw actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from parrot.errors import ConfigError
from parrot.prior.base import Prior
from parrot.prior.encoder import make_encoder
from parrot.prior.presets import PRESETS as PRIOR_PRESETS
from parrot.prior.weights import load_prior
from parrot.rl.presets import SACConfig
from parrot.spaces import ACTION_DIM

__all__ = ["ALGORITHMS", "Start", "start_of"]

ALGORITHMS = ("parrot", "sac")


@dataclass(frozen=True)
class Start:
    """Where learning starts."""

    encoder: nn.Module
    """The image encoder."""
    latent_dim: int
    """Numbers that the policy outputs."""
    prior: Prior | None
    """What makes actions of them; None: they are actions."""

    @property
    def squash(self) -> bool:
        """Whether they are to be squashed to [-1, 1]."""
        return self.prior is None


def start_of(algo: str, config: SACConfig, prior: str | Path | None = None, seed: int = 0) -> Start:
    """Where learning starts.

    Args:
        algo: one of `ALGORITHMS`.
        config: says which encoder, and whether it is the prior's own.
        prior: weights of the prior; None or empty: the one that comes with parrot. Not read if `algo` is `sac`.
        seed: of an encoder that starts at random.

    Raises:
        ConfigError: the algorithm is unknown.
        WeightsError: the prior is missing or foreign.
    """
    if algo not in ALGORITHMS:
        raise ConfigError(f"algo {algo!r} is unknown; choose one of {', '.join(ALGORITHMS)}")
    known = load_prior(prior or None) if algo == "parrot" else None
    if known is not None and config.warm_start:
        return Start(known.encoder, known.latent_dim, known)
    model = PRIOR_PRESETS[config.encoder]().model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = make_encoder(model.encoder, model.features, model.channels)
    return Start(encoder, known.latent_dim if known else ACTION_DIM, known)
