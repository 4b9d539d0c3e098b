"""Prior-explore: as many actions come from the prior as epsilon says, and none when the policy is evaluated."""

import numpy as np
import pytest
import torch

from parrot.errors import ConfigError
from parrot.prior.flow import FlowPrior
from parrot.prior.presets import PriorConfig
from parrot.prior.weights import save_prior
from parrot.rl.algorithms import ALGORITHMS, algorithm
from parrot.rl.finetune import FineTuning
from parrot.rl.settings import FineTuneConfig, sac_config
from parrot.spaces import Outcome

STEPS = 25


@pytest.fixture(scope="module")
def prior_path(tmp_path_factory):
    """A prior whose actions nobody takes for the policy's: all near 0.77."""
    prior = FlowPrior(PriorConfig(encoder="fast", channels=8, features=16, hidden=16, standardise=True))
    prior.begin(torch.full((7,), 0.77), torch.full((7,), 1e-3))
    prior.card = {"robot": "xarm6"}
    path = tmp_path_factory.mktemp("prior") / "prior.safetensors"
    save_prior(prior, path)
    return path


@pytest.mark.parametrize("epsilon", [0.1, 0.9])
def test_the_share_of_the_priors_actions_is_epsilon(prior_path, tmp_path, epsilon):
    # No updates: the policy stays N(0, 1), squashed.
    sac = sac_config("fast", ["features=16", "hidden=[16]", "critics=2", "start_steps=1000000", "replay_episodes=64"])
    config = FineTuneConfig(
        task="blob", algo="prior_explore", prior=str(prior_path), epsilon=epsilon, eval_before=4, episodes=40,
        eval_after=4, sac=sac,
    )  # fmt: skip
    image = np.zeros((48, 48, 3), np.uint8)
    by_prior: dict[str, list[bool]] = {"before": [], "train": [], "after": []}
    with FineTuning(config, tmp_path / "run") as tuning:
        while not tuning.done:
            phase = tuning.phase
            for step in range(STEPS):
                action = tuning.act(image)
                assert np.abs(action).max() <= 1
                by_prior[phase].append(bool(np.abs(action - 0.77).max() < 0.05))
                tuning.observe(Outcome(0.0, False, False, step == STEPS - 1, step), action)
    assert all(by_prior["before"])
    assert not any(by_prior["after"])
    n = len(by_prior["train"])
    assert n == 40 * STEPS
    assert abs(np.mean(by_prior["train"]) - epsilon) < 4 * np.sqrt(epsilon * (1 - epsilon) / n)


def test_only_prior_explore_explores_by_a_prior():
    assert [name for name in ALGORITHMS if algorithm(name).explores] == ["prior_explore"]
    assert FineTuneConfig().epsilon == 0.9
    with pytest.raises(ConfigError, match=r"epsilon is 1.5; give a share from 0 to 1"):
        FineTuneConfig(epsilon=1.5)


def test_a_run_of_an_older_version_goes_on(prior_path):
    there = FineTuneConfig(prior=str(prior_path)).to_json()
    del there["epsilon"]
    assert FineTuneConfig(prior=str(prior_path)).differences(there) == []
    assert FineTuneConfig(prior=str(prior_path), epsilon=0.3).differences(there) == [
        "epsilon is 0.9 there and 0.3 here"
    ]
