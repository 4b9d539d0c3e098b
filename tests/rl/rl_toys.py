"""Small worlds that latent RL must solve, cheap enough for every test run."""

from __future__ import annotations

import gymnasium
import numpy as np
import torch
from torch import Tensor

from parrot.prior.base import Prior
from parrot.prior.encoder import FastEncoder
from parrot.spaces import ACTION_DIM, IMAGE_SHAPE


class DotEnv(gymnasium.Env):
    """A white hand must come to the red dot, not to the blue one, and then close; all of it seen in 48x48 pixels.

    The first two numbers of an action move the hand, the last closes it below -0.5; closed on the red dot is success.
    """

    def __init__(self, steps: int = 12) -> None:
        self.observation_space = gymnasium.spaces.Box(0, 255, IMAGE_SHAPE, np.uint8)
        self.action_space = gymnasium.spaces.Box(-1, 1, (ACTION_DIM,), np.float32)
        self.steps = steps

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.hand = np.array([0.5, 0.5])
        while True:
            self.red, self.blue = self.np_random.uniform(0.15, 0.85, (2, 2))
            if np.abs(self.red - self.blue).max() > 0.3 and np.abs(self.red - self.hand).max() > 0.2:
                break
        self.t = 0
        return self._image(), {}

    def step(self, action):
        self.hand = np.clip(self.hand + 0.15 * np.asarray(action[:2], float), 0.05, 0.95)
        self.t += 1
        success = bool(action[-1] < -0.5 and np.abs(self.hand - self.red).max() < 0.1)
        return self._image(), float(success), success, self.t == self.steps and not success, {"success": success}

    def _image(self):
        image = np.full(IMAGE_SHAPE, 60, np.uint8)
        dots = ((self.red, (230, 40, 40), 4), (self.blue, (40, 40, 230), 4), (self.hand, (255, 255, 255), 2))
        for (x, y), colour, r in dots:
            cx, cy = int(x * 48), int(y * 48)
            image[max(0, cy - r) : cy + r, max(0, cx - r) : cx + r] = colour
        return image


class DotPrior(Prior):
    """An analytic prior for `DotEnv`: it sees both dots; the sign of z0 chooses one, the rest is noise around it."""

    def __init__(self, features: int = 32) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = FastEncoder(features, channels=16)
        self.feature_dim = features

    def encode_image(self, image: Tensor) -> Tensor:
        return image.float().flatten(1)

    def decode(self, z: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        pixels = self.features_of(image, features).unflatten(1, (3, 48, 48))
        hand = _centre(pixels.amin(1) > 250)
        red = _centre((pixels[:, 0] > 200) & (pixels[:, 1] < 100))
        blue = _centre((pixels[:, 2] > 200) & (pixels[:, 1] < 100))
        aim = torch.where(z[:, :1] > 0, red, blue) - hand
        move = (aim / (48 * 0.15)).clamp(-1, 1) + 0.3 * z[:, 1:3]
        return torch.cat([move, 0 * z[:, 2:6], z[:, 6:7]], 1)

    def encode(self, action, image=None, *, features=None):
        raise NotImplementedError

    def log_prob(self, action, image=None, *, features=None):
        raise NotImplementedError


def _centre(mask: Tensor) -> Tensor:
    weight = mask.float()
    total = weight.sum((1, 2)).clamp(min=1)
    grid = torch.arange(48.0)
    x, y = (weight.sum(1) * grid).sum(1) / total, (weight.sum(2) * grid).sum(1) / total
    return torch.stack([x, y], 1)


class ReachEnv(gymnasium.Env):
    """Always the same picture; the first two numbers of the action must come near (0.6, -0.6), in each of 4 steps."""

    observation_space = gymnasium.spaces.Box(0, 255, IMAGE_SHAPE, np.uint8)
    action_space = gymnasium.spaces.Box(-1, 1, (ACTION_DIM,), np.float32)
    image = np.full(IMAGE_SHAPE, 100, np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.image, {}

    def step(self, action):
        success = bool(np.abs(np.asarray(action[:2]) - (0.6, -0.6)).max() < 0.35)
        self.t += 1
        return self.image, float(success), False, self.t == 4, {"success": success}
