"""Maximum likelihood: `parrot prior train` (paper, section 4.1 and appendix B).

The folder of a training holds `prior.safetensors` (usable at any time), `checkpoint.safetensors` (to go on from),
`metrics.csv` and TensorBoard's events.
"""

from __future__ import annotations

import copy
import csv
import io
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from parrot.data.dataset import Dataset
from parrot.durable import write_text
from parrot.errors import ConfigError, RunError, WeightsError
from parrot.prior.batches import Batch, Batches, held_out_batch, split_episodes
from parrot.prior.card import make_card, write_card
from parrot.prior.checkpoint import Position, load_checkpoint, read_position, save_checkpoint
from parrot.prior.encoder import training_autocast
from parrot.prior.flow import FlowPrior
from parrot.prior.memory import keep_freed_memory
from parrot.prior.presets import TrainConfig
from parrot.prior.weights import load_prior, save_prior
from parrot.prior.workers import Workers

__all__ = ["Metrics", "Trainer", "learning_rate"]

MEASURE_EVERY = 500
"""Steps between measurements of the held-out likelihood."""
SAVE_SECONDS = 60.0
"""Seconds between checkpoints."""
_EXTENDABLE = ("steps", "minutes")


@dataclass(frozen=True)
class Metrics:
    """One row of `metrics.csv`."""

    step: int
    """Gradient steps made."""
    seconds: float
    """Seconds spent on them."""
    train_nats: float
    """Log-likelihood of a training pair, mean since the last row."""
    held_out_nats: float
    """Log-likelihood of a held-out pair."""
    lr: float
    """Learning rate."""
    steps_per_second: float
    """Since the last row."""


def _start(config: TrainConfig, dataset: Dataset, steps: NDArray[np.int64]) -> FlowPrior:
    """The prior before its first gradient step: random, or the one to start from."""
    if config.init:
        prior = load_prior(config.init, str(dataset.manifest.robot))
        if not isinstance(prior, FlowPrior) or prior.config != config.model:
            raise WeightsError(
                f"{config.init}: a prior of another architecture, {prior.config}; "
                f"this preset trains {config.model}: choose the preset that made it, or start without --init"
            )
        return prior.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        prior = FlowPrior(config.model)
    if config.model.standardise:
        actions = torch.from_numpy(dataset.actions[steps])
        prior.standardise(actions.mean(0), actions.std(0))
    return prior


def learning_rate(config: TrainConfig, step: int, progress: float) -> float:
    """The learning rate of a step at that progress (0 to 1) through the training."""
    rate = config.lr * min(1.0, (step + 1) / max(1, config.warmup))
    return rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * progress))) if config.cosine else rate


