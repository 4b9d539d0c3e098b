"""HIRL: hierarchical imitation, then RL in the latent space of a conditional VAE (paper, section 5).

What Shankar & Gupta (2020) model without their conditioning on the past: single actions, given the image. It differs
from the behavioral prior in one thing: its decoder is not invertible, so that nothing says which actions have a latent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from parrot.baselines import action_vae
from parrot.baselines.action_vae import VAE, VAEConfig
from parrot.prior.base import ActionDecoder
from parrot.prior.batches import Batch
from parrot.prior.encoder import make_encoder
from parrot.prior.presets import TrainConfig
from parrot.rl.algorithms import Algorithm, start_in_latents
from parrot.spaces import ACTION_DIM

__all__ = ["ALGORITHM", "ConditionalVAE", "HIRLConfig", "fast", "paper"]


@dataclass(frozen=True)
class HIRLConfig(VAEConfig):
    """The architecture of a conditional VAE of single actions; saved with its weights."""

    kind: str = "hirl"
    """As in `ModelConfig`."""


def paper() -> TrainConfig:
    """Appendix B: the prior's image encoder, 500K steps."""
    return action_vae.paper(HIRLConfig())


def fast() -> TrainConfig:
    """For two CPU cores: the prior's fast encoder and its augmentation."""
    return replace(action_vae.fast(HIRLConfig(encoder="fast", channels=64)), shift=2, jitter=0.1)


class ConditionalVAE(ActionDecoder):
    """p(a | z, s) and q(z | a, s) for single actions, both given the encoded image (paper, appendix B, HIRL).

    Example:
        >>> model = ConditionalVAE(HIRLConfig(features=32, hidden=16)).eval()
        >>> image = torch.zeros(2, 3, 48, 48, dtype=torch.uint8)
        >>> model.decode(model.sample_latent(2), image).shape
        torch.Size([2, 7])
    """

    CONFIG = HIRLConfig
    PRESETS = {"paper": paper, "fast": fast}  # noqa: RUF012

    config: HIRLConfig

    def __init__(self, config: HIRLConfig) -> None:
        super().__init__(latent_dim=config.latent, action_dim=ACTION_DIM)
        self.config = config
        self.feature_dim = config.features
        self.encoder = make_encoder(config.encoder, config.features, config.channels)
        self.vae = VAE(ACTION_DIM, config.features, config)

    def decode(self, z: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """Actions (B, 7), not yet clipped, of the latents (B, latent)."""
        return self.vae.generate(z, self.features_of(image, features))

    def infer(self, action: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """The mean (B, latent) of q(z | a, s) for the actions (B, 7): a latent near them, no inverse of `decode`."""
        return self.vae.infer(action, self.features_of(image, features))[0]

    def score(self, batch: Batch, features: Tensor, step: int, generator: torch.Generator) -> Tensor:
        """As `VAE.score`."""
        return self.vae.score(batch.action, features, step, generator)

    def measures(self, batch: Batch, features: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """As `VAE.measures`."""
        return self.vae.measures(batch.action, features)


ALGORITHM = Algorithm(
    name="hirl",
    title="soft actor-critic in the latent space of a conditional VAE of single actions",
    label="HIRL",
    colour="tab:red",
    before="the VAE alone",
    start=partial(start_in_latents, wanted=ConditionalVAE),
    decoding="step",
    kind="hirl",
)
"""Hierarchical imitation and reinforcement learning."""
