"""What acts: a policy and the encoder that it looks through."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from parrot.prior.encoder import native_bf16
from parrot.rl.flow_policy import FlowPolicy
from parrot.rl.networks import Critic, Policy, Trunk
from parrot.rl.presets import SACConfig
from parrot.rl.space import ActionSpace, LatentSpace
from parrot.spaces import to_chw

__all__ = ["Actor"]

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
        maps = self.trunk(torch.from_numpy(to_chw(image[None])))
        noise = torch.zeros(1, self.space.dim)
        if candidates:
            noise = torch.randn(candidates, self.space.dim, generator=generator)
        x = self.policy(maps).draw(noise * scale)
        if candidates <= 1:
            return self.space.latent(x[0], image)
        features = self.critic.projection(maps).expand(candidates, -1)
        best = self.critic.judge(features, x).mean(0).argmax()
        return self.space.latent(x[best], image)
