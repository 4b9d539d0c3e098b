"""Where a policy is at home: among latents, or among the actions that they stand for under the prior.

Which latent leads to the left depends on where all objects are, so that a policy over latents learns that for each
arrangement anew; an action leads to the left everywhere. As the prior is invertible, both are the same policy: a latent
has its action a = f(z; s), an action its latent z = f^{-1}(a; s).
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot.prior.control import SharedController
from parrot.prior.flow import FlowPrior
from parrot.spaces import EPISODE_STEPS, to_chw

__all__ = ["ActionSpace", "LatentSpace"]

_MARGIN = 1.2
"""Actions are clipped where they are executed, at 1; a little beyond, they still differ."""


class LatentSpace:
    """Latents as they are, from N(0, I) before anything is learnt; or raw actions, where there is no prior.

    Args:
        dim: D.
    """

    controller: SharedController | None = None
    """What finds latents of actions; what executes them in the same process shares it. None: none has to be found."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def latent(self, x: Tensor, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The latent (D,) of x (dim,) at an image (48, 48, 3)."""
        return x.numpy()


class ActionSpace(LatentSpace):
    """Actions, not yet clipped, which the prior makes of latents.

    Args:
        prior: the prior, of which it keeps a copy as it is now: networks that start from parts of it are trained.
        episodes: how many the replay holds, whose actions need to be found only once; 0: for acting alone.
    """

    def __init__(self, prior: FlowPrior, episodes: int = 0) -> None:
        super().__init__(prior.action_dim)
        self.prior = copy.deepcopy(prior).eval().requires_grad_(False)
        self.controller: SharedController = SharedController(self.prior)
        self._number = np.full(episodes * EPISODE_STEPS, -1, np.int64)
        self._action = np.empty((episodes * EPISODE_STEPS, prior.action_dim), np.float32)

    def actions(
        self, latents: NDArray[np.float32], images: NDArray[np.uint8], numbers: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """What latents (B, D) stand for at images (B, 48, 48, 3) of the replay with these numbers: (B, 7)."""
        places = numbers % len(self._number)
        new = np.flatnonzero(self._number[places] != numbers)
        if len(new):
            self._action[places[new]] = self.decode(torch.from_numpy(latents[new]), images[new]).numpy()
            self._number[places[new]] = numbers[new]
        return self._action[places]

    @torch.no_grad()
    def decode(self, latents: Tensor, images: NDArray[np.uint8]) -> Tensor:
        """What latents (B, D) stand for at any images (B, 48, 48, 3): (B, 7)."""
        return self.prior.decode(latents, torch.from_numpy(to_chw(images))).clamp(-_MARGIN, _MARGIN)

    def latent(self, x: Tensor, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The latent that stands for an action."""
        return self.controller.latent(x.clamp(-_MARGIN, _MARGIN).numpy(), self.controller.look(image))
