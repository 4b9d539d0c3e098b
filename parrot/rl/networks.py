"""Policy and Q-functions (paper, Figure 9) on top of the prior's image encoder.

`Policy` is a Gaussian over latents that starts as the prior's base distribution N(0, I) (section 4.2); `Critic` is an
ensemble of Q-functions computed by batched matrix products, which on one core costs little more than a single one.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from parrot.prior.encoder import normalise
from parrot.rl.presets import SACConfig

__all__ = ["Critic", "Ensemble", "Gaussian", "Policy", "Projection", "Trunk", "soft_bound", "split_encoder"]

LOG_STD_MAX = 1.0
"""Upper bound of the logarithm of the policy's standard deviation, soft."""

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def soft_bound(x: Tensor, low: float, high: float) -> Tensor:
    """Squeezes x into (low, high), low < 0 < high: 0 stays 0 with slope 1."""
    return torch.where(x > 0, high * torch.tanh(x / high), low * torch.tanh(x / low))


def split_encoder(encoder: nn.Module) -> tuple[nn.Sequential, nn.Sequential]:
    """An image encoder of the prior's in two: its convolutions, and what flattens their maps and follows."""
    layers = list(cast(nn.Sequential, encoder.layers))
    cut = next(i for i, layer in enumerate(layers) if isinstance(layer, nn.Flatten))
    return nn.Sequential(*layers[:cut]), nn.Sequential(*layers[cut:])


class Trunk(nn.Module):
    """The convolutions of an image encoder of the prior's: bytes in, feature maps out.

    Args:
        encoder: one of `parrot.prior.encoder`; copied.
        bf16: multiply in bfloat16.
    """

    def __init__(self, encoder: nn.Module, bf16: bool = False) -> None:
        super().__init__()
        self.layers = copy.deepcopy(split_encoder(encoder)[0])
        self.bf16 = bf16

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, 48, 48) uint8 -> (B, C, H, W)."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            return self.layers(normalise(images, torch.bfloat16 if self.bf16 else torch.float32))


class Projection(nn.Module):
    """Feature maps (B, C, H, W) to a vector (B, out).

    Args:
        encoder: whose linear layer after the convolutions gives the size of the maps, and the initial weights if its
            width is the one wanted.
        out: width.
        layer_norm: normalise, then squash, as Yarats et al. (2022) do; else a rectifier.
        warm: take over the encoder's weights.
    """

    def __init__(self, encoder: nn.Module, out: int, layer_norm: bool, warm: bool) -> None:
        super().__init__()
        layers = list(cast(nn.Sequential, encoder.layers))
        linear = next(layer for layer in layers if isinstance(layer, nn.Linear))
        warm = warm and linear.out_features == out
        self.linear = copy.deepcopy(linear) if warm else nn.Linear(linear.in_features, out)
        self.norm = nn.LayerNorm(out) if layer_norm else None
        if warm and layer_norm and isinstance(layers[-1], nn.LayerNorm):
            self.norm = copy.deepcopy(layers[-1])

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W), float32 or bfloat16 -> (B, out) float32."""
        with torch.autocast("cpu", torch.bfloat16, enabled=maps.dtype == torch.bfloat16):
            x = self.linear(maps.flatten(1))
        return F.relu(x.float()) if self.norm is None else torch.tanh(self.norm(x.float()))


class Policy(nn.Module):
    """pi(z | features): a Gaussian whose initial mean is 0 and standard deviation 1, exactly.

    Args:
        config: widths and bounds.
        encoder: the image encoder whose trunk gives the maps.
        latent_dim: D.
        squash: pass samples through tanh: for raw actions, without a prior.
    """

    def __init__(self, config: SACConfig, encoder: nn.Module, latent_dim: int, squash: bool = False) -> None:
        super().__init__()
        self.mean_bound, self.log_std_min, self.squash = config.mean_bound, config.log_std_min, squash
        self.projection = Projection(encoder, config.features, config.layer_norm, config.warm_start)
        layers: list[nn.Module] = []
        for a, b in zip([config.features, *config.hidden], config.hidden, strict=False):
            layers += [nn.Linear(a, b), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.out = nn.Linear(config.hidden[-1], 2 * latent_dim)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, maps: Tensor) -> Gaussian:
        """The distribution over latents for feature maps (B, C, H, W)."""
        mean, log_std = self.out(self.body(self.projection(maps))).chunk(2, -1)
        return Gaussian(
            soft_bound(mean, -self.mean_bound, self.mean_bound), soft_bound(log_std, self.log_std_min, LOG_STD_MAX),
            self.squash,
        )  # fmt: skip


@dataclass(frozen=True)
class Gaussian:
    """A distribution over latents for each of B images; over raw actions if its samples are squashed."""

    mean: Tensor
    """(B, D), before any squashing."""
    log_std: Tensor
    """(B, D), logarithm of the standard deviation."""
    squash: bool = False

    @property
    def shape(self) -> torch.Size:
        """(B, D)."""
        return self.mean.shape

    def __getitem__(self, rows: Tensor) -> Gaussian:
        """Those of some of the images, by an index or a mask (B,)."""
        return Gaussian(self.mean[rows], self.log_std[rows], self.squash)

    def draw(self, noise: Tensor) -> Tensor:
        """Latents (N, D) of a single image for noise (N, D), zero for the likeliest."""
        return self.sample(noise)[0]

    def sample(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """A latent (B, D) for standard normal noise (B, D), and its log-density (B,)."""
        u = self.mean + self.log_std.exp() * noise
        log_prob = (-0.5 * noise.square() - self.log_std - _HALF_LOG_2PI).sum(-1)
        return (torch.tanh(u), log_prob - _log_slope(u)) if self.squash else (u, log_prob)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density (B,) of given latents (B, D)."""
        u = torch.atanh(x.clamp(-0.9999, 0.9999)) if self.squash else x
        scaled = (u - self.mean) * (-self.log_std).exp()
        log_prob = (-0.5 * scaled.square() - self.log_std - _HALF_LOG_2PI).sum(-1)
        return log_prob - _log_slope(u) if self.squash else log_prob

    def figures(self) -> dict[str, float]:
        """Its width, and how far from the origin it is."""
        return {"std": self.log_std.exp().mean().item(), "mean_norm": self.mean.norm(dim=-1).mean().item()}


