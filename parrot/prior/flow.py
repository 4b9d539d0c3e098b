"""The flow: coupling layers that an image conditions (paper, section 4.1 and appendix B)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from parrot.prior.base import Prior, base_log_prob
from parrot.prior.coupling import make_coupling, splits
from parrot.prior.encoder import make_encoder
from parrot.prior.presets import PRESETS, PriorConfig, TrainConfig
from parrot.spaces import ACTION_DIM

__all__ = ["FlowPrior", "back"]


class FlowPrior(Prior):
    """A behavioral prior as a normalizing flow, a = f(z; s) (paper, section 4); with affine layers the real NVP.

    The image is encoded once; every coupling layer takes the same features. `encode` and `decode` compute the couplings
    in double precision, so that one inverts the other to 1e-4 where the map is flat, too; `log_prob`, which training
    calls, in that of its arguments.

    Example:
        >>> prior = FlowPrior(PriorConfig())
        >>> image = torch.zeros(2, 3, 48, 48, dtype=torch.uint8)
        >>> z = prior.sample_latent(2, torch.Generator().manual_seed(0))
        >>> action = prior.decode(z, image)
        >>> torch.allclose(prior.encode(action, image), z, atol=1e-4)
        True
        >>> prior.log_prob(action, image).shape
        torch.Size([2])
    """

    CONFIG = PriorConfig
    PRESETS: ClassVar[Mapping[str, Callable[[], TrainConfig]]] = PRESETS

    config: PriorConfig
    mean: Tensor
    std: Tensor

    def __init__(self, config: PriorConfig, dim: int = ACTION_DIM, features: int | None = None) -> None:
        super().__init__(latent_dim=dim, action_dim=dim)
        self.config = config
        self.feature_dim = features or config.features
        self.encoder = make_encoder(config.encoder, config.features, config.channels)
        self.couplings = nn.ModuleList(
            make_coupling(config.coupling, kept, dim, self.feature_dim, config.hidden)
            for kept in splits(dim, config.layers)
        )
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))

    def begin(self, mean: Tensor, std: Tensor) -> None:
        """As `Model.begin`."""
        if self.config.standardise:
            self.standardise(mean, std)

    def standardise(self, mean: Tensor, std: Tensor) -> None:
        """Makes the fixed affine map after the last coupling that of actions with this mean and deviation (dim,)."""
        self.mean.copy_(mean)
        self.std.copy_(std.clamp_min(1e-3))

    def decode(self, z: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """Actions (B, dim), not yet clipped, of the latents (B, dim)."""
        kind, features = z.dtype, self.features_of(image, features).double()
        z = z.double()
        for coupling in self.couplings:
            z, _ = coupling(z, features)
        return (z * self.std + self.mean).to(kind)

    def encode(self, action: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """Latents (B, dim) of the actions (B, dim): the inverse of `decode`."""
        return self._invert(action.double(), self.features_of(image, features).double())[0].to(action.dtype)

    def log_prob(self, action: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """Log-likelihood (B,) in nats (equation 2)."""
        z, log_det = self._invert(action, self.features_of(image, features))
        return base_log_prob(z) + log_det

    def _invert(self, action: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        return back(self.couplings, self.mean, self.std, action, features)


def back(
    couplings: nn.ModuleList, mean: Tensor, std: Tensor, action: Tensor, features: Tensor
) -> tuple[Tensor, Tensor]:
    """Actions (B, dim) back through the affine map and all couplings: latents (B, dim), log-determinant (B,)."""
    z = (action - mean) / std
    total = -std.log().sum()
    for coupling in reversed(couplings):
        z, log_det = coupling.inverse(z, features)  # type: ignore[operator]
        total = total + log_det
    return z, total
