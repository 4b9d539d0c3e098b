"""Fine-tuning as a state machine without input or output of its own: images in, latents out (paper, Algorithm 1).

The in-process loop and the ROS node drive the same object. A run has three phases: `before` acts by z ~ N(0, I), which
measures the prior and seeds the replay; `train` explores and learns; `after` evaluates the policy without exploring.
If asked to, it probes the policy now and then in between: `probe`, episodes like those of `after`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from parrot.errors import SpaceError
from parrot.prior.base import TrajectoryDecoder
from parrot.prior.control import Controller, controller_of
from parrot.prior.weights import check_robot
from parrot.rl.actor import Actor
from parrot.rl.algorithms import start_of, weights_of
from parrot.rl.checkpoint import load_checkpoint
from parrot.rl.learner import LearnerSpec, acting, allowed
from parrot.rl.learner_process import LearnerProcess
from parrot.rl.open_loop import OpenLoop
from parrot.rl.report import Curves, write_report
from parrot.rl.run_folder import EpisodeRow, RunFolder
from parrot.rl.settings import FineTuneConfig
from parrot.rl.shared import SharedBlock
from parrot.rl.status import WINDOW, Status
from parrot.spaces import Outcome, check_action, check_image

__all__ = ["FineTuning"]


class FineTuning:
    """A fine-tuning run; opening the same folder again goes on where it stopped.

    Args:
        config: what to do.
        run_dir: the run's folder.

    Raises:
        RunError: the folder is in use, holds another run, or the disk is full.
        WeightsError: the prior is missing or foreign.

    Example:
        >>> tuning = FineTuning(FineTuneConfig(task="grasp_cap"), Path("runs/cap"))  # doctest: +SKIP
        >>> while not tuning.done:                                                    # doctest: +SKIP
        ...     action = prior.decode(tuning.act(image), image)
        ...     image, outcome = step(action)
        ...     tuning.observe(outcome, action)
        >>> tuning.close()                                                            # doctest: +SKIP
    """

    def __init__(self, config: FineTuneConfig, run_dir: Path | str) -> None:
        self.config, self.run_dir = config, Path(run_dir)
        weights = weights_of(config.algo, config.prior)
        if weights is not None:
            check_robot(weights, config.robot)
        self._start = start = start_of(config.algo, config.sac, weights, config.seed)
        self._explorer = controller_of(start.explorer) if start.explorer else None
        self.latent_dim, self._squash = start.latent_dim, start.squash
        self._open_loop: OpenLoop | None = None
        if isinstance(start.decoder, TrajectoryDecoder):
            self._open_loop = OpenLoop(start.decoder)
        # For one image at a time, casting the weights to bfloat16 costs more than it saves.
        self._actor = Actor(
            replace(config.sac, bf16=False), start.encoder, start.latent_dim, start.squash, start.policy,
            start.space(config.sac),
        )  # fmt: skip
        self.folder = RunFolder(self.run_dir, config, start.latent_dim)
        self.learner: LearnerProcess | None = None
        """The learner, until the evaluation begins."""
        self._block: SharedBlock | None = None
        try:
            rows = self.folder.rows
            self._curves = Curves(self.run_dir / "tensorboard")
            self._seconds_before = rows[-1].seconds if rows else 0.0
            self._began = time.monotonic()
            self._generator = torch.Generator().manual_seed((config.seed << 20) + len(rows))
            self._counts = {p: sum(r.phase == p for r in rows) for p in ("before", "train", "probe", "after")}
            self._env_steps = rows[-1].env_steps if rows else 0
            self._updates = rows[-1].updates if rows else 0
            self._recent_steps: list[tuple[float, int]] = []
            self._phase = self._next_phase()
            if self._phase in ("before", "train", "probe"):
                self._start_learner()
            self._load_actor()
            self.discard()
        except BaseException:
            self._release()
            raise

    @property
    def phase(self) -> str:
        """`before`, `train`, `probe`, `after` or `done`."""
        return self._phase

    @property
    def done(self) -> bool:
        """Whether the run is complete: solved or out of budget, and evaluated."""
        return self._phase == "done"

    @property
    def seconds(self) -> float:
        """Wall-clock time of the run, pauses between two starts not counted."""
        return self._seconds_before + time.monotonic() - self._began

    @property
    def controller(self) -> Controller | None:
        """What executes its latents with the least work in the same process; None: any of the same prior."""
        return self._actor.space.controller

    def act(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The latent (D,) for this image (48, 48, 3); call once for each step.

        Where no decoder follows that turns it into an action, the action (7,): of raw actions, or in open loop.

        Raises:
            SpaceError: the image has another shape or type.
        """
        image = check_image(image)
        step = len(self._latents)
        z = self._latents[0] if self._open_loop and step else self._explore(image)
        if z is None:
            z = self._actor.act(image, self._generator, self._candidates)
        self._images.append(image.copy())
        self._latents.append(z)
        if self._open_loop is None:
            return z.copy()
        if step == 0:
            self._open_loop.begin(z, image)
        return self._open_loop.action(step)

    def observe(self, outcome: Outcome, action: NDArray[np.floating] | None = None) -> None:
        """Takes what the last latent led to; at the end of an episode, records it.

        Args:
            outcome: of the step.
            action: (7,) that was executed; may be left out where the latent is the action.

        Raises:
            SpaceError: the action is missing, not finite or of another shape.
            RunError: the learner died, or the disk is full.
        """
        if len(self._rewards) >= len(self._latents):
            raise SpaceError(f"outcome of step {outcome.step} came before any action was asked for; call act first")
        if action is None and not self._squash:
            raise SpaceError(f"outcome of step {outcome.step} came without the action that was executed; pass it on")
        self._actions.append(check_action(self._latents[-1] if action is None else np.asarray(action)))
        if self._explorer is not None and self._seen is not None:
            self._explorer.executed(self._actions[-1], self._seen)
        self._rewards.append(float(outcome.reward))
        if outcome.done:
            self._commit(outcome)

    @property
    def steps(self) -> int:
        """Steps of the unfinished episode whose outcome is known."""
        return len(self._rewards)

    def begin(self) -> bool:
        """The step that was acted on last is an episode's first: forgets what there is of one before.

        Returns:
            Whether the episode can be learnt from: not in open loop, where that step was acted on by the old plan.
        """
        if self._open_loop and len(self._latents) > 1:
            self.discard()
            return False
        if self._explorer is not None:
            self._explorer.begin()
        del self._images[:-1], self._latents[:-1]
        self._actions.clear()
        self._rewards.clear()
        return True

    def discard(self) -> None:
        """Forgets the unfinished episode, e.g. after the world was reset from outside."""
        self._images: list[NDArray[np.uint8]] = []
        self._latents: list[NDArray[np.float32]] = []
        self._actions: list[NDArray[np.float32]] = []
        self._rewards: list[float] = []
        self._seen: NDArray[np.float32] | None = None
        if self._explorer is not None:
            self._explorer.begin()

    def success(self, phase: str, window: int | None = WINDOW) -> float:
        """Success over the last episodes of a phase, all with `window` None; NaN if there is none."""
        flags = [r.success for r in self.folder.rows if r.phase == phase]
        return float(np.mean(flags[-window:] if window else flags)) if flags else float("nan")

    def status(self) -> Status:
        """Where the run stands."""
        c, now = self.config, time.monotonic()
        recent = [(t, n) for t, n in self._recent_steps if now - t < 10] or [(now, 0)]
        told = self._block.told() if self._block else {}
        phase = "after" if self.done else self._phase
        left = {
            "before": c.eval_before,
            "train": c.episodes,
            "after": c.eval_after,
            "probe": self._probes_due * c.probe_episodes,
        }
        rate = sum(n for _, n in recent[1:]) / max(1e-9, recent[-1][0] - recent[0][0])
        evaluation = c.eval_after * 25 / rate if rate > 0 else 0.0
        if phase == "after":
            seconds_left = evaluation * (1 - self._counts["after"] / max(1, c.eval_after))
        else:
            seconds_left = max(0.0, c.minutes * 60 - self.seconds)
            if c.env_steps and rate > 0:
                seconds_left = min(seconds_left, max(0, c.env_steps - self._env_steps) / rate)
            seconds_left += evaluation
        return Status(
            phase=self._phase, episode=self._counts[phase], episodes=left[phase], success=self.success(phase),
            success_before=self.success("before", None), env_steps=self._env_steps, steps_per_second=rate,
            updates=self._updates, updates_per_second=told.pop("rate", 0.0), seconds=self.seconds,
            seconds_left=seconds_left, successes=self._block.replay.successes if self._block else 0, losses=told,
        )  # fmt: skip

    def tend(self) -> None:
        """Looks after the learner: one that was killed is started again. To be called now and again.

        Raises:
            RunError: the learner has ended by itself, or is killed again and again.
        """
        if self.learner:
            self.learner.check()

    def save(self) -> None:
        """Saves the learner's weights and moments now.

        Raises:
            RunError: the learner died or the disk is full.
        """
        if self.learner:
            self.learner.save()

    def close(self) -> None:
        """Saves everything and frees the folder; a finished run gets its report.

        Raises:
            RunError: the learner died or the disk is full; what was saved before stays.
        """
        try:
            if self.learner:
                learner, self.learner = self.learner, None
                learner.stop()
        finally:
            self._release()

    def __enter__(self) -> FineTuning:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _commit(self, outcome: Outcome) -> None:
        """Records the finished episode, hands it to the learner and takes the newest policy."""
        phase, steps = self._phase, len(self._rewards)
        images, latents = np.stack(self._images[:steps]), np.stack(self._latents[:steps])
        actions, rewards = np.stack(self._actions), np.array(self._rewards, np.float32)
        self.discard()
        if self.learner and self._block:
            self._updates = max(self._updates, int(self._block.statistics[0]))
        learnt_from = phase in ("before", "train")
        self._env_steps += steps if learnt_from else 0
        previous = [r.success for r in self.folder.rows if r.phase == phase][-(WINDOW - 1) :]
        row = EpisodeRow(
            len(self.folder.rows) + 1, phase, self._env_steps, self.seconds, int(outcome.success),
            float(rewards.sum()), steps, float(np.mean([*previous, outcome.success])), self._updates,
        )  # fmt: skip
        self.folder.add(
            row, images, latents, actions, rewards,
            task=self.config.task, seed=self.config.seed, terminated=outcome.terminated,
        )  # fmt: skip
        self._counts[phase] += 1
        self._recent_steps = [*self._recent_steps[-100:], (time.monotonic(), steps)]
        if self.learner and self._block and learnt_from:
            replay = self._block.replay
            replay.append(
                images, latents, rewards, success=outcome.success, terminated=outcome.terminated,
                one_step=self._open_loop is not None,
            )  # fmt: skip
            self.tend()  # whatever has become of the learner, the episode is safe
            if self.config.sac.synchronous:
                self.learner.wait_for(allowed(self.config.sac, replay))
            self._block.weights.read(self._actor.parameters)
        self._curves.add(row, self._block.told() if self._block else {})
        if (following := self._next_phase()) != phase:
            self._enter(following)

    def _next_phase(self) -> str:
        """The phase that the run is in by what is recorded and by the clock."""
        c, n = self.config, self._counts
        if n["after"] == 0:
            if n["before"] < c.eval_before:
                return "before"
            spent = 0 < c.env_steps <= self._env_steps
            if not spent and n["probe"] < self._probes_due * c.probe_episodes:
                return "probe"
            recent = [r.success for r in self.folder.rows if r.phase == "train"][-c.solved_window :]
            solved = len(recent) == c.solved_window and float(np.mean(recent)) >= c.solved_success
            if not (solved or spent) and n["train"] < c.episodes and self.seconds < c.minutes * 60:
                return "train"
        return "after" if n["after"] < c.eval_after else "done"

    @property
    def _probes_due(self) -> int:
        """Probes that there shall have been by now."""
        c = self.config
        return self._env_steps // c.probe_every if c.probe_episodes else 0

    def _enter(self, phase: str) -> None:
        if phase in ("after", "done") and self.learner and self._block:
            self.learner.save()  # its checkpoint is what is evaluated, however long a busy machine takes for it
            learner, self.learner = self.learner, None
            learner.stop()
            self._updates = int(self._block.statistics[0])
            self._load_actor()
        self._phase = phase
        if phase == "done":
            write_report(self.folder, self.config, self._seconds_before + time.monotonic() - self._began)

    def _start_learner(self) -> None:
        c = self.config
        size = sum(p.numel() for p in self._actor.parameters)
        self._block = SharedBlock(size, c.sac.replay_episodes, self.latent_dim, c.sac.discount)
        self._block.replay.extend(self.folder.replay(), one_step=self._open_loop is not None)
        spec = LearnerSpec(
            c.sac, c.algo, c.prior, c.seed, size, str(self.folder.checkpoint), c.save_seconds, c.learner_threads
        )
        self.learner = LearnerProcess(spec, self._block)

    def _load_actor(self) -> None:
        """Takes what the learner saved last."""
        if found := load_checkpoint(self.folder.checkpoint):
            self._actor.load(found[0], acting(found[0]))

    def _explore(self, image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """The latent for an image where something other than the policy acts; None: the policy does."""
        if self._explorer is not None and self._phase in ("before", "train"):
            self._seen = self._explorer.look(image)
            share = 1.0 if self._phase == "before" else self.config.epsilon
            if float(torch.rand((), generator=self._generator)) >= share:
                return None
            z = torch.randn(self._explorer.prior.latent_dim, generator=self._generator).numpy()
            return self._explorer.act(z, self._seen)
        if self._phase == "before" and self._start.policy is None:
            z = torch.randn(self.latent_dim, generator=self._generator).numpy()
            return np.tanh(z) if self._squash else z
        return None

    @property
    def _candidates(self) -> int:
        """Samples that the critics choose from; 1: one with all of the policy's noise; 0: the mean."""
        c = self.config.sac
        if self._phase == "before":
            return 1
        if self._phase == "train":
            return c.candidates if self._updates >= c.candidates_after else 1
        return self._actor.evaluation_candidates(c.candidates)

    def _release(self) -> None:
        if self.learner:
            self.learner.close()
            self.learner = None
        if self._block:
            self._block.close()
            self._block = None
        if hasattr(self, "_curves"):
            self._curves.close()
        self.folder.close()
