from pathlib import Path

import numpy as np
import pytest
import torch

from parrot.prior.flow import FlowPrior
from parrot.prior.presets import PriorConfig
from parrot.prior.weights import save_prior
from parrot.rl.settings import FineTuneConfig, sac_config


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def prior_path(tmp_path_factory) -> Path:
    """A prior that knows nothing yet: an invertible map, which is all that these tests need."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        prior = FlowPrior(PriorConfig(encoder="fast", channels=8, features=16, hidden=16, standardise=True))
    prior.card = {"robot": "xarm6"}
    path = tmp_path_factory.mktemp("prior") / "prior.safetensors"
    save_prior(prior, path)
    return path


@pytest.fixture
def small(prior_path):
    """A run that takes seconds."""

    def make(changes=(), **fields) -> FineTuneConfig:
        sac = sac_config(
            "fast",
            ["batch_size=8", "features=16", "hidden=[16, 16]", "critics=2", "start_steps=10", "start_successes=1",
             "lr_warmup=0", "shift=1", "replay_episodes=64", *changes],
        )  # fmt: skip
        given = {
            "task": "dot", "prior": str(prior_path), "episodes": 6, "eval_before": 2, "eval_after": 2, "minutes": 5.0,
            **fields,
        }  # fmt: skip
        return FineTuneConfig(sac=sac, **given)

    return make
