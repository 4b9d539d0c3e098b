"""What a training on recorded images and actions gives: a model, a decoder of actions, a prior (paper, section 4).

Model               looks at images, is trained by `score`, lies in one file with its card
ActionDecoder       and turns latents into actions: all that latent RL needs
Prior               and does so invertibly: actions have latents and a likelihood
TrajectoryDecoder   a model that turns a latent into all actions of an episode
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from parrot.errors import SpaceError
from parrot.spaces import ACTION_DIM, IMAGE_SIZE

if TYPE_CHECKING:
    from parrot.prior.batches import Batch
    from parrot.prior.presets import TrainConfig

__all__ = ["ActionDecoder", "Model", "ModelConfig", "Prior", "TrajectoryDecoder", "base_log_prob"]

LOG_2PI = math.log(2.0 * math.pi)


def base_log_prob(z: Tensor) -> Tensor:
    """Log-density (B,) in nats of the latents (B, D) under the base distribution N(0, I)."""
    return -0.5 * (z.square() + LOG_2PI).sum(-1)


@dataclass(frozen=True)
class ModelConfig:
    """The architecture of a model, saved with its weights; each kind adds fields of its own."""

    kind: str = "flow"
    """Which kind of model this is, of `parrot.prior.kinds.KINDS`."""
    encoder: str = "paper"
    """Name of the image encoder, of `parrot.prior.encoder.ENCODERS`."""
    channels: int = 16
    """Channels of the encoder's convolutions."""
    features: int = 256
    """Length of the image's encoding."""

    @property
    def past(self) -> int:
        """How many steps before an example are seen with it."""
        return 0

    @property
    def forget(self) -> float:
        """Share of the training examples whose past is hidden."""
        return 0.0


class Model(nn.Module, ABC):
    """What is trained on recorded images and actions, by `parrot.prior.train.Trainer`.

    A kind of model says what of an example it learns from, and how its score, which training raises, comes about.
    """

    CONFIG: ClassVar[type[ModelConfig]]
    """Type of its configuration; `KIND(config)` makes one with random weights."""
    PRESETS: ClassVar[Mapping[str, Callable[[], TrainConfig]]]
    """Ways to train it, `paper` and `fast`."""
    HORIZON: ClassVar[int] = 1
    """Actions in an example: one, with the image that it was chosen by; or so many from the start of an episode, with
    its first image."""

    encoder: nn.Module
    """(B, 3, 48, 48) uint8 -> (B, feature_dim) float32."""
    feature_dim: int
    """Length of the image's encoding psi(s); with what else an example is seen with."""
    config: ModelConfig
    """Its architecture."""
    card: dict[str, Any]
    """What made it: configuration, dataset, training, versions. Saved with the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.card = {}

    @abstractmethod
    def score(self, batch: Batch, features: Tensor, step: int, generator: torch.Generator) -> Tensor:
        """What training raises, (B,): the log-likelihood of each example in nats, a lower bound of it or the like.

        Args:
            batch: The examples; `batch.action` is (B, 7), or (B, HORIZON, 7) if the kind learns from several.
            features: `features_in(batch)`.
            step: Gradient steps made, for schedules.
            generator: Source of whatever noise it needs, on the device of the batch.
        """

    def features_in(self, batch: Batch) -> Tensor:
        """Features (B, feature_dim) of the examples that training shows it, changed as `batch` says."""
        return self.encode_image(batch.pixels())

    def measures(self, batch: Batch, features: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Further figures of held-out examples, or of some of them, by name, each (N,); for the learning curve."""
        return {}

    def begin(self, mean: Tensor, std: Tensor) -> None:
        """Called once before the first gradient step with the mean and deviation (7,) of the recorded actions."""

    def encode_image(self, image: Tensor) -> Tensor:
        """Features (B, feature_dim) float32 of the images (B, 3, 48, 48) uint8.

        Raises:
            SpaceError: the images have another shape.
        """
        expected = (3, IMAGE_SIZE, IMAGE_SIZE)
        if image.ndim != 4 or image.shape[1:] != expected:
            raise SpaceError(
                f"image has shape {tuple(image.shape)}; the prior takes (B, 3, {IMAGE_SIZE}, {IMAGE_SIZE})"
            )
        return self.encoder(image).float()

    def features_of(self, image: Tensor | None, features: Tensor | None) -> Tensor:
        """The features given, or else those of the image.

        Raises:
            SpaceError: neither or both were given.
        """
        if (image is None) == (features is None):
            raise SpaceError("give the prior either an image or features, not both and not neither")
        return features if features is not None else self.encode_image(image)  # type: ignore[arg-type]


class ActionDecoder(Model):
    """A map of latents to actions that an image conditions, a = f(z; s), under which z ~ N(0, I) behaves as recorded.

    The image may be given as it is, or, to encode it once and use it often, as `features=prior.encode_image(image)`.
    Actions are unbounded here, so that a map may be exactly invertible: clip to [-1, 1] where an action is executed.
    """

    def __init__(self, latent_dim: int = ACTION_DIM, action_dim: int = ACTION_DIM) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.action_dim = action_dim

    @abstractmethod
    def decode(self, z: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """Actions (B, action_dim), not yet clipped, of the latents (B, latent_dim)."""

    def sample_latent(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """`n` latents (n, latent_dim) from the base distribution N(0, I)."""
        device = next(self.parameters()).device
        z = torch.randn(n, self.latent_dim, generator=generator, device=generator.device if generator else device)
        return z.to(device)


class Prior(ActionDecoder):
    """A state-conditioned distribution over actions, p(a | s), as an invertible map of noise: a = f(z; s)."""

    @abstractmethod
    def encode(self, action: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """Latents (B, latent_dim) of the actions (B, action_dim): the inverse of `decode`."""

    @abstractmethod
    def log_prob(self, action: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """Log-likelihood (B,) in nats of the actions (B, action_dim), as equation 2 of the paper."""

    def score(self, batch: Batch, features: Tensor, step: int, generator: torch.Generator) -> Tensor:
        """The log-likelihood, (B,) nats (section 4.1)."""
        return self.log_prob(batch.action, features=features)


class TrajectoryDecoder(Model):
    """A map of latents to all actions of an episode, under which z ~ N(0, I) behaves as recorded: in open loop."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim

    @abstractmethod
    def decode(self, z: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """Actions (B, HORIZON, 7), not yet clipped, of the latents (B, latent_dim) and the first image of each episode.

        The image is given as in `ActionDecoder`.
        """
