"""A toy that a prior must master: three coloured blobs, and actions that go to one of them, no matter which."""

from pathlib import Path

import numpy as np

from parrot.data.dataset import Dataset
from parrot.data.episode import Episode
from parrot.data.manifest import Manifest
from parrot.data.writer import EpisodeWriter
from parrot.prior.presets import PriorConfig, TrainConfig

COLOURS = np.array([[220, 40, 40], [40, 200, 40], [40, 60, 220]], dtype=np.float32)
MANIFEST = Manifest(
    kind="collect", robot="toy-arm", renderer="blobs", camera={"fov": 40}, action_scale={"translation": 0.04}
)
SMALL = TrainConfig(
    model=PriorConfig(encoder="fast", coupling="spline", channels=8, features=32, hidden=32, standardise=True),
    steps=20,
    batch=16,
    lr=1e-3,
    warmup=5,
    cosine=True,
    ema=0.9,
    shift=1,
    jitter=0.1,
    held_out=0.2,
)


def scenes(n, rng):
    """Images (n, 48, 48, 3) and the directions (n, 3, 2) from the middle to the blobs, in [-1, 1]."""
    pixels = np.mgrid[0:48, 0:48].astype(np.float32)
    centres = rng.uniform(6, 42, (n, 3, 2)).astype(np.float32)
    images = np.full((n, 48, 48, 3), 128, np.float32)
    for blob in range(3):
        distance = np.linalg.norm(pixels[None] - centres[:, blob, :, None, None], axis=1)
        cover = np.clip(3.5 - distance, 0, 1)[..., None]
        images = images * (1 - cover) + cover * COLOURS[blob]
    return images.astype(np.uint8), (centres - 24) / 18


def episode(rng, seed, steps=10):
    images, directions = scenes(steps, rng)
    chosen = rng.integers(3, size=steps)
    actions = np.zeros((steps, 7), np.float32)
    actions[:, :2] = directions[np.arange(steps), chosen]
    actions += rng.normal(0, 0.05, actions.shape)
    actions[:, 6] = np.where(rng.random(steps) < 0.5, 1.0, -1.0)
    return Episode(images, np.clip(actions, -1, 1), np.zeros(steps), task="blobs", success=True, seed=seed)


def write_dataset(path: Path, episodes: int, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    with EpisodeWriter(path, MANIFEST, sync=False) as writer:
        for i in range(episodes):
            writer.append(episode(rng, i))
    return Dataset.open(path)
