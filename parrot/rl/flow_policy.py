"""A policy that starts as the prior and learns all of it: its encoder's last layer and its coupling layers."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from parrot.prior.base import base_log_prob
from parrot.prior.control import NumpyFlow
from parrot.prior.flow import FlowPrior, back
from parrot.rl.networks import split_encoder

__all__ = ["FlowPolicy"]


class FlowPolicy(nn.Module):
    """pi(a | s), actions a = g(w; s) of noise w ~ N(0, I), where g is at first the prior's own f.

    Among latents this is z = f^{-1}(g(w; s); s): at first the noise itself, so that learning begins as section 4.2 of
    the paper has it; and then of as many modes as the prior.

    Args:
        prior: a flow; copied. Its encoder's convolutions are the policy's trunk.
        bf16: multiply in bfloat16.
    """

    def __init__(self, prior: FlowPrior, bf16: bool = False) -> None:
        super().__init__()
        self.bf16 = bf16
        self.tail = copy.deepcopy(split_encoder(prior.encoder)[1]).requires_grad_(True)
        self.couplings: nn.ModuleList = copy.deepcopy(prior.couplings).requires_grad_(True)
        self.register_buffer("shift", prior.mean.clone())
        self.register_buffer("scale", prior.std.clone())

    shift: Tensor
    scale: Tensor

    def forward(self, maps: Tensor) -> Flow:
        """The distribution over actions for feature maps (B, C, H, W), float32 or bfloat16."""
        with self._autocast():
            features = self.tail(maps)
        return Flow(self, features.float())

    def log_prob(self, action: Tensor, features: Tensor) -> Tensor:
        """Log-density (B,) of actions (B, 7)."""
        with self._autocast():
            noise, log_det = back(self.couplings, self.shift, self.scale, action, features)
        return base_log_prob(noise) + log_det

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bf16)


@dataclass(frozen=True)
class Flow:
    """A distribution over actions for each of B images."""

    policy: FlowPolicy
    features: Tensor
    """(B, F)."""

    def draw(self, noise: Tensor) -> Tensor:
        """Actions (N, 7) of a single image for noise (N, 7), zero for the likeliest; without gradients."""
        flow = NumpyFlow(self.policy.couplings, self.policy.shift, self.policy.scale)
        return torch.from_numpy(flow.decode(noise.numpy(), flow.enter(self.features[0].detach().numpy())))

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density (B,) of given actions (B, 7)."""
        return self.policy.log_prob(x, self.features)
