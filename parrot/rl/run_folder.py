"""A fine-tuning run's folder: configuration, curve, episodes, checkpoint; held by one process at a time."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot.data.dataset import Dataset
from parrot.data.episode import Episode
from parrot.data.manifest import ArraySpec, Manifest
from parrot.data.writer import EpisodeWriter
from parrot.durable import disk_errors, write_json
from parrot.errors import RunError
from parrot.provenance import provenance
from parrot.rl.settings import FineTuneConfig

__all__ = ["EpisodeRow", "RunFolder", "read_rows"]


@dataclass(frozen=True)
class EpisodeRow:
    """One line of `episodes.csv`."""

    episode: int
    """Counts from 1, through all phases."""
    phase: str
    """`before`, `train`, `probe` or `after`."""
    env_steps: int
    """Environment steps up to here, those of evaluations not counted."""
    seconds: float
    """Wall-clock time up to here, pauses between two starts of the run not counted."""
    success: int
    """1 if the episode ended with success."""
    episode_return: float
    """Sum of its rewards."""
    length: int
    """Its steps."""
    success_50: float
    """Success over the last 50 episodes of its phase."""
    updates: int
    """Gradient updates up to here."""


class RunFolder:
    """Opens or creates a run's folder.

    Args:
        path: the folder.
        config: of the run; if there is one already it must agree, budgets aside.
        latent_dim: D.

    Raises:
        RunError: another process holds the folder, it holds another run, or the disk is full.
    """

    def __init__(self, path: Path, config: FineTuneConfig, latent_dim: int) -> None:
        self.path = Path(path)
        self.checkpoint = self.path / "checkpoint"
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._replay: EpisodeWriter | None = None
        self._evaluation: EpisodeWriter | None = None
        self._csv: io.FileIO | None = None
        try:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(
                    f"{self.path} is in use by a run that is still going; stop it, or choose another run_dir"
                ) from None
            self._agree(config)
            manifest = Manifest(
                kind="replay", robot=config.robot, renderer=config.renderer, object_split="test", task=config.task,
                seed=config.seed, provenance=provenance("torch"),
                extra=(ArraySpec("latents", "float32", (latent_dim,)), ArraySpec("terminated", "uint8", ())),
            )  # fmt: skip
            # Without waiting for the disk after every episode: a kill loses nothing, a power cut the latest seconds.
            self._replay = EpisodeWriter(self.path / "replay", manifest, sync=False)
            self._evaluation = EpisodeWriter(self.path / "evaluation", manifest, sync=False)
            self.rows = self._open_csv()
        except BaseException:
            self.close()
            raise

    rows: list[EpisodeRow]
    """The episodes so far."""

    def add(
        self,
        row: EpisodeRow,
        images: NDArray[np.uint8],
        latents: NDArray[np.float32],
        actions: NDArray[np.float32],
        rewards: NDArray[np.float32],
        *,
        task: str,
        seed: int,
        terminated: bool,
    ) -> None:
        """Records an episode; when this returns, a kill does not lose it.

        Raises:
            RunError: the disk is full; the episodes before are safe.
        """
        flags = np.zeros(len(rewards), np.uint8)
        flags[-1] = terminated
        episode = Episode(
            images, actions, rewards, task=task, success=bool(row.success), seed=seed,
            extra={"latents": latents, "terminated": flags},
        )  # fmt: skip
        assert self._evaluation is not None
        assert self._replay is not None
        assert self._csv is not None
        if row.phase == "after":
            self._evaluation.append(episode)
        elif row.phase != "probe":  # of a probe only the figures are kept
            self._replay.append(episode)
        with disk_errors(self.path / "episodes.csv"):
            self._csv.write(line := _line(astuple(row)))
        self.rows.append(_row(line.decode().strip().split(",")))  # rounded, as whoever opens the folder next finds it

    def replay(self) -> Dataset:
        """The episodes recorded for learning."""
        return Dataset.open(self.path / "replay")

    def evaluation(self) -> Dataset:
        """The episodes of the evaluation at the end."""
        return Dataset.open(self.path / "evaluation")

    def close(self) -> None:
        """Frees the folder for another process."""
        for file in (self._replay, self._evaluation, self._csv):
            if file is not None:
                file.close()
        self._replay = self._evaluation = self._csv = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _agree(self, config: FineTuneConfig) -> None:
        path = self.path / "config.json"
        if not path.exists():
            if any(p.name != ".lock" for p in self.path.iterdir()):
                raise RunError(f"{self.path} holds something else than a run; choose a new or empty run_dir")
            write_json(path, {"config": config.to_json(), "provenance": provenance("torch", "gymnasium", "pybullet")})
            return
        try:
            there: dict[str, Any] = json.loads(path.read_text())["config"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise RunError(f"{path} is damaged ({error}); choose another run_dir") from error
        if found := config.differences(there):
            raise RunError(
                f"{self.path} holds another run: {'; '.join(found)}. Choose another run_dir or use what is there"
            )

    def _open_csv(self) -> list[EpisodeRow]:
        path = self.path / "episodes.csv"
        with disk_errors(path):
            # Unbuffered: a line is in the kernel's hands, and so survives a kill, once it is written.
            self._csv = open(path, "a+b", buffering=0)  # noqa: SIM115
            self._csv.seek(0)
            text = self._csv.readall() or b""
            whole = text[: text.rfind(b"\n") + 1]
            self._csv.truncate(len(whole))  # a line that a full disk cut short
            if not whole:
                self._csv.write(_line([f.name for f in fields(EpisodeRow)]))
                return []
        return _rows(path, whole)


def read_rows(path: Path) -> list[EpisodeRow]:
    """The finished episodes in a run's `episodes.csv`, whether or not the run is still going.

    Raises:
        RunError: there is no such file, or another version of parrot made it.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror}); name the run_dir of a run") from error
    return _rows(path, text[: text.rfind(b"\n") + 1])


def _rows(path: Path, whole: bytes) -> list[EpisodeRow]:
    names = [f.name for f in fields(EpisodeRow)]
    lines = list(csv.DictReader(io.StringIO(whole.decode())))
    if lines and list(lines[0]) != names:
        raise RunError(f"{path} has the columns {', '.join(lines[0])}; another version of parrot made this run")
    return [_row(list(line.values())) for line in lines]


def _row(values: list[str]) -> EpisodeRow:
    kinds = [int, str, int, float, int, float, int, float, int]
    return EpisodeRow(*(kind(value) for kind, value in zip(kinds, values, strict=True)))


def _line(values: Any) -> bytes:
    return (",".join(f"{v:.4g}" if isinstance(v, float) and v < 1e4 else str(v) for v in values) + "\n").encode()
