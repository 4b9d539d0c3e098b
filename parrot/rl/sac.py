"""Soft actor-critic in the prior's latent space (paper, section 4.2, Algorithm 1).

One agent serves the paper's preset and the fast one. An update encodes the current and the next images once, adds all
losses up and takes a single Adam step; each loss reaches only the weights that it is meant for.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from parrot.prior.augment import random_shift
from parrot.prior.base import base_log_prob
from parrot.prior.encoder import native_bf16
from parrot.rl.flow_policy import FlowPolicy
from parrot.rl.networks import Critic, Policy, Trunk
from parrot.rl.presets import SACConfig
from parrot.rl.replay import Batch, Replay
from parrot.rl.space import ActionSpace, LatentSpace

__all__ = ["Actor", "Agent", "chw"]

CPU = torch.device("cpu")


class Actor:
    """What acting needs: a policy, the encoder that it looks through and, to choose among candidates, the critics."""

    def __init__(
        self,
        config: SACConfig,
        encoder: nn.Module,
        latent_dim: int,
        squash: bool = False,
        policy: Mapping[str, Tensor] | None = None,
        space: LatentSpace | None = None,
    ) -> None:
        bf16 = config.bf16 and native_bf16(CPU)
        self.space = space or LatentSpace(latent_dim)
        self.trunk = Trunk(encoder, bf16)
        self.policy: Policy | FlowPolicy
        self.judges = not isinstance(self.space, ActionSpace)
        """Whether its critics judge what is done; those beside a flow policy are of images alone."""
        if isinstance(self.space, ActionSpace):
            self.policy = FlowPolicy(self.space.prior, bf16)
        else:
            self.policy = Policy(config, encoder, latent_dim, squash)
        if policy is not None:
            self.policy.load_state_dict(policy)
        self.critic = Critic(config, encoder, self.space.dim if self.judges else 0, bf16)
        self.noise_scale = 1.0 if squash else config.noise_scale

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All weights, in a fixed order."""
        return [*self.trunk.parameters(), *self.policy.parameters(), *self.critic.parameters()]

    @property
    def parts(self) -> dict[str, nn.Module]:
        """Its networks, by their names in an `Agent.state`."""
        return {"policy": self.policy, "policy_trunk": self.trunk, "critic": self.critic}

    def load(self, state: dict[str, Tensor], prefix: str = "") -> None:
        """Takes its part of an `Agent.state`, or of a state whose names begin with this prefix."""
        for name, module in self.parts.items():
            start = f"{prefix}{name}."
            module.load_state_dict({k.removeprefix(start): v for k, v in state.items() if k.startswith(start)})

    def state(self, prefix: str) -> dict[str, Tensor]:
        """The state that `load` takes."""
        found = {f"{prefix}{name}.{k}": v for name, part in self.parts.items() for k, v in part.state_dict().items()}
        return {name: tensor.detach().contiguous() for name, tensor in found.items()}

    def evaluation_candidates(self, candidates: int) -> int:
        """Samples for `act` where nothing is explored, if so many explore; 0: the policy's mean is taken."""
        return candidates if candidates > 1 and self.judges else 0

    @torch.inference_mode()
    def act(self, image: NDArray[np.uint8], generator: torch.Generator, candidates: int = 1) -> NDArray[np.float32]:
        """A latent (D,) for an image (48, 48, 3).

        Args:
            image: what is seen.
            generator: source of the samples.
            candidates: samples near the policy's mean, of which the critics choose one, if they judge actions; 1: one
                with all of the policy's noise; 0: its mean.
        """
        scale = self.noise_scale if candidates > 1 else 1.0
        candidates = candidates if self.judges else min(candidates, 1)
        maps = self.trunk(chw(image[None]))
        noise = torch.zeros(1, self.space.dim)
        if candidates:
            noise = torch.randn(candidates, self.space.dim, generator=generator)
        x = self.policy(maps).draw(noise * scale)
        if candidates <= 1:
            return self.space.latent(x[0], image)
        features = self.critic.projection(maps).expand(candidates, -1)
        best = self.critic.judge(features, x).mean(0).argmax()
        return self.space.latent(x[best], image)


