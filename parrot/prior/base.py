"""What every behavioral prior offers: images to features, latents to actions and back (paper, section 4)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from parrot.errors import SpaceError
from parrot.spaces import ACTION_DIM, IMAGE_SIZE

__all__ = ["Prior"]


class Prior(nn.Module, ABC):
    """A state-conditioned distribution over actions, p(a | s), as an invertible map of noise: a = f(z; s).

    The image may be given as it is, or, to encode it once and use it often, as `features=prior.encode_image(image)`.
    Actions are unbounded here, so that the map is exactly invertible: clip to [-1, 1] where an action is executed.
    """

    encoder: nn.Module
    """(B, 3, 48, 48) uint8 -> (B, feature_dim) float32."""
    feature_dim: int
    """Length of the image's encoding psi(s)."""
    card: dict[str, Any]
    """What made this prior: configuration, dataset, training, versions. Saved with the weights."""

    def __init__(self, latent_dim: int = ACTION_DIM, action_dim: int = ACTION_DIM) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.action_dim = action_dim
        self.card = {}

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

    @abstractmethod
    def decode(self, z: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """Actions (B, action_dim), not yet clipped, of the latents (B, latent_dim)."""

    @abstractmethod
    def encode(self, action: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """Latents (B, latent_dim) of the actions (B, action_dim): the inverse of `decode`."""

    @abstractmethod
    def log_prob(self, action: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """Log-likelihood (B,) in nats of the actions (B, action_dim), as equation 2 of the paper."""

    def sample_latent(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """`n` latents (n, latent_dim) from the base distribution N(0, I)."""
        device = next(self.parameters()).device
        z = torch.randn(n, self.latent_dim, generator=generator, device=generator.device if generator else device)
        return z.to(device)

    def features_of(self, image: Tensor | None, features: Tensor | None) -> Tensor:
        """The features given, or else those of the image.

        Raises:
            SpaceError: neither or both were given.
        """
        if (image is None) == (features is None):
            raise SpaceError("give the prior either an image or features, not both and not neither")
        return features if features is not None else self.encode_image(image)  # type: ignore[arg-type]
