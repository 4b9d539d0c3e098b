"""A monotonic curve through knots, each piece a ratio of quadratics (Durkan et al., Neural Spline Flows, 2019).

Its derivatives are written out: a coupling changes so few numbers that autograd, one small operation after the other,
takes longer than the numbers do.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["rational_quadratic_spline"]

MIN_BIN = 0.02
"""Smallest width and height of a bin, as a fraction of the interval: bounds the slopes, and so the condition."""

MIN_SLOPE = 0.05
"""Smallest slope at a knot."""

_UNIT = math.log(math.e - 1.0)
"""softplus of it is 1: a parameter of zero is a slope of one, as are the two ends."""


def rational_quadratic_spline(x: Tensor, numbers: Tensor, bound: float, inverse: bool) -> tuple[Tensor, Tensor]:
    """The spline at x and the log of its derivative there; or those of its inverse.

    All-zero parameters give the identity, which the spline also is outside [-bound, bound].

    Args:
        x: (...), where to evaluate.
        numbers: (..., 3 K - 1) for K bins, unnormalised: K widths, K heights, K - 1 slopes at the inner knots.
        bound: Where the spline ends.
        inverse: Whether to evaluate the inverse.

    Example:
        >>> x, numbers = torch.linspace(-5, 5, 11), torch.randn(11, 23)
        >>> y, log_slope = rational_quadratic_spline(x, numbers, 4.0, inverse=False)
        >>> back, _ = rational_quadratic_spline(y, numbers, 4.0, inverse=True)
        >>> torch.allclose(back, x, atol=1e-4)
        True
    """
    out: tuple[Tensor, Tensor] = _Spline.apply(x, numbers, bound, inverse)
    return out


class _Spline(torch.autograd.Function):
    """The spline on [0, 1] in both directions: slopes don't change, and the knots are sums of fractions.

    In a bin of width w and height h, with slopes d0 and d1 at its ends and s = h / w between them, at t from 0 to 1:
    the curve rises by h n / d, n = s t^2 + d0 t (1 - t), d = s + (d0 + d1 - 2 s) t (1 - t), and its slope is
    s^2 m / d^2, m = d1 t^2 + 2 s t (1 - t) + d0 (1 - t)^2.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, numbers: Tensor, bound: float, inverse: bool) -> tuple[Tensor, Tensor]:
        """As `rational_quadratic_spline`."""
        bins = (numbers.shape[-1] + 1) // 3
        soft = numbers[..., : 2 * bins].unflatten(-1, (2, bins)).softmax(-1)
        sizes = soft * (1.0 - MIN_BIN * bins) + MIN_BIN
        ends = sizes.cumsum(-1)

        within = x.abs() < bound
        v = (x * (0.5 / bound) + 0.5).clamp(0.0, 1.0)
        left = (v[..., None] >= ends[..., int(inverse), :-1]).sum(-1, keepdim=True)
        place = left[..., None, :].expand(*left.shape[:-1], 2, 1)
        size = sizes.gather(-1, place).squeeze(-1)
        w, h = size.unbind(-1)
        x0, y0 = (ends.gather(-1, place).squeeze(-1) - size).unbind(-1)
        raw = F.pad(numbers[..., 2 * bins :], (1, 1)).gather(-1, torch.cat((left, left + 1), -1)).add_(_UNIT)
        d0, d1 = (F.softplus(raw) * (1.0 - MIN_SLOPE) + MIN_SLOPE).unbind(-1)

        s = h / w
        bend = d0 + d1 - 2.0 * s
        if inverse:
            rise = v - y0
            fall = rise * bend
            a, b, c = h * (s - d0) + fall, h * d0 - fall, s * rise
            # This form of the root loses no digits when a is small.
            t = 2.0 * c / (b + (b * b + 4.0 * a * c).clamp_min_(0.0).sqrt_())
        else:
            t = (v - x0) / w
        u = t - t * t
        n, d = s * t * t + d0 * u, s + bend * u
        m = d1 * t * t + 2.0 * s * u + d0 * (1.0 - t).square()
        slope = s * s * m / (d * d)
        out = x0 + t * w if inverse else y0 + h * n / d
        log_slope = -slope.log() if inverse else slope.log()
        ctx.save_for_backward(within, soft, left, raw, w, h, d0, d1, t, n, d, m, slope)
        ctx.bound, ctx.inverse = bound, inverse
        return torch.where(within, (out - 0.5) * (2.0 * bound), x), torch.where(within, log_slope, 0.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_out: Tensor, g_log: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """The chain rule, from the curve's height and log-slope in its bin to the bin, and from there to the knots."""
        within, soft, left, raw, w, h, d0, d1, t, n, d, m, slope = ctx.saved_tensors
        bins = soft.shape[-1]
        s, u, rest = h / w, t - t * t, 1.0 - t
        g_log = torch.where(within, -g_log if ctx.inverse else g_log, 0.0)
        g_in = torch.where(within, g_out * (2.0 * ctx.bound), 0.0)

        # Of the log-slope, to t.
        turn = 2.0 * (d1 * t - d0 * rest + s * (rest - t)) / m - 2.0 * (d0 + d1 - 2.0 * s) * (rest - t) / d
        if ctx.inverse:
            # t is where the curve has the given height, so that it changes with that height over the curve's slope.
            g_t = g_in * w + g_log * turn
            g_v = g_t / (w * slope)
            g_rise, g_x0, g_w = -g_v, g_in, g_in * t
        else:
            g_t = g_in * w * slope + g_log * turn
            g_v = g_t / w
            g_rise, g_x0, g_w = g_in, -g_v, -g_v * t

        share = g_rise * h / (d * d)
        two = 2.0 * g_log / d
        g_d0 = share * u * (d - n) + g_log * rest.square() / m - two * u
        g_d1 = g_log * t * t / m - (two + share * n) * u
        g_s = share * (t * t * d - n * (1.0 - 2.0 * u)) + 2.0 * g_log * (1.0 / s + u / m) - two * (1.0 - 2.0 * u)
        g_w = g_w - g_s * s / w
        g_h = g_rise * n / d + g_s / w

        # A bin's start is the sum of the sizes before it.
        order = torch.arange(bins, device=left.device)
        start, size = torch.stack((g_x0, g_rise), -1)[..., None], torch.stack((g_w, g_h), -1)[..., None]
        left_of = left[..., None, :]
        g_sizes = start * (order < left_of) + size * (order == left_of)
        weighed = soft * g_sizes
        g_soft = (weighed - soft * weighed.sum(-1, keepdim=True)) * (1.0 - MIN_BIN * bins)
        g_slopes = torch.stack((g_d0, g_d1), -1) * raw.sigmoid() * (1.0 - MIN_SLOPE)
        at = torch.cat((left, left + 1), -1)
        g_padded = g_slopes.new_zeros(*left.shape[:-1], bins + 1).scatter_(-1, at, g_slopes)
        g_numbers = torch.cat((g_soft.flatten(-2), g_padded[..., 1:-1]), -1)
        return torch.where(within, g_v * (0.5 / ctx.bound), g_out), g_numbers, None, None
