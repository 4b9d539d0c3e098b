"""Which images of recorded episodes show success: what a classifier of success learns from.

An episode's image t was seen before action t, so what reward t was given for is image t + 1. The image after the last
action is not recorded.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parrot.data.dataset import Dataset
from parrot.errors import DatasetError

__all__ = ["FAILURE", "FEWEST", "MARGIN", "SUCCESS", "Labels", "label", "open_dataset"]

MARGIN = 3
"""Steps before the first success whose images are in no class: the object hangs a little lower, but it hangs."""

FEWEST = 5
"""Episodes of each kind, at least: some of each are held out."""

BAGS = (".mcap", ".db3", ".bag")
"""How the names of files of bags end."""

SUCCESS, FAILURE, NEITHER = 1, 0, -1


@dataclass(frozen=True)
class Labels:
    """The classes of all images of a dataset, by step, and the kinds of its episodes."""

    image: NDArray[np.int8]
    """(steps,): 1 success, 0 failure, -1 neither, which is left out."""
    episode: NDArray[np.int64]
    """(steps,): which episode each belongs to."""
    succeeded: NDArray[np.bool_]
    """(episodes,): whether some image of the episode shows success."""

    def of(self, episodes: NDArray[np.integer]) -> NDArray[np.int64]:
        """The steps of these episodes, in order."""
        return np.flatnonzero(np.isin(self.episode, episodes))


def label(dataset: Dataset) -> Labels:
    """Success: the image after each rewarded action; where none is recorded, a successful episode's last image.

    Failure: all images of episodes without success, and those of the others up to `MARGIN` steps before the first
    success. Neither: the images in between, and those after a success that did not last.
    """
    images = np.full(dataset.steps, NEITHER, np.int8)
    succeeded = np.zeros(len(dataset), bool)
    rewards = dataset.rewards
    for i in range(len(dataset)):
        begin, end = dataset.offsets[i : i + 2]
        images[begin:end], succeeded[i] = _label(rewards[begin:end] > 0, bool(dataset.success[i]))
    episode = np.repeat(np.arange(len(dataset)), np.diff(dataset.offsets))
    return Labels(images, episode, succeeded)


def _label(rewarded: NDArray[np.bool_], success: bool) -> tuple[NDArray[np.int8], bool]:
    """The classes (T,) of one episode's images, and whether it succeeded."""
    length = len(rewarded)
    if not success and not rewarded.any():
        return np.full(length, FAILURE, np.int8), False
    found = np.full(length, NEITHER, np.int8)
    shows = np.flatnonzero(rewarded[:-1]) + 1
    if not len(shows):
        shows = np.array([length - 1])
    found[shows] = SUCCESS
    found[: max(0, shows[0] - MARGIN)] = FAILURE
    return found, True


def open_dataset(paths: Sequence[Path], allow: Collection[str] = ()) -> Dataset:
    """The datasets as one; `allow` as in `Dataset.open`.

    Raises:
        DatasetError: as `Dataset.open`; or one of them is a bag.
    """
    for path in paths:
        if path.suffix in BAGS or (path / "metadata.yaml").is_file() or any(path.glob("*.mcap")):
            raise DatasetError(
                f"{path} is a bag; make a dataset of it: `parrot data from-bags {path} --out DATASET --keep-failures`"
            )
    return Dataset.open(paths, allow)
