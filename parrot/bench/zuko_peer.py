"""The paper's prior as one would write it on zuko: encoder and couplings composed, each coupling looking for itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from zuko.distributions import DiagNormal, NormalizingFlow
from zuko.flows.coupling import GeneralCouplingTransform
from zuko.transforms import ComposedTransform

from parrot.prior.coupling import splits
from parrot.prior.presets import PriorConfig
from parrot.spaces import ACTION_DIM, IMAGE_SIZE

__all__ = ["ZukoPrior"]


class ZukoPrior(nn.Module):
    """The architecture of a `paper` prior: the same encoder, four affine couplings, the same widths and splits."""

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        c, side = config.channels, IMAGE_SIZE // 4
        self.encoder = nn.Sequential(
            nn.Conv2d(3, c, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(c, c, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(c, c, 3, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(c * side * side, config.features), nn.ReLU(),
        )  # fmt: skip
        self.couplings = nn.ModuleList(
            GeneralCouplingTransform(
                ACTION_DIM,
                config.features,
                mask=torch.tensor([i in kept for i in range(ACTION_DIM)]),
                hidden_features=(config.hidden, config.hidden),
            )
            for kept in splits(ACTION_DIM, config.layers)
        )

    def forward(self, image: Tensor) -> NormalizingFlow:
        """p(a | s) for images (B, 3, 48, 48) uint8."""
        x = image.float() / 255.0
        zeros = torch.zeros(len(image), ACTION_DIM, device=image.device)
        transform = ComposedTransform(*(coupling(self.encoder(x)) for coupling in self.couplings))
        return NormalizingFlow(transform, DiagNormal(zeros, torch.ones_like(zeros)))

    def log_prob(self, action: Tensor, image: Tensor) -> Tensor:
        """Log-likelihood (B,) of the actions (B, 7)."""
        return self(image).log_prob(action)

    def decode(self, z: Tensor, image: Tensor) -> Tensor:
        """Actions (B, 7) of the latents (B, 7)."""
        return self(image).transform.inv(z)
