"""The behavioral prior: image encoder, conditional real NVP, training, evaluation (paper, section 4)."""

from parrot.prior.base import ActionDecoder, Model, Prior
from parrot.prior.flow import FlowPrior
from parrot.prior.presets import PriorConfig, TrainConfig, preset
from parrot.prior.weights import load_decoder, load_model, load_prior, save_prior

__all__ = [
    "ActionDecoder", "FlowPrior", "Model", "Prior", "PriorConfig", "TrainConfig", "load_decoder", "load_model",
    "load_prior", "preset", "save_prior",
]  # fmt: skip
