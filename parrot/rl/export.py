"""`parrot export`: what a run has learnt, as one file."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from parrot.data.dataset import Dataset
from parrot.errors import ConfigError, RunError, WeightsError
from parrot.prior.base import ActionDecoder, TrajectoryDecoder
from parrot.prior.control import controller_of
from parrot.provenance import provenance
from parrot.rl.algorithms import Start, start_of, weights_of
from parrot.rl.checkpoint import WEIGHTS, load_checkpoint
from parrot.rl.embodiment import embodiment_of
from parrot.rl.learner import acting
from parrot.rl.policy import Network, Policy, PolicyCard, Success, load_policy, parts_of, save_policy
from parrot.rl.run_folder import EpisodeRow, read_rows
from parrot.rl.sealed import file_digest
from parrot.rl.settings import FineTuneConfig
from parrot.rl.status import WINDOW

__all__ = ["export_policy"]

AGREES = 1e-3
"""How far actions of the same prior on two machines may be apart."""

SOME = 0.1
"""Share of an episode's steps that has to agree."""


def export_policy(run: Path, out: Path, prior: Path | None = None) -> Policy:
    """Writes the policy that a run has learnt, as its latest checkpoint has it; returns what was written, loaded.

    Args:
        run: the run's folder; the run may still be going on.
        out: the file.
        prior: the prior's file, if it is no longer where it was when the run began.

    Raises:
        RunError: there is no run or no checkpoint in it, or the disk is full.
        WeightsError: the checkpoint is damaged, the prior is missing or not the one that the run acted by.
        ConfigError: the run's robot is no longer known, or its algorithm acts in open loop.
    """
    config, made_by = _settings(run)
    rows = read_rows(run / "episodes.csv")
    path = weights_of(config.algo, prior or config.prior)
    start = start_of(config.algo, config.sac, path, config.seed)
    if isinstance(start.decoder, TrajectoryDecoder):
        raise ConfigError(
            f"{run}: algo {config.algo} decides on a whole episode at its first image, a policy's file on each image "
            "as it comes; export a run of another algo"
        )
    found = load_checkpoint(run / "checkpoint")
    if found is None:
        raise RunError(f"{run}: has no checkpoint yet; wait until the run has saved one (save_seconds), or stop it")
    state, counters = found
    if start.decoder is not None and path is not None:
        _same_prior(run, start.decoder, path)
    network = _network(config, start)
    actor = network.actor(start.decoder)
    try:
        actor.load(state, acting(state))
    except RuntimeError as error:
        raise WeightsError(
            f"{run}: its checkpoint does not fit its settings ({' '.join(str(error).split())[:200]}); "
            "another version of parrot made this run"
        ) from error
    success = _success(rows)
    card = PolicyCard(
        task=config.task, algo=config.algo, embodiment=embodiment_of(config.robot, config.renderer), network=network,
        candidates=actor.evaluation_candidates(config.sac.candidates), prior=_about(start.decoder), success=success,
        note=_note(run, config, success), run=config.to_json(),
        provenance={
            "run": made_by, "export": provenance("torch", "safetensors"), "updates": counters.get("updates"),
            "episodes": counters.get("episodes"), "checkpoint_sha256": file_digest(run / "checkpoint" / WEIGHTS),
            "prior_sha256": file_digest(path) if path else None,
        },
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )  # fmt: skip
    parts = parts_of(actor, card.candidates > 0)
    weights = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}
    save_policy(out, card, weights, start.decoder.state_dict() if start.decoder is not None else {})
    return load_policy(out)


def _settings(run: Path) -> tuple[FineTuneConfig, dict[str, Any]]:
    """Settings and provenance of the run in that folder."""
    path = run / "config.json"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return FineTuneConfig.from_json(value["config"]), value["provenance"]
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"{run}: holds no run; name the run_dir of `parrot train` or of a launch") from None
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged ({error}); restore it from a copy") from error
    except ConfigError as error:
        raise RunError(f"{path}: {error}; export it with that version") from error


def _network(config: FineTuneConfig, start: Start) -> Network:
    """What the run's networks are built like: see `parrot.rl.algorithms.start_of`."""
    c = config.sac
    return Network(
        encoder=start.shape.name, channels=start.shape.channels, encoding=start.shape.features,
        latent_dim=start.latent_dim, squash=start.squash, features=c.features, hidden=c.hidden,
        layer_norm=c.layer_norm, critics=c.critics, value_loss=c.value_loss, mean_bound=c.mean_bound,
        log_std_min=c.log_std_min, noise_scale=c.noise_scale, policy=c.policy,
    )  # fmt: skip


def _about(decoder: ActionDecoder | None) -> dict[str, Any] | None:
    return None if decoder is None else {"config": asdict(decoder.config), "card": decoder.card}


def _same_prior(run: Path, prior: ActionDecoder, path: Path) -> None:
    """Compares the prior with what the run did: a file may have been trained further or replaced since.

    Raises:
        WeightsError: it turns the run's latents into other actions than were executed.
    """
    replay = Dataset.open(run / "replay")
    if not len(replay):
        return
    episode = replay.episode(len(replay) - 1)
    latents = episode.extra["latents"]
    if latents.shape[1] == prior.latent_dim:
        controller = controller_of(prior)
        made = []
        for z, image, executed in zip(latents, episode.images, episode.actions, strict=True):
            seen = controller.look(image)
            made.append(controller.act(z, seen))
            controller.executed(executed, seen)
        # Many steps may differ, for an arm's limits have the last word on what is executed; of another prior, all do.
        apart = float(np.quantile(np.abs(np.array(made) - episode.actions).max(-1), SOME))
        if apart <= AGREES:
            return
    raise WeightsError(
        f"{path}: is not the prior that {run} learnt with: its latents become other actions; give that one by --prior"
    )


def _success(rows: list[EpisodeRow]) -> Success:
    phases = {phase: [r.success for r in rows if r.phase == phase] for phase in ("before", "train", "after")}
    phases["train"] = phases["train"][-WINDOW:]
    rates = {phase: float(np.mean(flags)) if flags else None for phase, flags in phases.items()}
    n = {phase: len(flags) for phase, flags in phases.items()}
    return Success(rates["before"], n["before"], rates["train"], n["train"], rates["after"], n["after"])


def _note(run: Path, config: FineTuneConfig, success: Success) -> str:
    """What a user should know before trusting the policy."""
    if not (run / "summary.json").is_file():
        if success.after_episodes:
            return f"its evaluation was still going on: {success.after_episodes} of {config.eval_after} episodes"
        return "its run was still going on: this is its latest checkpoint, which was not evaluated"
    return "" if success.after_episodes else "its run ended without an evaluation"