def _log_slope(u: Tensor) -> Tensor:
    """Logarithm of |d tanh(u) / du| summed over the last dimension, in a form that does not overflow."""
    return 2 * (math.log(2) - u - F.softplus(-2 * u)).sum(-1)


class Ensemble(nn.Module):
    """E multilayer perceptrons with one output each, evaluated together.

    Args:
        members: E.
        inputs: numbers that each takes.
        hidden: widths of the hidden layers.
        layer_norm: normalise hidden layers.
        bf16: multiply in bfloat16, the last layer excepted: a value needs more than its three digits.
    """

    def __init__(self, members: int, inputs: int, hidden: Sequence[int], layer_norm: bool, bf16: bool = False) -> None:
        super().__init__()
        self.layer_norm, self.bf16 = layer_norm, bf16
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for a, b in zip([inputs, *hidden], [*hidden, 1], strict=True):
            # The default of nn.Linear, for each member on its own.
            self.weights.append(nn.Parameter(torch.empty(members, a, b).uniform_(-1, 1) / math.sqrt(a)))
            self.biases.append(nn.Parameter(torch.empty(members, 1, b).uniform_(-1, 1) / math.sqrt(a)))

    def forward(self, x: Tensor, frozen: bool = False) -> Tensor:
        """(B, inputs) -> (E, B); `frozen`: gradients pass to x but not to the weights."""
        x = x.expand(len(self.weights[0]), *x.shape)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if i > 0:
                # Without gain and offset: the next layer's weights can play their part.
                x = F.relu(F.layer_norm(x, x.shape[-1:]) if self.layer_norm else x)
            if frozen:
                weight, bias = weight.detach(), bias.detach()
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16 and i < len(self.weights) - 1):
                x = torch.baddbmm(bias, x, weight).float()
        return x.squeeze(-1)


class Critic(nn.Module):
    """Q(s, z) for each member of an ensemble; its logit if the value loss is a cross-entropy."""

    def __init__(self, config: SACConfig, encoder: nn.Module, width: int, bf16: bool = False) -> None:
        super().__init__()
        self.projection = Projection(encoder, config.features, config.layer_norm, config.warm_start)
        self.ensemble = Ensemble(config.critics, config.features + width, config.hidden, config.layer_norm, bf16)
        if config.value_loss == "bce":
            with torch.no_grad():
                self.ensemble.biases[-1].fill_(-3.0)  # success is rare at first

    def forward(self, maps: Tensor, z: Tensor) -> Tensor:
        """Feature maps (B, C, H, W) and latents (B, D), or actions -> (E, B)."""
        return self.judge(self.projection(maps), z)

    def judge(self, features: Tensor, z: Tensor, frozen: bool = False) -> Tensor:
        """The same for projected features (B, F); `frozen`: gradients pass to z but not to the weights."""
        return self.ensemble(torch.cat([features, z], -1), frozen=frozen)
