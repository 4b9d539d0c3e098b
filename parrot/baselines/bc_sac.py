"""BC-SAC: a Gaussian policy cloned from all recorded data, from which soft actor-critic goes on (paper, section 5).

The clone has the policy network of SAC itself, as the paper's appendix B has it (figure 9), so that its weights move
over as they are; the critics start from its convolutions, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from parrot.errors import WeightsError
from parrot.prior.base import Model, ModelConfig
from parrot.prior.batches import Batch
from parrot.prior.encoder import make_encoder, normalise
from parrot.prior.presets import TrainConfig
from parrot.prior.presets import fast as flow_fast
from parrot.prior.weights import load_model
from parrot.rl.algorithms import Algorithm, EncoderShape, Start, random_encoder
from parrot.rl.networks import Policy, Trunk
from parrot.rl.presets import PRESETS as SAC_PRESETS
from parrot.rl.presets import SACConfig
from parrot.spaces import ACTION_DIM

__all__ = ["ALGORITHM", "PRESETS", "CloneConfig", "ClonedPolicy"]

BOUND = 0.99
"""Recorded actions are cloned within this: at ±1, where many were clipped, a squashed Gaussian has no density."""


@dataclass(frozen=True)
class CloneConfig(ModelConfig):
    """The architecture of a cloned policy, and how its entropy is kept; the rest is named as in `SACConfig`."""

    kind: str = "bc"
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the policy's hidden layers."""
    layer_norm: bool = False
    """Layer normalisation after the convolutions."""
    mean_bound: float = 3.0
    """The mean stays within this, softly, before it is squashed."""
    log_std_min: float = -5.0
    """Lower bound of the logarithm of the standard deviation, soft."""
    entropy_weight: float = 1.0
    """Weight of the entropy at the start; it is tuned as SAC tunes it (Haarnoja et al., 2018b)..."""
    target_entropy_per_dim: float = -1.0
    """...so that the entropy stays near this, in nats for each number of an action, before recorded actions fit."""


class ClonedPolicy(Model):
    """pi(a | s), a squashed Gaussian fitted to recorded actions by maximum likelihood with entropy regularisation.

    What is raised is the likelihood of the recorded action, plus alpha times the policy's entropy by a sample of its
    own; alpha is tuned as in soft actor-critic.
    """

    CONFIG = CloneConfig

    config: CloneConfig

    def __init__(self, config: CloneConfig) -> None:
        super().__init__()
        self.config = config
        whole = make_encoder(config.encoder, config.features, config.channels)
        # The convolutions alone: what follows them is the policy's own.
        self.encoder: nn.Sequential = Trunk(whole).layers
        self.policy = Policy(_sac(config), whole, ACTION_DIM, squash=True)
        self.feature_dim = self.policy.projection.linear.in_features
        self.log_alpha = nn.Parameter(torch.tensor(math.log(config.entropy_weight)))

    def encode_image(self, image: Tensor) -> Tensor:
        """Feature maps, flattened: (B, feature_dim)."""
        return self.encoder(normalise(image)).flatten(1).float()

    def score(self, batch: Batch, features: Tensor, step: int, generator: torch.Generator) -> Tensor:
        """Log-likelihood and weighed entropy, (B,); with the term that tunes the weight."""
        found = self.policy(features)
        noise = torch.randn(found.shape, generator=generator, device=features.device)
        sampled = found.sample(noise)[1]
        likelihood = found.log_prob(batch.action.clamp(-BOUND, BOUND))
        target = self.config.target_entropy_per_dim * ACTION_DIM
        tuning = self.log_alpha * (sampled.detach() + target)
        return likelihood - self.log_alpha.detach().exp() * sampled + (tuning - tuning.detach())

    def measures(self, batch: Batch, features: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Likelihood and entropy in nats, and the error of the mean action, for each example (B,)."""
        found = self.policy(features)
        noise = torch.randn(found.shape, generator=generator, device=features.device)
        action = batch.action.clamp(-BOUND, BOUND)
        return {
            "log_likelihood": found.log_prob(action),
            "entropy": -found.sample(noise)[1],
            "absolute_error": (found.draw(torch.zeros_like(noise)) - action).abs().mean(-1),
        }

    @torch.no_grad()
    def whole_encoder(self) -> nn.Module:
        """An image encoder made of the convolutions and of the policy's first layer."""
        config = self.config
        whole = make_encoder(config.encoder, config.features, config.channels)
        layers = list(whole.layers)  # type: ignore[arg-type]
        for mine, theirs in zip(self.encoder, layers, strict=False):
            theirs.load_state_dict(mine.state_dict())
        projection = self.policy.projection
        for layer in layers:
            if isinstance(layer, nn.Linear):
                layer.load_state_dict(projection.linear.state_dict())
            elif isinstance(layer, nn.LayerNorm) and projection.norm is not None:
                layer.load_state_dict(projection.norm.state_dict())
        return whole


def _sac(config: CloneConfig) -> SACConfig:
    """The part of SAC's hyper-parameters that shapes the policy."""
    return SACConfig(
        features=config.features, hidden=config.hidden, layer_norm=config.layer_norm, mean_bound=config.mean_bound,
        log_std_min=config.log_std_min,
    )  # fmt: skip


def paper() -> TrainConfig:
    """Appendix B: the policy of figure 9, Adam with 3e-4 for 2M steps. As in `parrot.prior`, bfloat16 is ours."""
    return TrainConfig(model=CloneConfig(), steps=2_000_000, lr=3e-4, bf16=True)


def fast() -> TrainConfig:
    """For two CPU cores: the policy of SAC's preset `fast`, trained like the prior of that preset.

    The gradient is not limited: a Gaussian's steep likelihoods of what hardly varies would drown all else.
    """
    flow, sac = flow_fast(), SAC_PRESETS["fast"]()
    model = CloneConfig(
        encoder=flow.model.encoder, channels=flow.model.channels, features=sac.features, hidden=sac.hidden,
        layer_norm=sac.layer_norm, mean_bound=sac.mean_bound, log_std_min=sac.log_std_min, entropy_weight=0.1,
    )  # fmt: skip
    return replace(flow, model=model, clip=None)


PRESETS = {"paper": paper, "fast": fast}
ClonedPolicy.PRESETS = PRESETS


def start(config: SACConfig, weights: Path | None, seed: int) -> Start:
    """The cloned policy.

    Raises:
        WeightsError: the file holds no clone, or one of another shape than the hyper-parameters'.
    """
    clone = load_model(weights, ClonedPolicy)
    own = clone.config
    shape = EncoderShape(own.encoder, own.features, own.channels)
    there: Mapping[str, object] = {"encoder": shape, **{name: getattr(own, name) for name in _SHARED}}
    here = {"encoder": random_encoder(config, seed)[1], **{name: getattr(config, name) for name in _SHARED}}
    for name in there:
        if there[name] != here[name]:
            raise WeightsError(
                f"{weights}: this clone has {name} {there[name]}, the policy of this preset has {here[name]}; "
                "clone with the preset of the same name: `parrot prior train DATASET --kind bc --preset NAME`"
            )
    return Start(clone.whole_encoder(), shape, policy=clone.policy.state_dict())


_SHARED = ("features", "hidden", "layer_norm", "mean_bound", "log_std_min")

ALGORITHM = Algorithm(
    name="bc_sac",
    title="soft actor-critic from a behaviourally cloned policy",
    label="BC-SAC",
    colour="tab:green",
    before="the cloned policy",
    start=start,
    kind="bc",
)
