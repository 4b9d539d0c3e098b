"""Batches for maximum likelihood: split by episode, shuffling, random shifts, dequantisation, prefetching.

Batch number `step` depends on nothing but the seed and `step`, so that a resumed training sees what an unbroken
one would have seen.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot.data.dataset import Dataset
from parrot.errors import DatasetError
from parrot.prior.augment import random_shift
from parrot.prior.epochs import Epochs
from parrot.prior.presets import TrainConfig
from parrot.prior.sources import Sources
from parrot.spaces import IMAGE_SHAPE, to_chw

__all__ = ["Batch", "Batches", "Past", "dequantise", "held_out_batch", "images_at_hand", "split_episodes", "windows"]

_HELD_OUT_EPISODES = 500
_HELD_OUT_PAIRS = 4096
_READY = 4
_CHUNK = 4096

MEMORY_SHARE = 0.5
"""Images that need more than this share of the free memory stay on disk."""


@dataclass(frozen=True)
class Past:
    """The steps before each example, the latest first; none that lie before its episode's beginning."""

    image: Tensor
    """(B, past, 3, 48, 48) uint8."""
    action: Tensor
    """(B, past, 7) float32, as recorded."""
    known: Tensor
    """(B, past) float32: 1 where there is such a step, else 0."""


@dataclass(frozen=True)
class Batch:
    """State-action pairs as tensors, or the beginnings of episodes with all their actions."""

    image: Tensor
    """(B, 3, 48, 48) uint8, channels last in memory."""
    action: Tensor
    """(B, 7) float32, dequantised; or (B, horizon, 7)."""
    contrast: Tensor | None = None
    """(B, 1, 1, 1) float32: factor about mid-grey."""
    brightness: Tensor | None = None
    """(B, 1, 1, 1) float32: added, in units of a pixel's value."""
    past: Past | None = None
    """What came before, if the model looks at it."""

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return self._each(lambda part: part.to(device, non_blocking=True))

    def split(self, size: int) -> Iterator[Batch]:
        """The same in batches of at most `size` examples."""
        for start in range(0, len(self.image), size):
            yield self._each(lambda part, start=start: part[start : start + size])  # type: ignore[misc]

    def pixels(self) -> Tensor:
        """(B, 3, 48, 48): the image, with contrast and brightness changed if they are given."""
        return self.changed(self.image)

    def changed(self, images: Tensor) -> Tensor:
        """Images (B, ..., 3, 48, 48) of the examples with contrast and brightness changed if they are given."""
        if self.contrast is None or self.brightness is None:
            return images
        shape = (-1, *[1] * (images.ndim - 1))
        return (images.float() - 127.5) * self.contrast.view(shape) + (127.5 + self.brightness.view(shape))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        past = self.past and Past(change(self.past.image), change(self.past.action), change(self.past.known))
        contrast, brightness = (part if part is None else change(part) for part in (self.contrast, self.brightness))
        return Batch(change(self.image), change(self.action), contrast, brightness, past)


def images_at_hand(dataset: Dataset) -> Callable[[NDArray[np.int64]], NDArray[np.uint8]]:
    """A function from steps to images: out of memory if they fit there well, else out of the dataset's files.

    Shuffled reading of a cold disk takes minutes to warm up; reading in order first takes seconds.
    """
    if dataset.steps * int(np.prod(IMAGE_SHAPE)) > MEMORY_SHARE * psutil.virtual_memory().available:
        return dataset.images
    images = np.empty((dataset.steps, *IMAGE_SHAPE), np.uint8)
    for start in range(0, dataset.steps, _CHUNK):
        stop = min(start + _CHUNK, dataset.steps)
        images[start:stop] = dataset.images(np.arange(start, stop))
    return images.__getitem__


