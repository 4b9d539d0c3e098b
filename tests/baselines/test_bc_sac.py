"""BC-SAC: the clone fits an expert with one mode, and soft actor-critic begins with exactly this policy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from baseline_toys import scenes

from parrot.baselines.bc_sac import PRESETS, CloneConfig, ClonedPolicy
from parrot.errors import WeightsError
from parrot.prior.train import Trainer
from parrot.prior.weights import load_model, load_prior
from parrot.rl.algorithms import start_of
from parrot.rl.learner import maker
from parrot.rl.settings import sac_config
from parrot.spaces import to_chw

SMALL = replace(
    PRESETS["fast"](),
    model=CloneConfig(
        encoder="fast", channels=64, hidden=(64, 64), layer_norm=True, entropy_weight=0.1
    ),
    steps=500,
    batch=32,
    lr=2e-3,
    warmup=10,
    cosine=False,
    ema=0.95,
    shift=0,
    jitter=0.0,
    held_out=0.2,
)  # fmt: skip
SAME = ["hidden=[64, 64]", "critics=2"]


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    """A finished training."""
    out = tmp_path_factory.mktemp("bc")
    trainer = Trainer(dataset, SMALL, out, device="cpu")
    trainer.run()
    return trainer


def test_the_clone_fits_an_expert_with_one_mode(trained):
    images, directions = scenes(64, np.random.default_rng(1))
    clone = load_model(trained.out / "prior.safetensors", ClonedPolicy, "xarm6")
    with torch.inference_mode():
        found = clone.policy(clone.encode_image(torch.from_numpy(to_chw(images))))
        action = torch.tanh(found.mean).numpy()
    error = np.abs(action[:, :2] - directions).mean()
    assert error < 0.3 * np.abs(directions - directions.mean(0)).mean()  # of an action that ignores the image
    assert action[:, 6].min() > 0.8
    assert np.abs(action[:, 2:6]).mean() < 0.1
    assert torch.isfinite(found.log_std).all()


def test_the_curve_tells_likelihood_and_entropy(trained):
    latest = trained.rows[-1].measures
    assert set(latest) == {"log_likelihood", "entropy", "absolute_error"}
    assert latest["absolute_error"] < 0.08
    header = (trained.out / "metrics.csv").read_text().splitlines()[0]
    assert "held_out absolute_error" in header
    page = (trained.out / "prior.md").read_text()
    assert page.startswith("# A Gaussian policy by behavioural cloning, for xarm6\n")
    assert "held-out score" in page
    # The rows survive: the same training opened again has them.
    assert Trainer(trained.dataset, SMALL, trained.out, device="cpu").rows == trained.rows


def test_the_entropy_is_held_near_its_target(dataset, tmp_path):
    # An expert without noise: maximum likelihood alone would drive the entropy of each number to its lower bound.
    free = replace(SMALL.model, target_entropy_per_dim=-5.0, entropy_weight=1e-6)
    held = replace(SMALL.model, target_entropy_per_dim=0.5, entropy_weight=1.0)
    found = []
    for model in (free, held):
        trainer = Trainer(dataset, replace(SMALL, model=model, steps=60), tmp_path / str(len(found)), device="cpu")
        trainer.run()
        found.append(trainer.rows[-1].measures["entropy"])
    assert found[1] > found[0] + 3


@pytest.mark.parametrize("preset", ["fast", "paper"])
def test_soft_actor_critic_begins_with_the_clone(trained, preset):
    own = [*SAME, "layer_norm=true", "encoder=fast"]
    config = sac_config(preset, own)
    start = start_of("bc_sac", config, trained.out / "prior.safetensors")
    agents = [maker(config, start)(0, 0), maker(config, start)(1, 100)]
    images = scenes(4, np.random.default_rng(2))[0]
    clone = trained.average
    with torch.inference_mode():
        expected = torch.tanh(clone.policy(clone.encode_image(torch.from_numpy(to_chw(images)))).mean).numpy()
    for agent in agents:
        agent.actor.trunk.bf16 = False
        acts = [agent.actor.act(image, torch.Generator(), candidates=0) for image in images]
        np.testing.assert_allclose(acts, expected, atol=1e-5)
    assert start.squash


def test_a_clone_of_another_shape_is_refused(trained):
    file = trained.out / "prior.safetensors"
    with pytest.raises(WeightsError, match=r"this clone has hidden \(64, 64\), the policy of this preset has"):
        start_of("bc_sac", sac_config("fast"), file)
    with pytest.raises(WeightsError, match="holds a Gaussian policy by behavioural cloning"):
        load_prior(file)
    with pytest.raises(WeightsError, match=r"--kind bc"):
        start_of("bc_sac", sac_config("fast"))
