"""A Gymnasium wrapper whose actions are latents of a prior, for any RL library (paper, figure 1)."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from parrot.errors import SpaceError
from parrot.prior.base import ActionDecoder
from parrot.prior.control import Controller, controller_of

__all__ = ["LatentActionWrapper"]


class LatentActionWrapper(gymnasium.Wrapper):
    """Executes a = f(z; s) for a latent z, where s is the image last seen.

    `info["action"]` is the action that was executed.

    Args:
        env: observes (48, 48, 3) uint8 images and takes (7,) actions.
        prior: a trained prior; its weights as they are now.
        controller: what makes single actions by the same prior, to share it; None: one of its own.
    """

    def __init__(self, env: gymnasium.Env, prior: ActionDecoder, controller: Controller | None = None) -> None:
        super().__init__(env)
        self.prior = prior
        self._controller = controller or controller_of(prior)
        self.action_space = gymnasium.spaces.Box(-np.inf, np.inf, (prior.latent_dim,), np.float32)
        self._image: NDArray[np.uint8] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """As the wrapped environment's."""
        self._image, info = self.env.reset(seed=seed, options=options)
        self._controller.begin()
        return self._image, info

    def step(self, action: NDArray[np.floating]) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """One step of the wrapped environment with the action that the latent stands for.

        Raises:
            SpaceError: the latent has another shape or is not finite.
        """
        z = np.asarray(action, np.float32)
        if z.shape != (self.prior.latent_dim,) or not np.isfinite(z).all():
            raise SpaceError(f"latent {z.tolist()}: expected {self.prior.latent_dim} finite numbers")
        assert self._image is not None, "reset comes first"
        executed = self._controller.act(z, self._controller.look(self._image))
        image, reward, terminated, truncated, info = self.env.step(executed)
        self._image = image
        return image, float(reward), terminated, truncated, {**info, "action": executed}
