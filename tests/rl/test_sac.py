import numpy as np
import pytest
import torch
from rl_toys import DotEnv, DotPrior, ReachEnv

from parrot.prior.encoder import FastEncoder, PaperEncoder
from parrot.rl.actor import Actor
from parrot.rl.checkpoint import load_checkpoint, save_checkpoint
from parrot.rl.learner import Learner
from parrot.rl.networks import Ensemble, Gaussian, soft_bound
from parrot.rl.replay import Replay
from parrot.rl.sac import SACAgent
from parrot.rl.settings import sac_config
from parrot.rl.wrapper import LatentActionWrapper

SMALL = ["batch_size=32", "features=32", "hidden=[32, 32]"]


def agent_of(name="fast", changes=(), **kwargs):
    torch.manual_seed(0)
    encoder = FastEncoder(32, channels=8) if name == "fast" else PaperEncoder(32, channels=4)
    return SACAgent(sac_config(name, [*SMALL, *changes]), encoder, 7, **kwargs)


def filled(rng, discount=0.97, episodes=8):
    replay = Replay(16, 7, discount)
    for i in range(episodes):
        replay.append(
            rng.integers(0, 256, (10, 48, 48, 3), dtype=np.uint8), rng.normal(size=(10, 7)).astype(np.float32),
            np.eye(10, dtype=np.float32)[9] * (i % 2),
            success=i % 2 == 1, terminated=i % 2 == 1,
        )  # fmt: skip
    return replay


def play(env, agent, episodes, *, seed=0):
    """The synchronous loop: as many updates as the steps entitle to; returns the successes."""
    learner = Learner(lambda seed, born: agent, Replay(episodes + 8, 7, agent.config.discount), seed)
    generator, successes = torch.Generator().manual_seed(seed), []
    for episode in range(episodes):
        image, _ = env.reset(seed=seed if episode == 0 else None)
        images, latents, rewards, done = [], [], [], False
        while not done:
            images.append(image)
            latents.append(agent.actor.act(image, generator))
            image, reward, terminated, truncated, info = env.step(latents[-1])
            rewards.append(reward)
            done = terminated or truncated
        learner.replay.append(
            np.stack(images), np.stack(latents), np.array(rewards, np.float32),
            success=info["success"], terminated=terminated,
        )  # fmt: skip
        successes.append(info["success"])
        while learner.due:
            learner.update()
    return successes


@pytest.mark.parametrize("name", ["fast", "paper"])
def test_the_policy_starts_as_the_base_distribution_exactly(name, rng):
    agent = agent_of(name)
    images = torch.from_numpy(rng.integers(0, 256, (5, 3, 48, 48), dtype=np.uint8))
    policy = agent.policy(agent.actor.trunk(images))
    assert (policy.mean == 0).all()
    assert (policy.log_std == 0).all()
    z = rng.normal(size=(5, 7)).astype(np.float32)
    normal = torch.distributions.Normal(torch.zeros(7), torch.ones(7))
    expected = normal.log_prob(torch.from_numpy(z)).sum(-1)
    assert torch.allclose(policy.log_prob(torch.from_numpy(z)), expected, atol=1e-5)


def test_the_density_of_squashed_actions_is_the_one_that_autograd_finds():
    mean, log_std, noise = torch.randn(3, 7).double(), torch.randn(3, 7).double() * 0.3, torch.randn(3, 7).double()
    policy = Gaussian(mean, log_std, squash=True)
    action, log_prob = policy.sample(noise)
    slope = torch.autograd.functional.jacobian(lambda n: policy.sample(n)[0].sum(0), noise)
    slope = torch.diagonal(slope, dim1=0, dim2=2)  # (3, 7): the map works on each number alone
    expected = (-0.5 * noise**2 - 0.5 * np.log(2 * np.pi) - slope.abs().log()).sum(-1)
    assert torch.allclose(log_prob, expected)
    assert torch.allclose(policy.log_prob(action), expected)


def test_soft_bounds_keep_zero_and_its_slope():
    x = torch.tensor([-100.0, 0.0, 100.0], requires_grad=True)
    y = soft_bound(x, -5.0, 1.0)
    y.sum().backward()
    assert torch.equal(y.detach(), torch.tensor([-5.0, 0.0, 1.0]))
    assert x.grad[1] == 1


@pytest.mark.parametrize("layer_norm", [True, False])
def test_an_ensemble_is_its_members_evaluated_one_by_one(layer_norm):
    ensemble, x = Ensemble(3, 5, (8, 8), layer_norm), torch.randn(4, 5)
    for member, found in enumerate(ensemble(x)):
        h = x
        for i, (w, b) in enumerate(zip(ensemble.weights, ensemble.biases, strict=True)):
            if i:
                h = torch.relu(torch.nn.functional.layer_norm(h, h.shape[-1:]) if layer_norm else h)
            h = h @ w[member] + b[member]
        assert torch.allclose(found, h[:, 0], atol=1e-6)


