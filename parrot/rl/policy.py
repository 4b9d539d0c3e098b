"""A trained policy on its own: one file from an image to an action, with everything that acting needs.

It acts as the evaluation of its run did: the policy's mean, or the best of several latents by the critics' opinion
(paper, section 4.2), through the prior. `parrot export` writes the file, `load_policy` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot.errors import ConfigError, WeightsError
from parrot.fields import build
from parrot.prior.base import ActionDecoder
from parrot.prior.control import controller_of
from parrot.prior.encoder import make_encoder
from parrot.prior.weights import build_model
from parrot.rl.actor import Actor
from parrot.rl.algorithms import space_of
from parrot.rl.embodiment import Embodiment, embodiment_of
from parrot.rl.presets import SACConfig
from parrot.rl.sealed import read_sealed, write_sealed
from parrot.spaces import ACTION_NAMES, IMAGE_SHAPE, check_image

__all__ = ["FORMAT", "Network", "Policy", "PolicyCard", "Success", "load_policy", "save_policy"]

FORMAT = "parrot-policy-1"
"""What the metadata of a policy's file calls itself."""

PRIOR, ACTOR = "prior.", "actor."
"""Prefixes of the weights' names."""


@dataclass(frozen=True)
class Network:
    """All that rebuilds the networks which act; the weights are beside it."""

    encoder: str
    """Name of the image encoder."""
    channels: int
    """Channels of its convolutions."""
    encoding: int
    """Length of its encoding."""
    latent_dim: int
    """Numbers that the policy outputs."""
    squash: bool
    """Whether they are actions, squashed to [-1, 1], rather than latents of a prior."""
    features: int
    """As the field of `SACConfig` of the same name, like all that follow."""
    hidden: tuple[int, ...]
    layer_norm: bool
    critics: int
    value_loss: Literal["mse", "bce"]
    mean_bound: float
    log_std_min: float
    noise_scale: float = 1.0
    policy: Literal["gaussian", "flow"] = "gaussian"

    def actor(self, decoder: ActionDecoder | None) -> Actor:
        """An actor with weights at random, which computes in float32 on any machine.

        Args:
            decoder: what makes actions of its latents, with its weights.

        Raises:
            ConfigError: this parrot has no such encoder.
        """
        config = SACConfig(
            features=self.features, hidden=self.hidden, layer_norm=self.layer_norm, critics=self.critics,
            value_loss=self.value_loss, mean_bound=self.mean_bound, log_std_min=self.log_std_min,
            noise_scale=self.noise_scale, policy=self.policy,
        )  # fmt: skip
        encoder = make_encoder(self.encoder, self.encoding, self.channels)
        space = space_of(self.policy, self.latent_dim, decoder)
        return Actor(config, encoder, self.latent_dim, self.squash, space=space)


@dataclass(frozen=True)
class Success:
    """Success rates of the run, each with the number of episodes behind it; None: not measured."""

    before: float | None
    before_episodes: int
    learning: float | None
    """Over the last episodes while it learnt, exploring."""
    learning_episodes: int
    after: float | None
    """Of what is in the file."""
    after_episodes: int


@dataclass(frozen=True)
class PolicyCard:
    """What a policy is, does, and was made by."""

    task: str
    """The task that it learnt."""
    algo: str
    """How it learnt, one of `parrot.rl.algorithms.ALGORITHMS`."""
    embodiment: Embodiment
    """What it may be used on."""
    network: Network
    """How its networks are built."""
    candidates: int
    """Latents drawn, of which the critics choose one; 0: the policy's mean."""
    prior: dict[str, Any] | None
    """Configuration and card of the prior."""
    success: Success
    """How well it did."""
    note: str
    """What is out of the ordinary, e.g. that its run was still going on; usually empty."""
    run: dict[str, Any]
    """The run's settings."""
    provenance: dict[str, Any]
    """Versions and commits of the run and of the export; updates, episodes, digests of what went in."""
    created: str
    """When it was exported: ISO 8601, UTC."""
    image_shape: tuple[int, ...] = IMAGE_SHAPE
    """Rows, columns, channels of an image; uint8."""
    action_names: tuple[str, ...] = field(default=ACTION_NAMES)
    """Names of an action's components, in order."""


class Policy:
    """A policy that acts.

    Its noise, if it draws candidates, comes from the seed alone: the same seed and images give the same actions.

    Example:
        >>> policy = load_policy("policy.safetensors", robot="xarm6")  # doctest: +SKIP
        >>> action = policy.act(image)                                 # doctest: +SKIP
    """

    card: PolicyCard
    """What it is."""
    sha256: str
    """Of the file."""

    def __init__(
        self, card: PolicyCard, actor: Actor, prior: ActionDecoder | None, seed: int = 0, sha256: str = ""
    ) -> None:
        self.card, self.sha256 = card, sha256
        self._actor = actor
        self._controller = None if prior is None else actor.space.controller or controller_of(prior)
        self._seen: NDArray[np.float32] | None = None
        self._generator = torch.Generator()
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Starts the noise anew from this seed, and an episode."""
        self._generator.manual_seed(seed)
        self.begin()

    def begin(self) -> None:
        """An episode begins: for policies whose prior remembers the steps before (`remembers`)."""
        if self._controller is not None:
            self._controller.begin()

    @property
    def remembers(self) -> bool:
        """Whether an action depends on the steps before it."""
        return self._controller is not None and self._controller.remembers

    def executed(self, action: NDArray[np.floating]) -> None:
        """What the robot made of the last action, (7,) in [-1, 1], if it executed another one."""
        if self._controller is not None and self._seen is not None:
            self._controller.executed(action, self._seen)

    def act(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The action (7,) in [-1, 1] for an image (48, 48, 3) uint8; call once for each step.

        Raises:
            SpaceError: the image has another shape or type.
        """
        image = check_image(image)
        z = self._actor.act(image, self._generator, self.card.candidates)
        if self._controller is None:
            return z.copy()
        self._seen = self._controller.look(image)
        return self._controller.act(z, self._seen)

    def __repr__(self) -> str:
        body = self.card.embodiment
        return f"Policy({self.card.algo} for {self.card.task} on {body.robot}, {self.sha256[:12]})"


