"""TrajRL: a VAE of whole trajectories, and reinforcement learning of a single step in its latent space (section 5).

The trajectory does not depend on what is seen; the policy does: it looks at the first image, chooses one z, and all
actions of the episode follow from that, in open loop (Ghadirzadeh et al., 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from parrot.baselines import action_vae
from parrot.baselines.action_vae import VAE, VAEConfig
from parrot.prior.base import TrajectoryDecoder
from parrot.prior.batches import Batch
from parrot.prior.presets import TrainConfig
from parrot.prior.weights import load_model
from parrot.rl.algorithms import Algorithm, Start, random_encoder
from parrot.rl.presets import SACConfig
from parrot.spaces import ACTION_DIM, EPISODE_STEPS

__all__ = ["ALGORITHM", "TrajRLConfig", "TrajectoryVAE", "fast", "paper"]


@dataclass(frozen=True)
class TrajRLConfig(VAEConfig):
    """The architecture of a VAE of trajectories; saved with its weights. It has no image encoder."""

    kind: str = "trajrl"
    """As in `ModelConfig`."""
    encoder: str = "none"
    """None: trajectories are modelled without images, as are the next two."""
    channels: int = 0
    """None."""
    features: int = 0
    """None."""


def paper() -> TrainConfig:
    """Appendix B: 500K steps."""
    return action_vae.paper(TrajRLConfig())


def fast() -> TrainConfig:
    """For two CPU cores."""
    return action_vae.fast(TrajRLConfig())


class Blind(nn.Module):
    """An image encoder that looks at nothing: features of length 0."""

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, 48, 48) -> (B, 0)."""
        return torch.empty(len(image), 0, device=image.device)


class TrajectoryVAE(TrajectoryDecoder):
    """p(a_1..a_25 | z) and q(z | a_1..a_25) for the actions of whole episodes (paper, appendix B, TrajVAE).

    Example:
        >>> model = TrajectoryVAE(TrajRLConfig(hidden=16)).eval()
        >>> model.decode(torch.zeros(2, 8), torch.zeros(2, 3, 48, 48, dtype=torch.uint8)).shape
        torch.Size([2, 25, 7])
    """

    CONFIG = TrajRLConfig
    PRESETS = {"paper": paper, "fast": fast}  # noqa: RUF012
    HORIZON = EPISODE_STEPS

    config: TrajRLConfig

    def __init__(self, config: TrajRLConfig) -> None:
        super().__init__(latent_dim=config.latent)
        self.config = config
        self.feature_dim = 0
        self.encoder = Blind()
        self.vae = VAE(EPISODE_STEPS * ACTION_DIM, 0, config)

    def decode(self, z: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """Actions (B, 25, 7), not yet clipped, of the latents (B, latent); the image makes no difference."""
        return self.vae.generate(z, self.features_of(image, features)).unflatten(-1, (EPISODE_STEPS, ACTION_DIM))

    def infer(self, actions: Tensor) -> Tensor:
        """The mean (B, latent) of q(z | a_1..a_25) for the actions (B, 25, 7)."""
        return self.vae.infer(actions.flatten(1), actions.new_empty(len(actions), 0))[0]

    def score(self, batch: Batch, features: Tensor, step: int, generator: torch.Generator) -> Tensor:
        """As `VAE.score`."""
        return self.vae.score(batch.action.flatten(1), features, step, generator)

    def measures(self, batch: Batch, features: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """As `VAE.measures`."""
        return self.vae.measures(batch.action.flatten(1), features)


def start(config: SACConfig, weights: Path | None, seed: int) -> Start:
    """The latent space of the VAE in that file; the policy's image encoder starts at random, for the VAE has none."""
    decoder = load_model(weights, TrajectoryVAE)
    return Start(*random_encoder(config, seed), decoder.latent_dim, decoder)


ALGORITHM = Algorithm(
    name="trajrl",
    title="one-step soft actor-critic in the latent space of a VAE of trajectories, in open loop",
    label="TrajRL",
    colour="tab:brown",
    before="the VAE alone",
    start=start,
    decoding="episode",
    kind="trajrl",
)
"""Trajectory modelling and reinforcement learning."""
