"""Critics that judge the action that a latent stands for."""

import numpy as np
import pytest
import torch
from rl_toys import DotEnv, DotPrior
from test_sac import agent_of, filled, play

from parrot.baselines.hirl import ConditionalVAE, HIRLConfig
from parrot.prior.encoder import FastEncoder
from parrot.prior.flow import FlowPrior
from parrot.prior.presets import PriorConfig
from parrot.rl.algorithms import judged_by
from parrot.rl.judged import Judged
from parrot.rl.replay import Replay
from parrot.rl.sac import Agent
from parrot.rl.settings import sac_config
from parrot.rl.wrapper import LatentActionWrapper
from parrot.spaces import EPISODE_STEPS


@pytest.fixture
def prior():
    torch.manual_seed(0)
    return FlowPrior(PriorConfig(layers=2, hidden=16, features=16, channels=4))


def test_they_see_the_action_and_gradients_reach_the_latent_alone(prior, rng):
    judged = Judged(7, prior)
    images = rng.integers(0, 256, (5, 48, 48, 3), dtype=np.uint8)
    z = torch.randn(5, 7, requires_grad=True)
    shown = judged.show(z, judged.look(images))
    expected = prior.decode(z, torch.from_numpy(images).permute(0, 3, 1, 2)).clamp(-1.2, 1.2)
    torch.testing.assert_close(shown, expected)
    shown.sum().backward()
    assert z.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in judged.decoder.parameters())


def test_whatever_starts_from_the_prior_is_trained_all_the_same(prior, rng):
    sac = sac_config("fast", ["judge=action", "features=16", "hidden=[32, 32]", "encoder=paper"])
    plain = Agent(sac, prior.encoder, 7)  # before the critics' view is made, which must not change the prior
    told = Agent(sac, prior.encoder, 7, judged=Judged(7, prior))
    for mine, other in ((told.policy, plain.policy), (told.critic, plain.critic), (told.trunk, plain.trunk)):
        trained = [name for name, weight in mine.named_parameters() if weight.requires_grad]
        assert trained == [name for name, weight in other.named_parameters() if weight.requires_grad]
    before = {name: weight.clone() for name, weight in told.policy.projection.named_parameters()}
    for _ in range(3):
        told.update(filled(rng).sample(16, rng))
    assert all(not torch.equal(weight, before[name]) for name, weight in told.policy.projection.named_parameters())


def test_one_image_serves_many_latents(prior, rng):
    judged = Judged(7, prior)
    image = rng.integers(0, 256, (1, 48, 48, 3), dtype=np.uint8)
    z = torch.randn(8, 7)
    torch.testing.assert_close(
        judged.show(z, judged.look(image)), judged.show(z, judged.look(np.repeat(image, 8, axis=0)))
    )


def test_an_image_is_encoded_once_until_another_takes_its_place(prior, rng, monkeypatch):
    judged, counts = Judged(7, prior, episodes=2), []
    encode = judged.decoder.encode_image
    monkeypatch.setattr(judged.decoder, "encode_image", lambda image: (counts.append(len(image)), encode(image))[1])
    images = rng.integers(0, 256, (4, 48, 48, 3), dtype=np.uint8)
    numbers = np.array([3, 9, 3 + 2 * EPISODE_STEPS, 11])
    for some in ([0, 1], [1, 0], [0, 3, 1], [2], [2], [0]):
        found = judged.look(images[some], numbers[some])
        torch.testing.assert_close(found, encode(torch.from_numpy(images[some]).permute(0, 3, 1, 2)), atol=2e-3, rtol=0)
    assert counts == [2, 1, 1, 1]


def test_the_replay_numbers_each_image_of_its_own(rng):
    replay, numbers = Replay(4, 7, 0.97), {}
    for episode in range(11):
        images = np.full((3, 48, 48, 3), episode, np.uint8) + np.arange(3, dtype=np.uint8)[:, None, None, None] * 20
        replay.append(images, np.zeros((3, 7), np.float32), np.zeros(3, np.float32), success=True, terminated=True)
        batch = replay.sample(64, rng)
        for images, ids in ((batch.images, batch.numbers), (batch.next_images, batch.next_numbers)):
            for image, number in zip(images[:, 0, 0, 0], ids, strict=True):
                assert numbers.setdefault(number, image) == image
    assert sorted(number // EPISODE_STEPS for number in numbers if number % EPISODE_STEPS == 0) == list(range(11))


def test_a_pixel_task_is_solved(rng):
    prior = DotPrior()
    sac = sac_config("fast", [
        "judge=action", "features=32", "hidden=[64, 64]", "critics=2", "batch_size=64", "updates_per_step=1",
        "bf16=false",
    ])  # fmt: skip
    agent = Agent(sac, prior.encoder, 7, judged=Judged(7, prior))
    successes = play(LatentActionWrapper(DotEnv(), prior), agent, 200)
    assert np.mean(successes[:20]) < 0.6
    assert np.mean(successes[-40:]) > 0.8


def test_an_agent_without_a_decoder_judges_latents(rng):
    batch = filled(rng).sample(16, rng)
    plain, told = agent_of(), agent_of(judged=Judged(7))
    assert plain.update(batch, report=True) == told.update(batch, report=True)


def test_a_prior_that_remembers_shows_nothing():
    from parrot.prior.history import HistoryConfig, HistoryPrior

    remembering = HistoryPrior(HistoryConfig(layers=2, hidden=16, features=16, channels=4))
    assert judged_by("action", 7, remembering).decoder is None
    assert judged_by("action", 7, None).decoder is None
    assert judged_by("latent", 7, FlowPrior(PriorConfig(layers=2, hidden=16, channels=4))).decoder is None


def test_critics_of_actions_take_seven_numbers_whatever_the_latent():
    decoder = ConditionalVAE(HIRLConfig(encoder="fast", channels=8, features=16, hidden=16)).eval()
    assert decoder.latent_dim == 8
    sac = sac_config("fast", ["judge=action", "features=32", "hidden=[32, 32]"])
    agent = Agent(sac, FastEncoder(32, channels=8), 8, judged=Judged(8, decoder))
    assert agent.critic.ensemble.weights[0].shape[1] == 32 + 7
