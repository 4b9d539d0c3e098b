"""Gradient steps of a prior on a GPU: the data lies there, and each step is replayed as one CUDA graph.

A step of these small networks is some hundred kernels of a few microseconds. Started one by one from Python, with each
batch made and sent by the processor, they leave the GPU idle for most of the time.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import shutil
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot.prior.base import Model, Prior
from parrot.prior.batches import Batch
from parrot.prior.encoder import native_bf16
from parrot.prior.presets import TrainConfig
from parrot.prior.sources import Sources
from parrot.spaces import IMAGE_SHAPE, IMAGE_SIZE

__all__ = ["GraphedStep", "graphable"]

log = logging.getLogger(__name__)

MEMORY_SHARE = 0.7
"""Images that need more than this share of the GPU's free memory stay in the computer's."""

_CHUNK = 16_384
_WARM_UP = 3
"""Steps before the capture: libraries choose their kernels and allocate what they work in."""


def graphable(model: type[Model], config: TrainConfig, sources: Sources, device: torch.device, workers: int) -> bool:
    """Whether a gradient step can be one graph: nothing in it depends on the step but numbers that a tensor may hold.

    So not with several workers, which exchange gradients, nor of models whose score has a schedule or noise of its own.
    """
    if device.type != "cuda" or workers > 1 or config.model.past:
        return False
    if not issubclass(model, Prior) or model.score is not Prior.score:
        return False
    return sources.dataset.steps * int(np.prod(IMAGE_SHAPE)) <= MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]


class GraphedStep:
    """A gradient step of a prior whose batches are drawn, shifted and dequantised where the prior is.

    Its noise comes from the device's generator: the same training on a processor sees other noise of the same kind.

    Args:
        sources: What to train on; all of it is copied to the device.
        config: How.
        prior: What is trained.
        average: The average of its weights.
        optimizer: Of the prior's parameters; on a GPU capturable, with its learning rate in a tensor there.
        device: Where all of them are. Elsewhere than on a GPU the same step runs without a graph.
    """

    def __init__(
        self, sources: Sources, config: TrainConfig, prior: Prior, average: Prior, optimizer: torch.optim.Optimizer,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.config, self.device = config, device
        self.prior, self.average, self.optimizer = prior, average, optimizer
        self.images = _on_device(sources, device)
        self.actions = torch.from_numpy(np.ascontiguousarray(sources.actions)).to(device)
        self.generator = torch.Generator(device)
        self.index = torch.zeros(config.batch, dtype=torch.int64, device=device)
        self.rates = [group["lr"] for group in optimizer.param_groups]
        self.follow = torch.ones((), device=device)
        self.likelihood = torch.zeros((), device=device)
        self._bf16 = config.bf16 and native_bf16(device)
        self._pixels = torch.arange(IMAGE_SIZE, device=device)
        self._score = self._log_likelihood
        self._replay = self._step
        if device.type == "cuda":
            if _compiles():
                log.info("compiling the gradient step for %s: about half a minute", torch.cuda.get_device_name(device))
                self._score = torch.compile(self._log_likelihood, dynamic=False)
            with _fastest(self._bf16):
                self._replay = self._capture().replay

    images: Tensor
    """(steps, 48, 48, 3) uint8, of the whole dataset."""
    actions: Tensor
    """(steps, 7) float32."""
    likelihood: Tensor
    """Of the latest step; the next one overwrites it."""

    def __call__(self, index: NDArray[np.int64], seed: int, rate: float, decay: float) -> Tensor:
        """Makes a gradient step and returns the batch's mean log-likelihood, in nats; on a GPU without waiting for it.

        Args:
            index: (batch,) steps of the dataset.
            seed: of the noise.
            rate: the learning rate.
            decay: of the average of the weights.
        """
        self.index.copy_(torch.from_numpy(index), non_blocking=True)
        self.generator.manual_seed(seed)
        for held in self.rates:
            held.fill_(rate)
        self.follow.fill_(1.0 - decay)
        self._replay()
        return self.likelihood

    def _draws(self) -> tuple[Tensor, Tensor, Tensor]:
        """Raw noise for a batch: of the actions (B, 7), of the offsets (2, B, 1), of contrast and brightness."""
        source, device, pixels = self.generator, self.device, self.config.shift
        count = len(self.index)
        noise = torch.randn(count, self.actions.shape[1], generator=source, device=device)
        offsets = torch.randint(-pixels, pixels + 1, (2, count, 1), generator=source, device=device)
        return noise, offsets, torch.rand(2, count, 1, 1, 1, generator=source, device=device)

    def _batch(self, noise: Tensor, offsets: Tensor, uniform: Tensor) -> Batch:
        """The examples at `index` with what `_draws` drew, as `parrot.prior.batches.Batches.at` makes them."""
        config, action = self.config, self.actions[self.index]
        outwards = action.sign() * noise.abs() * config.dequantise_bound
        action = action + torch.where(action.abs() >= 1.0 - 1e-6, outwards, noise * config.dequantise)
        if config.shift:  # each image by its own offset; the border repeats (`parrot.prior.augment`)
            rows, columns = (self._pixels + offsets).clamp(0, IMAGE_SIZE - 1)
            image = self.images[self.index[:, None, None], rows[:, :, None], columns[:, None, :]]
        else:
            image = self.images[self.index]
        contrast = brightness = None
        if config.jitter:
            scale = config.jitter * (2.0 * uniform - 1.0)
            contrast, brightness = 1.0 + scale[0], 127.5 * scale[1]
        return Batch(image.permute(0, 3, 1, 2), action, contrast, brightness)

    def _log_likelihood(self, noise: Tensor, offsets: Tensor, uniform: Tensor) -> Tensor:
        batch = self._batch(noise, offsets, uniform)
        # As `training_autocast`, which asks the device what it can do; a graph must not keep what a cast once gave.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16, cache_enabled=False):
            features = self.prior.features_in(batch)
        return self.prior.log_prob(batch.action, features=features).mean()

    def _step(self) -> None:
        likelihood = self._score(*self._draws())
        self.optimizer.zero_grad(set_to_none=True)
        (-likelihood).backward()
        if self.config.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.prior.parameters(), self.config.clip)
        self.optimizer.step()
        with torch.no_grad():
            mine: list[Tensor] = list(self.average.parameters())
            latest: list[Tensor] = list(self.prior.parameters())
            if self.config.ema:
                towards = torch._foreach_sub(latest, mine)
                torch._foreach_mul_(towards, self.follow)
                torch._foreach_add_(mine, towards)
            else:
                torch._foreach_copy_(mine, latest)
            self.likelihood.copy_(likelihood.detach())

    def _capture(self) -> torch.cuda.CUDAGraph:
        """A step as a graph; weights, moments and average are afterwards what they were before."""
        weights = [*self.prior.parameters(), *self.average.parameters()]
        before = [weight.detach().clone() for weight in weights]
        moments = {p: {k: v.clone() for k, v in state.items()} for p, state in self.optimizer.state.items()}
        aside = torch.cuda.Stream(self.device)
        aside.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                self._step()
        torch.cuda.current_stream(self.device).wait_stream(aside)
        self.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        with torch.cuda.graph(graph):
            self._step()
        with torch.no_grad():
            for weight, value in zip(weights, before, strict=True):
                weight.copy_(value)
            for parameter, state in self.optimizer.state.items():
                for name, value in state.items():
                    if parameter in moments:
                        value.copy_(moments[parameter][name])
                    else:
                        value.zero_()
        return graph


@contextlib.contextmanager
def _fastest(bf16: bool) -> Iterator[None]:
    """Has what is captured use the fastest convolutions, found by trying them, and TF32 for float32 products.

    A training in bfloat16 does not notice TF32; another one is left in full precision.
    """
    precision, trying = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    torch.set_float32_matmul_precision("high" if bf16 else precision)
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.benchmark = trying


def _compiles() -> bool:
    """Whether torch.compile has what it needs to fuse kernels: Triton, and a C compiler for what starts them."""
    return importlib.util.find_spec("triton") is not None and any(map(shutil.which, ("cc", "gcc", "clang")))


def _on_device(sources: Sources, device: torch.device) -> Tensor:
    """All images, (steps, 48, 48, 3) uint8, read in order."""
    images = torch.empty((sources.dataset.steps, *IMAGE_SHAPE), dtype=torch.uint8, device=device)
    for start in range(0, len(images), _CHUNK):
        stop = min(start + _CHUNK, len(images))
        images[start:stop] = torch.from_numpy(sources.dataset.images(np.arange(start, stop)))
    return images
