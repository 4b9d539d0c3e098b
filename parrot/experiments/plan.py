"""From a budget to jobs: which data, models and runs an experiment consists of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from parrot.data.dataset import Dataset
from parrot.durable import write_json
from parrot.errors import ConfigError, RunError
from parrot.experiments.budgets import Budget
from parrot.experiments.data_jobs import Choose, Collect, Given, Mix, Train
from parrot.experiments.explore import Explore
from parrot.experiments.jobs import Job, Place, closure
from parrot.experiments.run_jobs import Run
from parrot.fields import build
from parrot.rl.algorithms import algorithm

__all__ = ["FIGURES", "Plan", "fits", "planned"]

FIGURES = ("fig4", "fig5", "fig6", "fig7")
"""The paper's experiments."""


@dataclass(frozen=True)
class Plan:
    """What a budget's experiments consist of.

    Args:
        budget: how large they are.
        given: folder of a dataset to train on; None: one is collected.
    """

    budget: Budget
    given: Path | None = None

    def jobs(self, figure: str) -> list[Job]:
        """The jobs of one experiment, those that tell most first, each after what it needs.

        Raises:
            ConfigError: there is no such experiment, or the dataset given is too small.
            DatasetError: the dataset given is missing or damaged.
        """
        makers = {"fig4": self._fig4, "fig5": self._fig5, "fig6": self._fig6, "fig7": self._fig7}
        if figure not in makers:
            raise ConfigError(f"{figure}: choose one of {', '.join(FIGURES)}")
        return closure(makers[figure]())

    def run(self, task: str, algo: str, seed: int, mix: Mix = "both", trajectories: int = 0) -> Run:
        """One run; of all trajectories unless told otherwise."""
        kind = algorithm(algo).kind
        return Run(task, algo, self.model(kind, mix, trajectories) if kind else None, seed, self.budget)

    def model(self, kind: str, mix: Mix = "both", trajectories: int = 0) -> Train:
        """A model trained on so many trajectories of a mix; 0: on all."""
        b = self.budget
        count = trajectories or b.trajectories
        steps: int = getattr(b.prior_steps, kind)
        return Train(kind, self.data(mix, count), mix, count, b.prior_preset, steps, b.data_seed)

    def data(self, mix: Mix, trajectories: int) -> Job:
        """A dataset of so many trajectories of a mix."""
        b = self.budget
        if self.given is None:
            source: Job = Collect(b.trajectories, b.data_seed)
            there = b.trajectories
        else:
            there = _episodes(self.given)
            if there < b.trajectories:
                raise ConfigError(
                    f"--data {self.given}: {there:,} trajectories, the budget {b.name} takes {b.trajectories:,}; "
                    "collect more or give --scale"
                )
            source = Given(self.given, there)
        if mix == "both" and trajectories == there:
            return source
        return Choose(source, mix, trajectories, b.data_seed)

    def _fig4(self) -> Iterator[Job]:
        for task in self.budget.fig4.tasks:
            for model in (self.model("flow"), None):
                yield Explore(task, model, self.budget.fig4, seed=0)

    def _fig5(self) -> Iterator[Job]:
        figure = self.budget.fig5
        # The first seed of the methods that decide most comes first: with any part of the runs there is a comparison.
        for half in (figure.methods[:4], figure.methods[4:]):
            for seed in range(figure.seeds):
                for task in figure.tasks:
                    yield from (self.run(task, algo, seed) for algo in half)

    def _fig6(self) -> Iterator[Job]:
        figure = self.budget.fig6
        for seed in range(figure.seeds):
            for trajectories in sorted(figure.trajectories, reverse=True):
                yield from (self.run(task, "parrot", seed, "both", trajectories) for task in figure.tasks)
            yield from (self.run(task, "sac", seed) for task in figure.tasks)  # no prior data at all

    def _fig7(self) -> Iterator[Job]:
        figure = self.budget.fig7
        mixes: tuple[Mix, ...] = ("place", "grasp", "both")
        for seed in range(figure.seeds):
            for mix in mixes:
                yield from (self.run(task, "parrot", seed, mix, figure.trajectories) for task in figure.tasks)


@cache
def _episodes(dataset: Path) -> int:
    """Episodes in a dataset."""
    return len(Dataset.open(dataset))


def fits(budget: Budget, place: Place) -> None:
    """Notes the budget in the folder of results, which holds one budget only.

    Raises:
        RunError: it holds another one; its runs and new ones could not be compared.
    """
    path = place.results / "budget.json"
    if not path.exists():
        write_json(path, budget.to_json())
        return
    there = planned(path)
    if there != budget:
        mine, theirs = budget.to_json(), there.to_json()
        names = ", ".join(name for name in mine if mine[name] != theirs[name])
        raise RunError(
            f"{place.results} holds runs of another budget of this name (they differ in {names}); "
            "choose another --results, or remove it"
        )


def planned(path: Path) -> Budget:
    """The budget that a folder of results was made by.

    Raises:
        RunError: there is none, or another version of parrot wrote it.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return build(Budget, values, str(path))
    except OSError as error:
        raise RunError(f"{path.parent} holds no reproduction; make one with: parrot experiment fig5") from error
    except (ValueError, ConfigError) as error:
        raise RunError(f"{path}: another version of parrot wrote it ({error}); choose another --results") from error
