"""The learner: an update, beside Stable-Baselines3's; and what it costs the actor that it learns meanwhile."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from parrot.bench.measure import Row, alternate, seconds_at_best, seconds_each
from parrot.prior.encoder import native_bf16
from parrot.prior.weights import load_prior
from parrot.rl.algorithms import start_of
from parrot.rl.finetune import FineTuning
from parrot.rl.learner import Learner, maker
from parrot.rl.presets import preset
from parrot.rl.replay import Replay
from parrot.rl.settings import FineTuneConfig
from parrot.rl.wrapper import LatentActionWrapper
from parrot.sim.env import ManipulationEnv
from parrot.spaces import ACTION_DIM, EPISODE_STEPS, IMAGE_SHAPE, Outcome

__all__ = ["acting", "updating"]

EPISODES = 80
"""Episodes in both replays, filled with noise."""

UPDATES = 6
"""Updates in a run."""

ACTIONS = 250
"""Steps of the actor in a run: ten episodes."""


def updating(runs: int, seed: int, threads: int) -> Row:
    """An update of SAC with preset `paper`, on raw actions, drawing of the batch included."""
    from parrot.bench.sb3_peer import make_sac

    torch.set_num_threads(threads)
    config, cpu = preset("paper"), torch.device("cpu")
    start = start_of("sac", config, seed=seed)
    learner = Learner(maker(config, start), noise_replay(config.discount, seed), seed)
    peer = make_sac(config, EPISODES, seed, cpu)
    with FlopCounterMode(display=False) as counter:
        learner.update()
    kind = torch.bfloat16 if native_bf16(cpu) else torch.float32
    works = {
        "ours": lambda: seconds_each(learner.update, UPDATES),
        "theirs": lambda: seconds_each(lambda: peer.train(1, config.batch_size), UPDATES),
        "floor": lambda: seconds_at_best(counter.get_total_flops(), cpu, kind),
    }  # fmt: skip
    took = alternate(works, runs)
    return Row(
        workload="learner: SAC update, preset paper, batch 256", unit="ms an update", ours=took["ours"],
        peer="stable-baselines3, same networks", theirs=took["theirs"], goal=2.0,
        floor=f"its arithmetic at the speed of a large {kind} product".replace("torch.", ""), least=took["floor"],
        runs=runs, seed=seed, note=f"cpu, {threads} threads",
    )  # fmt: skip


def noise_replay(discount: float, seed: int) -> Replay:
    """A replay of `EPISODES` whole episodes of noise, every fourth a success."""
    rng, replay = np.random.default_rng(seed), Replay(EPISODES, ACTION_DIM, discount)
    for number in range(EPISODES):
        images = rng.integers(0, 256, (EPISODE_STEPS, *IMAGE_SHAPE), np.uint8)
        latents = rng.uniform(-1.0, 1.0, (EPISODE_STEPS, ACTION_DIM)).astype(np.float32)
        rewards = np.zeros(EPISODE_STEPS, np.float32)
        rewards[-1] = float(number % 4 == 0)
        replay.append(images, latents, rewards, success=number % 4 == 0, terminated=number % 4 == 0)
    return replay


def acting(runs: int, seed: int) -> Row:
    """A step of the actor, simulator included, while the learner learns; the peer: while it is halted."""
    torch.set_num_threads(1)
    # Updates are due from the first success on, and more of them than the learner can ever make.
    sac = replace(preset("fast"), start_steps=0, start_successes=1, updates_per_step=1000.0)
    config = FineTuneConfig(seed=seed, eval_before=30, minutes=60.0, sac=sac, solved_success=2.0)
    env = LatentActionWrapper(ManipulationEnv(config.task, terminate_on_success=True), load_prior())
    with tempfile.TemporaryDirectory() as folder, FineTuning(config, Path(folder)) as tuning:
        image, _ = env.reset(seed=seed)

        def step() -> None:
            nonlocal image
            image, reward, terminated, truncated, info = env.step(tuning.act(image))
            tuning.observe(Outcome(float(reward), info["success"], terminated, truncated, 0), info["action"])
            if terminated or truncated:
                image, _ = env.reset()

        while tuning.phase != "train" or tuning.status().updates == 0:
            step()
        learner, updates, seconds = tuning.learner, 0.0, 0.0
        assert learner is not None

        def learning() -> float:
            nonlocal updates, seconds
            before, began = learner.block.told()["updates"], time.perf_counter()
            each = seconds_each(step, ACTIONS)
            updates += learner.block.told()["updates"] - before
            seconds += time.perf_counter() - began
            return each

        def alone() -> float:
            os.kill(learner.pid, signal.SIGSTOP)
            try:
                return seconds_each(step, ACTIONS)
            finally:
                os.kill(learner.pid, signal.SIGCONT)

        took = alternate({"ours": learning, "theirs": alone}, runs)
    env.close()
    return Row(
        workload="actor: a step of fine-tuning in process, simulator included", unit="ms a step", ours=took["ours"],
        peer="the same with the learner halted", theirs=took["theirs"], goal=0.8,
        floor="the same with the learner halted", least=took["theirs"], runs=runs, seed=seed,
        note=f"{os.cpu_count()} cores; {updates / seconds:.1f} updates a second meanwhile",
    )  # fmt: skip
