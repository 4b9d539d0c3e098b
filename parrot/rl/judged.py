"""What the critics are shown of a latent: itself, or the action that it stands for under the prior.

Which latent leads to the left depends on where all objects are, so that Q(s, z) has to be learnt for each arrangement
anew; an action leads to the left everywhere. Both are the same function of state and latent, Q(s, f(z; s)).
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot.prior.base import ActionDecoder
from parrot.spaces import EPISODE_STEPS

__all__ = ["Judged"]

_MARGIN = 1.2
"""Actions are clipped where they are executed, at 1; a little beyond, gradients still lead back."""


class Judged:
    """The critics' view of latents.

    Args:
        latent_dim: D.
        decoder: the prior, of which it keeps a copy as it is now; None: the critics see the latents.
        episodes: how many the replay holds, whose images need to be encoded only once; 0: nothing is kept.
    """

    def __init__(self, latent_dim: int, decoder: ActionDecoder | None = None, episodes: int = 0) -> None:
        # A copy: the policy's networks start from parts of the prior's, and these are trained.
        self.decoder = None if decoder is None else copy.deepcopy(decoder).eval().requires_grad_(False)
        self.width = latent_dim if decoder is None else decoder.action_dim
        if decoder is None:
            return
        self._owner = np.full(episodes * EPISODE_STEPS, -1, np.int64)
        # Half precision: 77 MB for 6,000 episodes, and what is encoded by the prior is of the order of 1.
        self._kept = np.empty((len(self._owner), decoder.feature_dim), np.float16)

    def look(self, images: NDArray[np.uint8], numbers: NDArray[np.int64] | None = None) -> Tensor | None:
        """What `show` needs of the images (B, 48, 48, 3); their `numbers` (B,) are as in `Batch`."""
        if self.decoder is None:
            return None
        if numbers is None or not len(self._owner):
            return self._encode(images)
        places = numbers % len(self._owner)
        new = np.flatnonzero(self._owner[places] != numbers)
        if len(new):
            self._kept[places[new]] = self._encode(images[new]).numpy()
            self._owner[places[new]] = numbers[new]
        return torch.from_numpy(self._kept[places]).float()

    def show(self, z: Tensor, seen: Tensor | None) -> Tensor:
        """Latents (B, D), at images of which this is what `look` gave, (B, n) or (1, n): (B, width)."""
        if self.decoder is None or seen is None:
            return z
        return self.decoder.decode(z, features=seen.expand(len(z), -1)).clamp(-_MARGIN, _MARGIN)

    @torch.no_grad()
    def _encode(self, images: NDArray[np.uint8]) -> Tensor:
        assert self.decoder is not None
        return self.decoder.encode_image(torch.from_numpy(images).permute(0, 3, 1, 2))
