"""What `algo` means: by what a policy's numbers become actions, what learning starts from, how exploration is helped.

`parrot` acts in the latent space of a prior (paper, section 4.2). The comparisons of section 5 are one file each in
`parrot.baselines`, beside this package, which they import: so each is named here and imported when it is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from parrot.errors import ConfigError, WeightsError
from parrot.prior.base import ActionDecoder, Model, Prior, TrajectoryDecoder
from parrot.prior.encoder import make_encoder
from parrot.prior.flow import FlowPrior
from parrot.prior.presets import PRESETS as PRIOR_PRESETS
from parrot.prior.weights import load_model, shipped_prior
from parrot.rl.presets import SACConfig
from parrot.rl.space import ActionSpace, LatentSpace
from parrot.spaces import ACTION_DIM

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "EncoderShape",
    "Start",
    "algorithm",
    "encoder_beside",
    "random_encoder",
    "space_of",
    "start_in_latents",
    "start_of",
    "weights_of",
]

ALGORITHMS = ("parrot", "sac", "bc_sac", "vae_features", "trajrl", "hirl", "prior_explore")
"""Names of all, in the order of the paper's legends; a comparison's is that of its file in `parrot/baselines`."""


@dataclass(frozen=True)
class EncoderShape:
    """Which image encoder a policy looks through."""

    name: str
    """One of `parrot.prior.encoder.ENCODERS`."""
    features: int
    """Length of its encoding."""
    channels: int
    """Channels of its convolutions."""

    def make(self) -> nn.Module:
        """Such an encoder with random weights."""
        return make_encoder(self.name, self.features, self.channels)


def space_of(policy: str, latent_dim: int, decoder: Model | None, episodes: int = 0) -> LatentSpace:
    """Where such a policy is at home, `policy` and `episodes` as in `SACConfig` and `ActionSpace`.

    Among actions, if a flow that remembers nothing makes them.
    """
    if policy == "flow" and isinstance(decoder, FlowPrior) and not decoder.config.past:
        return ActionSpace(decoder, episodes)
    return LatentSpace(latent_dim)


@dataclass(frozen=True)
class Start:
    """Where learning starts."""

    encoder: nn.Module
    """The image encoder."""
    shape: EncoderShape
    """Its architecture."""
    latent_dim: int = ACTION_DIM
    """Numbers that the policy outputs."""
    decoder: ActionDecoder | TrajectoryDecoder | None = None
    """What makes actions of them, as `Algorithm.decoding` says; None: they are actions."""
    policy: Mapping[str, Tensor] | None = None
    """Weights that the policy starts with, named as in `parrot.rl.networks.Policy`; None: it starts as N(0, I)."""
    frozen: bool = False
    """Whether the encoder's convolutions stay as they are."""
    explorer: ActionDecoder | None = None
    """What proposes actions to explore by, beside the policy (`Algorithm.explores`)."""

    @property
    def squash(self) -> bool:
        """Whether the policy's numbers are to be squashed to [-1, 1]."""
        return self.decoder is None

    def space(self, config: SACConfig, episodes: int = 0) -> LatentSpace:
        """Where the policy is at home, as `space_of`.

        Raises:
            ConfigError: the policy cannot be a copy of the prior.
        """
        found = space_of(config.policy, self.latent_dim, self.decoder, episodes)
        if isinstance(found, ActionSpace) and not config.warm_start:
            raise ConfigError(
                "policy=flow is a copy of the prior, which looks through its own encoder; set warm_start=true"
            )
        return found


@dataclass(frozen=True)
class Algorithm:
    """A way to learn a task; the learner is the same soft actor-critic in all."""

    name: str
    """As `algo` has it."""
    title: str
    """What it is, in one line."""
    label: str
    """Its name in figures."""
    colour: str
    """Its colour in figures, as matplotlib names it."""
    before: str
    """What acts before learning, in the run's first phase."""
    start: Callable[[SACConfig, Path | None, int], Start]
    """Where learning starts, by the hyper-parameters, the file of `weights_of` and the seed."""
    decoding: Literal["step", "episode", "raw"] = "raw"
    """How the policy's numbers become actions: by a decoder, one action for each image, in closed loop (then prior_node
    decodes); by a decoder, all actions of an episode at once, in open loop (then the learner decodes); not at all."""
    kind: str | None = None
    """Kind of the weights' file that it starts from, of `parrot.prior.kinds.KINDS`; None: it starts from none."""
    explores: bool = False
    """Whether exploring mixes in actions of a prior, with probability `FineTuneConfig.epsilon`."""

    @property
    def ships(self) -> bool:
        """Whether parrot comes with a file that it starts from."""
        return self.kind == "flow"


def algorithm(name: str) -> Algorithm:
    """The algorithm of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in ALGORITHMS:
        raise ConfigError(f"algo {name!r} is unknown; choose one of {', '.join(ALGORITHMS)}")
    found: Algorithm = PARROT if name == PARROT.name else import_module(f"parrot.baselines.{name}").ALGORITHM
    return found


def weights_of(algo: str, weights: str | Path | None = None) -> Path | None:
    """The file that an algorithm starts from; None: from none.

    Args:
        algo: one of `ALGORITHMS`.
        weights: the file given; None or empty: the one that comes with parrot. Not looked at without need.

    Raises:
        ConfigError: the algorithm is unknown.
        WeightsError: no file was given, and none comes with parrot.
    """
    about = algorithm(algo)
    if about.kind is None:
        return None
    if weights:
        return Path(weights)
    if not about.ships:
        raise WeightsError(
            f"algo {algo} starts from weights that do not come with parrot; make them by "
            f"`parrot prior train DATASET --kind {about.kind}` and give the file as prior"
        )
    return shipped_prior()


def start_of(algo: str, config: SACConfig, weights: str | Path | None = None, seed: int = 0) -> Start:
    """Where learning starts.

    Args:
        algo: one of `ALGORITHMS`.
        config: says which encoder, and whether it is the one of the weights.
        weights: as in `weights_of`.
        seed: of an encoder that starts at random.

    Raises:
        ConfigError: the algorithm is unknown.
        WeightsError: the weights are missing or foreign, or do not fit the hyper-parameters.
    """
    return algorithm(algo).start(config, weights_of(algo, weights), seed)


def random_encoder(config: SACConfig, seed: int) -> tuple[nn.Module, EncoderShape]:
    """The image encoder that the hyper-parameters name, with random weights of this seed."""
    model = PRIOR_PRESETS[config.encoder]().model
    shape = EncoderShape(model.encoder, model.features, model.channels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return shape.make(), shape


def encoder_beside(model: ActionDecoder, config: SACConfig, seed: int) -> tuple[nn.Module, EncoderShape]:
    """The image encoder of a policy that acts by this model: the model's own, if `config.warm_start` says so."""
    if not config.warm_start:
        return random_encoder(config, seed)
    own = model.config
    return model.encoder, EncoderShape(own.encoder, own.features, own.channels)


def start_in_latents(config: SACConfig, weights: Path | None, seed: int, wanted: type[ActionDecoder] = Prior) -> Start:
    """The start of whatever acts in the latent space of a model of that class."""
    decoder = load_model(weights, wanted)
    encoder, shape = encoder_beside(decoder, config, seed)
    return Start(encoder, shape, decoder.latent_dim, decoder)


PARROT = Algorithm(
    name="parrot",
    title="reinforcement learning in the latent space of the behavioral prior",
    label="PARROT",
    colour="tab:blue",
    before="the prior alone",
    start=start_in_latents,
    decoding="step",
    kind="flow",
)
"""The paper's method."""