class Trainer:
    """Trains a prior on a dataset in a folder, from where the folder's last training stopped.

    Example:
        >>> trainer = Trainer(Dataset.open("data/collect"), preset("fast"), Path("runs/prior"))  # doctest: +SKIP
        >>> prior = trainer.run()                                                                # doctest: +SKIP
    """

    def __init__(self, dataset: Dataset, config: TrainConfig, out: Path, device: str | None = None) -> None:
        """Takes over the checkpoint in `out`, if there is one.

        Raises:
            ConfigError: the batch cannot be shared out evenly to the workers.
            RunError: `out` holds a training with other settings or on other data.
            DatasetError: the dataset has fewer than two episodes.
            WeightsError: the prior to start from is missing, foreign or of another architecture.
        """
        self.dataset, self.config, self.out = dataset, config, Path(out)
        keep_freed_memory()
        kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.workers = Workers.join(kind == "cuda")
        if config.batch % self.workers.count:
            raise ConfigError(
                f"batch {config.batch} cannot be shared out to {self.workers.count} workers; give --batch a multiple"
            )
        self.device = torch.device(kind, self.workers.local) if kind == "cuda" else torch.device(kind)
        steps, held_out = split_episodes(dataset, config.held_out, config.seed)
        self.batches = Batches(dataset, steps, config, self.workers.rank, self.workers.count)
        self.held_out = held_out_batch(dataset, held_out, config)
        # What goes on from a checkpoint needs no other start, nor the file that it once came from.
        fresh = replace(config, init="") if self.checkpoint.exists() else config
        self.prior = _start(fresh, dataset, steps).to(self.device)
        self.average = copy.deepcopy(self.prior).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.prior.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
        )
        self.step, self.seconds = 0, 0.0
        self._started = time.monotonic()
        self.rows: list[Metrics] = []
        if self.checkpoint.exists():
            self._resume()

    @property
    def checkpoint(self) -> Path:
        """Where the training's state is kept."""
        return self.out / "checkpoint.safetensors"

    @property
    def progress(self) -> float:
        """How much of the budget is spent, 0 to 1."""
        spent = self.step / self.config.steps
        if self.config.minutes:
            spent = max(spent, self.seconds / (60.0 * self.config.minutes))
        return min(1.0, spent)

    def run(self, report: Callable[[Trainer], None] | None = None, save: bool = True) -> FlowPrior:
        """Trains until steps or minutes are spent and returns the prior, in eval mode.

        Args:
            report: Called after every gradient step.
            save: Whether the folder keeps what was learnt; otherwise nothing is written. Of several workers only the
                first one writes, measures and reports.

        Raises:
            RunError: the folder cannot be written or the likelihood is no longer finite.
        """
        save = save and self.workers.first
        writer = SummaryWriter(str(self.out), purge_step=self.step) if save else None
        stream = self.batches.stream(self.step, self.config.steps)
        sums, count, since, saved = torch.zeros((), device=self.device), 0, self.seconds, time.monotonic()
        self._started = time.monotonic() - self.seconds
        try:
            while self.progress < 1.0:
                sums += self.update(next(stream))
                count += 1
                self.step += 1
                if self.step % MEASURE_EVERY == 0 or self.progress >= 1.0:
                    if self.workers.first:
                        self._measure(float(sums) / count, count / (self.seconds - since), writer)
                    sums.zero_()
                    # Measuring is not training: it costs none of the budget.
                    self._started = time.monotonic() - self.seconds
                    count, since = 0, self.seconds
                if report and self.workers.first:
                    report(self)
                if save and time.monotonic() - saved > SAVE_SECONDS:
                    self.save()
                    saved = time.monotonic()
        finally:
            stream.close()  # type: ignore[attr-defined]
            if writer:
                writer.close()
            if save:
                self.save()
        return self.average

    def update(self, batch: Batch) -> torch.Tensor:
        """One gradient step; returns the batch's mean log-likelihood, in nats."""
        config = self.config
        batch = batch.to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, self.step, self.progress)
        if config.bf16:
            with training_autocast(self.device):
                features = self.prior.encode_image(batch.pixels())
        else:
            features = self.prior.encode_image(batch.pixels())
        likelihood = self.prior.log_prob(batch.action, features=features).mean()
        self.optimizer.zero_grad(set_to_none=True)
        (-likelihood).backward()
        # The first worker's time, for all: it decides when the training ends.
        self.seconds = self.workers.average(self.prior.parameters(), time.monotonic() - self._started)
        if config.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.prior.parameters(), config.clip)
        self.optimizer.step()
        # The average follows closely at first: it must not remember the random start.
        decay = min(config.ema, (1 + self.step) / (10 + self.step)) if config.ema else 0.0
        torch._foreach_lerp_(list(self.average.parameters()), list(self.prior.parameters()), 1.0 - decay)
        return likelihood.detach()

    @torch.no_grad()
    def held_out_nats(self) -> float:
        """Mean log-likelihood of the held-out pairs under the averaged weights."""
        parts = [
            self.average.log_prob(action.to(self.device), image.to(self.device))
            for image, action in zip(self.held_out.image.split(512), self.held_out.action.split(512), strict=True)
        ]
        return float(torch.cat(parts).mean())

    def save(self) -> None:
        """Writes the checkpoint, the prior as it is now, its card and the metrics."""
        position = Position(self.step, self.seconds, asdict(self.config), self.dataset.checksum())
        modules = {"prior": self.prior, "average": self.average}
        save_checkpoint(self.checkpoint, position, modules, self.optimizer)
        text = io.StringIO()
        table = csv.DictWriter(text, list(Metrics.__dataclass_fields__), lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(row) for row in self.rows)
        write_text(self.out / "metrics.csv", text.getvalue())
        held_out = self.rows[-1].held_out_nats if self.rows else None
        self.average.card = make_card(self.config, self.dataset, self.step, self.seconds, held_out)
        save_prior(self.average, self.out / "prior.safetensors")
        write_card(self.average.card, self.out / "prior.md")

    def _measure(self, train: float, rate: float, writer: SummaryWriter | None) -> None:
        if not math.isfinite(train):
            raise RunError(
                f"{self.out}: the likelihood is {train} at step {self.step}; lower --lr and start in another folder"
            )
        row = Metrics(
            self.step, round(self.seconds, 3), train, self.held_out_nats(), self.optimizer.param_groups[0]["lr"], rate
        )
        self.rows.append(row)
        if writer:
            for name, value in asdict(row).items():
                if name != "step":
                    writer.add_scalar(f"prior/{name}", value, self.step)

    def _resume(self) -> None:
        position = read_position(self.checkpoint)
        was, now = ({**config, **config["model"]} for config in (position.config, asdict(self.config)))
        for name, value in now.items():
            if name not in (*_EXTENDABLE, "model") and was.get(name, value) != value:
                raise RunError(
                    f"{self.out} holds a training with {name} {was[name]!r}, not {value!r}; "
                    "choose another --out or the same settings"
                )
        if position.data != self.dataset.checksum():
            raise RunError(f"{self.out} holds a training on other data; choose another --out or the same dataset")
        load_checkpoint(self.checkpoint, {"prior": self.prior, "average": self.average}, self.optimizer)
        self.step, self.seconds = position.step, position.seconds
        kept = (self.out / "metrics.csv").read_text() if (self.out / "metrics.csv").exists() else ""
        for row in csv.DictReader(io.StringIO(kept)):
            if int(row["step"]) <= self.step:
                self.rows.append(Metrics(int(row.pop("step")), *map(float, row.values())))
