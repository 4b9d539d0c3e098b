"""Prior-explore: soft actor-critic on raw actions that explores by the behavioral prior (paper, section 5).

While it learns, an action comes from the prior with probability epsilon, else from the policy. The policy is evaluated
on its own.
"""

from __future__ import annotations

from pathlib import Path

from parrot.prior.weights import load_decoder
from parrot.rl.algorithms import Algorithm, Start, encoder_beside
from parrot.rl.presets import SACConfig

__all__ = ["ALGORITHM"]


def start(config: SACConfig, weights: Path | None, seed: int) -> Start:
    """A random policy; its image encoder is the prior's if the hyper-parameters say so."""
    prior = load_decoder(weights)
    return Start(*encoder_beside(prior, config, seed), explorer=prior)


ALGORITHM = Algorithm(
    name="prior_explore",
    title="soft actor-critic on raw actions, explored by the behavioral prior",
    label="Prior-explore",
    colour="tab:orange",
    before="the prior alone",
    start=start,
    kind="flow",
    explores=True,
)
