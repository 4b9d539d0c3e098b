"""Random colours of training objects (domain randomisation: Tobin et al., 2017).

A prior that had seen eleven containers in one colour each took objects to pans and cubes only where they had the colour
of a tray or a crate: what is to be known by its shape must have been seen in every colour.
"""

from __future__ import annotations

import colorsys
from dataclasses import replace

import numpy as np

from parrot.sim.objects.model import ObjectModel, Visual

__all__ = ["painted"]

GRASPABLE, OTHERS = 0.4, 0.75
"""Shares of objects that get other colours than their own; there are fewer containers and targets to learn from."""


def painted(model: ObjectModel, rng: np.random.Generator) -> ObjectModel:
    """The object in its own colours, or with a random one for each of its parts, on its texture or without it."""
    if rng.random() >= (GRASPABLE if model.role == "graspable" else OTHERS):
        return model
    return replace(model, visuals=tuple(_painted(part, rng) for part in model.visuals))


def _painted(part: Visual, rng: np.random.Generator) -> Visual:
    hue, saturation, value = rng.random(), rng.uniform(0.0, 0.9), rng.uniform(0.1, 1.0)
    rgba = (*colorsys.hsv_to_rgb(hue, saturation, value), 1.0)
    return replace(part, rgba=rgba, texture=part.texture if rng.random() < 0.5 else None)
