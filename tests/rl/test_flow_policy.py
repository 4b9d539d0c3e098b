"""A policy that starts as a copy of the prior, at home among actions."""

import numpy as np
import pytest
import torch
from rl_toys import DotEnv, DotPrior
from test_sac import filled, play

from parrot.errors import ConfigError
from parrot.prior.encoder import FastEncoder
from parrot.prior.flow import FlowPrior
from parrot.prior.presets import PriorConfig
from parrot.rl.actor import Actor
from parrot.rl.advantage import AdvantageAgent
from parrot.rl.algorithms import Start, space_of
from parrot.rl.flow_policy import FlowPolicy
from parrot.rl.presets import SACConfig
from parrot.rl.replay import Replay
from parrot.rl.settings import sac_config
from parrot.rl.space import ActionSpace, LatentSpace
from parrot.rl.wrapper import LatentActionWrapper

FLOW = ["policy=flow", "features=16", "hidden=[32, 32]", "bf16=false"]
NOISE = torch.linspace(-2, 2, 35).view(5, 7)


@pytest.fixture(params=["affine", "spline"])
def prior(request):
    torch.manual_seed(0)
    found = FlowPrior(PriorConfig("flow", "fast", 8, 16, request.param, hidden=16, standardise=True))
    found.standardise(torch.linspace(-0.2, 0.2, 7), torch.full((7,), 0.3))
    with torch.no_grad():
        for coupling in found.couplings:
            coupling.net[-1].weight.mul_(10)  # as after training: not near the identity
    return found


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (5, 48, 48, 3), dtype=np.uint8)


