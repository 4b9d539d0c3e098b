"""Small patterns that textured objects carry, 64x64 pixels: finer ones would not survive the 48x48 camera."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["PATTERNS", "TEXTURE_SIZE"]

TEXTURE_SIZE = 64
"""Pixels along each side of a texture."""

Colors = NDArray[np.float64]


def checkers(colors: Colors, cells: int) -> NDArray[np.float64]:
    """Squares of alternating colour, `cells` along each side."""
    i = np.arange(TEXTURE_SIZE) * cells // TEXTURE_SIZE
    return colors[(i[:, None] + i) % len(colors)]


def stripes(colors: Colors, cells: int) -> NDArray[np.float64]:
    """Upright stripes, `cells` of them."""
    i = np.arange(TEXTURE_SIZE) * cells // TEXTURE_SIZE
    return np.broadcast_to(colors[i % len(colors)], (TEXTURE_SIZE, TEXTURE_SIZE, 3))


def bands(colors: Colors, cells: int) -> NDArray[np.float64]:
    """Level bands, `cells` of them."""
    return stripes(colors, cells).swapaxes(0, 1)


def dots(colors: Colors, cells: int) -> NDArray[np.float64]:
    """Round dots of the second colour on the first, `cells` along each side."""
    i = np.arange(TEXTURE_SIZE) * cells / TEXTURE_SIZE % 1 - 0.5
    return colors[(np.hypot(i[:, None], i) < 0.3).astype(int)]


def label(colors: Colors, cells: int) -> NDArray[np.float64]:
    """A printed label: the first colour with `cells` ovals of the second."""
    x = np.arange(TEXTURE_SIZE) * cells / TEXTURE_SIZE % 1 - 0.5
    y = np.arange(TEXTURE_SIZE) / TEXTURE_SIZE - 0.5
    return colors[(np.hypot(x, y[:, None]) < 0.36).astype(int)]


def marble(colors: Colors, cells: int) -> NDArray[np.float64]:
    """Veins of the second colour through the first; `cells` veins across."""
    rng = np.random.default_rng(7)  # a fixed piece of stone
    x, y = np.meshgrid(*2 * [np.arange(TEXTURE_SIZE) / TEXTURE_SIZE])
    wave = np.zeros_like(x)
    for octave in (1, 2, 4):
        a, b, phase = rng.uniform(-1, 1, 3)
        wave += np.sin(2 * np.pi * (octave * (a * x + b * y) + phase)) / octave
    vein = np.abs(np.sin(np.pi * (cells * (x + 0.6 * y) + 0.6 * wave)))
    return colors[0] + (colors[1] - colors[0]) * np.clip(1 - vein * 2.2, 0, 1)[..., None]


def planks(colors: Colors, cells: int) -> NDArray[np.float64]:
    """Boards of the first colour with grooves of the second between, `cells` of them."""
    x = np.arange(TEXTURE_SIZE) * cells / TEXTURE_SIZE % 1
    return np.broadcast_to(colors[(x < 0.2).astype(int)][:, None], (TEXTURE_SIZE, TEXTURE_SIZE, 3))


def weave(colors: Colors, cells: int) -> NDArray[np.float64]:
    """Wickerwork: strips of both colours over and under one another, `cells` along each side."""
    i = np.arange(TEXTURE_SIZE) * cells // TEXTURE_SIZE
    shade = 1 - 0.25 * (np.arange(TEXTURE_SIZE) * cells / TEXTURE_SIZE % 1)
    return checkers(colors, cells) * np.where((i[:, None] + i) % 2 == 0, shade, shade[:, None])[..., None]


PATTERNS: dict[str, Callable[[Colors, int], NDArray[np.float64]]] = {
    f.__name__: f for f in (checkers, stripes, bands, dots, label, marble, planks, weave)
}  # fmt: skip
