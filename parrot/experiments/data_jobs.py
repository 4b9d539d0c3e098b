"""The jobs that make priors: collect data, choose some of it, train a model on it (paper, section 5, appendix B)."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from parrot.data.collect import Tally, collect
from parrot.data.manifest import Manifest
from parrot.data.reshape import subsample
from parrot.errors import RunError
from parrot.experiments.jobs import Job, Place, Tell
from parrot.prior.presets import preset
from parrot.prior.sources import Sources
from parrot.prior.train import Trainer
from parrot.provenance import provenance
from parrot.sim.collect import describe, make_roller

__all__ = ["COLLECTED", "Choose", "Collect", "Given", "Mix", "Train"]

Mix = Literal["both", "grasp", "place"]
"""Which of the training tasks prior data comes from (paper, Figure 7)."""

COLLECTED: dict[Mix, str | None] = {"both": None, "grasp": "collect_grasp", "place": "collect_place"}
"""The training task that episodes of a mix come from; None: both."""

_SECONDS = {
    "fast": {"flow": 0.06, "bc": 0.05, "vae": 0.4, "hirl": 0.05, "trajrl": 0.02},
    "paper": {"flow": 0.06, "bc": 0.06, "vae": 0.4, "hirl": 0.06, "trajrl": 0.02},
}
"""Seconds of a gradient step on one core, by preset: measured for the flow, guessed for the others from their
size; what is timed takes their place (`estimate.paces`)."""


@dataclass(frozen=True)
class Collect(Job):
    """Scripted trajectories of the mixed training tasks."""

    kind: ClassVar[str] = "collect"
    trajectories: int
    """To keep."""
    seed: int
    """Base seed of the attempts."""

    @property
    def name(self) -> str:
        """As `Job.name`."""
        return f"data/collected-{self.trajectories}"

    @property
    def needs(self) -> Sequence[Job]:
        """Nothing."""
        return ()

    @property
    def work(self) -> float:
        """As `Job.work`: 1,100 a minute on two cores (results/README.md)."""
        return self.trajectories * 0.055

    def product(self, place: Place) -> Path:
        """The dataset."""
        return place.heavy / self.name

    def done(self, place: Place) -> bool:
        """Whether the dataset is complete."""
        return super().done(place) and Manifest.load(self.product(place)).complete

    def run(self, place: Place, tell: Tell) -> None:
        """As `Job.run`."""
        task = "collect"
        manifest = Manifest(
            kind="collect", task=task, seed=self.seed, provenance=provenance("pybullet"), **describe(place.robot, task)
        )

        def report(tally: Tally) -> None:
            tell(min(1.0, tally.kept / tally.wanted), f"{tally.kept:,} trajectories")

        began = time.monotonic()
        tally = collect(
            make_roller(task, place.robot), self.product(place), manifest, self.trajectories,
            workers=place.processes, ray=place.ray, report=report,
        )  # fmt: skip
        if not tally.complete:  # a signal ended it
            raise KeyboardInterrupt
        self.finish(
            place, time.monotonic() - began, {"trajectories": tally.kept, "tried": tally.tried, "seed": self.seed}
        )


@dataclass(frozen=True)
class Given(Job):
    """A dataset that the user has: `--data`."""

    kind: ClassVar[str] = "given"
    path: Path
    """Its folder."""
    trajectories: int
    """Episodes in it."""

    @property
    def name(self) -> str:
        """As `Job.name`."""
        return f"data/given-{self.trajectories}"

    @property
    def needs(self) -> Sequence[Job]:
        """Nothing."""
        return ()

    @property
    def work(self) -> float:
        """Next to none."""
        return 0.1

    def product(self, place: Place) -> Path:
        """The dataset."""
        return self.path

    def run(self, place: Place, tell: Tell) -> None:
        """Notes which dataset it was."""
        manifest = Manifest.load(self.path)
        about = {"seed": manifest.seed, "checksum": manifest.checksum, "task": manifest.task}
        self.finish(place, 0.0, {"trajectories": self.trajectories, **about})


@dataclass(frozen=True)
class Choose(Job):
    """Some episodes of a dataset, drawn at random."""

    kind: ClassVar[str] = "choose"
    source: Job
    """What made the dataset."""
    mix: Mix
    """Of which tasks."""
    trajectories: int
    """How many."""
    seed: int
    """Of the draw."""

    @property
    def name(self) -> str:
        """As `Job.name`."""
        return f"data/{self.mix}-{self.trajectories}"

    @property
    def needs(self) -> Sequence[Job]:
        """The dataset."""
        return (self.source,)

    @property
    def work(self) -> float:
        """Copying: a trajectory is 174 kB."""
        return 1.0 + self.trajectories * 0.001

    def product(self, place: Place) -> Path:
        """The smaller dataset."""
        return place.heavy / self.name

    def run(self, place: Place, tell: Tell) -> None:
        """As `Job.run`."""
        source = self.source.product(place)
        assert source is not None
        began = time.monotonic()
        subsample(source, self.product(place), count=self.trajectories, task=COLLECTED[self.mix], seed=self.seed)
        self.finish(place, time.monotonic() - began, {"trajectories": self.trajectories, "seed": self.seed})


@dataclass(frozen=True)
class Train(Job):
    """A model that is trained on prior data: the behavioral prior, or what a comparison starts from."""

    kind: ClassVar[str] = "train"
    model: str
    """What `parrot prior train --kind` calls it."""
    data: Job
    """What made the dataset."""
    mix: Mix
    """Of which tasks the dataset is."""
    trajectories: int
    """How many the dataset holds."""
    preset: str
    """Preset of the training."""
    steps: int
    """Gradient steps."""
    seed: int
    """Of weights and batches."""

    @property
    def name(self) -> str:
        """As `Job.name`."""
        return f"models/{self.model}-{self.mix}-{self.trajectories}"

    @property
    def needs(self) -> Sequence[Job]:
        """The dataset."""
        return (self.data,)

    @property
    def pace(self) -> str:
        """As `Job.pace`."""
        return f"{self.kind} {self.model}"

    @property
    def work(self) -> float:
        """As `Job.work`."""
        return 5.0 + self.steps * _SECONDS.get(self.preset, {}).get(self.model, 0.1)

    def product(self, place: Place) -> Path:
        """The weights that the runs use."""
        return place.heavy / self.name / "prior.safetensors"

    def run(self, place: Place, tell: Tell) -> None:
        """As `Job.run`."""
        data = self.data.product(place)
        assert data is not None
        config = replace(preset(self.preset, self.model), seed=self.seed, steps=self.steps)
        out = place.heavy / self.name

        def report(trainer: Trainer) -> None:
            tell(trainer.progress, f"step {trainer.step:,}")

        trainer = Trainer(Sources.open([data]), config, out)
        trainer.run(report)
        if trainer.progress < 1.0:
            raise RunError(f"{out}: the training ended at {trainer.progress:.0%}; start the same command again")
        about = {"held_out": round(trainer.rows[-1].held_out_nats, 4), "steps": trainer.step, "seed": self.seed}
        self.finish(place, trainer.seconds, {**about, "data": os.path.relpath(data, place.heavy)})
