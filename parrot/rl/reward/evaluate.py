"""Measures a classifier of success on other episodes than its own: `parrot reward eval`."""

from __future__ import annotations

import json
from collections.abc import Collection

import numpy as np

from parrot.data.dataset import Dataset
from parrot.errors import DatasetError
from parrot.rl.reward.classifier import RewardClassifier
from parrot.rl.reward.figures import Figures, measure
from parrot.rl.reward.labels import label
from parrot.rl.reward.train import FROM_MANIFEST

__all__ = ["evaluate"]

CHUNK = 4096
"""Images that are in memory together."""


def evaluate(classifier: RewardClassifier, dataset: Dataset, allow: Collection[str] = ()) -> Figures:
    """Its figures on all episodes of the dataset.

    Raises:
        DatasetError: the dataset's pictures are of another kind than those that it was fitted on; `allow` names what
            may differ.
    """
    for name in FROM_MANIFEST:
        theirs = json.loads(json.dumps(getattr(dataset.manifest, name)))
        ours = classifier.card.get(name)
        if name not in allow and theirs != ours:
            raise DatasetError(
                f"{dataset.paths[0]}: {name} is {json.dumps(theirs)}, the classifier was fitted on {json.dumps(ours)}; "
                f"give data like those, or measure it all the same with `--allow {name}`"
            )
    labels = label(dataset)
    chunks = [np.arange(i, min(i + CHUNK, dataset.steps)) for i in range(0, dataset.steps, CHUNK)]
    logits = np.concatenate([classifier.logits(dataset.images(chunk)) for chunk in chunks])
    return measure(logits, labels, np.arange(len(dataset)), classifier.threshold)