def test_targets_are_rewards_plus_the_discounted_minimum_of_the_target_critics(rng):
    changes = ["shift=0", "bf16=false", "critics=2", "clamp_targets=false", "value_loss=mse", "prior_kl=false"]
    agent, batch = agent_of(changes=changes), filled(rng).sample(16, rng, n_step=3)
    state = agent.generator.get_state()
    after = torch.from_numpy(batch.next_images).permute(0, 3, 1, 2)
    found = agent._target(batch, after)
    agent.generator.set_state(state)
    z = torch.randn(16, 7, generator=agent.generator)  # the policy is N(0, I) still
    value = agent.target(agent.trunk(after), z).amin(0)
    expected = torch.from_numpy(batch.returns) + torch.from_numpy(batch.discounts) * value
    assert torch.allclose(found, expected, atol=1e-6)
    assert batch.discounts.min() == 0


@pytest.mark.parametrize("bias", [-5.0, 5.0])
def test_targets_stay_within_zero_and_one(rng, bias):
    agent = agent_of(changes=["clamp_targets=true", "value_loss=mse"])
    for p in agent.target.ensemble.biases:
        p.data.fill_(bias)
    batch = filled(rng).sample(64, rng, n_step=1)
    target = agent._target(batch, torch.from_numpy(batch.next_images).permute(0, 3, 1, 2)).numpy()
    assert (target >= 0).all()
    assert (target <= 1).all()


def test_the_critics_choose_among_the_policys_latents(rng):
    agent = agent_of(changes=["bf16=false", "noise_scale=1"])
    image, generator = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8), torch.Generator().manual_seed(0)
    maps = agent.actor.trunk(torch.from_numpy(image).permute(2, 0, 1)[None])

    def value(z):
        return agent.critic(maps, torch.from_numpy(z)[None]).mean().item()

    explored = [value(agent.actor.act(image, generator)) for _ in range(50)]
    chosen = [value(agent.actor.act(image, generator, candidates=64)) for _ in range(10)]
    assert min(chosen) > np.median(explored)
    assert np.mean(chosen) > np.quantile(explored, 0.8)


@pytest.mark.parametrize(("candidates", "expected"), [(1, 1.0), (2, 0.5)])
def test_candidates_are_drawn_nearer_to_the_mean_than_what_explores(rng, candidates, expected):
    agent = agent_of(changes=["bf16=false", "noise_scale=0.5"])
    agent.critic.ensemble.weights[-1].data.zero_()  # no opinion: the first candidate is as good as any
    image, generator = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8), torch.Generator().manual_seed(0)
    drawn = np.stack([agent.actor.act(image, generator, candidates) for _ in range(300)])
    assert drawn.std() == pytest.approx(expected, rel=0.1)  # the policy is N(0, I) still


def test_raw_actions_keep_all_of_their_noise(rng):
    config, encoder = sac_config("fast", [*SMALL, "bf16=false", "noise_scale=0.5"]), FastEncoder(32, channels=8)
    image = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
    raw, latent = (Actor(config, encoder, 7, squash) for squash in (True, False))
    for actor in (raw, latent):
        actor.critic.ensemble.weights[-1].data.zero_()
    first, second = (actor.act(image, torch.Generator().manual_seed(0), 2) for actor in (raw, latent))
    assert first == pytest.approx(np.tanh(2 * second), abs=1e-5)


def test_learning_rates_rise_and_then_fall_to_their_floor(rng):
    agent, replay = agent_of(changes=["lr_warmup=2", "lr_floor=0.2", "lr_decay=10"]), filled(rng)
    rates = []
    for _ in range(12):
        agent.update(replay.sample(8, rng))
        rates.append(agent.optimizer.param_groups[0]["lr"] / agent.config.critic_lr)
    assert rates[0] < rates[1]
    assert rates[1:10] == sorted(rates[1:10], reverse=True)
    assert rates[-1] == pytest.approx(0.2)


def test_only_the_critics_loss_reaches_a_shared_encoder_and_the_policys_loss_no_critic(rng):
    agent, replay = agent_of(changes=["critic_lr=0", "shift=0"]), filled(rng)
    before = {k: v.clone() for k, v in agent.state().items()}
    for _ in range(3):
        agent.update(replay.sample(32, rng, n_step=3, success_share=0.25))
    after = agent.state()
    changed = {k.partition(".")[0] for k in before if k in after and not torch.equal(before[k], after[k])}
    assert "policy" in changed
    assert not changed & {"critic", "policy_trunk", "target"}


