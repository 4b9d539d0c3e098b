"""A prior, or another kind of model, in one safetensors file: weights, and as metadata its configuration and card."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import save

from parrot.durable import write_bytes
from parrot.errors import ConfigError, WeightsError
from parrot.fields import build
from parrot.prior.base import ActionDecoder, Model, Prior
from parrot.prior.kinds import KINDS, kind
from parrot.resources import share
from parrot.weights_file import read_weights

__all__ = [
    "FORMAT",
    "build_model",
    "check_robot",
    "load_decoder",
    "load_model",
    "load_prior",
    "save_prior",
    "shipped_prior",
]

M = TypeVar("M", bound=Model)

FORMAT = "parrot-prior-1"
"""What the metadata of a prior's file calls itself."""

REMEDY = "give a file made by `parrot prior train`"


def save_prior(prior: Model, path: Path | str) -> None:
    """Writes the model to one safetensors file, whole or not at all.

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
    return load_model(path, Prior, robot)  # type: ignore[type-abstract]


def load_decoder(path: Path | str | None = None, robot: str | None = None) -> ActionDecoder:
    """The model in that file, as `load_prior`; it need not be invertible, so that it may be a VAE's decoder, too.

    Raises:
        WeightsError: as `load_prior`.
    """
    return load_model(path, ActionDecoder, robot)  # type: ignore[type-abstract]


def load_model(path: Path | str | None, wanted: type[M], robot: str | None = None) -> M:
    """The model of any kind in that file, as `load_prior`.

    Args:
        path: A file that `save_prior` wrote; None: the shipped prior.
        wanted: What it has to be.
        robot: If given, the robot that the model must have been trained on.

    Raises:
        WeightsError: as `load_prior`, or it is of another kind.
    """
    path = shipped_prior() if path is None else Path(path)
    config, card, tensors = _read(path)
    if robot is not None:
        _check_robot(path, card, robot)
    model = build_model(config, card, tensors, path)
    if not isinstance(model, wanted):
        raise WeightsError(f"{path}: holds a {kind(model.config.kind).title}; {_wanted(wanted)}")
    return model


def check_robot(path: Path, robot: str) -> None:
    """Holds a file's robot against the one that it is to be used on.

    Raises:
        WeightsError: the file is missing, foreign or for another robot.
    """
    _check_robot(path, _read(path)[1], robot)


def _check_robot(path: Path, card: dict[str, Any], robot: str) -> None:
    if card.get("robot", robot) != robot:
        raise WeightsError(
            f"{path}: this prior was trained on robot {card['robot']!r}, not {robot!r}; "
            f"train one with `parrot prior train` on data of {robot!r}"
        )


def build_model(config: dict[str, Any], card: dict[str, Any], tensors: dict[str, Any], path: Path) -> Model:
    """The model of that configuration with those weights, every one of them, in eval mode.

    Raises:
        WeightsError: they do not fit each other; `path` is where they come from.
    """
    try:
        model = kind(config.get("kind", "flow")).model
        prior = model(build(model.CONFIG, config, "its configuration"))  # type: ignore[call-arg]
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


def _wanted(wanted: type[Model]) -> str:
    """What to do about a model of another kind."""
    for name, found in KINDS.items():
        if issubclass(found.model, wanted):
            return f"give one made by `parrot prior train --kind {name}`"
    return REMEDY


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
