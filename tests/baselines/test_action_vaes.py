"""The VAEs of HIRL and TrajRL: what they must be able to learn, and what their files hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from parrot.baselines import hirl, trajrl
from parrot.baselines.action_vae import VAEConfig, annealed
from parrot.baselines.hirl import ConditionalVAE, HIRLConfig
from parrot.baselines.trajrl import TrajectoryVAE, TrajRLConfig
from parrot.data.dataset import Dataset
from parrot.data.episode import Episode
from parrot.data.manifest import Manifest
from parrot.data.writer import EpisodeWriter
from parrot.errors import WeightsError
from parrot.prior.base import Prior
from parrot.prior.train import Trainer
from parrot.prior.weights import load_decoder, load_model, load_prior

MANIFEST = Manifest(kind="collect", robot="toy-arm", renderer="sides", camera={"fov": 40})
SIDES = (30, 220)
"""Grey of the left and of the right half of the picture; either may be the brighter one."""


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def picture(left_is_bright):
    image = np.full((48, 48, 3), SIDES[0], np.uint8)
    image[:, slice(0, 24) if left_is_bright else slice(24, 48)] = SIDES[1]
    return image


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    """Episodes of 20 steps whose arm goes up or down as it likes, and to the brighter side."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("sides") / "data"
    with EpisodeWriter(path, MANIFEST, sync=False) as writer:
        for number in range(100):
            left, up = rng.integers(2, size=2)
            actions = np.zeros((20, 7), np.float32)
            actions[:, 0] = -0.5 if left else 0.5
            actions[:, 2] = 0.6 if up else -0.6
            actions[:, 5] = actions[:, 2] * np.sin(np.arange(20) / 6)
            actions += rng.normal(0, 0.01, actions.shape).astype(np.float32)
            images = np.repeat(picture(left)[None], 20, 0)
            writer.append(Episode(images, actions, np.zeros(20), task="sides", success=True, seed=number))
    return Dataset.open(path)


def images_of(left_is_bright, count):
    return torch.from_numpy(picture(left_is_bright)).permute(2, 0, 1).expand(count, 3, 48, 48).contiguous()


def quick(config, model, steps):
    return replace(
        config,
        model=replace(model, hidden=32, anneal=50, beta=0.01),
        steps=steps,
        batch=32,
        lr=3e-3,
        warmup=10,
        held_out=0.1,
    )


@pytest.fixture(scope="module")
def conditional(dataset, tmp_path_factory):
    """A small HIRL and its folder."""
    out = tmp_path_factory.mktemp("hirl")
    model = HIRLConfig(encoder="fast", channels=8, features=16)
    trainer = Trainer(dataset, quick(hirl.fast(), model, 500), out, device="cpu")
    return trainer.run(), out, trainer.rows[-1]


@pytest.fixture(scope="module")
def trajectory(dataset, tmp_path_factory):
    """A small TrajVAE and its folder."""
    out = tmp_path_factory.mktemp("trajrl")
    trainer = Trainer(dataset, quick(trajrl.fast(), TrajRLConfig(), 300), out, device="cpu")
    return trainer.run(), out, trainer.rows[-1]


def test_beta_is_annealed_from_nothing_by_a_logistic_with_its_half_where_the_paper_has_it():
    config = VAEConfig()
    curve = [annealed(config, step) for step in range(0, 500_001, 5_000)]
    assert curve == sorted(curve)
    assert curve[0] < 1e-4 * config.beta
    assert annealed(config, 25_000) == config.beta / 2 == 0.0005
    assert curve[-1] == pytest.approx(0.001)


@pytest.mark.parametrize("module", [hirl, trajrl])
def test_the_paper_s_architecture_is_that_of_its_appendix(module):
    config = module.paper()
    assert (config.steps, config.lr, config.model.latent, config.model.beta) == (500_000, 1e-4, 8, 0.001)
    model = module.ConditionalVAE(config.model) if module is hirl else module.TrajectoryVAE(config.model)

    def widths(network):
        return [layer.out_features for layer in network if isinstance(layer, torch.nn.Linear)]

    size, features = (7, 256) if module is hirl else (25 * 7, 0)
    assert widths(model.vae.generation) == [128, 256, 512, size]
    assert widths(model.vae.inference) == [512, 256, 128, 16]
    assert (model.vae.generation[0].in_features, model.vae.inference[0].in_features) == (8 + features, size + features)
    assert sum(isinstance(layer, torch.nn.BatchNorm1d) for layer in model.vae.generation) == 3