@pytest.mark.parametrize("name", ["fast", "paper"])
def test_every_weight_learns(name, rng):
    agent, replay = agent_of(name, ["lr_warmup=0", "start_steps=0"]), filled(rng)
    before = {k: v.clone() for k, v in agent.state().items()}
    for _ in range(3):
        agent.update(replay.sample(32, rng))
    still = {k for k, v in agent.state().items() if k in before and torch.equal(v, before[k])}
    frozen = {k for k in still - {"born"} if not k.startswith("target")}
    assert frozen <= {"log_alpha"} if name == "fast" else not frozen


def test_the_paper_copies_its_target_every_thousand_updates(rng):
    agent, replay = agent_of("paper", ["batch_size=2"]), filled(rng)
    weight = agent.target.ensemble.weights[0]
    start = weight.clone()
    agent.updates = 997
    for expected in (False, False, True):
        agent.update(replay.sample(2, rng))
        assert (not torch.equal(weight, start)) is expected
    assert torch.equal(weight, agent.critic.ensemble.weights[0])


def check_that_it_goes_on(one, other, rng):
    """Two updates of one, whose state the other takes over, and two of both."""
    replay = filled(rng)
    batches = [replay.sample(16, rng) for _ in range(4)]
    for batch in batches[:2]:
        one.update(batch)
    other.load({k: v.clone() for k, v in one.state().items()})
    for batch in batches[2:]:
        assert one.update(batch, report=True) == other.update(batch, report=True)
    assert all(torch.equal(v, other.state()[k]) for k, v in one.state().items())


@pytest.mark.parametrize("name", ["fast", "paper"])
def test_a_saved_agent_goes_on_exactly_as_the_one_that_was_not(name, rng):
    check_that_it_goes_on(agent_of(name), agent_of(name, seed=5), rng)


def test_a_pixel_task_is_solved_in_latent_space(rng):
    prior = DotPrior()
    sac = sac_config("fast", [
        "features=32", "hidden=[64, 64]", "critics=2", "batch_size=64", "updates_per_step=1", "bf16=false",
    ])  # fmt: skip
    successes = play(LatentActionWrapper(DotEnv(), prior), SACAgent(sac, prior.encoder, 7), 200)
    assert np.mean(successes[:20]) < 0.6
    assert np.mean(successes[-40:]) > 0.9


def test_the_papers_recipe_solves_a_task_in_raw_actions():
    sac = sac_config("paper", [
        "features=16", "hidden=[64, 64]", "batch_size=32", "start_steps=50", "target_period=50", "entropy_weight=0.1",
        "policy_lr=0.001", "critic_lr=0.001",
    ])  # fmt: skip
    torch.manual_seed(0)
    agent = SACAgent(sac, PaperEncoder(16, channels=2), 7, squash=True)
    successes = play(ReachEnv(), agent, 400)
    assert np.mean(successes[:20]) < 0.3
    assert np.mean(successes[-30:]) > 0.7


def learner_of(replay, state=None):
    changes = ["restarts=[4]", "restart_hold=3", "start_steps=0", "candidates=2"]
    return Learner(lambda seed, born: agent_of(changes=changes, seed=seed, born=born), replay, 0, state)


def same(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.parameters, b.parameters, strict=True))


def test_after_a_restart_the_old_networks_act_until_the_new_ones_have_learnt(rng):
    learner = learner_of(filled(rng))
    for _ in range(4):
        learner.update()
    old = learner.actor
    learner.update()
    assert (learner.agent.updates, learner.agent.age) == (5, 1)
    assert learner.actor is old
    assert not same(old, learner.agent.actor)
    learner.update()
    assert learner.actor is old
    learner.update()
    assert learner.actor is learner.agent.actor
    for _ in range(5):
        learner.update()
    assert (learner.agent.updates, learner.agent.age) == (12, 8)  # no second restart


def test_a_learner_that_was_stopped_after_a_restart_goes_on_with_both_networks(rng, tmp_path):
    replay = filled(rng)
    learner = learner_of(replay)
    for _ in range(5):
        learner.update()
    save_checkpoint(tmp_path, learner.state(), {"updates": 5})
    saved = load_checkpoint(tmp_path)
    assert saved is not None
    again = learner_of(replay, saved[0])
    assert (again.agent.updates, again.agent.age) == (5, 1)
    assert same(again.actor, learner.actor)
    assert same(again.agent.actor, learner.agent.actor)
    again.update()
    again.update()
    assert again.actor is again.agent.actor
    assert not any(name.startswith("held.") for name in again.state())


def test_an_evaluation_after_a_restart_is_that_of_the_networks_that_act(rng):
    learner = learner_of(filled(rng))
    for _ in range(5):
        learner.update()
    state, loaded = learner.state(), agent_of().actor
    loaded.load(state, "held.")
    assert same(loaded, learner.actor)
