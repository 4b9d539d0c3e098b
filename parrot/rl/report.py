"""What a run shows for itself: TensorBoard scalars on the way; summary, curve and moving pictures at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from parrot.durable import atomic_path, disk_errors, write_json
from parrot.provenance import provenance
from parrot.rl.algorithms import algorithm
from parrot.rl.settings import FineTuneConfig
from parrot.rl.status import WINDOW

if TYPE_CHECKING:
    from parrot.rl.run_folder import EpisodeRow, RunFolder

__all__ = ["Curves", "film_strip", "learning_curve", "rolling", "summary", "write_report"]

SCALE = 4
"""Pixels in the pictures for one of the observation."""

FIRST = 10
"""Episodes that a run's curve begins after: an arm may have no more than a few dozen, but one tells nothing."""


class Curves:
    """TensorBoard scalars by environment step.

    Args:
        folder: for the event file.

    Raises:
        RunError: the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._folder = folder
        with disk_errors(folder):
            self._writer = SummaryWriter(str(folder), flush_secs=10)

    def add(self, row: EpisodeRow, losses: dict[str, float]) -> None:
        """One episode's figures and the learner's latest.

        Raises:
            RunError: the disk is full.
        """
        with disk_errors(self._folder):
            for name in ("success", "success_50", "length", "episode_return", "updates", "seconds"):
                self._writer.add_scalar(f"{row.phase}/{name}", getattr(row, name), row.env_steps)
            if row.phase == "train":
                for name, value in losses.items():
                    self._writer.add_scalar(f"learner/{name}", value, row.env_steps)

    def close(self) -> None:
        """Writes out what is pending; on a full disk that is lost, `episodes.csv` has the same figures."""
        with contextlib.suppress(OSError):
            self._writer.close()


def write_report(folder: RunFolder, config: FineTuneConfig, seconds: float) -> None:
    """Writes `summary.json`, `learning_curve.png` and `eval.gif` into the run's folder.

    Raises:
        RunError: the disk is full; start the run again to have the report written.
    """
    learning_curve(folder.rows, config, folder.path / "learning_curve.png")
    evaluation = folder.evaluation()
    if len(evaluation):
        episodes = [evaluation.episode(i) for i in range(min(8, len(evaluation)))]
        film_strip([e.images for e in episodes], [e.success for e in episodes], folder.path / "eval.gif")
    # Last: a summary says that the report is complete.
    write_json(folder.path / "summary.json", summary(folder.rows, config, seconds))


def summary(rows: list[EpisodeRow], config: FineTuneConfig, seconds: float) -> dict[str, Any]:
    """The figures of a run, for `summary.json`."""
    phases = {phase: [r for r in rows if r.phase == phase] for phase in ("before", "train", "after")}
    rates = {p: float(np.mean([r.success for r in rs])) if rs else None for p, rs in phases.items()}
    training = phases["before"] + phases["train"]
    return {
        "task": config.task,
        "algo": config.algo,
        "seed": config.seed,
        "success_before": rates["before"],
        "success_after": rates["after"],
        "episodes_before": len(phases["before"]),
        "episodes_train": len(phases["train"]),
        "episodes_after": len(phases["after"]),
        "success_train_last_50": phases["train"][-1].success_50 if phases["train"] else None,
        "env_steps": training[-1].env_steps if training else 0,
        "updates": rows[-1].updates if rows else 0,
        "seconds_training": round(training[-1].seconds, 1) if training else 0.0,
        "seconds": round(seconds, 1),
        "config": config.to_json(),
        "provenance": provenance("torch", "gymnasium", "pybullet"),
    }


def learning_curve(rows: list[EpisodeRow], config: FineTuneConfig, path: Path) -> None:
    """Draws success over the last 50 episodes against wall-clock time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    train = [r for r in rows if r.phase in ("before", "train")]
    minutes, curve = [r.seconds / 60 for r in train], rolling([r.success for r in train], first=FIRST)
    axes.plot(minutes[len(minutes) - len(curve) :], curve, label=f"while learning, last {WINDOW}")
    for phase, x, label in (
        ("before", 0.0, algorithm(config.algo).before),
        ("after", train[-1].seconds / 60 if train else 0.0, "trained policy"),
    ):
        flags = [r.success for r in rows if r.phase == phase]
        if flags:
            axes.plot([x], [np.mean(flags)], "o", label=f"{label}: {np.mean(flags):.0%} of {len(flags)} episodes")
    axes.set(xlabel="minutes", ylabel="success", ylim=(-0.02, 1.02), title=f"{config.task}, {config.algo}")
    axes.grid(alpha=0.3)
    axes.legend(loc="center right")
    with atomic_path(path) as tmp:
        figure.savefig(tmp)


def film_strip(films: list[NDArray[np.uint8]], successes: list[bool], path: Path, columns: int = 4) -> None:
    """A GIF of several episodes side by side, each (T, 48, 48, 3) and framed by its outcome."""
    from PIL import Image

    last = max(len(film) for film in films) + 4  # the end stays for a second
    tiles = []
    for film, success in zip(films, successes, strict=True):
        long = film[np.minimum(np.arange(last), len(film) - 1)]
        big = long.repeat(SCALE, 1).repeat(SCALE, 2)
        ended = np.arange(last) >= len(film) - 1
        colour = np.array((40, 170, 70) if success else (200, 60, 50), np.uint8)
        frame = np.ones(big.shape[1:3], bool)
        frame[SCALE:-SCALE, SCALE:-SCALE] = False
        big[np.ix_(ended, *map(np.arange, big.shape[1:]))] = np.where(frame[..., None], colour, big[ended])
        tiles.append(big)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[i : i + columns], axis=2) for i in range(0, len(tiles), columns)]
    frames = [Image.fromarray(frame) for frame in np.concatenate(rows, axis=1)]
    with atomic_path(path) as tmp:
        frames[0].save(tmp, save_all=True, append_images=frames[1:], duration=160, loop=0)


def rolling(successes: Sequence[int], first: int = WINDOW) -> NDArray[np.float64]:
    """Mean of the last 50 episodes, or of all where there are fewer, from number `first` on.

    Returns:
        (max(0, N - first + 1),) of N episodes.
    """
    sums, ends = np.cumsum([0, *successes]), np.arange(first, len(successes) + 1)
    begins = np.maximum(ends - WINDOW, 0)
    means: NDArray[np.float64] = (sums[ends] - sums[begins]) / (ends - begins)
    return means
