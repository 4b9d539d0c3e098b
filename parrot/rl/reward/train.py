"""Fits a classifier of success on labelled episodes: `parrot reward train`.

The image encoder begins as a prior's and is trained on together with a logistic head, on as many images of success as
of failure, shifted at random. Some episodes of both kinds are held out; the threshold comes from them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits

from parrot.data.dataset import Dataset
from parrot.errors import ConfigError, DatasetError
from parrot.prior.augment import random_shift
from parrot.prior.weights import load_prior, shipped_prior
from parrot.provenance import provenance
from parrot.rl.reward.classifier import ClassifierConfig, RewardClassifier
from parrot.rl.reward.figures import Figures, choose_threshold, cross_measured
from parrot.rl.reward.labels import FAILURE, FEWEST, SUCCESS, Labels, label
from parrot.spaces import to_chw

__all__ = ["RewardConfig", "train_classifier"]

FROM_MANIFEST = ("robot", "renderer", "camera", "control_hz")
"""What of a dataset's manifest decides how its pictures look."""


@dataclass(frozen=True)
class RewardConfig:
    """How a classifier is fitted."""

    steps: int = 400
    """Gradient steps."""
    batch: int = 64
    """Images of each step, half of them successes."""
    lr: float = 3e-4
    """Learning rate (AdamW), down to nothing along half a cosine."""
    weight_decay: float = 1e-2
    """Of all weights."""
    shift: int = 3
    """Largest random shift, pixels."""
    held_out: float = 0.3
    """Share of the episodes of each kind that is held out; two of each at least."""
    seed: int = 0
    """Of the split, the head, the batches and the shifts."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 2 or self.lr <= 0 or not 0 < self.held_out < 1 or self.seed < 0:
            raise ConfigError(
                f"steps {self.steps}, batch {self.batch}, lr {self.lr}, held_out {self.held_out}, seed {self.seed}: "
                "they must be at least 1, 2, above 0, between 0 and 1, and at least 0"
            )


def train_classifier(
    dataset: Dataset,
    config: RewardConfig = RewardConfig(),
    prior: Path | None = None,
    device: str = "cpu",
    report: Callable[[int, float], None] | None = None,
) -> tuple[RewardClassifier, Figures]:
    """A classifier, and its figures on the held-out episodes, each with a threshold that was chosen without it.

    Args:
        dataset: Episodes of both kinds.
        config: How.
        prior: The file of the prior whose encoder is the start; None: the one that comes with parrot.
        device: Where to compute.
        report: Called after each step with its number and its loss.

    Raises:
        DatasetError: too few episodes of a kind, or success cannot be told from failure in them.
        WeightsError: the prior cannot be loaded.
    """
    labels = label(dataset)
    learning, held = _split(labels, config)
    path = prior or shipped_prior()
    classifier = _begin(path, config.seed).to(device)
    _fit(classifier, dataset, labels, labels.of(learning), config, report)
    classifier.cpu()
    steps = labels.of(held)
    logits = np.full(dataset.steps, np.nan)
    logits[steps] = classifier.logits(dataset.images(steps))
    classifier.threshold = choose_threshold(logits[steps], labels.image[steps])
    figures = cross_measured(logits, labels, held)
    if not (logits[steps][labels.image[steps] == SUCCESS] >= classifier.threshold).any():
        raise DatasetError(
            f"{', '.join(map(str, dataset.paths))}: no held-out picture of success stands out from the failures; "
            "look whether the labels are right and the difference can be seen in 48x48 pixels, or record more episodes"
        )
    classifier.card = _card(dataset, labels, config, path, held, figures)
    return classifier, figures


def _split(labels: Labels, config: RewardConfig) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Episodes to learn from and those held out, of both kinds.

    Raises:
        DatasetError: there are too few.
    """
    kinds = [np.flatnonzero(labels.succeeded), np.flatnonzero(~labels.succeeded)]
    if min(map(len, kinds)) < FEWEST:
        raise DatasetError(
            f"{len(kinds[0])} successful and {len(kinds[1])} failed episodes: at least {FEWEST} of each are needed, "
            "better 20; record more, and convert bags with `parrot data from-bags --keep-failures`"
        )
    rng = np.random.default_rng([config.seed, 0])
    held = []
    for kind in kinds:
        count = min(max(2, round(config.held_out * len(kind))), len(kind) - 2)
        held.append(rng.permutation(kind)[:count])
    chosen = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(labels.succeeded)), chosen), chosen


def _begin(path: Path, seed: int) -> RewardClassifier:
    """The prior's encoder under a head that says nothing yet."""
    prior = load_prior(path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = RewardClassifier(
            ClassifierConfig(prior.config.encoder, prior.config.features, prior.config.channels)
        )
    classifier.encoder.load_state_dict(prior.encoder.state_dict())
    return classifier


def _fit(
    classifier: RewardClassifier,
    dataset: Dataset,
    labels: Labels,
    steps: NDArray[np.int64],
    config: RewardConfig,
    report: Callable[[int, float], None] | None,
) -> None:
    """Logistic regression end to end."""
    pools = [steps[labels.image[steps] == kind] for kind in (SUCCESS, FAILURE)]
    if not all(map(len, pools)):
        raise DatasetError(f"{dataset.paths[0]}: no picture of one kind is left to learn from; record more episodes")
    rng = np.random.default_rng([config.seed, 1])
    half = config.batch // 2
    device = classifier.head.weight.device
    target = torch.cat([torch.ones(half), torch.zeros(half)]).to(device)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    classifier.train()
    for step in range(config.steps):
        chosen = np.concatenate([rng.choice(pool, half) for pool in pools])
        images = random_shift(dataset.images(chosen), config.shift, rng)
        logits = classifier(torch.from_numpy(to_chw(images)).to(device))
        loss = binary_cross_entropy_with_logits(logits, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if report is not None:
            report(step + 1, loss.item())
    classifier.eval()


def _card(
    dataset: Dataset, labels: Labels, config: RewardConfig, prior: Path, held: NDArray[np.int64], figures: Figures
) -> dict[str, Any]:
    """What the file says of itself."""
    return {
        **{name: getattr(dataset.manifest, name) for name in FROM_MANIFEST},
        "tasks": sorted(set(map(str, dataset.tasks))),
        "datasets": [dataset.checksum(k) for k in range(len(dataset.paths))],
        "episodes": {"success": int(labels.succeeded.sum()), "failure": int((~labels.succeeded).sum())},
        "held_out": [int(i) for i in held],
        "figures": asdict(figures),
        "prior": hashlib.sha256(prior.read_bytes()).hexdigest(),
        "training": asdict(config),
        "provenance": provenance("torch"),
    }
