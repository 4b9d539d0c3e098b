"""The jobs whose results count: fine-tuning runs with probes on the way (paper, Figures 5 to 7)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, ClassVar

from parrot.experiments.budgets import Budget
from parrot.experiments.data_jobs import Mix, Train
from parrot.experiments.jobs import Job, Place, Tell
from parrot.rl.loop import fine_tune
from parrot.rl.run_folder import EpisodeRow
from parrot.rl.settings import FineTuneConfig, sac_config
from parrot.rl.status import Status
from parrot.spaces import EPISODE_STEPS

__all__ = ["Run", "points"]

_NEVER = 2.0
"""A rate of success that no run reaches: every curve has its full length."""


@dataclass(frozen=True)
class Run(Job):
    """One method learns one task from one seed."""

    kind: ClassVar[str] = "run"
    task: str
    """The task."""
    algo: str
    """The method."""
    model: Train | None
    """What it starts from; None: nothing."""
    seed: int
    """Of weights, noise and scenes."""
    budget: Budget
    """Says how long it learns and how it is measured."""

    @property
    def mix(self) -> Mix | None:
        """Which tasks the prior data is of; None without any."""
        return self.model.mix if self.model else None

    @property
    def trajectories(self) -> int:
        """How many it is; 0 without any."""
        return self.model.trajectories if self.model else 0

    @property
    def name(self) -> str:
        """As `Job.name`."""
        data = f"-{self.mix}-{self.trajectories}" if self.model else ""
        return f"runs/{self.task}/{self.algo}{data}-seed{self.seed}"

    @property
    def needs(self) -> Sequence[Job]:
        """The model, if it starts from one."""
        return (self.model,) if self.model else ()

    @property
    def final(self) -> bool:
        """Its curve is what counts."""
        return True

    @property
    def pace(self) -> str:
        """As `Job.pace`."""
        return f"{self.kind} {self.algo}"

    @property
    def work(self) -> float:
        """As `Job.work`."""
        b, sac = self.budget, sac_config(self.budget.preset, self.budget.changes)
        probes = max(0, (b.env_steps - 1) // b.probe_every) * b.probe_episodes
        updates_per_second = 26.0 if sac.encoder == "fast" else 4.9
        learning = b.env_steps / 175 + b.env_steps * sac.updates_per_step / updates_per_second
        return 10.0 + learning + (probes + b.eval_before + b.eval_after) * EPISODE_STEPS / 160

    def config(self, place: Place) -> FineTuneConfig:
        """What the run is told."""
        b = self.budget
        return FineTuneConfig(
            task=self.task, algo=self.algo, prior=str(self.model.product(place)) if self.model else None,
            robot=place.robot, seed=self.seed, episodes=10**9, env_steps=b.env_steps, minutes=1e9,
            solved_success=_NEVER, eval_before=b.eval_before, eval_after=b.eval_after, probe_every=b.probe_every,
            probe_episodes=b.probe_episodes, sac=sac_config(b.preset, b.changes),
        )  # fmt: skip

    def run(self, place: Place, tell: Tell) -> None:
        """As `Job.run`."""
        folder, b = place.heavy / self.name, self.budget
        config = self.config(place)

        def report(status: Status) -> None:
            done = status.env_steps / b.env_steps if status.phase != "done" else 1.0
            tell(min(1.0, done), f"{status.env_steps:,} steps, {status.success:.0%} success")

        tuning = fine_tune(config, folder, report)
        provenance = json.loads((folder / "config.json").read_text(encoding="utf-8"))["provenance"]
        about = {
            "task": self.task, "algo": self.algo, "mix": self.mix, "trajectories": self.trajectories,
            "seed": self.seed, "commit": provenance["commit"],
        }  # fmt: skip
        rows = [{**about, **point} for point in points(tuning.folder.rows, b)]
        seconds = tuning.folder.rows[-1].seconds
        # The path of the weights is this machine's; `settings` names them.
        told = {**config.to_json(), "prior": self.model.name if self.model else None}
        self.finish(place, seconds, {**about, "budget": b.name, "config": told, "provenance": provenance}, rows)
        # The largest part by far, and only good for learning on.
        shutil.rmtree(folder / "replay", ignore_errors=True)


def points(rows: Sequence[EpisodeRow], budget: Budget) -> Iterator[dict[str, Any]]:
    """The points of a run's curve: before learning, at every probe, and at the end.

    `at` is the step that the point was due at, the same for all runs; `env_steps` the one where its episode ended.
    """
    yield from _phase(rows, "before", lambda _: 0)
    yield from _phase(rows, "probe", lambda index: (index // budget.probe_episodes + 1) * budget.probe_every)
    yield from _phase(rows, "after", lambda _: budget.env_steps)


def _phase(rows: Sequence[EpisodeRow], phase: str, due: Any) -> Iterator[dict[str, Any]]:
    mine = [row for row in rows if row.phase == phase]
    for at, group in groupby(enumerate(mine), key=lambda pair: due(pair[0])):
        episodes = [row for _, row in group]
        won = sum(row.success for row in episodes)
        # Before learning nothing was learnt from yet, although its steps are counted.
        steps = 0 if phase == "before" else episodes[-1].env_steps
        yield {
            "phase": phase, "at": at, "env_steps": steps, "episodes": len(episodes), "successes": won,
            "success": round(won / len(episodes), 4), "updates": episodes[-1].updates,
            "seconds": round(episodes[-1].seconds, 1),
        }  # fmt: skip
