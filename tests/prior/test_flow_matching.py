"""The prior by flow matching: inverse, Jacobian, gradients, files, and that it goes either way."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot.prior import load_prior, save_prior
from parrot.prior.flow_matching import FlowMatchingPrior, MatchingConfig

BOX = st.lists(st.one_of(st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-1, 1, width=32)), min_size=7, max_size=7)
LATENT = st.lists(st.floats(-3, 3, width=32), min_size=7, max_size=7)
NOISE = 0.05


def either_way(n, generator):
    """Features (n, 16), of which two point somewhere, and actions (n, 7) there or to the opposite, no matter which."""
    features = torch.zeros(n, 16)
    features[:, :2] = torch.nn.functional.normalize(torch.randn(n, 2, generator=generator))
    sign = torch.randint(0, 2, (n, 1), generator=generator) * 2.0 - 1.0
    actions = NOISE * torch.randn(n, 7, generator=generator)
    actions[:, :2] += 0.7 * sign * features[:, :2]
    return features, actions


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A prior whose field has become steep: every action is near one of two places. Out of a file."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        prior = FlowMatchingPrior(MatchingConfig(encoder="fast", channels=8, features=16, hidden=128))
    generator = torch.Generator().manual_seed(0)
    prior.begin(torch.zeros(7), torch.tensor([0.5, 0.5, *[NOISE] * 5]))
    optimizer = torch.optim.Adam(prior.parameters(), lr=3e-3)
    for step in range(1300):
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / 1300)
        features, actions = either_way(256, generator)
        loss = -prior.score(SimpleNamespace(action=actions), features, step, generator).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    path = tmp_path_factory.mktemp("matching") / "prior.safetensors"
    save_prior(prior, path)
    return load_prior(path)


@pytest.fixture(scope="module")
def seen():
    return either_way(200, torch.Generator().manual_seed(1))


@given(action=BOX)
@settings(max_examples=8, deadline=None)
def test_every_action_in_the_box_comes_back(trained, seen, action):
    action, features = torch.tensor([action]), seen[0][:1]
    assert (trained.decode(trained.encode(action, features=features), features=features) - action).abs().max() < 1e-4


@given(z=LATENT)
@settings(max_examples=8, deadline=None)
def test_every_latent_comes_back(trained, seen, z):
    z, features = torch.tensor([z]), seen[0][:1]
    assert (trained.encode(trained.decode(z, features=features), features=features) - z).abs().max() < 1e-4


def test_random_latents_go_either_way(trained, seen):
    features, _ = seen
    with torch.no_grad():
        actions = trained.decode(trained.sample_latent(200, torch.Generator().manual_seed(0)), features=features)
    along = (actions[:, :2] * features[:, :2]).sum(-1) / 0.7
    assert ((along.abs() - 1).abs() < 0.3).float().mean() > 0.9
    assert 0.35 < (along > 0).float().mean() < 0.65


def test_what_was_shown_is_likelier_than_what_was_not(trained, seen):
    features, actions = seen
    turned = features.clone()
    turned[:, :2] = torch.stack([-features[:, 1], features[:, 0]], -1)  # a right angle away
    with torch.no_grad():
        likely, unlikely = (trained.log_prob(actions, features=f).mean() for f in (features, turned))
    best = -7 * (math.log(NOISE) + 0.5 * math.log(2 * math.pi * math.e)) - math.log(2)
    assert likely > best - 1
    assert unlikely < likely - 5


def test_log_prob_agrees_with_the_jacobian_by_autograd(trained, seen):
    action = torch.rand(3, 7, generator=torch.Generator().manual_seed(1)).double() * 2 - 1
    for i in range(3):
        features = seen[0][i : i + 1]
        jacobian = torch.autograd.functional.jacobian(
            lambda a, f=features: trained.encode(a, features=f)[0], action[i : i + 1]
        )[:, 0]
        z = trained.encode(action[i : i + 1], features=features)[0]
        expected = -0.5 * (z.square().sum() + 7 * math.log(2 * math.pi)) + torch.linalg.slogdet(jacobian)[1]
        got = trained.log_prob(action[i : i + 1], features=features)[0]
        assert got.item() == pytest.approx(expected.item(), abs=1e-3)


def test_density_integrates_to_one():
    """In two dimensions it can be summed over a grid."""
    torch.manual_seed(3)
    prior = FlowMatchingPrior(MatchingConfig(features=8, hidden=16, steps=6), dim=2).eval()
    with torch.no_grad():
        prior.velocity.leave.weight.mul_(3)
        axis = torch.linspace(-6, 6, 101)
        grid = torch.cartesian_prod(axis, axis)
        features = torch.randn(1, 8).expand(len(grid), -1)
        mass = prior.log_prob(grid, features=features).exp().sum() * (12 / 100) ** 2
    assert mass.item() == pytest.approx(1.0, abs=1e-2)


def test_gradients_reach_every_parameter():
    torch.manual_seed(0)
    prior = FlowMatchingPrior(MatchingConfig(encoder="fast", channels=8, features=16, hidden=16))
    prior.log_prob(torch.rand(4, 7), torch.randint(0, 256, (4, 3, 48, 48), dtype=torch.uint8)).mean().backward()
    for name, parameter in prior.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