def test_the_gradient_reaches_every_weight(dataset):
    for module, kind in ((hirl, ConditionalVAE), (trajrl, TrajectoryVAE)):
        model = kind(replace(module.fast().model, hidden=8))
        horizon = () if kind.HORIZON == 1 else (kind.HORIZON,)
        batch = module.Batch(images_of(True, 4), torch.randn(4, *horizon, 7))
        model.score(batch, model.encode_image(batch.image), 100, torch.Generator().manual_seed(0)).sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_the_conditional_vae_reconstructs_and_pays_for_what_z_tells(conditional):
    model, _, row = conditional
    assert row.measures["rmse"] < 0.12
    assert 0.3 < row.measures["kl"] < 20  # up or down is a bit, 0.69 nats
    actions = torch.zeros(2, 7)
    actions[:, 0], actions[:, 2] = -0.5, torch.tensor([0.6, -0.6])
    with torch.no_grad():
        found = model.decode(model.infer(actions, images_of(True, 2)), images_of(True, 2))
    assert (found - actions)[:, [0, 2]].abs().max() < 0.2


def test_its_latent_covers_both_modes_and_the_image_decides_the_rest(conditional):
    model, _, _ = conditional
    for left in (True, False):
        with torch.no_grad():
            actions = model.decode(model.sample_latent(500, torch.Generator().manual_seed(1)), images_of(left, 500))
        up, down = (float((sign * actions[:, 2] > 0.3).float().mean()) for sign in (1, -1))
        assert min(up, down) > 0.15, (up, down)
        assert up + down > 0.6  # and little of what lies between them, where a unimodal policy would be
        assert (actions[:, 0] + (0.5 if left else -0.5)).abs().mean() < 0.15


def test_the_trajectory_decoder_reproduces_a_demonstration_and_stands_still_after_its_end(trajectory, dataset):
    model, _, row = trajectory
    assert row.measures["rmse"] < 0.12
    demonstrations = torch.zeros(10, 25, 7)
    demonstrations[:, :20] = torch.from_numpy(np.stack([dataset.episode(i).actions for i in range(10)]))
    with torch.no_grad():
        found = model.decode(model.infer(demonstrations), images_of(True, 10))
    assert (found - demonstrations).square().mean().sqrt() < 0.12
    assert found[:, 20:].abs().max() < 0.3
    assert (found[:, 9, 2].sign() == demonstrations[:, 9, 2].sign()).all()
    with torch.no_grad():  # it is blind
        assert torch.equal(
            model.decode(torch.ones(1, 8), images_of(True, 1)), model.decode(torch.ones(1, 8), images_of(False, 1))
        )


def test_a_trained_model_comes_back_from_its_file_bit_for_bit(conditional, trajectory):
    z = torch.linspace(-1, 1, 8)[None]
    for (model, out, _), kind in ((conditional, ConditionalVAE), (trajectory, TrajectoryVAE)):
        loaded = load_model(out / "prior.safetensors", kind, robot="toy-arm")
        assert loaded.config == model.config
        assert torch.equal(loaded.decode(z, images_of(True, 1)), model.decode(z, images_of(True, 1)))
        assert not any(part.training for part in loaded.modules())


def test_a_training_goes_on_with_its_batch_statistics(dataset, tmp_path):
    config = quick(trajrl.fast(), TrajRLConfig(), 6)
    whole = Trainer(dataset, config, tmp_path / "whole", device="cpu").run()
    Trainer(dataset, replace(config, steps=3, cosine=False), tmp_path / "parts", device="cpu").run()
    longer = Trainer(dataset, replace(config, cosine=False), tmp_path / "parts", device="cpu")
    assert longer.step == 3
    flat = Trainer(dataset, replace(config, cosine=False), tmp_path / "flat", device="cpu").run()
    parts = longer.run()
    assert all(torch.equal(value, flat.state_dict()[name]) for name, value in parts.state_dict().items())
    assert not torch.equal(whole.vae.generation[1].running_mean, torch.zeros(32))


def test_a_file_of_another_kind_is_refused_by_name(conditional, trajectory):
    (vae, plan) = (out / "prior.safetensors" for _, out, _ in (conditional, trajectory))
    assert not isinstance(load_decoder(vae), Prior)
    with pytest.raises(WeightsError, match=r"holds a conditional VAE of actions, for HIRL; .* --kind flow"):
        load_prior(vae)
    with pytest.raises(WeightsError, match=r"holds a VAE of trajectories, for TrajRL; .* --kind flow"):
        load_decoder(plan)
    with pytest.raises(WeightsError, match="--kind hirl"):
        load_model(plan, ConditionalVAE)
