"""The learner: gradient updates in a process of its own, beside the actor, which it never stalls.

It reads episodes from a replay in shared memory and publishes the policy's weights the same way.
`parrot.rl.learner_process` is the actor's end, and runs `python -m parrot.rl.learner`, so that nothing of the actor's
main module is imported there.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from parrot.errors import ParrotError
from parrot.rl.actor import Actor
from parrot.rl.advantage import AdvantageAgent
from parrot.rl.agent import Agent
from parrot.rl.algorithms import Start, start_of
from parrot.rl.checkpoint import load_checkpoint, save_checkpoint
from parrot.rl.presets import SACConfig
from parrot.rl.replay import Replay
from parrot.rl.sac import SACAgent
from parrot.rl.shared import SharedBlock
from parrot.rl.space import ActionSpace

__all__ = ["HELD", "Learner", "LearnerSpec", "acting", "allowed", "maker"]

HELD = "held."
"""Prefix of the weights that act while a new agent is learning, in a checkpoint."""

PUBLISH_SECONDS = 0.5
"""Between two publications of the weights: a few episodes of the actor, under 1% of the learner's time."""

REPORT_SECONDS = 2.0
"""Between two reports of the losses."""

NICE = 5
"""The learner takes what the actor leaves: an arm waits for the actor, nobody waits for the learner."""


@dataclass(frozen=True)
class LearnerSpec:
    """Everything that a learner process is told."""

    config: SACConfig
    """Hyper-parameters."""
    algo: str
    """One of `parrot.rl.algorithms.ALGORITHMS`."""
    prior: str | None
    """Weights that the algorithm starts from; None: those that come with parrot."""
    seed: int
    """Of weights and noise."""
    weights: int
    """Numbers that acting needs, as the shared memory is laid out for."""
    folder: str
    """Folder of the checkpoint."""
    save_seconds: float = 60.0
    """Between two checkpoints."""
    threads: int = 1
    """Threads of the learner; the actor needs a core too."""

    def to_json(self) -> str:
        """For the command line of the process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> LearnerSpec:
        """The inverse of `to_json`."""
        value = json.loads(text)
        config = value.pop("config")
        lists = {name: tuple(item) for name, item in config.items() if isinstance(item, list)}
        return cls(SACConfig(**{**config, **lists}), **value)


class Learner:
    """Does the updates that are due; this is all that happens inside the process.

    Args:
        make: an agent with fresh weights, by seed and by the updates done before it.
        replay: what it learns from.
        seed: of the agents and of the draws from the replay.
        state: of an earlier learner, to go on from.
    """

    def __init__(
        self, make: Callable[[int, int], Agent], replay: Replay, seed: int = 0, state: dict[str, Tensor] | None = None
    ) -> None:
        self.make, self.replay, self.seed = make, replay, seed
        self.agent = make(seed, 0)
        self.held: Actor | None = None
        """What acts while a new agent is not yet as good."""
        if state:
            self.agent.load(state)
            if self._holding:
                self.held = make(seed, 0).actor
                self.held.load(state, HELD)
        self.rng = np.random.default_rng([seed, self.agent.updates])

    @property
    def actor(self) -> Actor:
        """What shall act."""
        return self.held or self.agent.actor

    @property
    def due(self) -> int:
        """Updates that the steps so far entitle to and that were not done yet."""
        return max(0, allowed(self.agent.config, self.replay) - self.agent.updates)

    def update(self, report: bool = False) -> dict[str, float]:
        """One update; returns the losses if a report is wanted."""
        c = self.agent.config
        updates = self.agent.updates
        if updates in c.restarts and self.agent.age:
            self.held, self.agent = self.agent.actor, self.make(self.seed + updates, updates)
        losses = self.agent.learn(self.replay, self.rng, report)
        if not self._holding:
            self.held = None
        return losses

    def state(self) -> dict[str, Tensor]:
        """What goes on from here; `Actor.load` finds what shall act in it, below `HELD` if there is such a part."""
        return {**self.agent.state(), **(self.held.state(HELD) if self.held else {})}

    @property
    def _holding(self) -> bool:
        return self.agent.born > 0 and self.agent.age < self.agent.config.restart_hold


def acting(state: dict[str, Tensor]) -> str:
    """Prefix of the weights in a checkpoint that shall act, for `Actor.load`."""
    return HELD if any(name.startswith(HELD) for name in state) else ""


def maker(config: SACConfig, start: Start) -> Callable[[int, int], Agent]:
    """Makes agents with fresh weights, by seed and by the updates done before them, for a `Learner`."""
    space = start.space(config, config.replay_episodes)
    kind = AdvantageAgent if isinstance(space, ActionSpace) else SACAgent

    def make(seed: int, born: int) -> Agent:
        return kind(
            config, start.encoder, start.latent_dim, squash=start.squash, seed=seed, born=born, policy=start.policy,
            frozen=start.frozen, space=space,
        )  # fmt: skip

    return make


def allowed(config: SACConfig, replay: Replay) -> int:
    """Updates that the contents of the replay entitle to since the run began."""
    if replay.successes < config.start_successes or replay.env_steps < 2:
        return 0
    return int((replay.env_steps - config.start_steps) * config.updates_per_step)


def main(fd: int, spec: LearnerSpec, parent: int) -> None:
    """The process: updates, publishes and saves until it is asked to end or its parent is gone.

    Args:
        fd: descriptor of the shared memory.
        spec: what to do.
        parent: process id of the actor, which may have been killed already: importing takes seconds.

    Raises:
        ParrotError: the checkpoint is damaged, or cannot be written.
    """
    os.nice(NICE)
    torch.set_num_threads(spec.threads)
    folder = Path(spec.folder)
    start = start_of(spec.algo, spec.config, spec.prior, spec.seed)
    block = SharedBlock(spec.weights, spec.config.replay_episodes, start.latent_dim, spec.config.discount, fd)
    found = load_checkpoint(folder)
    learner = Learner(maker(spec.config, start), block.replay, spec.seed, found[0] if found else None)
    updates = learner.agent.updates
    block.tell(updates=updates)
    block.weights.write(learner.actor.parameters)
    published, published_at, reported_at, saved_at = updates, *[time.monotonic()] * 3
    saved = updates if found else -1
    counted, counted_at = updates, time.monotonic()

    def save() -> None:
        nonlocal saved
        counters: dict[str, Any] = {"updates": updates, "episodes": block.replay.episodes, "algo": spec.algo}
        save_checkpoint(folder, learner.state(), counters)
        saved = updates

    while not block.wishes[0] and os.getppid() == parent:
        now = time.monotonic()
        if learner.due:
            report = now - reported_at >= REPORT_SECONDS
            losses = learner.update(report)
            updates = learner.agent.updates
            block.tell(updates=updates, **losses)
            reported_at = now if report else reported_at
        else:
            time.sleep(0.002)
        if updates > published and (now - published_at >= PUBLISH_SECONDS or not learner.due):
            block.weights.write(learner.actor.parameters)
            published, published_at = updates, now
        if now - counted_at >= REPORT_SECONDS:
            block.tell(rate=(updates - counted) / (now - counted_at))
            counted, counted_at = updates, now
        if block.wishes[1] > block.statistics[1] or now - saved_at >= spec.save_seconds:
            wish = int(block.wishes[1])
            save()
            saved_at = now
            block.tell(saves=wish)
    if updates > saved:  # else what is there is at least as new: an actor that came after ours may have saved, too
        save()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        main(int(sys.argv[1]), LearnerSpec.from_json(sys.argv[2]), int(sys.argv[3]))
    except ParrotError as error:
        print(f"parrot: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