def save_policy(path: Path | str, card: PolicyCard, actor: Mapping[str, Tensor], prior: Mapping[str, Tensor]) -> str:
    """Writes the file, whole or not at all; returns its SHA-256.

    Args:
        path: where it goes.
        card: what it is.
        actor: weights of the networks that act, as `Actor.state("")` names them.
        prior: weights of the prior; none without one.

    Raises:
        RunError: the disk is full or the folder cannot be written.
    """
    tensors = {f"{ACTOR}{name}": tensor for name, tensor in actor.items()}
    tensors.update({f"{PRIOR}{name}": tensor for name, tensor in prior.items()})
    return write_sealed(Path(path), FORMAT, asdict(card), tensors)


def load_policy(
    path: Path | str, robot: str | Path | None = None, *, renderer: str | None = None, seed: int = 0
) -> Policy:
    """The policy in that file, on the CPU.

    Args:
        path: a file that `parrot export` wrote.
        robot: if given, name or YAML file of the robot that it is to be used on: the policy must have been made for it,
            and for its camera, action scale and control rate as they are now.
        renderer: what makes the images there, `camera` for a real one; None: what made them for the policy.
        seed: of its noise.

    Raises:
        WeightsError: the file is missing, damaged, of another version or made for something else, or a weight did not
            load.
        ConfigError: there is no such robot.
    """
    path = Path(path)
    values, tensors, digest = read_sealed(path, FORMAT, "parrot export")
    try:
        card = build(PolicyCard, values, "its card")
        prior = _prior(path, card, tensors)
        actor = card.network.actor(prior)
    except ConfigError as error:
        raise WeightsError(f"{path}: {error}; export it again with this version of parrot") from error
    for name, ours in (("image_shape", IMAGE_SHAPE), ("action_names", ACTION_NAMES)):
        if getattr(card, name) != ours:
            raise WeightsError(f"{path}: {name} is {getattr(card, name)}, this parrot has {ours}; export it again")
    if robot is not None:
        _fits(path, card.embodiment, embodiment_of(robot, renderer or card.embodiment.renderer))
    own = {k: v for k, v in tensors.items() if prior is None or not k.startswith(PRIOR)}
    _load(path, actor, card.candidates > 0, own)
    return Policy(card, actor, prior, seed, digest)


def _prior(path: Path, card: PolicyCard, tensors: dict[str, Tensor]) -> ActionDecoder | None:
    """The prior in the file of that path; None: the policy needs none.

    Raises:
        WeightsError: it decodes no actions, or its weights do not load.
    """
    if card.prior is None:
        return None
    weights = {k.removeprefix(PRIOR): v for k, v in tensors.items() if k.startswith(PRIOR)}
    model = build_model(card.prior["config"], card.prior["card"], weights, path)
    if not isinstance(model, ActionDecoder):
        raise WeightsError(f"{path}: its prior decodes no actions; export it again")
    return model


def parts_of(actor: Actor, with_critics: bool) -> dict[str, torch.nn.Module]:
    """The networks of an actor that a policy's file holds: without the critics if they have no say."""
    return {name: part for name, part in actor.parts.items() if with_critics or name != "critic"}


def _fits(path: Path, made_for: Embodiment, here: Embodiment) -> None:
    if found := made_for.difference(here):
        name, its, ours = found
        raise WeightsError(
            f"{path}: this policy was made for {name.replace('_', ' ')} {its}, here it is {ours}; "
            "export a policy from a run that was made here, or go back to what it was made for"
        )


def _load(path: Path, actor: Actor, with_critics: bool, tensors: dict[str, Tensor]) -> None:
    """Loads every weight of the actor, each of its own shape and type, and has none left over.

    Raises:
        WeightsError: one is missing, left over or does not fit.
    """
    wanted = {
        f"{ACTOR}{name}.{key}": weight
        for name, part in parts_of(actor, with_critics).items()
        for key, weight in part.state_dict(keep_vars=True).items()
    }
    odd = [f"{name} is missing" for name in sorted(wanted.keys() - tensors.keys())]
    odd += [f"{name} is not known" for name in sorted(tensors.keys() - wanted.keys())]
    for name in sorted(wanted.keys() & tensors.keys()):
        shapes = [tuple(t.shape) for t in (tensors[name], wanted[name])]
        if shapes[0] != shapes[1]:
            odd.append(f"{name} is {shapes[0]}, not {shapes[1]}")
    if odd:
        more = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
        raise WeightsError(f"{path}: not every weight would load: {', '.join(odd[:3])}{more}; export it again")
    with torch.no_grad():
        for name, weight in wanted.items():
            weight.copy_(tensors[name])
