"""The kinds of models that `parrot prior train` makes and that files hold.

Models of the comparisons live in packages above this one, which import it: so a kind is named here and its class is
imported when the first such model is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from parrot.errors import ConfigError
from parrot.prior.base import Model

__all__ = ["KINDS", "Kind", "kind"]


@dataclass(frozen=True)
class Kind:
    """A kind of model."""

    title: str
    """What it is, in a few words that follow "a"."""
    module: str
    """Where its class is."""
    name: str
    """Name of the class."""

    @property
    def model(self) -> type[Model]:
        """The class."""
        return getattr(import_module(self.module), self.name)


KINDS = {
    "flow": Kind("normalizing flow over actions, the behavioral prior", "parrot.prior.flow", "FlowPrior"),
    "history": Kind("flow that remembers the steps before, a prior", "parrot.prior.history", "HistoryPrior"),
    "matching": Kind("flow-matching prior over actions", "parrot.prior.flow_matching", "FlowMatchingPrior"),
    "bc": Kind("Gaussian policy by behavioural cloning", "parrot.baselines.bc_sac", "ClonedPolicy"),
    "vae": Kind("variational autoencoder of observations", "parrot.baselines.vae_features", "ObservationVAE"),
    "trajrl": Kind("VAE of trajectories, for TrajRL", "parrot.baselines.trajrl", "TrajectoryVAE"),
    "hirl": Kind("conditional VAE of actions, for HIRL", "parrot.baselines.hirl", "ConditionalVAE"),
}


def kind(name: str) -> Kind:
    """The kind of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in KINDS:
        raise ConfigError(f"kind {name!r} is unknown; choose one of {', '.join(KINDS)}")
    return KINDS[name]
