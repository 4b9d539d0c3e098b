"""How cost grows: a prior's training step against the size of its dataset, the learner's draw against the replay's.

Every size is measured in a fresh process, so that its memory is its own. Contents are noise: they change no cost.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from parrot.spaces import ACTION_DIM, EPISODE_STEPS, IMAGE_SHAPE

__all__ = ["KINDS", "Point", "draw", "measure"]

KINDS = {
    "dataset in memory": "a training step of the prior, preset fast",
    "dataset on disk": "a training step of the prior, preset fast",
    "replay": "drawing a batch of 128",
}
"""What is measured against the number of episodes, and what a call of it is."""

WARM, CALLS = 20, 150
"""Calls that do not count, and those that do."""

DISTINCT = 64
"""Different episodes of noise; more would only take longer to draw."""


@dataclass(frozen=True)
class Point:
    """One size of one kind."""

    kind: str
    """One of `KINDS`."""
    episodes: int
    """Trajectories in the dataset, or episodes in the replay; 25 steps each."""
    ready_s: float
    """Seconds until the first call: opening, reading into memory, filling."""
    milliseconds: float
    """Of a call, median."""
    memory_mb: float
    """Of the process before the first call that counts, without what Python and PyTorch take."""
    growth_mb: float
    """What it grew by during the calls."""
    seed: int
    """Of the noise."""


def measure(
    trajectories: Sequence[int], replay: Sequence[int], seed: int, report: Callable[[Point], None]
) -> list[dict[str, Any]]:
    """Measures every size, smallest first; needs 0.2 MB of disk for each trajectory.

    Args:
        trajectories: sizes of datasets.
        replay: sizes of replays, in episodes.
        seed: of the noise.
        report: called with each point.
    """
    points: list[Point] = []
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool, tempfile.TemporaryDirectory() as tmp:
        for episodes in sorted(trajectories):
            folder = Path(tmp, str(episodes))
            pool.apply(_write, (folder, episodes, seed))
            for kind in ("dataset in memory", "dataset on disk"):
                points.append(pool.apply(_training, (folder, kind, episodes, seed)))
                report(points[-1])
        for episodes in sorted(replay):
            points.append(pool.apply(_replay, (episodes, seed)))
            report(points[-1])
    return [asdict(point) for point in points]


def draw(rows: Sequence[dict[str, Any]], out: Path) -> None:
    """Draws time and memory against size; `rows` as `measure` returns them."""
    from matplotlib.figure import Figure

    from parrot.durable import atomic_path

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, column, unit in zip(
        figure.subplots(1, 2), ("milliseconds", "memory_mb"), ("ms a call", "memory, MB"), strict=True
    ):
        for kind, call in KINDS.items():
            mine = [row for row in rows if row["kind"] == kind]
            label = f"{kind}: {call}" if column == "milliseconds" else kind
            axes.plot([row["episodes"] for row in mine], [row[column] for row in mine], "o-", label=label)
        axes.set(xscale="log", yscale="log", xlabel="episodes of 25 steps", ylabel=unit)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    with atomic_path(out) as tmp:
        figure.savefig(tmp, dpi=110, format=out.suffix[1:])


def _noise(seed: int) -> list[tuple[Any, Any, Any]]:
    rng = np.random.default_rng(seed)
    return [
        (
            rng.integers(0, 256, (EPISODE_STEPS, *IMAGE_SHAPE), np.uint8),
            rng.uniform(-1, 1, (EPISODE_STEPS, ACTION_DIM)).astype(np.float32),
            np.eye(EPISODE_STEPS, dtype=np.float32)[-1],
        )
        for _ in range(DISTINCT)
    ]


def _write(folder: Path, episodes: int, seed: int) -> None:
    from parrot.data.episode import Episode
    from parrot.data.manifest import Manifest
    from parrot.data.writer import EpisodeWriter

    noise = [Episode(*arrays, task="noise", success=True, seed=0) for arrays in _noise(seed)]
    with EpisodeWriter(folder, Manifest(kind="collect", robot="xarm6", renderer="noise"), sync=False) as writer:
        for number in range(episodes):
            writer.append(noise[number % DISTINCT])


def _training(folder: Path, kind: str, episodes: int, seed: int) -> Point:
    import torch

    from parrot.data.dataset import Dataset
    from parrot.prior import batches
    from parrot.prior.presets import preset
    from parrot.prior.train import Trainer

    torch.set_num_threads(1)  # several wait for each other, the more so the busier the machine
    batches.MEMORY_SHARE = 0.0  # what warms up must not leave memory that the images then find
    Trainer(Dataset.open([folder]), replace(preset("fast"), steps=WARM), folder / "warm", "cpu").run(save=False)
    base = _memory()
    batches.MEMORY_SHARE = 0.95 if kind == "dataset in memory" else 0.0
    began = time.perf_counter()
    trainer = Trainer(Dataset.open([folder]), replace(preset("fast"), steps=10**6), folder / "run", "cpu")
    trainer.advance()
    ready = time.perf_counter() - began
    try:
        return _point(kind, episodes, ready, trainer.advance, base, seed)
    finally:
        trainer.close()


def _replay(episodes: int, seed: int) -> Point:
    from parrot.rl.replay import Replay

    base, began = _memory(), time.perf_counter()
    replay = Replay(episodes, ACTION_DIM, discount=0.97)
    noise = _noise(seed)
    for number in range(episodes):
        images, actions, rewards = noise[number % DISTINCT]
        replay.append(images, actions, rewards, success=number % 4 == 0, terminated=True)
    ready, rng = time.perf_counter() - began, np.random.default_rng(seed)
    return _point("replay", episodes, ready, lambda: replay.sample(128, rng, n_step=3, success_share=0.25), base, seed)


def _point(kind: str, episodes: int, ready: float, call: Callable[[], object], base: float, seed: int) -> Point:
    took = []
    for _ in range(WARM):
        call()
    memory = _memory()
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        took.append(1e3 * (time.perf_counter() - began))
    return Point(
        kind, episodes, round(ready, 2), round(float(np.median(took)), 3), round(memory - base, 1),
        round(_memory() - memory, 1), seed,
    )  # fmt: skip


def _memory() -> float:
    """Resident memory of this process in MB, without pages of mapped files, which the kernel takes back at need."""
    info = psutil.Process().memory_info()
    return (info.rss - info.shared) / 1e6
