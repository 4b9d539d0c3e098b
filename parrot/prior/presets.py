"""Every number that shapes a prior and its training, and the two sets of them for the flow: `paper()` and `fast()`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from parrot.errors import ConfigError
from parrot.prior.base import ModelConfig
from parrot.prior.kinds import kind as kind_of

__all__ = ["PRESETS", "PriorConfig", "TrainConfig", "fast", "paper", "preset"]


@dataclass(frozen=True)
class PriorConfig(ModelConfig):
    """The architecture of a flow; saved with its weights."""

    coupling: str = "affine"
    """Kind of coupling layer: `affine`, as in the paper, or `spline`."""
    layers: int = 4
    """Coupling layers (paper, section 4.3: four)."""
    hidden: int = 256
    """Width of the two hidden layers of each coupling's network."""
    standardise: bool = False
    """Whether a fixed affine map after the last coupling takes on the mean and deviation of the recorded actions."""


@dataclass(frozen=True)
class TrainConfig:
    """How a prior, or another kind of model, is trained."""

    model: ModelConfig = field(default_factory=PriorConfig)
    """What is trained."""
    steps: int = 500_000
    """Gradient steps (appendix B: 500K). The schedule ends with whichever comes first, these or `minutes`."""
    minutes: float | None = None
    """Wall-clock budget, counted over all resumed parts; None: no limit."""
    batch: int = 256
    """State-action pairs for each gradient step."""
    lr: float = 1e-4
    """Learning rate after warm-up (appendix B: 1e-4)."""
    warmup: int = 0
    """Steps over which the learning rate rises from 0."""
    cosine: bool = False
    """Whether the learning rate then falls to 1% of its value, along half a cosine."""
    weight_decay: float = 0.0
    """AdamW's decay of the weights; 0 makes it Adam."""
    clip: float | None = None
    """Largest norm of the gradient; None: not limited."""
    ema: float = 0.0
    """Decay of the average of the weights that is evaluated and saved; 0: the weights themselves."""
    bf16: bool = False
    """Whether convolutions run in bfloat16 on hardware that is good at it."""
    shift: int = 0
    """Random-shift augmentation: each training image moves by up to so many pixels."""
    jitter: float = 0.0
    """Brightness and contrast of each training image change by up to this fraction."""
    dequantise: float = 0.01
    """Deviation of the noise that is added to recorded actions inside the box."""
    dequantise_bound: float = 0.1
    """Deviation of the half-normal noise that moves clipped actions outwards: where they were before clipping."""
    held_out: float = 0.02
    """Fraction of the episodes kept for the held-out likelihood, at most 500 episodes."""
    init: str = ""
    """File of the prior whose weights are the start, of the same architecture; empty: random weights."""
    seed: int = 0
    """Seed of the weights, the split, the batches and the noise."""


def paper() -> TrainConfig:
    """Appendix B: four coupling layers, three convolutions with pooling, Adam 1e-4 for 500K steps.

    bfloat16 is ours: it touches the convolutions of the training alone, on hardware that is good at it.
    """
    return TrainConfig(bf16=True)


def fast() -> TrainConfig:
    """For two CPU cores and a quarter of an hour: strided encoder, bfloat16, spline couplings, averaged weights."""
    return replace(
        paper(),
        model=PriorConfig(encoder="fast", channels=64, coupling="spline", standardise=True),
        steps=40_000,
        lr=1e-3,
        warmup=500,
        cosine=True,
        weight_decay=1e-4,
        clip=10.0,
        ema=0.999,
        shift=2,
        jitter=0.1,
    )


PRESETS = {"paper": paper, "fast": fast}


def preset(name: str, kind: str = "flow") -> TrainConfig:
    """The preset of that name, of that kind of model.

    Raises:
        ConfigError: there is none.
    """
    presets = kind_of(kind).model.PRESETS
    if name not in presets:
        raise ConfigError(f"preset {name!r} is unknown; choose one of {', '.join(presets)}")
    return presets[name]()
