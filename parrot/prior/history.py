"""A behavioral prior that remembers: p(a | s) given the steps before, too (paper, section 5.1, left to others there).

An image hides how fast things move, whether the gripper was told to close, and which object the arm is on its way to.
The last steps tell. What is known of them is used as a window, so that a moment's action depends on nothing older.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from parrot.prior import presets
from parrot.prior.batches import Batch
from parrot.prior.flow import FlowPrior
from parrot.prior.presets import PriorConfig, TrainConfig
from parrot.spaces import ACTION_DIM

__all__ = ["HistoryConfig", "HistoryPrior", "fast", "paper"]


@dataclass(frozen=True)
class HistoryConfig(PriorConfig):
    """The architecture of a prior that remembers; saved with its weights."""

    kind: str = "history"
    """As in `ModelConfig`."""
    past: int = 3
    """How many steps before this one it looks at."""
    forget: float = 0.2
    """Share of the training examples whose past is hidden, so that the prior acts sensibly without one."""

    @property
    def step(self) -> int:
        """Numbers that stand for a step before: of its image, its action, and that there was one."""
        return self.features + ACTION_DIM + 1


def paper() -> TrainConfig:
    """The training of the paper's flow (appendix B), with a past."""
    return replace(presets.paper(), model=HistoryConfig())


def fast() -> TrainConfig:
    """For two CPU cores, as the flow's preset of that name."""
    flow = presets.fast().model
    assert isinstance(flow, PriorConfig)
    fields = {name: value for name, value in vars(flow).items() if name != "kind"}
    return replace(presets.fast(), model=HistoryConfig(**fields))


class HistoryPrior(FlowPrior):
    """A flow whose features are those of the image, and those of the images and actions before it.

    Given an image alone, it acts as at the beginning of an episode. `parrot.prior.control.HistoryController` remembers
    for it; `with_past` is for whoever does so otherwise.

    Example:
        >>> prior = HistoryPrior(HistoryConfig(past=2))
        >>> image = torch.zeros(1, 3, 48, 48, dtype=torch.uint8)
        >>> now = prior.encode_now(image)
        >>> before = torch.stack([now, now], 1), torch.zeros(1, 2, 7), torch.ones(1, 2)
        >>> prior.decode(torch.zeros(1, 7), features=prior.with_past(now, *before)).shape
        torch.Size([1, 7])
    """

    CONFIG = HistoryConfig
    PRESETS = {"paper": paper, "fast": fast}  # noqa: RUF012

    config: HistoryConfig

    def __init__(self, config: HistoryConfig) -> None:
        super().__init__(config, features=config.features + config.past * config.step)

    def encode_now(self, image: Tensor) -> Tensor:
        """Features (B, config.features) float32 of the images (B, 3, 48, 48) alone.

        Raises:
            SpaceError: the images have another shape.
        """
        return super().encode_image(image)

    def encode_image(self, image: Tensor) -> Tensor:
        """Features (B, feature_dim) of images (B, 3, 48, 48) that nothing came before.

        Raises:
            SpaceError: the images have another shape.
        """
        now = self.encode_now(image)
        return torch.cat([now, now.new_zeros(len(now), self.config.past * self.config.step)], 1)

    def with_past(self, now: Tensor, before: Tensor, actions: Tensor, known: Tensor) -> Tensor:
        """Features (B, feature_dim) of a moment and of the `past` steps before it, the latest first.

        Args:
            now: (B, config.features): of the image, as `encode_now`.
            before: (B, past, config.features): of the images before it.
            actions: (B, past, 7): what was executed when those were seen, in [-1, 1].
            known: (B, past): 1 where there was such a step, 0 before the episode's beginning.
        """
        past = torch.cat([before, actions, torch.ones_like(known)[..., None]], -1) * known[..., None]
        return torch.cat([now, past.flatten(1)], 1)

    def features_in(self, batch: Batch) -> Tensor:
        """As `Model.features_in`, with the past of the examples."""
        past = batch.past
        if past is None:
            return self.encode_image(batch.pixels())
        count, window = past.known.shape
        # One pass through the encoder for all images of the batch.
        pixels = torch.cat([batch.pixels(), batch.changed(past.image).flatten(0, 1)])
        features = self.encode_now(pixels)
        before = features[count:].unflatten(0, (count, window))
        return self.with_past(features[:count], before, past.action, past.known)
