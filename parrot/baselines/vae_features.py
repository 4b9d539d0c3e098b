"""VAE-features: a beta-VAE of recorded images, on whose frozen features soft actor-critic learns (paper, section 5).

The networks are those of van den Oord et al. (2017) for CIFAR-10, as appendix B has them: two strided 4x4 convolutions,
two residual blocks, the decoder in mirror image. What appendix B leaves open is ours: latents are a map of 12x12 with a
few channels, and beta weighs their divergence against an error of pixels in units of 63.75 grey levels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from parrot.prior.base import Model, ModelConfig
from parrot.prior.batches import Batch
from parrot.prior.encoder import ResidualBlock, ResidualEncoder, make_encoder, normalise, training_autocast
from parrot.prior.presets import TrainConfig
from parrot.prior.weights import load_model
from parrot.rl.algorithms import Algorithm, EncoderShape, Start
from parrot.rl.presets import SACConfig
from parrot.spaces import IMAGE_SIZE

__all__ = ["ALGORITHM", "PRESETS", "ObservationVAE", "VAEConfig"]

GREY = 63.75
"""Grey levels of one unit of a normalised pixel."""


@dataclass(frozen=True)
class VAEConfig(ModelConfig):
    """The architecture of the autoencoder, and the weight of its prior."""

    kind: str = "vae"
    encoder: str = "residual"
    channels: int = 256
    """Channels of all convolutions (appendix B: 256)."""
    beta: float = 0.01
    """Weight of the divergence from N(0, I) against half the squared error of normalised pixels."""
    bf16: bool = False
    """Whether the decoder's convolutions run in bfloat16, as `TrainConfig.bf16` says of the encoder's."""


class ObservationVAE(Model):
    """q(v | s) and p(s | v) for images s, with latents v on a 12x12 map; their mean is what a policy looks at."""

    CONFIG = VAEConfig

    config: VAEConfig

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        *body, mean, _, _ = cast(nn.Sequential, make_encoder(config.encoder, 1, config.channels).layers)
        depth, channels = ResidualEncoder.LATENT_CHANNELS, config.channels
        self.shape = (depth, IMAGE_SIZE // 4, IMAGE_SIZE // 4)
        self.feature_dim = 2 * depth * (IMAGE_SIZE // 4) ** 2
        self.encoder = nn.Sequential(*body)
        self.mean = mean
        self.log_var = nn.Conv2d(channels, depth, 1)
        self.decoder = nn.Sequential(
            nn.Conv2d(depth, channels, 1),
            ResidualBlock(channels),
            ResidualBlock(channels),
            nn.ReLU(),
            nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(channels, 3, 4, stride=2, padding=1),
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode_image(self, image: Tensor) -> Tensor:
        """Mean and log-variance of the latents, flattened one after the other: (B, feature_dim)."""
        maps = self.encoder(normalise(image))
        return torch.cat([self.mean(maps).flatten(1), self.log_var(maps).flatten(1)], -1).float()

    def decode_image(self, latents: Tensor) -> Tensor:
        """Normalised pixels (B, 3, 48, 48) float32 of the latents (B, feature_dim / 2)."""
        return self.decoder(latents.unflatten(1, self.shape)).float()

    def score(self, batch: Batch, features: Tensor, step: int, generator: torch.Generator) -> Tensor:
        """The lower bound with the divergence weighed by beta, up to a constant, (B,) nats."""
        mean, log_var = self._moments(features)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        latents = mean + (0.5 * log_var).exp() * noise
        if self.config.bf16 and self.training:
            with training_autocast(latents.device):
                made = self.decode_image(latents)
        else:
            made = self.decode_image(latents)
        error = (made - normalise(batch.pixels())).square().sum((1, 2, 3))
        return -0.5 * error - self.config.beta * _divergence(mean, log_var)

    def measures(self, batch: Batch, features: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean absolute error of the reconstruction in grey levels, and the divergence in nats, (B,) each."""
        mean, log_var = self._moments(features)
        error = (self.decode_image(mean) - normalise(batch.image)).abs().mean((1, 2, 3))
        return {"grey_levels": GREY * error, "divergence": _divergence(mean, log_var)}

    def whole_encoder(self, features: int) -> nn.Module:
        """An image encoder with these convolutions and a random linear layer to that many features."""
        whole = make_encoder(self.config.encoder, features, self.config.channels)
        trained = [*cast(nn.Sequential, self.encoder), self.mean]
        for mine, theirs in zip(trained, whole.layers, strict=False):  # type: ignore[arg-type]
            theirs.load_state_dict(mine.state_dict())
        return whole

    @staticmethod
    def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_var = features.chunk(2, -1)
        return mean, log_var.clamp(-10.0, 4.0)


def _divergence(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(0, I)), (B,) nats."""
    return 0.5 * (mean.square() + log_var.exp() - 1.0 - log_var).sum(-1)


def paper() -> TrainConfig:
    """Appendix B: 256 channels, Adam with 1e-3 and batches of 128 for 1.5M steps. bfloat16 is ours."""
    return TrainConfig(model=VAEConfig(bf16=True), steps=1_500_000, lr=1e-3, batch=128, bf16=True)


def fast() -> TrainConfig:
    """For two CPU cores: 32 channels and a schedule for so few steps."""
    base = paper()
    return replace(base, model=VAEConfig(channels=32, bf16=True), steps=10_000, warmup=200, cosine=True, ema=0.999)


PRESETS = {"paper": paper, "fast": fast}
ObservationVAE.PRESETS = PRESETS


def start(config: SACConfig, weights: Path | None, seed: int) -> Start:
    """The frozen features of the autoencoder; all that comes after them is random.

    Raises:
        WeightsError: the file holds no such autoencoder.
    """
    vae = load_model(weights, ObservationVAE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = vae.whole_encoder(config.features)
    shape = EncoderShape(vae.config.encoder, config.features, vae.config.channels)
    return Start(encoder, shape, frozen=True)


ALGORITHM = Algorithm(
    name="vae_features",
    title="soft actor-critic on frozen features of a VAE of the images",
    label="VAE-features",
    colour="tab:purple",
    before="random actions",
    start=start,
    kind="vae",
)
