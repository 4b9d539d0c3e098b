"""Stable-Baselines3's SAC with our networks: the peer of our learner."""

from __future__ import annotations

import gymnasium
import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from parrot.prior.presets import PriorConfig
from parrot.rl.presets import SACConfig
from parrot.spaces import ACTION_DIM, EPISODE_STEPS, IMAGE_SHAPE, IMAGE_SIZE

__all__ = ["PaperFeatures", "make_sac"]


class PaperFeatures(BaseFeaturesExtractor):
    """The paper's encoder, as one writes it for Stable-Baselines3: images in [0, 1], (B, 3, 48, 48) float32."""

    def __init__(self, observation_space: gymnasium.Space, features: int) -> None:
        super().__init__(observation_space, features)
        c, side = PriorConfig().channels, IMAGE_SIZE // 4
        self.layers = nn.Sequential(
            nn.Conv2d(3, c, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(c, c, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(c, c, 3, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(c * side * side, features), nn.ReLU(),
        )  # fmt: skip

    def forward(self, observations: Tensor) -> Tensor:
        """(B, 3, 48, 48) -> (B, features)."""
        return self.layers(observations)


class _Spaces(gymnasium.Env):
    """Says what an observation and an action are; nothing is ever stepped."""

    observation_space = gymnasium.spaces.Box(0, 255, IMAGE_SHAPE, np.uint8)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (ACTION_DIM,), np.float32)


def make_sac(config: SACConfig, episodes: int, seed: int, device: torch.device) -> SAC:
    """Their SAC with the widths, rates and batch of our configuration, its replay filled with noise."""
    steps = episodes * EPISODE_STEPS
    sac = SAC(
        "CnnPolicy", _Spaces(), learning_rate=config.critic_lr, buffer_size=steps, batch_size=config.batch_size,
        tau=config.target_tau, gamma=config.discount, target_update_interval=config.target_period, seed=seed,
        device=device, policy_kwargs={
            "features_extractor_class": PaperFeatures, "features_extractor_kwargs": {"features": config.features},
            "net_arch": list(config.hidden), "n_critics": config.critics,
        },
    )  # fmt: skip
    sac.set_logger(Logger(None, []))
    rng, shape = np.random.default_rng(seed), (1, 3, IMAGE_SIZE, IMAGE_SIZE)
    assert sac.replay_buffer is not None
    for step in range(steps):
        images = rng.integers(0, 256, (2, *shape), np.uint8)
        action, done = rng.uniform(-1.0, 1.0, (1, ACTION_DIM)), np.array([(step + 1) % EPISODE_STEPS == 0])
        sac.replay_buffer.add(images[0], images[1], action, done.astype(np.float32), done, [{}])
    return sac
