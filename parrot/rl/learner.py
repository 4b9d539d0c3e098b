"""The learner: gradient updates in a process of its own, beside the actor, which it never stalls.

It reads episodes from a replay in shared memory and publishes the policy's weights the same way. `LearnerProcess` runs
`python -m parrot.rl.learner`, so that nothing of the parent's main module is imported there.
"""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from parrot.errors import ParrotError, RunError
from parrot.rl.algorithms import Start, start_of
from parrot.rl.checkpoint import load_checkpoint, save_checkpoint
from parrot.rl.presets import SACConfig
from parrot.rl.replay import Replay
from parrot.rl.sac import Actor, Agent
from parrot.rl.shared import SharedBlock

__all__ = ["HELD", "Learner", "LearnerProcess", "LearnerSpec", "acting", "maker"]

HELD = "held."
"""Prefix of the weights that act while a new agent is learning, in a checkpoint."""

PUBLISH_SECONDS = 0.5
"""Between two publications of the weights: a few episodes of the actor, under 1% of the learner's time."""

REPORT_SECONDS = 2.0
"""Between two reports of the losses."""

STOP_SECONDS = 3.0
"""A learner that has not saved and ended by then is killed; its last checkpoint stays."""

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
                self.held = copy.deepcopy(self.agent.actor)
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
        batch = self.replay.sample(c.batch_size, self.rng, n_step=c.n_step, success_share=c.success_share)
        losses = self.agent.update(batch, report)
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

    def make(seed: int, born: int) -> Agent:
        return Agent(
            config, start.encoder, start.latent_dim, squash=start.squash, seed=seed, born=born, policy=start.policy,
            frozen=start.frozen,
        )  # fmt: skip

    return make


def allowed(config: SACConfig, replay: Replay) -> int:
    """Updates that the contents of the replay entitle to since the run began."""
    if replay.successes < config.start_successes or replay.env_steps < 2:
        return 0
    return int((replay.env_steps - config.start_steps) * config.updates_per_step)


class LearnerProcess:
    """The actor's end: starts the learner, reads what it publishes, notices its death.

    Args:
        spec: what the learner is told.
        block: the shared memory; the replay in it may hold episodes already.
    """

    def __init__(self, spec: LearnerSpec, block: SharedBlock) -> None:
        self.block = block
        self._reported = False
        env = {**os.environ, "OMP_NUM_THREADS": str(spec.threads), "MKL_NUM_THREADS": str(spec.threads)}
        package = str(Path(__file__).resolve().parents[2])
        env["PYTHONPATH"] = os.pathsep.join(p for p in (package, os.environ.get("PYTHONPATH")) if p)
        # Its last words, should it die; a file never fills up as a pipe does.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "parrot.rl.learner", str(block.fd), spec.to_json()],
            stdin=subprocess.DEVNULL, stdout=self._stderr, stderr=self._stderr, pass_fds=[block.fd], env=env,
            start_new_session=True,  # Ctrl-C is the actor's business, which then asks the learner to save
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def check(self) -> None:
        """Notices a dead learner.

        Raises:
            RunError: it has ended by itself.
        """
        code = self._process.poll()
        if code is None:
            return
        self._reported = True
        self._stderr.seek(0)
        words = self._stderr.read().decode(errors="replace").strip().splitlines()
        if code > 0 and words and words[-1].startswith("parrot: "):
            raise RunError(f"the learner stopped: {words[-1].removeprefix('parrot: ')}")
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        cause = f" ({words[-1]})" if words else ""
        raise RunError(f"the learner {how}{cause}; everything up to here is saved: start the same run again to go on")

    def wait_for(self, updates: int, poll: Callable[[], None] = lambda: None) -> None:
        """Waits until the learner has done so many updates in all.

        Raises:
            RunError: it died.
        """
        while self.block.statistics[0] < updates:
            self.check()
            poll()
            time.sleep(0.002)

    def save(self) -> None:
        """Has the learner save, and waits for it.

        Raises:
            RunError: it died, for instance because the disk is full.
        """
        self.block.wishes[1] += 1
        while self.block.statistics[1] < self.block.wishes[1]:
            self.check()
            time.sleep(0.005)

    def stop(self) -> None:
        """Has the learner save and end.

        Raises:
            RunError: it had died before, unnoticed, or could not save.
        """
        try:
            if self._reported:
                return
            self.check()
            self.block.wishes[0] = 1
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            if self._process.returncode > 0:
                self.check()
        finally:
            self.close()

    def close(self) -> None:
        """Ends the learner without ado if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._stderr.close()


def main(fd: int, spec: LearnerSpec) -> None:
    """The process: updates, publishes and saves until it is asked to end or its parent is gone.

    Raises:
        ParrotError: the checkpoint is damaged, or cannot be written.
    """
    parent = os.getppid()
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
    counted, counted_at = updates, time.monotonic()

    def save() -> None:
        counters: dict[str, Any] = {"updates": updates, "episodes": block.replay.episodes, "algo": spec.algo}
        save_checkpoint(folder, learner.state(), counters)

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
    save()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        main(int(sys.argv[1]), LearnerSpec.from_json(sys.argv[2]))
    except ParrotError as error:
        print(f"parrot: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
