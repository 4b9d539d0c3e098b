"""Coupling layers: some components pass, the others are transformed by numbers computed from those and the image.

`AffineCoupling` is the paper's (figure 8; Dinh et al., 2017). `SplineCoupling` bends instead of stretching (Durkan et
al., Neural Spline Flows, 2019): one layer makes several modes out of one, where affine layers need many.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from parrot.errors import ConfigError
from parrot.prior.spline import rational_quadratic_spline

__all__ = ["COUPLINGS", "AffineCoupling", "Coupling", "SplineCoupling", "make_coupling", "splits"]


def splits(dim: int, layers: int) -> list[tuple[int, ...]]:
    """For each layer, the components that it keeps; the next layer keeps the others.

    Two components that are never on different sides of a split stay independent given the rest, which a choice
    between objects is not. So x, y, z and the gripper are each separated from each other at least once in four layers.

    Example:
        >>> splits(7, 4)
        [(0, 2, 4), (1, 3, 5, 6), (0, 5, 6), (1, 2, 3, 4)]
    """
    half = dim // 2
    first = (tuple(range(0, 2 * half, 2)), (0, *range(dim - half + 1, dim)))
    kept = []
    for layer in range(layers):
        chosen = first[layer // 2 % 2]
        kept.append(chosen if layer % 2 == 0 else tuple(i for i in range(dim) if i not in chosen))
    return kept


class Coupling(nn.Module, ABC):
    """A coupling layer, conditioned on image features: an invertible map of (B, dim)."""

    order: Tensor
    undo: Tensor
    net: nn.Sequential

    def __init__(self, kept: Sequence[int], dim: int, features: int, hidden: int, numbers: int) -> None:
        """`numbers`: how many the transformation takes for each component that it changes."""
        super().__init__()
        changed = [i for i in range(dim) if i not in kept]
        order = torch.tensor([*kept, *changed])
        self.n_kept = len(kept)
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("undo", order.argsort(), persistent=False)
        last = nn.Linear(hidden, numbers * len(changed))
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

    @abstractmethod
    def transform(self, x: Tensor, numbers: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        """The changed components (B, C) by the numbers (B, C, N), and the log-derivatives (B, C)."""

    def forward(self, z: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, dim) and (B, features) -> (B, dim), and the log-determinant (B,)."""
        return self._apply_to(z, features, inverse=False)

    def inverse(self, z: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of `forward`, and its log-determinant (B,)."""
        return self._apply_to(z, features, inverse=True)

    def _apply_to(self, z: Tensor, features: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        z = z.index_select(-1, self.order)
        kept, changed = z[..., : self.n_kept], z[..., self.n_kept :]
        # Under autocast the network's answer comes in fewer digits than what it is applied to.
        numbers = self._numbers(torch.cat((kept, features), -1)).to(z.dtype).unflatten(-1, (changed.shape[-1], -1))
        changed, log_derivative = self.transform(changed, numbers, inverse)
        return torch.cat((kept, changed), -1).index_select(-1, self.undo), log_derivative.sum(-1)

    def _numbers(self, x: Tensor) -> Tensor:
        """The network's output, in the precision of x rather than of the weights."""
        for layer in self.net:
            if isinstance(layer, nn.Linear):
                x = F.linear(x, layer.weight.to(x.dtype), layer.bias.to(x.dtype))
            else:
                x = layer(x)
        return x

    def extra_repr(self) -> str:
        """What `print` says of the layer."""
        return f"keeps {self.order[: self.n_kept].tolist()}, changes {self.order[self.n_kept :].tolist()}"


class AffineCoupling(Coupling):
    """z'[changed] = z[changed] * exp(v) + t, with v and t from one network of z[kept] and the image (figure 8).

    A soft bound on v keeps the map and its inverse well-conditioned, for learning in z as for float32.

    Example:
        >>> layer = AffineCoupling(kept=(0, 1, 2), dim=7, features=16, hidden=32)
        >>> z, features = torch.randn(5, 7), torch.randn(5, 16)
        >>> out, log_det = layer(z, features)
        >>> torch.allclose(layer.inverse(out, features)[0], z, atol=1e-5)
        True
    """

    bound = 2.0

    def __init__(self, kept: Sequence[int], dim: int, features: int, hidden: int) -> None:
        super().__init__(kept, dim, features, hidden, numbers=2)

    def transform(self, x: Tensor, numbers: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        """Stretch and shift."""
        v, t = numbers.unbind(-1)
        v = self.bound * torch.tanh(v / self.bound)
        return ((x - t) * (-v).exp(), -v) if inverse else (x * v.exp() + t, v)


class SplineCoupling(Coupling):
    """z'[changed] is a monotonic rational-quadratic spline of z[changed] on [-4, 4], the identity outside.

    Example:
        >>> layer = SplineCoupling(kept=(0, 1, 2), dim=7, features=16, hidden=32)
        >>> z, features = torch.randn(5, 7), torch.randn(5, 16)
        >>> out, log_det = layer(z, features)
        >>> torch.allclose(layer.inverse(out, features)[0], z, atol=1e-5)
        True
    """

    bins = 8
    bound = 4.0

    def __init__(self, kept: Sequence[int], dim: int, features: int, hidden: int) -> None:
        super().__init__(kept, dim, features, hidden, numbers=3 * self.bins - 1)

    def transform(self, x: Tensor, numbers: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        """Bend."""
        return rational_quadratic_spline(x, numbers, self.bound, inverse)


COUPLINGS = {"affine": AffineCoupling, "spline": SplineCoupling}


def make_coupling(name: str, kept: Sequence[int], dim: int, features: int, hidden: int) -> Coupling:
    """The coupling layer of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in COUPLINGS:
        raise ConfigError(f"coupling {name!r} is unknown; choose one of {', '.join(COUPLINGS)}")
    return COUPLINGS[name](kept, dim, features, hidden)
