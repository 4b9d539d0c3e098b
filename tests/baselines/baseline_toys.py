"""A toy that every comparison must master: a red blob on grey, and actions that point at it, with a little noise."""

from pathlib import Path

import numpy as np

from parrot.data.dataset import Dataset
from parrot.data.episode import Episode
from parrot.data.manifest import Manifest
from parrot.data.writer import EpisodeWriter

MANIFEST = Manifest(
    kind="collect", robot="xarm6", renderer="pybullet-tiny", camera={"fov": 40}, action_scale={"translation": 0.04}
)


def scenes(n, rng):
    """Images (n, 48, 48, 3) uint8 and the directions (n, 2) from the middle to the blob, in [-0.9, 0.9]."""
    pixels = np.mgrid[0:48, 0:48].astype(np.float32)
    centres = rng.uniform(6, 42, (n, 2)).astype(np.float32)
    distance = np.linalg.norm(pixels[None] - centres[:, :, None, None], axis=1)
    cover = np.clip(7.5 - distance, 0, 1)[..., None]
    images = 128 * (1 - cover) + cover * np.array([220, 40, 40], np.float32)
    return images.astype(np.uint8), (centres - 24) / 20


def write_dataset(path: Path, episodes: int = 150, steps: int = 10, seed: int = 0) -> Dataset:
    """Episodes in which every action points at the blob and the gripper stays open."""
    rng = np.random.default_rng(seed)
    with EpisodeWriter(path, MANIFEST, sync=False) as writer:
        for i in range(episodes):
            images, directions = scenes(steps, rng)
            actions = np.zeros((steps, 7), np.float32)
            actions[:, :2] = directions
            actions[:, 6] = 1.0
            actions += rng.normal(0, 0.05, actions.shape)
            writer.append(Episode(images, np.clip(actions, -1, 1), np.zeros(steps), task="blob", success=True, seed=i))
    return Dataset.open(path)
