"""A monotonic curve through knots, each piece a ratio of quadratics (Durkan et al., Neural Spline Flows, 2019)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["rational_quadratic_spline"]

MIN_BIN = 0.02
"""Smallest width and height of a bin, as a fraction of the interval: bounds the slopes, and so the condition."""

MIN_SLOPE = 0.05
"""Smallest slope at a knot."""


def rational_quadratic_spline(
    x: Tensor, widths: Tensor, heights: Tensor, slopes: Tensor, bound: float, inverse: bool
) -> tuple[Tensor, Tensor]:
    """The spline at x and the log of its derivative there; or those of its inverse.

    All-zero parameters give the identity, which the spline also is outside [-bound, bound].

    Args:
        x: (...), where to evaluate.
        widths: (..., K), unnormalised widths of the bins.
        heights: (..., K), unnormalised heights of the bins.
        slopes: (..., K - 1), unnormalised slopes at the inner knots.
        bound: Where the spline ends.
        inverse: Whether to evaluate the inverse.

    Example:
        >>> x, p = torch.linspace(-5, 5, 11), torch.randn(11, 8)
        >>> y, log_slope = rational_quadratic_spline(x, p, p.flip(0), p[:, 1:], 4.0, inverse=False)
        >>> back, _ = rational_quadratic_spline(y, p, p.flip(0), p[:, 1:], 4.0, inverse=True)
        >>> torch.allclose(back, x, atol=1e-4)
        True
    """
    knots_x, knots_y = _knots(widths, bound), _knots(heights, bound)
    # softplus(log(e - 1)) is 1: a parameter of zero is a slope of about one, as are the two ends.
    inner = MIN_SLOPE + (1.0 - MIN_SLOPE) * F.softplus(slopes + math.log(math.e - 1.0))
    slope = F.pad(inner, (1, 1), value=1.0)

    within = x.abs() < bound
    x_in = x.clamp(-bound, bound)
    inner_knots = (knots_y if inverse else knots_x)[..., 1:-1]
    left = (x_in[..., None] >= inner_knots).sum(-1, keepdim=True)

    def at(values: Tensor, index: Tensor) -> Tensor:
        return values.gather(-1, index).squeeze(-1)

    x0, y0, d0 = at(knots_x, left), at(knots_y, left), at(slope, left)
    x1, y1, d1 = at(knots_x, left + 1), at(knots_y, left + 1), at(slope, left + 1)
    width, height = x1 - x0, y1 - y0
    mean = height / width
    bend = d0 + d1 - 2.0 * mean

    if inverse:
        rise = x_in - y0
        a = height * (mean - d0) + rise * bend
        b = height * d0 - rise * bend
        c = -mean * rise
        # This form of the root loses no digits when a is small.
        t = 2.0 * c / (-b - (b * b - 4.0 * a * c).clamp_min(0.0).sqrt())
        out = x0 + t * width
    else:
        t = (x_in - x0) / width
        out = y0 + height * (mean * t * t + d0 * t * (1.0 - t)) / (mean + bend * t * (1.0 - t))
    numerator = d1 * t * t + 2.0 * mean * t * (1.0 - t) + d0 * (1.0 - t).square()
    log_slope = 2.0 * mean.log() + numerator.log() - 2.0 * (mean + bend * t * (1.0 - t)).log()
    if inverse:
        log_slope = -log_slope
    return torch.where(within, out, x), torch.where(within, log_slope, 0.0)


def _knots(sizes: Tensor, bound: float) -> Tensor:
    """K + 1 rising positions from -bound to bound, from K unnormalised distances."""
    fractions = MIN_BIN + (1.0 - MIN_BIN * sizes.shape[-1]) * sizes.softmax(-1)
    inner = bound * (2.0 * fractions.cumsum(-1)[..., :-1] - 1.0)
    return F.pad(F.pad(inner, (1, 0), value=-bound), (0, 1), value=bound)