def chw(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def agent_of(prior, changes=(), episodes=16, **kwargs):
    config = sac_config("fast", [*FLOW, *changes])
    return AdvantageAgent(config, prior.encoder, 7, space=ActionSpace(prior, episodes), **kwargs)


@torch.no_grad()
def test_it_starts_as_the_prior_exactly(prior, images):
    actor = agent_of(prior).actor
    expected = prior.decode(NOISE, chw(images))
    for image, noise, action in zip(images, NOISE, expected, strict=True):
        drawn = actor.policy(actor.trunk(chw(image[None]))).draw(noise[None])[0]
        torch.testing.assert_close(drawn, action, atol=1e-5, rtol=1e-4)
    found = actor.policy(actor.trunk(chw(images))).log_prob(expected)
    torch.testing.assert_close(found, prior.log_prob(expected, chw(images)), atol=1e-3, rtol=1e-4)


def test_its_first_latents_are_the_noise_itself(prior, images):
    actor = agent_of(prior).actor
    for image in images:
        z = actor.act(image, torch.Generator().manual_seed(7))
        noise = torch.randn(1, 7, generator=torch.Generator().manual_seed(7))[0].numpy()
        executed = prior.decode(torch.from_numpy(noise)[None], chw(image[None]))[0]
        if executed.abs().max() < 1.2:  # beyond, it is drawn back to where clipping makes no difference
            assert z == pytest.approx(noise, abs=1e-2)


def test_it_acts_near_its_mean_where_others_let_their_critics_choose(prior, images):
    actor = agent_of(prior, ["noise_scale=0.5"]).actor
    for image in images:
        z = actor.act(image, torch.Generator().manual_seed(7), candidates=8)
        noise = 0.5 * torch.randn(1, 7, generator=torch.Generator().manual_seed(7))[0].numpy()
        executed = prior.decode(torch.from_numpy(noise)[None], chw(image[None]))[0]
        if executed.abs().max() < 1.2:
            assert z == pytest.approx(noise, abs=1e-2)
    assert actor.evaluation_candidates(8) == 0


def test_the_latent_that_it_acts_by_stands_for_its_action(prior, images, rng):
    agent, replay = agent_of(prior, ["policy_lr=0.01", "lr_warmup=0", "batch_size=32"]), filled(rng)
    for _ in range(5):
        agent.learn(replay, rng)
    for image in images:
        z = agent.actor.act(image, torch.Generator(), candidates=0)
        action = agent.policy(agent.actor.trunk(chw(image[None]))).draw(torch.zeros(1, 7))[0]
        decoded = prior.decode(torch.from_numpy(z)[None], chw(image[None]))[0]
        torch.testing.assert_close(decoded.clamp(-1, 1), action.clamp(-1, 1), atol=1e-2, rtol=0)
        assert not np.allclose(z, 0, atol=0.05)  # it has learnt something


def points(space, replay, rng):
    """Latents of some steps in the replay, their images, and the actions that the space says they are."""
    rows = rng.choice(replay.rows(replay.whole()[0]), 64)
    latents, images = replay.latents(rows), replay.images(rows)
    return latents, images, space.actions(latents, images, replay.numbers(rows))


@torch.no_grad()
def test_what_was_done_is_known_by_its_action_and_each_image_encoded_once(prior, rng, monkeypatch):
    replay, space, counts = filled(rng), ActionSpace(prior, 16), []
    encode = space.prior.encode_image
    monkeypatch.setattr(space.prior, "encode_image", lambda image: (counts.append(len(image)), encode(image))[1])
    for _ in range(20):
        latents, images, found = points(space, replay, rng)
        expected = prior.decode(torch.from_numpy(latents), chw(images)).clamp(-1.2, 1.2)
        np.testing.assert_allclose(found, expected, atol=1e-2)
    seen = len(counts)
    points(space, replay, rng)
    assert 0 < seen == len(counts) < 20


@torch.no_grad()
def test_an_image_in_the_place_of_another_is_encoded_anew(prior, rng):
    replay, space = Replay(2, 7, 0.97), ActionSpace(prior, 2)
    for _ in range(5):
        replay.append(
            rng.integers(0, 256, (3, 48, 48, 3), dtype=np.uint8), rng.normal(size=(3, 7)).astype(np.float32),
            np.zeros(3, np.float32), success=True, terminated=True,
        )  # fmt: skip
        latents, images, found = points(space, replay, rng)
        expected = prior.decode(torch.from_numpy(latents), chw(images)).clamp(-1.2, 1.2)
        np.testing.assert_allclose(found, expected, atol=1e-2)


@pytest.mark.parametrize(
    "changes",
    [[], ["shared_encoder=false"], ["batch_size=1"], ["prior_weight=0.3"], ["prior_weight=0.3", "batch_size=1"]],
)
def test_all_of_it_learns_and_the_prior_stays_as_it_is(prior, rng, changes):
    kept = {name: weight.clone() for name, weight in prior.state_dict().items()}
    agent, replay = agent_of(prior, ["lr_warmup=0", "clip=10", *changes]), filled(rng)
    before = {k: v.clone() for k, v in agent.state().items()}
    for _ in range(3):
        agent.learn(replay, rng)
    still = {k for k, v in agent.state().items() if k in before and torch.equal(v, before[k])}
    assert still <= {"born", "log_alpha", "policy.shift", "policy.scale"}
    assert all(v.isfinite().all() for v in agent.state().values())
    for found in (prior, agent.space.prior):
        assert all(torch.equal(weight, kept[name]) for name, weight in found.state_dict().items())


@pytest.mark.parametrize("success", [False, True])
def test_while_little_succeeds_it_stays_near_the_prior(prior, rng, success):
    replay = Replay(16, 7, 0.97)
    for i in range(8):
        won = success or i == 0
        replay.append(
            rng.integers(0, 256, (10, 48, 48, 3), dtype=np.uint8), rng.normal(size=(10, 7)).astype(np.float32),
            np.eye(10, dtype=np.float32)[9] * won, success=won, terminated=won,
        )  # fmt: skip
    images = chw(replay.images(replay.rows(replay.whole()[0])))
    with torch.no_grad():
        own = prior.decode(torch.randn(len(images), 7, generator=torch.Generator().manual_seed(0)), images)
    likely = []
    for weight in (0, 0.3):
        agent = agent_of(prior, ["lr_warmup=0", f"prior_weight={weight}", "imitation_noise=0.03"])
        for _ in range(60):
            agent.learn(replay, np.random.default_rng(1))
        with torch.no_grad():
            likely.append(float(agent.policy(agent.actor.trunk(images)).log_prob(own).mean()))
    alone, held = likely
    assert held - alone > 1 if not success else abs(held - alone) < 0.5


def test_a_saved_agent_goes_on_as_the_one_that_was_not(prior, rng):
    replay, one, other = filled(rng), agent_of(prior), agent_of(prior, seed=5)
    for _ in range(2):
        one.learn(replay, rng)
    other.load({k: v.clone() for k, v in one.state().items()})
    fresh = agent_of(prior)
    fresh.load(other.state())  # two that have both to find anew what they think of the replay
    for _ in range(2):
        losses = [agent.learn(replay, np.random.default_rng(3), report=True) for agent in (other, fresh)]
        assert losses[0] == losses[1]
    assert all(torch.equal(v, other.state()[k]) for k, v in fresh.state().items())
    assert int(other.state()["updates"]) == 4


def test_without_a_flow_that_forgets_it_is_a_gaussian_over_latents(prior):
    from parrot.baselines.hirl import ConditionalVAE, HIRLConfig
    from parrot.prior.history import HistoryConfig, HistoryPrior

    remembering = HistoryPrior(HistoryConfig(layers=2, hidden=16, features=16, channels=4))
    other = ConditionalVAE(HIRLConfig(encoder="fast", channels=8, features=16, hidden=16))
    for decoder in (remembering, other, None):
        assert type(space_of("flow", 7, decoder)) is LatentSpace
    assert type(space_of("gaussian", 7, prior)) is LatentSpace
    config = sac_config("fast", FLOW)
    assert not isinstance(Actor(config, FastEncoder(16, 8), 7, space=LatentSpace(7)).policy, FlowPolicy)
    assert isinstance(Actor(config, prior.encoder, 7, space=space_of("flow", 7, prior)).policy, FlowPolicy)


def test_it_cannot_look_through_another_encoder_than_the_priors(prior):
    with pytest.raises(ConfigError, match="warm_start=true"):
        Start(prior.encoder, None, 7, prior).space(SACConfig(policy="flow"))


def test_a_pixel_task_is_solved():
    prior = _trained_on_dots()
    sac = sac_config("fast", [
        "policy=flow", "policy_lr=5e-4", "clip=10", "imitation_noise=0.03", "prior_weight=0.3", "features=32",
        "hidden=[64, 64]", "critics=2", "batch_size=64", "updates_per_step=1", "bf16=false",
    ])  # fmt: skip
    agent = AdvantageAgent(sac, prior.encoder, 7, space=ActionSpace(prior, 208))
    successes = play(LatentActionWrapper(DotEnv(), prior), agent, 200)
    assert np.mean(successes[:40]) < 0.4
    assert np.mean(successes[-80:]) > 0.5


def _trained_on_dots():
    """A flow that has learnt what `DotPrior` does."""
    teacher, env, rng = DotPrior(), DotEnv(), torch.Generator().manual_seed(0)
    images, actions = [], []
    for episode in range(150):
        image, _ = env.reset(seed=episode)
        done = False
        z = torch.randn(1, 7, generator=rng)  # the same dot all along
        while not done:
            z[:, 1:] = torch.randn(1, 6, generator=rng)
            action = teacher.decode(z, chw(image[None]))[0].clamp(-1, 1).numpy()
            images.append(image)
            actions.append(action)
            image, _, terminated, truncated, _ = env.step(action)
            done = terminated or truncated
    pixels, targets = chw(np.stack(images)), torch.from_numpy(np.stack(actions))
    torch.manual_seed(0)
    prior = FlowPrior(PriorConfig("flow", "fast", 16, 32, "spline", hidden=64, standardise=True))
    prior.standardise(targets.mean(0), targets.std(0).clamp_min(0.1))
    optimizer = torch.optim.Adam(prior.parameters(), lr=2e-3)
    for _ in range(600):
        rows = torch.randint(len(pixels), (128,), generator=rng)
        noisy = targets[rows] + 0.05 * torch.randn(128, 7, generator=rng)
        loss = -prior.log_prob(noisy, pixels[rows]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return prior.eval()