class Agent:
    """Policy, critics and their optimiser.

    Args:
        config: hyper-parameters.
        encoder: an image encoder of the prior's; its weights are where all encoders start.
        latent_dim: D.
        squash: tanh-squash the policy: for raw actions, without a prior.
        seed: of the initial weights and of all noise.
        born: updates that agents before this one have done.
        policy: weights that the policy starts with; None: it starts as N(0, I).
        frozen: leave the encoder's convolutions as they are.
        space: where the policy is at home; None: among latents.
    """

    def __init__(
        self,
        config: SACConfig,
        encoder: nn.Module,
        latent_dim: int,
        *,
        squash: bool = False,
        seed: int = 0,
        born: int = 0,
        policy: Mapping[str, Tensor] | None = None,
        frozen: bool = False,
        space: LatentSpace | None = None,
    ) -> None:
        self.config = config
        self.bf16 = config.bf16 and native_bf16(CPU)
        self.generator = torch.Generator().manual_seed(seed)
        self.updates = self.born = born
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.actor = Actor(config, encoder, latent_dim, squash, policy, space)
        self.policy, self.critic, self.space = self.actor.policy, self.actor.critic, self.actor.space
        self.target = copy.deepcopy(self.critic)
        # A shared encoder is its own target and learns from the critics' loss only (Yarats et al., 2022).
        self.shared = shared = config.shared_encoder or frozen
        self.actor.trunk.requires_grad_(not frozen)
        self.trunk = self.actor.trunk if shared else copy.deepcopy(self.actor.trunk)
        self.target_trunk = self.trunk if shared else copy.deepcopy(self.trunk)
        self.log_alpha = nn.Parameter(torch.tensor(math.log(config.entropy_weight)))
        critics, actors = list(self.critic.parameters()), list(self.policy.parameters())
        if not frozen:
            critics = [*self.trunk.parameters(), *critics]
        if not shared:
            actors += self.actor.trunk.parameters()
        self._pairs = [*zip(self.critic.parameters(), self.target.parameters(), strict=True)]
        if not shared:
            self._pairs += zip(self.trunk.parameters(), self.target_trunk.parameters(), strict=True)
        for _, p in self._pairs:
            p.requires_grad_(False)
        self.optimizer = torch.optim.Adam(
            [
                {"params": critics, "peak": config.critic_lr},
                {"params": actors, "peak": config.policy_lr},
                {"params": [self.log_alpha], "peak": config.policy_lr},
            ],
            fused=True,
        )

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
    def age(self) -> int:
        """Updates of its own."""
        return self.updates - self.born

    @property
    def imitation_weight(self) -> float:
        """Weight of the imitation of own successes at this update."""
        c = self.config
        return c.imitation_weight + min(1.0, self.age / c.imitation_updates) * (c.imitation_floor - c.imitation_weight)

    def state(self) -> dict[str, Tensor]:
        """All that an exact continuation needs, by name: weights, Adam's moments, random state."""
        found = {f"{n}.{k}": t.detach() for n, m in self._modules().items() for k, t in m.state_dict().items()}
        for i, moments in self.optimizer.state_dict()["state"].items():
            found.update({f"adam.{i}.{key}": value for key, value in moments.items()})
        found["log_alpha"], found["random"] = self.log_alpha.detach(), self.generator.get_state()
        found["updates"], found["born"] = torch.tensor(self.updates), torch.tensor(self.born)
        return {name: tensor.contiguous() for name, tensor in found.items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state`.

        Raises:
            KeyError, RuntimeError: the state is of another configuration.
        """
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in state.items():
            part, _, key = name.partition(".")
            parts.setdefault(part, {})[key] = tensor
        for name, module in self._modules().items():
            module.load_state_dict(parts[name])
        weights = [p for group in self.optimizer.param_groups for p in group["params"]]
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts.get("adam", {}).items():
            i, _, key = name.partition(".")
            moment = tensor.clone()
            if tensor.ndim:  # the fused Adam goes through memory, so moments must lie as their weights do
                moment = torch.empty_like(weights[int(i)]).copy_(tensor)
            moments.setdefault(int(i), {})[key] = moment
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        with torch.no_grad():
            self.log_alpha.copy_(state["log_alpha"])
        self.generator.set_state(state["random"])
        self.updates, self.born = int(state["updates"]), int(state["born"])

    def _modules(self) -> dict[str, nn.Module]:
        own = {} if self.shared else {"trunk": self.trunk, "target_trunk": self.target_trunk}
        return {**self.actor.parts, "target": self.target, **own}

    def _shifted(self, images: NDArray[np.uint8]) -> Tensor:
        rng = np.random.default_rng(int(torch.randint(2**31, (), generator=self.generator)))
        return chw(random_shift(images, self.config.shift, rng))

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

    def _step(self) -> None:
        """Adam, then the target."""
        c = self.config
        self.updates += 1
        for group in self.optimizer.param_groups:
            decay = 1 - (1 - c.lr_floor) * min(1.0, self.age / c.lr_decay)
            group["lr"] = group["peak"] * decay * min(1.0, self.age / max(1, c.lr_warmup))
        self.optimizer.step()
        if self.updates % c.target_period == 0:
            online, target = zip(*self._pairs, strict=True)
            with torch.no_grad():
                torch._foreach_lerp_(list(target), list(online), c.target_tau)


def chw(images: NDArray[np.uint8]) -> Tensor:
    """(B, 48, 48, 3) -> (B, 3, 48, 48), the same bytes."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)
