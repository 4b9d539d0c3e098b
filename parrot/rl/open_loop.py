"""Acting in open loop: one latent for an episode, all of its actions decoded at the first image."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from parrot.prior.base import TrajectoryDecoder
from parrot.spaces import ACTION_DIM

__all__ = ["OpenLoop"]


class OpenLoop:
    """Plays the actions of an episode one by one; after the last that was decoded, the arm stands still."""

    def __init__(self, decoder: TrajectoryDecoder) -> None:
        self.decoder = decoder
        self._actions = np.empty((0, ACTION_DIM), np.float32)

    @torch.inference_mode()
    def begin(self, z: NDArray[np.floating], image: NDArray[np.uint8]) -> None:
        """Decodes the latent (D,) of an episode whose first image (48, 48, 3) is this."""
        pixels = torch.from_numpy(np.ascontiguousarray(image)[None]).permute(0, 3, 1, 2)
        latent = torch.from_numpy(np.asarray(z, np.float32)[None])
        self._actions = self.decoder.decode(latent, pixels)[0].clamp(-1.0, 1.0).numpy()

    def action(self, step: int) -> NDArray[np.float32]:
        """The action (7,) in [-1, 1] of that step, from 0."""
        return self._actions[step].copy() if step < len(self._actions) else np.zeros(ACTION_DIM, np.float32)
