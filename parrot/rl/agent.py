"""What learns: an actor, the critics' targets and one optimiser for all weights."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from parrot.prior.augment import random_shift
from parrot.rl.actor import Actor
from parrot.rl.presets import SACConfig
from parrot.rl.replay import Replay
from parrot.rl.space import LatentSpace
from parrot.spaces import to_chw

__all__ = ["Agent"]


class Agent(ABC):
    """Policy, critics and their optimiser; its kinds differ by what they learn from.

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
            [{"params": critics, "peak": config.critic_lr}, {"params": actors, "peak": config.policy_lr}], fused=True
        )

    @abstractmethod
    def learn(self, replay: Replay, rng: np.random.Generator, report: bool = False) -> dict[str, float]:
        """One gradient step on every network; returns the losses if a report is wanted.

        Args:
            replay: what it learns from.
            rng: of the draws from it.
            report: whether the losses are wanted, which costs time.
        """

    @property
    def age(self) -> int:
        """Updates of its own."""
        return self.updates - self.born

    def state(self) -> dict[str, Tensor]:
        """All that an exact continuation needs, by name: weights, Adam's moments, random state."""
        found = {f"{n}.{k}": t.detach() for n, m in self._modules().items() for k, t in m.state_dict().items()}
        for i, moments in self.optimizer.state_dict()["state"].items():
            found.update({f"adam.{i}.{key}": value for key, value in moments.items()})
        found["random"] = self.generator.get_state()
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
        self.generator.set_state(state["random"])
        self.updates, self.born = int(state["updates"]), int(state["born"])

    def _modules(self) -> dict[str, nn.Module]:
        own = {} if self.shared else {"trunk": self.trunk, "target_trunk": self.target_trunk}
        return {**self.actor.parts, "target": self.target, **own}

    def _shifted(self, images: NDArray[np.uint8]) -> Tensor:
        rng = np.random.default_rng(int(torch.randint(2**31, (), generator=self.generator)))
        return torch.from_numpy(to_chw(random_shift(images, self.config.shift, rng)))

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
