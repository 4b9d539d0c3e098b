"""A prior by flow matching: a differential equation carries noise to actions (Lipman et al., 2023).

Beyond the paper: reinforcement learning in the noise of such a policy is today's nearest relative of its method
(Wagenmaker et al., 2025). Training regresses a velocity and never inverts anything, so that the network is free of the
couplings' structure; the price is paid when it acts, which takes two evaluations a step of the integration.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.func import jacfwd, vmap
from torch.nn import functional as F

from parrot.prior import presets
from parrot.prior.base import ModelConfig, Prior, base_log_prob
from parrot.prior.batches import Batch
from parrot.prior.encoder import make_encoder
from parrot.prior.presets import TrainConfig
from parrot.spaces import ACTION_DIM

__all__ = ["FlowMatchingPrior", "MatchingConfig", "fast", "paper"]

FREQUENCIES = 4
"""Sines, and cosines, by which the network is told the time."""

BLOCKS = 3
"""Residual blocks of the velocity's network."""

NEWTON_STEPS = 30
"""At most, to invert one step of the integration; far from folds five do."""

MEASURED = 8
"""Of so many held-out examples the likelihood of one is measured: of all, it takes longer than the training."""

SOLVED = 1e-10
"""Error of an inverted step, in standard deviations of the actions, at which it counts as solved."""


@dataclass(frozen=True)
class MatchingConfig(ModelConfig):
    """The architecture of a flow-matching prior; saved with its weights."""

    kind: str = "matching"
    """As in `ModelConfig`."""
    hidden: int = 256
    """Width of the velocity's network."""
    steps: int = 10
    """Midpoint steps from noise to action."""
    draws: int = 4
    """Times and noises drawn for each example of a batch: the image, which costs most, is encoded once for them all."""


def paper() -> TrainConfig:
    """The training of the paper's flow (appendix B), its image encoder included."""
    return replace(presets.paper(), model=MatchingConfig())


def fast() -> TrainConfig:
    """For two CPU cores, as the flow's preset of that name."""
    return replace(presets.fast(), model=MatchingConfig(encoder="fast", channels=64))


class _Velocity(nn.Module):
    """v(x, t; features), in the precision of x: residual blocks that time and image scale and shift.

    Where to go is a product of where x is and what is seen. Of x and features side by side in plain layers, as the
    couplings have them, it is learnt several times more slowly.
    """

    def __init__(self, dim: int, features: int, hidden: int) -> None:
        super().__init__()
        self.condition = nn.Linear(2 * FREQUENCIES + features, hidden)
        self.enter = nn.Linear(dim, hidden)
        self.modulations = nn.ModuleList(nn.Linear(hidden, 2 * hidden) for _ in range(BLOCKS))
        self.blocks = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(BLOCKS))
        self.leave = nn.Linear(hidden, dim)

    def forward(self, x: Tensor, t: Tensor, features: Tensor) -> Tensor:
        """(..., dim) for x (..., dim), t (..., 1) and features (..., F)."""
        angles = t * (math.pi * torch.arange(1, FREQUENCIES + 1, dtype=x.dtype, device=x.device))
        told = torch.cat([angles.sin(), angles.cos(), features.to(x.dtype)], -1)
        condition, h = F.silu(_linear(self.condition, told)), _linear(self.enter, x)
        for modulation, block in zip(self.modulations, self.blocks, strict=True):
            scale, shift = _linear(modulation, condition).chunk(2, -1)
            h = h + _linear(block, F.silu(h * (1.0 + scale) + shift))
        return _linear(self.leave, h)


def _linear(layer: nn.Module, x: Tensor) -> Tensor:
    """A linear layer in the precision of its input."""
    assert isinstance(layer, nn.Linear)
    return F.linear(x, layer.weight.to(x.dtype), layer.bias.to(x.dtype))


