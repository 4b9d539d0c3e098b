"""The conditional real NVP: affine coupling layers that an image conditions (paper, section 4.1 and appendix B)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from parrot.prior.base import Prior
from parrot.prior.encoder import make_encoder
from parrot.prior.presets import PriorConfig
from parrot.spaces import ACTION_DIM

__all__ = ["AffineCoupling", "FlowPrior", "splits"]

LOG_2PI = math.log(2.0 * math.pi)


def splits(dim: int, layers: int) -> list[tuple[int, ...]]:
    """For each layer, the components that it keeps: halves by turns, of an order that changes with every pair.

    Example:
        >>> splits(7, 4)
        [(0, 1, 2), (3, 4, 5, 6), (0, 4, 1), (5, 2, 6, 3)]
    """
    kept = []
    for layer in range(layers):
        stride = 1 + layer // 2
        order = sorted(range(dim), key=lambda i, s=stride: (i * s) % dim)  # type: ignore[misc]
        kept.append(tuple(order[: dim // 2] if layer % 2 == 0 else order[dim // 2 :]))
    return kept


class AffineCoupling(nn.Module):
    """One affine coupling layer, conditioned on image features (figure 8; Dinh et al., 2017).

    z'[changed] = z[changed] * exp(v) + t, with v and t from one network of z[kept] and the features. A soft bound on
    v keeps the map and its inverse well-conditioned, for reinforcement learning in z as for the inverse in float32.

    Example:
        >>> layer = AffineCoupling(kept=(0, 1, 2), dim=7, features=16, hidden=32)
        >>> z, features = torch.randn(5, 7), torch.randn(5, 16)
        >>> out, log_det = layer(z, features)
        >>> torch.allclose(layer.inverse(out, features)[0], z, atol=1e-5)
        True
    """

    order: Tensor
    undo: Tensor
    net: nn.Sequential

    def __init__(self, kept: Sequence[int], dim: int, features: int, hidden: int, scale_bound: float = 2.0) -> None:
        super().__init__()
        changed = [i for i in range(dim) if i not in kept]
        order = [*kept, *changed]
        self.scale_bound = scale_bound
        self.n_kept = len(kept)
        self.register_buffer("order", torch.tensor(order), persistent=False)
        self.register_buffer("undo", torch.tensor(order).argsort(), persistent=False)
        last = nn.Linear(hidden, 2 * len(changed))
        self.net = nn.Sequential(
            nn.Linear(len(kept) + features, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            last,
        )
        # Near the identity at first, so that the depth of the flow does not matter to the first steps.
        with torch.no_grad():
            last.weight.mul_(0.1)
            last.bias.zero_()

    def forward(self, z: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, dim) and (B, features) -> (B, dim), and the log-determinant (B,)."""
        kept, changed, v, t = self._parts(z, features)
        return self._join(kept, changed * v.exp() + t), v.sum(-1)

    def inverse(self, z: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of `forward`, and its log-determinant (B,)."""
        kept, changed, v, t = self._parts(z, features)
        return self._join(kept, (changed - t) * (-v).exp()), -v.sum(-1)

    def _parts(self, z: Tensor, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        z = z.index_select(-1, self.order)
        kept, changed = z[..., : self.n_kept], z[..., self.n_kept :]
        v, t = self.net(torch.cat((kept, features), -1)).chunk(2, -1)
        return kept, changed, self.scale_bound * torch.tanh(v / self.scale_bound), t

    def _join(self, kept: Tensor, changed: Tensor) -> Tensor:
        return torch.cat((kept, changed), -1).index_select(-1, self.undo)

    def extra_repr(self) -> str:
        """What `print` says of the layer."""
        return f"keeps {self.order[: self.n_kept].tolist()}, changes {self.order[self.n_kept :].tolist()}"


class FlowPrior(Prior):
    """A behavioral prior as a conditional real NVP, a = f(z; s) (paper, section 4).

    The image is encoded once; every coupling layer takes the same features.

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

    mean: Tensor
    std: Tensor

    def __init__(self, config: PriorConfig, dim: int = ACTION_DIM) -> None:
        super().__init__(latent_dim=dim, action_dim=dim)
        self.config = config
        self.feature_dim = config.features
        self.encoder = make_encoder(config.encoder, config.features, config.channels)
        self.couplings = nn.ModuleList(
            AffineCoupling(kept, dim, config.features, config.hidden, config.scale_bound)
            for kept in splits(dim, config.layers)
        )
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))

    def standardise(self, mean: Tensor, std: Tensor) -> None:
        """Makes the fixed affine map after the last coupling that of actions with this mean and deviation (dim,)."""
        self.mean.copy_(mean)
        self.std.copy_(std.clamp_min(1e-3))

    def decode(self, z: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """Actions (B, dim), not yet clipped, of the latents (B, dim)."""
        features = self.features_of(image, features)
        for coupling in self.couplings:
            z, _ = coupling(z, features)
        return z * self.std + self.mean

    def encode(self, action: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """Latents (B, dim) of the actions (B, dim): the inverse of `decode`."""
        return self._invert(action, self.features_of(image, features))[0]

    def log_prob(self, action: Tensor, image: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        """Log-likelihood (B,) in nats (equation 2)."""
        z, log_det = self._invert(action, self.features_of(image, features))
        return -0.5 * (z.square() + LOG_2PI).sum(-1) + log_det

    def _invert(self, action: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        z = (action - self.mean) / self.std
        total = -self.std.log().sum()
        for coupling in reversed(self.couplings):
            z, log_det = coupling.inverse(z, features)  # type: ignore[operator]
            total = total + log_det
        return z, total
