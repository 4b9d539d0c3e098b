"""VAE-features: the autoencoder reconstructs what it has never seen, and its features stay as they are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from baseline_toys import scenes

from parrot.baselines.vae_features import PRESETS, ObservationVAE, VAEConfig
from parrot.prior.encoder import ResidualEncoder, normalise
from parrot.prior.train import Trainer
from parrot.prior.weights import load_model
from parrot.rl.algorithms import start_of
from parrot.rl.learner import maker
from parrot.rl.replay import Batch
from parrot.rl.settings import sac_config
from parrot.spaces import to_chw

SMALL = replace(
    PRESETS["fast"](), model=VAEConfig(channels=16), steps=150, batch=16, lr=2e-3, warmup=10, ema=0.9, held_out=0.2
)


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    """A finished training."""
    trainer = Trainer(dataset, SMALL, tmp_path_factory.mktemp("vae"), device="cpu")
    trainer.run()
    return trainer


def test_it_reconstructs_images_that_it_has_not_seen(trained):
    vae = load_model(trained.out / "prior.safetensors", ObservationVAE, "xarm6")
    images = torch.from_numpy(to_chw(scenes(16, np.random.default_rng(1))[0]))
    pixels = normalise(images)
    with torch.inference_mode():
        moments = vae.encode_image(images)
        made = vae.decode_image(moments[:, : vae.feature_dim // 2])
    # Where the blobs are is most of what there is to see: the mean image must be far worse.
    assert (made - pixels).square().mean() < 0.2 * (pixels - pixels.mean(0)).square().mean()
    # Another image's features make another image.
    assert (made.roll(1, 0) - pixels).square().mean() > 3 * (made - pixels).square().mean()


def test_the_curve_tells_error_and_divergence(trained):
    latest = trained.rows[-1].measures
    assert set(latest) == {"grey_levels", "divergence"}
    assert 0 < latest["grey_levels"] < 10
    assert latest["divergence"] > 1


def test_beta_weighs_the_divergence(dataset, tmp_path):
    heavy = replace(SMALL, model=VAEConfig(channels=8, beta=100.0), steps=30)
    light = replace(SMALL, model=VAEConfig(channels=8, beta=1e-3), steps=30)
    found = []
    for name, config in (("heavy", heavy), ("light", light)):
        trainer = Trainer(dataset, config, tmp_path / name, device="cpu")
        trainer.run()
        found.append(trainer.rows[-1].measures["divergence"])
    assert found[0] < 0.5 * found[1]


def test_the_paper_has_256_channels():
    vae = ObservationVAE(PRESETS["paper"]().model)
    widths = {m.out_channels for m in vae.encoder.modules() if isinstance(m, torch.nn.Conv2d)}
    assert widths == {256}
    assert [m.stride for m in vae.encoder if isinstance(m, torch.nn.Conv2d)] == [(2, 2), (2, 2)]


@pytest.mark.parametrize("preset", ["fast", "paper"])
def test_learning_leaves_the_features_as_they_are(trained, preset, tmp_path):
    config = sac_config(preset, ["features=16", "hidden=[16]", "batch_size=8"])
    start = start_of("vae_features", config, trained.out / "prior.safetensors")
    agent = maker(config, start)(0, 0)
    rng = np.random.default_rng(0)
    batch = Batch(
        images=rng.integers(0, 256, (8, 48, 48, 3), np.uint8), latents=rng.uniform(-1, 1, (8, 7)).astype(np.float32),
        returns=np.ones(8, np.float32), next_images=rng.integers(0, 256, (8, 48, 48, 3), np.uint8),
        discounts=np.zeros(8, np.float32), successes=np.ones(8, bool), weights=np.ones(8, np.float32),
    )  # fmt: skip
    trunk = {name: value.clone() for name, value in agent.actor.trunk.state_dict().items()}
    heads = [p.clone() for p in (*agent.policy.parameters(), *agent.critic.parameters())]
    for _ in range(2):
        agent.update(batch)
    after = agent.actor.trunk.state_dict()
    vae = trained.average
    assert all(torch.equal(after[name], value) for name, value in trunk.items())
    image = torch.from_numpy(to_chw(rng.integers(0, 256, (1, 48, 48, 3), np.uint8)))
    agent.actor.trunk.bf16 = False
    with torch.inference_mode():
        mean = vae.encode_image(image)[:, : vae.feature_dim // 2]
        assert torch.allclose(agent.actor.trunk(image).flatten(1), mean, atol=1e-5)
    assert agent.actor.trunk(image).shape[1] == ResidualEncoder.LATENT_CHANNELS
    changed = [
        not torch.equal(a, b)
        for a, b in zip(heads, (*agent.policy.parameters(), *agent.critic.parameters()), strict=True)
    ]
    assert sum(changed) > len(changed) / 2
    # What it saves goes on from there.
    other = maker(config, start)(1, 0)
    other.load(agent.state())
    assert other.updates == 2
