"""The variational autoencoder that HIRL and TrajRL share (paper, appendix B; Ghadirzadeh et al., 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from parrot.prior.base import ModelConfig
from parrot.prior.presets import TrainConfig

__all__ = ["VAE", "VAEConfig", "annealed", "fast", "paper"]

LOG_STD = (-8.0, 4.0)
"""Bounds of the logarithm of the encoder's deviation: what keeps the first steps of a training finite."""

ANNEALING = 0.1
"""Time constant of the logistic that anneals beta, in steps to its half: beta begins at 5e-5 of its final value."""


@dataclass(frozen=True)
class VAEConfig(ModelConfig):
    """The architecture of an autoencoder of actions, and its objective; saved with its weights."""

    latent: int = 8
    """Length of z (appendix B: 8)."""
    hidden: int = 128
    """Width of the decoder's first layer; the next two have twice and four times as much, the encoder has the same in
    reverse (appendix B: 128, 256, 512)."""
    beta: float = 0.001
    """Weight of the divergence of q(z | x) from N(0, I), in nats, beside the mean squared error (appendix B: 0.001)."""
    anneal: int = 25_000
    """Gradient steps until half of beta is reached (appendix B: 25K)."""


def annealed(config: VAEConfig, step: int) -> float:
    """Beta at that gradient step: a logistic from 0 to `config.beta`.

    Example:
        >>> [round(annealed(VAEConfig(), step), 5) for step in (0, 25_000, 50_000)]
        [0.0, 0.0005, 0.001]
    """
    return config.beta / (1.0 + math.exp((config.anneal - step) / (ANNEALING * config.anneal)))


class VAE(nn.Module):
    """An autoencoder of vectors x that features c may condition: q(z | x, c) and p(x | z, c).

    Three layers each, with batch normalisation and rectifiers (appendix B). The error is the mean over the numbers of
    x, so that beta means the same for one action and for a trajectory.

    Args:
        size: length of x.
        features: length of c; may be 0.
        config: widths and objective.
    """

    def __init__(self, size: int, features: int, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.hidden, 2 * config.hidden, 4 * config.hidden]
        self.inference = _network([size + features, *reversed(widths)], 2 * config.latent)
        self.generation = _network([config.latent + features, *widths], size)

    def infer(self, x: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the deviation of q(z | x, c), each (B, latent), of x (B, size) and c (B, features)."""
        mean, log_std = self.inference(torch.cat([x, features], -1)).chunk(2, -1)
        return mean, log_std.clamp(*LOG_STD)

    def generate(self, z: Tensor, features: Tensor) -> Tensor:
        """The mean (B, size) of p(x | z, c)."""
        return self.generation(torch.cat([z, features], -1))

    def score(self, x: Tensor, features: Tensor, step: int, generator: torch.Generator) -> Tensor:
        """Minus error and weighted divergence, (B,), by a sample of z (Higgins et al., 2017a)."""
        mean, log_std = self.infer(x, features)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        found = self.generate(mean + log_std.exp() * noise, features)
        return -(found - x).square().mean(-1) - annealed(self.config, step) * _divergence(mean, log_std)

    def measures(self, x: Tensor, features: Tensor) -> dict[str, Tensor]:
        """`rmse` of x decoded from the mean of z, and the divergence in nats, `kl`; each (B,)."""
        mean, log_std = self.infer(x, features)
        error = (self.generate(mean, features) - x).square().mean(-1).sqrt()
        return {"rmse": error, "kl": _divergence(mean, log_std)}


def _divergence(mean: Tensor, log_std: Tensor) -> Tensor:
    """Kullback-Leibler divergence (B,) from N(0, I)."""
    return (0.5 * (mean.square() + (2.0 * log_std).exp() - 1.0) - log_std).sum(-1)


def _network(widths: Sequence[int], out: int) -> nn.Sequential:
    """Linear layers, each but the last followed by batch normalisation and a rectifier."""
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], out))


def paper(model: VAEConfig) -> TrainConfig:
    """Appendix B: Adam 1e-4 for 500K steps; no noise on the actions, which a VAE does not need."""
    return TrainConfig(model=model, bf16=True, dequantise=0.0, dequantise_bound=0.0)


def fast(model: VAEConfig) -> TrainConfig:
    """For two CPU cores: fewer steps, larger ones, and beta annealed over the same share of them.

    The weights are not averaged as the flow's are: batch statistics belong to the weights that they were taken with.
    """
    return replace(
        paper(replace(model, anneal=1000)),
        steps=20_000,
        lr=1e-3,
        warmup=500,
        cosine=True,
        weight_decay=1e-4,
        clip=10.0,
    )