def split_episodes(
    dataset: Dataset, fraction: float, seed: int, k: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Steps to train on and steps held out, no episode in both.

    Of several datasets each is split by itself, as if it were alone: what a prior trained on one of them held out is
    held out in every mixture, too.

    Args:
        dataset: One dataset or several.
        fraction: Share of the episodes to hold out.
        seed: Of the choice.
        k: Which dataset of several; None: all.

    Raises:
        DatasetError: there are fewer than two episodes.
    """
    if len(dataset) < 2:
        raise DatasetError(
            f"the dataset holds {len(dataset)} episodes; training a prior needs at least two: collect more"
        )
    if k is None:
        parts = [split_episodes(dataset, fraction, seed, k) for k in range(len(dataset.paths))]
        return np.concatenate([train for train, _ in parts]), np.concatenate([held for _, held in parts])
    first = int(dataset.bounds[k])
    episodes = int(dataset.bounds[k + 1]) - first
    # A dataset of a single episode, beside others, is all for training.
    held = min(max(1, round(fraction * episodes)), _HELD_OUT_EPISODES, max(episodes - 1, 0))
    order = first + np.random.default_rng([seed, 0]).permutation(episodes)

    def steps(chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        ranges = [np.arange(dataset.offsets[i], dataset.offsets[i + 1]) for i in np.sort(chosen)]
        return np.concatenate([np.zeros(0, np.int64), *ranges])

    return steps(order[held:]), steps(order[:held])


def dequantise(
    action: NDArray[np.float32], inside: float, bound: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Actions with a density: Gaussian noise inside the box, and outward half-normal noise where they were clipped.

    Recording clips actions to [-1, 1]; what lies on the bound was beyond it. Moving it back out leaves no spike for
    the flow to chase, and executing the action clips it to the very value that was recorded.

    Args:
        action: (..., 7) in [-1, 1].
        inside: Deviation of the noise inside.
        bound: Deviation of the noise at the bounds.
        rng: Source of the noise.
    """
    noise = rng.standard_normal(action.shape, dtype=np.float32)
    clipped = np.abs(action) >= 1.0 - 1e-6
    return action + np.where(clipped, np.sign(action) * np.abs(noise) * np.float32(bound), noise * np.float32(inside))


def windows(sources: Sources, steps: NDArray[np.int64], horizon: int) -> NDArray[np.float32]:
    """The actions of those steps, (B, 7), or with a horizon above 1 those that follow, too: (B, horizon, 7).

    After the end of its episode the arm stands still: zeros.
    """
    if horizon == 1:
        return sources.actions[steps]
    offsets = sources.dataset.offsets
    stop = offsets[np.searchsorted(offsets, steps, side="right")][:, None]
    places = steps[:, None] + np.arange(horizon)
    return np.where((places < stop)[..., None], sources.actions[np.minimum(places, stop - 1)], np.float32(0))


def before(sources: Sources, steps: NDArray[np.int64], past: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The `past` steps before each, the latest first, (B, past), and whether they belong to the same episode."""
    offsets = sources.dataset.offsets
    start = offsets[np.searchsorted(offsets, steps, side="right") - 1][:, None]
    places = steps[:, None] - np.arange(1, past + 1)
    return np.maximum(places, start), places >= start


class Batches:
    """The training batches, by number; of each the part that one of several workers trains on."""

    def __init__(
        self, sources: Sources, epochs: Epochs, config: TrainConfig, worker: int = 0, workers: int = 1, horizon: int = 1
    ) -> None:
        self.sources, self.epochs, self.config, self.horizon = sources, epochs, config, horizon
        self._part = slice(worker, None, workers)
        self._seed = (config.seed, 2, *((worker,) if worker else ()))

    @cached_property
    def images(self) -> Callable[[NDArray[np.int64]], NDArray[np.uint8]]:
        """From steps to images; whatever of them belongs into memory is read at first use."""
        return images_at_hand(self.sources.dataset)

    def at(self, step: int) -> Batch:
        """Batch number `step`."""
        config = self.config
        rng = np.random.default_rng([*self._seed, step])
        index = self.index(step)[self._part]
        places, known = before(self.sources, index, config.model.past)
        # An example's images are shifted together, as a camera would be that stands a little elsewhere.
        images = random_shift(_side_by_side(self.images, index, places), config.shift, rng)
        action = dequantise(windows(self.sources, index, self.horizon), config.dequantise, config.dequantise_bound, rng)
        contrast = brightness = None
        if config.jitter:
            scale = rng.uniform(-config.jitter, config.jitter, size=(2, len(index), 1, 1, 1)).astype(np.float32)
            contrast, brightness = torch.from_numpy(1.0 + scale[0]), torch.from_numpy(127.5 * scale[1])
        if config.model.forget:
            known = known & (rng.random((len(index), 1)) >= config.model.forget)
        return _batch(images, action, self.sources.actions[places], known, contrast, brightness)

    def stream(self, start: int, stop: int) -> Iterator[Batch]:
        """Batches `start` to `stop`, made ahead of time in a thread."""
        ready: queue.Queue[Batch | BaseException | None] = queue.Queue(_READY)
        leave = threading.Event()

        def offer(item: Batch | BaseException | None) -> None:
            while not leave.is_set():
                try:
                    return ready.put(item, timeout=0.1)
                except queue.Full:
                    continue

        def work() -> None:
            try:
                for step in range(start, stop):
                    if leave.is_set():
                        return
                    offer(self.at(step))
                offer(None)
            except BaseException as error:  # handed to the consumer, which raises it
                offer(error)

        thread = threading.Thread(target=work, name="batches", daemon=True)
        thread.start()
        try:
            while (item := ready.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            leave.set()
            thread.join()

    def index(self, step: int) -> NDArray[np.int64]:
        """The steps of the dataset in batch number `step`, (batch,), those of all workers."""
        n, size = len(self.epochs), self.config.batch
        places = np.arange(step * size, (step + 1) * size)
        index = np.empty(size, dtype=np.int64)
        for epoch in np.unique(places // n):
            here = places // n == epoch
            index[here] = self.epochs.steps(int(epoch))[places[here] % n]
        return index


def held_out_batch(sources: Sources, steps: NDArray[np.int64], config: TrainConfig, horizon: int = 1) -> Batch:
    """The examples that the held-out likelihood of a dataset is measured on: the same at every call."""
    index = steps[np.linspace(0, len(steps) - 1, min(len(steps), _HELD_OUT_PAIRS)).astype(np.int64)]
    rng = np.random.default_rng([config.seed, 3])
    action = dequantise(windows(sources, index, horizon), config.dequantise, config.dequantise_bound, rng)
    places, known = before(sources, index, config.model.past)
    return _batch(_side_by_side(sources.dataset.images, index, places), action, sources.actions[places], known)


def _side_by_side(
    images: Callable[[NDArray[np.int64]], NDArray[np.uint8]], steps: NDArray[np.int64], places: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Images (B, 48, 48, 3 + 3 past) of each step and of those before it, as channels of one."""
    if not places.shape[1]:
        return images(steps)
    return np.concatenate([images(steps), *(images(places[:, k]) for k in range(places.shape[1]))], axis=-1)


def _batch(
    images: NDArray[np.uint8],
    action: NDArray[np.float32],
    actions_before: NDArray[np.float32],
    known: NDArray[np.bool_],
    contrast: Tensor | None = None,
    brightness: Tensor | None = None,
) -> Batch:
    """A batch of images as `_side_by_side`, with a past if they have one."""
    now = torch.from_numpy(to_chw(images[..., :3]))
    if not known.shape[1]:
        return Batch(now, torch.from_numpy(action), contrast, brightness)
    shape = (len(images), *images.shape[1:3], known.shape[1], 3)
    earlier = np.moveaxis(images[..., 3:].reshape(shape), (3, 4), (1, 2))
    past = Past(
        torch.from_numpy(np.ascontiguousarray(earlier)),
        torch.from_numpy(actions_before),
        torch.from_numpy(known.astype(np.float32)),
    )
    return Batch(now, torch.from_numpy(action), contrast, brightness, past)
