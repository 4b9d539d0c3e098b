"""Where a training starts: random weights or those of a file, and the scale of the recorded actions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from parrot.errors import WeightsError
from parrot.prior.base import Model
from parrot.prior.kinds import kind
from parrot.prior.presets import TrainConfig
from parrot.prior.sources import Sources
from parrot.prior.weights import load_model

__all__ = ["moments", "start_model"]


def start_model(config: TrainConfig, sources: Sources, groups: Sequence[NDArray[np.int64]]) -> Model:
    """The model before its first gradient step: random, or the one to start from.

    Raises:
        WeightsError: the one to start from is missing, foreign or of another architecture.
    """
    if config.init:
        prior = load_model(config.init, Model)  # type: ignore[type-abstract]
        robot = str(sources.dataset.manifest.robot)
        if prior.card.get("robot", robot) != robot and "robot" not in sources.mix.allow:
            raise WeightsError(
                f"{config.init}: trained on robot {prior.card['robot']!r}, the dataset is of {robot!r}; give --allow "
                "robot if an action means much the same on both and their cameras see much the same"
            )
        if prior.config != config.model:
            raise WeightsError(
                f"{config.init}: a prior of another architecture, {prior.config}; "
                f"this preset trains {config.model}: choose the preset that made it, or start without --init"
            )
        return prior.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        prior = kind(config.model.kind).model(config.model)  # type: ignore[call-arg]
    prior.begin(*moments(sources, groups))
    return prior


def moments(sources: Sources, groups: Sequence[NDArray[np.int64]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation (7,) of the actions as they are drawn."""
    actions = torch.from_numpy(sources.actions[np.concatenate(groups)])
    if (sources.weights == 1).all():
        return actions.mean(0), actions.std(0)
    weights = torch.from_numpy(np.repeat(sources.weights, [len(group) for group in groups]))[:, None]
    mean = (weights * actions).sum(0) / weights.sum()
    deviation = ((weights * (actions - mean) ** 2).sum(0) / weights.sum()).sqrt()
    return mean.float(), deviation.float()
