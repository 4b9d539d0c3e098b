"""Where a policy is at home: among latents, or among the actions that they stand for under the prior.

Which latent leads to the left depends on where all objects are, so that a policy over latents, and critics of them,
learn that for each arrangement anew; an action leads to the left everywhere. As the prior is invertible, both are the
same policy: a latent has its action a = f(z; s), an action its latent z = f^{-1}(a; s).
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot.prior.base import base_log_prob
from parrot.prior.control import SharedController
from parrot.prior.flow import FlowPrior
from parrot.rl.replay import Batch
from parrot.spaces import EPISODE_STEPS

__all__ = ["ActionSpace", "LatentSpace"]

_MARGIN = 1.2
"""Actions are clipped where they are executed, at 1; a little beyond, gradients still lead back."""


class LatentSpace:
    """Latents as they are, from N(0, I) before anything is learnt; or raw actions, where there is no prior.

    Args:
        dim: D.
    """

    controller: SharedController | None = None
    """What finds latents of actions; what executes them in the same process shares it. None: none has to be found."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def points(self, batch: Batch) -> Tensor:
        """What was done, (B, dim)."""
        return torch.from_numpy(batch.latents)

    def judged(self, x: Tensor) -> Tensor:
        """What critics see of (B, dim): the same."""
        return x

    def prior_log_prob(self, x: Tensor, images: NDArray[np.uint8], numbers: NDArray[np.int64]) -> Tensor:
        """Log-likelihood (B,) of (B, dim) before anything is learnt, at images with these numbers, as in `Batch`."""
        return base_log_prob(x)

    def latent(self, x: Tensor, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The latent (D,) of x (dim,) at an image (48, 48, 3)."""
        return x.numpy()


class ActionSpace(LatentSpace):
    """Actions, not yet clipped, which the prior makes of latents; likely are those that it makes of likely latents.

    Args:
        prior: the prior, of which it keeps a copy as it is now: networks that start from parts of it are trained.
        episodes: how many the replay holds, whose images need to be encoded only once; 0: for acting alone.
    """

    def __init__(self, prior: FlowPrior, episodes: int = 0) -> None:
        super().__init__(prior.action_dim)
        self.prior = copy.deepcopy(prior).eval().requires_grad_(False)
        self.controller: SharedController = SharedController(self.prior)
        steps = episodes * EPISODE_STEPS
        self._encoded, self._decoded = np.full(steps, -1, np.int64), np.full(steps, -1, np.int64)
        # Half precision: 77 MB for 6,000 episodes, and what is encoded by the prior is of the order of 1.
        self._features = np.empty((steps, prior.feature_dim), np.float16)
        self._points = np.empty((steps, prior.action_dim), np.float32)

    def points(self, batch: Batch) -> Tensor:
        """The actions of the latents."""
        places, new = self._missing(self._decoded, batch.numbers)
        if len(new):
            features = self._look(batch.images[new], batch.numbers[new])
            with torch.no_grad():
                actions = self.prior.decode(torch.from_numpy(batch.latents[new]), features=features)
            self._points[places[new]] = self.judged(actions).numpy()
            self._decoded[places[new]] = batch.numbers[new]
        return torch.from_numpy(self._points[places])

    def judged(self, x: Tensor) -> Tensor:
        """Actions clipped, but not quite."""
        return x.clamp(-_MARGIN, _MARGIN)

    def prior_log_prob(self, x: Tensor, images: NDArray[np.uint8], numbers: NDArray[np.int64]) -> Tensor:
        """The prior's log-likelihood."""
        return self.prior.log_prob(x, features=self._look(images, numbers))

    def latent(self, x: Tensor, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The latent that stands for an action."""
        return self.controller.latent(self.judged(x).numpy(), self.controller.look(image))

    def _look(self, images: NDArray[np.uint8], numbers: NDArray[np.int64]) -> Tensor:
        """The prior's features of images (B, 48, 48, 3) in the replay."""
        places, new = self._missing(self._encoded, numbers)
        if len(new):
            with torch.no_grad():
                found = self.prior.encode_image(torch.from_numpy(images[new]).permute(0, 3, 1, 2))
            self._features[places[new]] = found.numpy()
            self._encoded[places[new]] = numbers[new]
        return torch.from_numpy(self._features[places]).float()

    @staticmethod
    def _missing(owner: NDArray[np.int64], numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the numbers (B,) have their places, and which of them are not there yet."""
        places = numbers % len(owner)
        return places, np.flatnonzero(owner[places] != numbers)
