"""Maximum likelihood, for priors and other kinds of models: `parrot prior train` (paper, section 4.1 and appendix B).

The folder of a training holds `prior.safetensors` (usable at any time), `checkpoint.safetensors` (to go on from),
`metrics.csv` and TensorBoard's events.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from parrot.data.dataset import Dataset
from parrot.durable import write_text
from parrot.errors import ConfigError, RunError
from parrot.prior.base import Model, Prior
from parrot.prior.batches import Batch, Batches, held_out_batch, split_episodes
from parrot.prior.card import make_card, write_card
from parrot.prior.checkpoint import Position, load_checkpoint, read_position, save_checkpoint
from parrot.prior.encoder import training_autocast
from parrot.prior.epochs import Epochs
from parrot.prior.graphed import GraphedStep, graphable
from parrot.prior.kinds import kind as kind_of
from parrot.prior.memory import keep_freed_memory
from parrot.prior.metrics import Metrics, read_metrics, write_metrics
from parrot.prior.presets import TrainConfig
from parrot.prior.sources import Sources
from parrot.prior.start import start_model
from parrot.prior.weights import save_prior
from parrot.prior.workers import Workers

__all__ = ["Trainer", "learning_rate"]

MEASURE_EVERY = 500
"""Steps between measurements of the held-out likelihood; ten times as many where a step is a graph."""
SAVE_SECONDS = 60.0
"""Seconds between checkpoints."""
_EXTENDABLE = ("steps", "minutes")
_WAIT_EVERY = 50
"""Steps after which the clock waits for the GPU, which it otherwise runs ahead of."""


def learning_rate(config: TrainConfig, step: int, progress: float) -> float:
    """The learning rate of a step at that progress (0 to 1) through the training."""
    rate = config.lr * min(1.0, (step + 1) / max(1, config.warmup))
    return rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * progress))) if config.cosine else rate


class Trainer:
    """Trains a model on one dataset or several in a folder, from where the folder's last training stopped.

    Example:
        >>> trainer = Trainer(Dataset.open("data/collect"), preset("fast"), Path("runs/prior"))  # doctest: +SKIP
        >>> prior = trainer.run()                                                                # doctest: +SKIP
    """

    def __init__(self, data: Dataset | Sources, config: TrainConfig, out: Path, device: str | None = None) -> None:
        """Takes over the checkpoint in `out`, if there is one.

        Args:
            data: What to train on.
            config: How.
            out: The training's folder.
            device: cpu or cuda; None: cuda if there is one.

        Raises:
            ConfigError: the batch cannot be shared out evenly to the workers.
            RunError: `out` holds a training with other settings or on other data.
            DatasetError: the dataset has fewer than two episodes.
            WeightsError: the prior to start from is missing, foreign or of another architecture.
        """
        self.sources = data if isinstance(data, Sources) else Sources(data)
        self.dataset, self.config, self.out = self.sources.dataset, config, Path(out)
        keep_freed_memory()
        kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.workers = Workers.join(kind == "cuda")
        if config.batch % self.workers.count:
            raise ConfigError(
                f"batch {config.batch} cannot be shared out to {self.workers.count} workers; give --batch a multiple"
            )
        self.device = torch.device(kind, self.workers.local) if kind == "cuda" else torch.device(kind)
        parts = [split_episodes(self.dataset, config.held_out, config.seed, k) for k in range(len(self.dataset.paths))]
        model = kind_of(config.model.kind).model
        horizon = model.HORIZON
        if horizon > 1:
            starts = self.dataset.offsets[:-1]
            parts = [(np.intersect1d(steps, starts), np.intersect1d(held, starts)) for steps, held in parts]
        groups = [steps for steps, _ in parts]
        self.batches = Batches(
            self.sources,
            Epochs(groups, self.sources.weights, config.seed),
            config,
            self.workers.rank,
            self.workers.count,
            horizon,
        )
        self.held_out = [held_out_batch(self.sources, steps, config, horizon) for _, steps in parts]
        # What goes on from a checkpoint needs no other start, nor the file that it once came from.
        fresh = replace(config, init="") if self.checkpoint.exists() else config
        self.prior = start_model(fresh, self.sources, groups).to(self.device)
        self.prior.train()
        self.average = copy.deepcopy(self.prior).eval().requires_grad_(False)
        graphed = graphable(model, config, self.sources, self.device, self.workers.count)
        rate = torch.tensor(config.lr, device=self.device) if graphed else config.lr
        self.optimizer = torch.optim.AdamW(
            self.prior.parameters(), lr=rate, weight_decay=config.weight_decay, fused=True, capturable=graphed
        )
        self.step, self.seconds = 0, 0.0
        self._started = time.monotonic()
        self.rows: list[Metrics] = []
        if self.checkpoint.exists():
            self._resume()
        self._graphed: GraphedStep | None = None
        if graphed:
            assert isinstance(self.prior, Prior) and isinstance(self.average, Prior)
            self._graphed = GraphedStep(self.sources, config, self.prior, self.average, self.optimizer, self.device)
        self._stream: Iterator[Batch] | None = None

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

    def run(self, report: Callable[[Trainer], None] | None = None, save: bool = True) -> Model:
        """Trains until steps or minutes are spent and returns the model, in eval mode.

        Args:
            report: Called after every gradient step.
            save: Whether the folder keeps what was learnt; otherwise nothing is written. Of several workers only the
                first one writes, measures and reports.

        Raises:
            RunError: the folder cannot be written or the likelihood is no longer finite.
        """
        save = save and self.workers.first
        writer = SummaryWriter(str(self.out), purge_step=self.step) if save else None
        every = MEASURE_EVERY * (10 if self._graphed else 1)
        sums, count, since, saved = torch.zeros((), device=self.device), 0, self.seconds, time.monotonic()
        self._started = time.monotonic() - self.seconds
        try:
            while self.progress < 1.0:
                sums += self.advance()
                count += 1
                if self.step % every == 0 or self.progress >= 1.0:
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
            self.close()
            if writer:
                writer.close()
            if save:
                self.save()
        return self.average

    def advance(self) -> torch.Tensor:
        """The next gradient step, with the batch that is due; returns what `update` does.

        On a GPU it returns before the step is done, and the next call overwrites what it returned.
        """
        if self._graphed:
            found = self._graphed(
                self.batches.index(self.step), self._noise_seed(self.step),
                learning_rate(self.config, self.step, self.progress), self._decay(),
            )  # fmt: skip
            if self.step % _WAIT_EVERY == 0:
                torch.cuda.synchronize(self.device)
            self.seconds = time.monotonic() - self._started
        else:
            self._stream = self._stream or self.batches.stream(self.step, self.config.steps)
            found = self.update(next(self._stream))
        self.step += 1
        return found

    def close(self) -> None:
        """Ends the thread that makes batches ahead of time; `advance` starts another one."""
        if self._stream:
            self._stream.close()  # type: ignore[attr-defined]
            self._stream = None

    def update(self, batch: Batch) -> torch.Tensor:
        """One gradient step with this batch; returns its mean score: of a prior the log-likelihood, in nats."""
        config = self.config
        batch = batch.to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, self.step, self.progress)
        if config.bf16:
            with training_autocast(self.device):
                features = self.prior.features_in(batch)
        else:
            features = self.prior.features_in(batch)
        likelihood = self.prior.score(batch, features, self.step, self._noise(self.step)).mean()
        self.optimizer.zero_grad(set_to_none=True)
        (-likelihood).backward()
        # The first worker's time, for all: it decides when the training ends.
        self.seconds = self.workers.average(self.prior.parameters(), time.monotonic() - self._started)
        if config.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.prior.parameters(), config.clip)
        self.optimizer.step()
        follow = 1.0 - self._decay()
        torch._foreach_lerp_(list(self.average.parameters()), list(self.prior.parameters()), follow)
        for mine, latest in zip(self.average.buffers(), self.prior.buffers(), strict=True):
            mine.copy_(latest)
        return likelihood.detach()

    def held_out_nats(self) -> float:
        """Mean score of the held-out pairs under the averaged weights: of a prior their log-likelihood.

        Of several datasets: each counts by its number of steps, whatever its weight.
        """
        return self._overall(self.held_out_by_source())

    def held_out_by_source(self) -> list[float]:
        """The same for each dataset; NaN: it has no held-out pair."""
        return self._held_out()["nats"]

    @torch.no_grad()
    def _held_out(self) -> dict[str, list[float]]:
        """The same, as `nats`, and the model's own figures by their names."""
        found = {"nats": [math.nan] * len(self.held_out)}
        for k, held_out in enumerate(self.held_out):
            noise, parts = self._noise(0), dict[str, list[Tensor]]()
            for portion in held_out.split(512):
                batch = portion.to(self.device)
                features = self.average.features_in(batch)
                figures = {
                    "nats": self.average.score(batch, features, self.step, noise),
                    **self.average.measures(batch, features, noise),
                }
                for name, values in figures.items():
                    parts.setdefault(name, []).append(values)
            for name, pieces in parts.items():
                means = found.setdefault(name, [math.nan] * len(self.held_out))
                means[k] = float(torch.cat(pieces).mean())
        return found

    def _decay(self) -> float:
        """Of the average; it follows closely at first: it must not remember the random start."""
        return min(self.config.ema, (1 + self.step) / (10 + self.step)) if self.config.ema else 0.0

    def _noise(self, step: int) -> torch.Generator:
        """The noise of a gradient step: the same whether or not the training was interrupted before it."""
        return torch.Generator(self.device).manual_seed(self._noise_seed(step))

    def _noise_seed(self, step: int) -> int:
        words = [self.config.seed, 5, step, self.workers.rank]
        return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))

    def _overall(self, by_source: Sequence[float]) -> float:
        known = np.isfinite(by_source)
        steps = np.diff(self.sources.bounds)
        if known.sum() == 1:  # one dataset's mean stays what it is, to the last bit
            return float(np.asarray(by_source)[known][0])
        return float(np.average(np.asarray(by_source)[known], weights=steps[known]))

    def save(self) -> None:
        """Writes the checkpoint, the prior as it is now, its card and the metrics."""
        position = Position(
            self.step, self.seconds, asdict(self.config), self.dataset.checksum(), self.sources.identity()
        )
        modules = {"prior": self.prior, "average": self.average}
        save_checkpoint(self.checkpoint, position, modules, self.optimizer)
        write_text(self.out / "metrics.csv", write_metrics(self.rows, self.sources.names))
        latest = self.rows[-1] if self.rows else None
        nats, by_source = (latest.held_out_nats, latest.by_source) if latest else (None, ())
        self.average.card = make_card(self.config, self.sources, self.step, self.seconds, nats, by_source)
        save_prior(self.average, self.out / "prior.safetensors")
        write_card(self.average.card, self.out / "prior.md")

    def _measure(self, train: float, rate: float, writer: SummaryWriter | None) -> None:
        if not math.isfinite(train):
            raise RunError(
                f"{self.out}: the likelihood is {train} at step {self.step}; lower --lr and start in another folder"
            )
        measures = self._held_out()
        by_source = measures.pop("nats")
        row = Metrics(
            self.step, round(self.seconds, 3), train, self._overall(by_source),
            float(self.optimizer.param_groups[0]["lr"]), rate, tuple(by_source) if len(by_source) > 1 else (),
            {name: self._overall(values) for name, values in measures.items()},
        )  # fmt: skip
        self.rows.append(row)
        if writer:
            for name, value in row.numbers(self.sources.names).items():
                if name != "step":
                    writer.add_scalar(f"prior/{name}", value, self.step)

    def _resume(self) -> None:
        position = read_position(self.checkpoint)
        mix = self.sources.identity()
        for name in sorted({*mix, *position.mix}):
            if mix.get(name) != position.mix.get(name):
                raise RunError(
                    f"{self.out} holds a training with {name} {position.mix.get(name)}, not {mix.get(name)}; "
                    "choose another --out or the same settings"
                )
        # As the file has it: there a tuple is a list.
        here = json.loads(json.dumps(asdict(self.config)))
        was, now = ({**config, **config["model"]} for config in (position.config, here))
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
        self.rows += [row for row in read_metrics(kept) if row.step <= self.step]
