"""What each choice of a preset is worth: the same episodes learnt from anew, with one choice undone.

A finished run's replay is given to a fresh learner for so many updates, and what it has learnt is evaluated. Data and
number of updates are the same for all variants, so the choices are told apart with far fewer episodes than whole runs
would need. What a choice does to the collecting of episodes is not measured.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from parrot.data.dataset import Dataset
from parrot.errors import ConfigError
from parrot.prior.weights import load_prior
from parrot.results import write_results
from parrot.rl.actor import Actor
from parrot.rl.algorithms import start_of
from parrot.rl.learner import Learner, maker
from parrot.rl.replay import Replay
from parrot.rl.settings import sac_config
from parrot.rl.wrapper import LatentActionWrapper
from parrot.sim.env import ManipulationEnv

__all__ = ["VARIANTS", "Job", "ablate", "relearn"]

VARIANTS: dict[str, dict[str, tuple[str, ...]]] = {
    "fast": {
        "fast": (),
        "without imitation": ("imitation_weight=0", "imitation_floor=0"),
        "imitation alone": ("q_weight=0", "imitation_floor=1"),
        "cold encoder": ("warm_start=false",),
        "one-step returns": ("n_step=1",),
        "no share of successes": ("success_share=0",),
        "no random shifts": ("shift=0",),
        "two plain critics": ("critics=2", "layer_norm=false"),
        "candidates with all noise": ("noise_scale=1",),
    },
    "flow": {
        "flow": (),
        "no mirror images": ("mirror_share=0",),
        "nothing avoided": ("avoid_weight=0",),
        "twice as much avoided": ("avoid_weight=1",),
        "advantages to the end": ("advantage_decay=1",),
        "not kept near the prior": ("prior_weight=0",),
        "no random shifts": ("shift=0",),
    },
}
"""Preset -> name -> changes to it."""

FIRST_SEED = 1_000_000
"""Seed of the first evaluation episode: scenes that no run has met while it learnt."""


@dataclass(frozen=True)
class Job:
    """One fresh learner."""

    run: Path
    """Folder of the run whose episodes it learns from."""
    preset: str
    """Hyper-parameters."""
    variant: str
    """Name in `VARIANTS` of this preset."""
    first: int
    """How many of the run's episodes; 0: all."""
    updates: int
    """Gradient updates."""
    episodes: int
    """Episodes of each evaluation."""
    seed: int
    """Of weights and draws."""


def ablate(
    run: Path,
    out: Path,
    *,
    preset: str = "fast",
    variants: Sequence[str] = (),
    first: int = 0,
    updates: int = 4000,
    episodes: int = 300,
    seed: int = 0,
    workers: int = 2,
    report: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Learns anew from a run's episodes with every variant, and writes the table after each.

    Args:
        run: folder of a finished run of `parrot`.
        out: CSV to write.
        preset: one of `VARIANTS`.
        variants: names of its; none: all.
        first: of the run's episodes learn from so many; 0: from all.
        updates: of each learner.
        episodes: that measure each policy.
        seed: of weights and draws.
        workers: processes, one thread each.
        report: called with the name of each variant that is finished.

    Raises:
        ConfigError: a variant is unknown, or the folder is not a run of `parrot`.
    """
    if preset not in VARIANTS:
        raise ConfigError(f"preset {preset!r} has no variants; choose from {', '.join(map(repr, VARIANTS))}")
    known = VARIANTS[preset]
    if unknown := [name for name in variants if name not in known]:
        raise ConfigError(f"variant {unknown[0]!r} is unknown; choose from {', '.join(map(repr, known))}")
    _config(run)
    jobs = [Job(run, preset, name, first, updates, episodes, seed) for name in variants or known]
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        pending = {pool.submit(relearn, job): job for job in jobs}
        for done in as_completed(pending):
            rows.append(done.result())
            rows.sort(key=lambda row: tuple(known).index(row["variant"]))
            write_results(out, rows)
            if report:
                report(pending[done].variant)
    return rows


def relearn(job: Job) -> dict[str, Any]:
    """Learns anew from the episodes of a run, and measures the policy: by its mean, and as it explores when grown."""
    changes = VARIANTS[job.preset][job.variant]
    config, known = sac_config(job.preset, ("restarts=[]", *changes)), _config(job.run)
    prior_file = Path(known["prior"]) if known["prior"] else None
    start = start_of("parrot", config, prior_file, job.seed)
    data = Dataset.open(job.run / "replay")
    count = min(job.first or len(data), len(data))
    config = replace(config, replay_episodes=count)
    replay = Replay(count, start.latent_dim, config.discount)
    replay.extend(data.episode(number) for number in range(count))
    learner = Learner(maker(config, start), replay, job.seed)
    for _ in range(job.updates):
        learner.update()
    actor = Actor(replace(config, bf16=False), start.encoder, start.latent_dim, space=start.space(config))
    actor.load(learner.agent.state())
    env = ManipulationEnv(known["task"], robot=known["robot"], terminate_on_success=True)
    with LatentActionWrapper(env, load_prior(prior_file, known["robot"])) as world:
        mean, best = (float(np.mean(list(_episodes(world, actor, job.episodes, n)))) for n in (0, config.candidates))
    return {
        "task": known["task"], "preset": job.preset, "variant": job.variant, "changes": "; ".join(changes),
        "success_mean_latent": round(mean, 4), "success_best_latent": round(best, 4), "episodes": job.episodes,
        "updates": job.updates, "replay_episodes": count, "replay_seed": known["seed"], "seed": job.seed,
    }  # fmt: skip


def _episodes(world: LatentActionWrapper, actor: Actor, episodes: int, candidates: int) -> Iterator[bool]:
    """Whether each episode succeeds."""
    generator = torch.Generator().manual_seed(0)
    for number in range(episodes):
        image, info = world.reset(seed=FIRST_SEED + number)
        done = False
        while not done:
            image, _, terminated, truncated, info = world.step(actor.act(image, generator, candidates))
            done = terminated or truncated
        yield info["success"]


def _config(run: Path) -> dict[str, Any]:
    """The configuration of a run."""
    try:
        config = json.loads((run / "config.json").read_text())["config"]
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ConfigError(f"{run}: not the folder of a run ({error}); make one with parrot launch or train") from error
    if config["algo"] != "parrot":
        raise ConfigError(f"{run}: a run of {config['algo']}; the ablation takes one of parrot")
    return config
