"""A prior in one safetensors file: weights, and in the file's metadata its configuration and model card."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save

from parrot.durable import write_bytes
from parrot.errors import ConfigError, WeightsError
from parrot.prior.base import Prior
from parrot.prior.flow import FlowPrior
from parrot.prior.presets import PriorConfig
from parrot.resources import share
from parrot.weights_file import read_weights

__all__ = ["FORMAT", "build_prior", "load_prior", "save_prior", "shipped_prior"]

FORMAT = "parrot-prior-1"
"""What the metadata of a prior's file calls itself."""

REMEDY = "give a file made by `parrot prior train`"


def save_prior(prior: FlowPrior, path: Path | str) -> None:
    """Writes the prior to one safetensors file, whole or not at all.

    Raises:
        RunError: the disk is full or the folder cannot be written.
    """
    meta = {"format": FORMAT, "config": json.dumps(asdict(prior.config)), "card": json.dumps(prior.card)}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in prior.state_dict().items()}
    write_bytes(Path(path), save(tensors, metadata=meta))


def load_prior(path: Path | str | None = None, robot: str | None = None) -> Prior:
    """The prior in that file, in eval mode, on the CPU; by default the one that comes with parrot.

    Args:
        path: A file that `save_prior` wrote; None: the shipped one.
        robot: If given, the robot that the prior must have been trained on.

    Raises:
        WeightsError: the file is missing, truncated, made by something else or for another robot.
    """
    path = shipped_prior() if path is None else Path(path)
    config, card, tensors = _read(path)
    if robot is not None and card.get("robot", robot) != robot:
        raise WeightsError(
            f"{path}: this prior was trained on robot {card['robot']!r}, not {robot!r}; "
            f"train one with `parrot prior train` on data of {robot!r}"
        )
    return build_prior(config, card, tensors, path)


def build_prior(config: dict[str, Any], card: dict[str, Any], tensors: dict[str, Any], path: Path) -> FlowPrior:
    """The prior of that configuration with those weights, every one of them, in eval mode.

    Raises:
        WeightsError: they do not fit each other; `path` is where they come from.
    """
    try:
        prior = FlowPrior(PriorConfig(**config))
        prior.load_state_dict(tensors)
    except (TypeError, RuntimeError, ConfigError) as error:
        raise WeightsError(
            f"{path}: its weights do not fit its configuration ({str(error).splitlines()[0]}); "
            "it was made by another version of parrot: train again or take a prior of this version"
        ) from error
    prior.card = card
    return prior.eval()


def shipped_prior() -> Path:
    """The file of the prior that comes with parrot.

    Raises:
        WeightsError: none does.
    """
    try:
        return share("models", "prior.safetensors")
    except ConfigError as error:
        raise WeightsError(f"no prior comes with parrot here ({error}); make one with `parrot prior train`") from error


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Configuration, card and tensors of a prior's file.

    Raises:
        WeightsError: the file is missing, truncated or foreign.
    """
    meta, tensors = read_weights(path, "prior", REMEDY)
    if meta.get("format") != FORMAT:
        raise WeightsError(
            f"{path}: holds no prior of this version (format {meta.get('format')!r}, expected {FORMAT!r}); {REMEDY}"
        )
    return json.loads(meta["config"]), json.loads(meta["card"]), tensors