class FlowMatchingPrior(Prior):
    """A behavioral prior as a differential equation dx/dt = v(x, t; s) from z at t = 0 to the action at t = 1.

    The map is what `steps` midpoint steps make of it, and `encode` inverts just that: each step by Newton's method, in
    double precision. A midpoint step shrinks no direction of a contracting field to less than half, so that it does not
    fold where actions gather; `log_prob` is exact for this map, by the Jacobians of its steps.

    Example:
        >>> prior = FlowMatchingPrior(MatchingConfig(features=32, hidden=32)).eval()
        >>> image = torch.zeros(2, 3, 48, 48, dtype=torch.uint8)
        >>> z = prior.sample_latent(2, torch.Generator().manual_seed(0))
        >>> torch.allclose(prior.encode(prior.decode(z, image), image), z, atol=1e-4)
        True
    """

    CONFIG = MatchingConfig
    PRESETS = {"paper": paper, "fast": fast}  # noqa: RUF012

    config: MatchingConfig
    mean: Tensor
    std: Tensor

    def __init__(self, config: MatchingConfig, dim: int = ACTION_DIM) -> None:
        super().__init__(latent_dim=dim, action_dim=dim)
        self.config = config
        self.feature_dim = config.features
        self.encoder = make_encoder(config.encoder, config.features, config.channels)
        self.velocity = _Velocity(dim, config.features, config.hidden)
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))

    def begin(self, mean: Tensor, std: Tensor) -> None:
        """As `Model.begin`: the equation ends in actions of mean 0 and deviation 1."""
        self.mean.copy_(mean)
        self.std.copy_(std.clamp_min(1e-3))

    def score(self, batch: Batch, features: Tensor, step: int, generator: torch.Generator) -> Tensor:
        """Minus the mean squared error of the velocity on straight ways from noise to the action, (B,)."""
        end = ((batch.action - self.mean) / self.std).expand(self.config.draws, -1, -1)
        start = torch.randn(end.shape, generator=generator, device=end.device)
        t = torch.rand((*end.shape[:2], 1), generator=generator, device=end.device)
        found = self.velocity(start + t * (end - start), t, features.expand(self.config.draws, -1, -1))
        return -(found - (end - start)).square().mean((0, 2))

    def measures(self, batch: Batch, features: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """`log_likelihood` in nats, which is what a flow's score is; of a part of the batch, for it takes long."""
        return {"log_likelihood": self.log_prob(batch.action[::MEASURED], features=features[::MEASURED])}

    def decode(self, z: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """Actions (B, dim), not yet clipped, of the latents (B, dim)."""
        x, features = z.double(), self.features_of(image, features)
        for k in range(self.config.steps):
            x = self._step(x, k, features)
        return (x * self.std + self.mean).to(z.dtype)

    def encode(self, action: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """Latents (B, dim) of the actions (B, dim): the inverse of `decode`."""
        return self._invert(action, self.features_of(image, features))[0].to(action.dtype)

    def log_prob(self, action: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """Log-likelihood (B,) in nats, of the map that `decode` is."""
        z, log_det = self._invert(action, self.features_of(image, features))
        return (base_log_prob(z) + log_det).to(action.dtype)

    def _step(self, x: Tensor, k: int, features: Tensor) -> Tensor:
        """One midpoint step from x (..., dim)."""
        h = 1.0 / self.config.steps
        now = torch.full_like(x[..., :1], k * h)
        middle = x + 0.5 * h * self.velocity(x, now, features)
        return x + h * self.velocity(middle, now + 0.5 * h, features)

    def _invert(self, action: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (B, dim) and the logarithms (B,) of the determinants of their map, both in double precision."""
        x = (action.double() - self.mean) / self.std
        total = -self.std.double().log().sum().expand(len(x))
        for k in reversed(range(self.config.steps)):

            def forward(x: Tensor, features: Tensor, k: int = k) -> Tensor:
                return self._step(x, k, features)

            x, jacobian = _solve(forward, x, features)
            total = total - torch.linalg.slogdet(jacobian)[1]
        return x, total


def _solve(forward: Callable[[Tensor, Tensor], Tensor], y: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    """Solves forward(x) = y for x (B, D) by Newton's method; with the Jacobians there, (B, D, D).

    The last step alone is seen by autograd, which is all that its gradients need: they are those of the solution.
    """
    slope = vmap(jacfwd(forward))
    with torch.no_grad():
        x = 2.0 * y - forward(y, features)
        best, least = x, torch.full_like(y[:, :1], torch.inf)
        for _ in range(NEWTON_STEPS):
            rest = forward(x, features) - y
            size = rest.abs().amax(-1, keepdim=True)
            best, least = torch.where(size < least, x, best), torch.minimum(size, least)
            if (least < SOLVED).all():
                break
            x = x - torch.linalg.solve(slope(x, features), rest)
    jacobian = slope(best, features)
    x = best - torch.linalg.solve(jacobian, forward(best, features) - y)
    return x, jacobian
