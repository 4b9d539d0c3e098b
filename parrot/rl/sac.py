"""Soft actor-critic in the prior's latent space (paper, section 4.2, Algorithm 1).

One agent serves the paper's preset and the fast one. An update encodes the current and the next images once, adds all
losses up and takes a single Adam step; each loss reaches only the weights that it is meant for.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from parrot.prior.base import base_log_prob
from parrot.rl.agent import Agent
from parrot.rl.networks import Policy
from parrot.rl.presets import SACConfig
from parrot.rl.replay import Batch, Replay

__all__ = ["SACAgent"]


class SACAgent(Agent):
    """An `Agent` whose critics judge latents, and whose entropy has a weight of its own; its arguments are those."""

    policy: Policy

    def __init__(self, config: SACConfig, encoder: nn.Module, latent_dim: int, **kwargs: Any) -> None:
        super().__init__(config, encoder, latent_dim, **kwargs)
        self.log_alpha = nn.Parameter(torch.tensor(math.log(config.entropy_weight)))
        self.optimizer.add_param_group({"params": [self.log_alpha], "peak": config.policy_lr})

    def learn(self, replay: Replay, rng: np.random.Generator, report: bool = False) -> dict[str, float]:
        """An `update` on what it draws from the replay."""
        c = self.config
        return self.update(replay.sample(c.batch_size, rng, n_step=c.n_step, success_share=c.success_share), report)

    def update(self, batch: Batch, report: bool = False) -> dict[str, float]:
        """One gradient step on every network; returns the losses if a report is wanted."""
        c = self.config
        now, after = self._shifted(batch.images), self._shifted(batch.next_images)
        x = torch.from_numpy(batch.latents)
        maps = self.trunk(now)
        target = self._target(batch, after)
        features = self.critic.projection(maps)
        q = self.critic.judge(features, x)
        wanted = target.expand_as(q)
        loss_of = F.mse_loss if c.value_loss == "mse" else F.binary_cross_entropy_with_logits
        errors = loss_of(q, wanted, reduction="none")
        critic_loss = (errors * torch.from_numpy(batch.weights)).mean() if c.unbiased else errors.mean()

        policy = self.policy(self._maps_of_policy(maps, now))
        x_new, log_prob = policy.sample(torch.randn(x.shape, generator=self.generator))
        q_new = self._value(self.critic.judge(features.detach(), x_new, frozen=True))
        divergence = self._divergence(x_new, log_prob)
        policy_loss = (self.log_alpha.detach().exp() * divergence - c.q_weight * q_new).mean()
        loss = critic_loss + policy_loss
        if self.imitation_weight > 0:
            won = torch.from_numpy(batch.successes)
            loss = loss - self.imitation_weight * policy[won].log_prob(x[won]).sum() / len(x)
        if c.auto_entropy:
            loss = loss - self.log_alpha * (log_prob.detach().mean() + c.target_entropy_per_dim * self.space.dim)

        self.optimizer.zero_grad()
        loss.backward()
        self._step()
        if not report:
            return {}
        return {
            "critic_loss": critic_loss.item(), "policy_loss": policy_loss.item(), "q": self._value(q).mean().item(),
            "q_policy": q_new.mean().item(), "target": target.mean().item(), "entropy": -log_prob.mean().item(),
            "alpha": self.log_alpha.exp().item(), **policy.figures(),
        }  # fmt: skip

    @property
    def imitation_weight(self) -> float:
        """Weight of the imitation of own successes at this update."""
        c = self.config
        return c.imitation_weight + min(1.0, self.age / c.imitation_updates) * (c.imitation_floor - c.imitation_weight)

    def state(self) -> dict[str, Tensor]:
        """As `Agent.state`, with the entropy's weight."""
        return {**super().state(), "log_alpha": self.log_alpha.detach()}

    def load(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state`."""
        super().load(state)
        with torch.no_grad():
            self.log_alpha.copy_(state["log_alpha"])

    @torch.no_grad()
    def _target(self, batch: Batch, after: Tensor) -> Tensor:
        """What the Q-values (B,) should be: n rewards, then the target critics' opinion of the policy's latent."""
        c = self.config
        maps = self.target_trunk(after)
        policy = self.policy(self._maps_of_policy(maps, after))
        x, log_prob = policy.sample(torch.randn(policy.shape, generator=self.generator))
        q = self.target(maps, x)
        if c.value_loss == "bce":
            q = torch.sigmoid(q)
        if c.target_critics < c.critics:
            q = q[torch.randperm(c.critics, generator=self.generator)[: c.target_critics]]
        value = q.amin(0)
        if c.entropy_in_target:
            value = value - self.log_alpha.exp() * self._divergence(x, log_prob)
        target = torch.from_numpy(batch.returns) + torch.from_numpy(batch.discounts) * value
        return target.clamp(0, 1) if c.clamp_targets else target

    def _value(self, q: Tensor) -> Tensor:
        """One opinion (B,) of the ensemble's (E, B): the lower one of a pair, else the mean (Chen et al., 2021)."""
        q = torch.sigmoid(q) if self.config.value_loss == "bce" else q
        return q.amin(0) if len(q) <= 2 else q.mean(0)

    def _divergence(self, x: Tensor, log_prob: Tensor) -> Tensor:
        """What the policy pays for: being predictable, or else being unlike the prior."""
        return log_prob - base_log_prob(x) if self.config.prior_kl else log_prob

    def _maps_of_policy(self, maps: Tensor, images: Tensor) -> Tensor:
        """What the policy looks at."""
        return maps.detach() if self.shared else self.actor.trunk(images)
