"""The conditional real NVP: inverse, Jacobian, gradients, images."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot.errors import ConfigError, SpaceError
from parrot.prior import FlowPrior, PriorConfig, preset
from parrot.prior.coupling import splits
from parrot.prior.kinds import kind
from parrot.prior.spline import rational_quadratic_spline

BOX = st.lists(st.one_of(st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-1, 1, width=32)), min_size=7, max_size=7)
LATENT = st.lists(st.floats(-3, 3, width=32), min_size=7, max_size=7)

SHAKE = {"affine": 20, "spline": 20}


def shaken(config, seed=0):
    """A prior whose couplings are far from the identity, as after training."""
    torch.manual_seed(seed)
    prior = kind(config.kind).model(config)
    with torch.no_grad():
        for coupling in prior.couplings:
            coupling.net[-1].weight.mul_(SHAKE[config.coupling])
            coupling.net[-1].bias.normal_()
    prior.standardise(torch.linspace(-0.2, 0.2, 7), torch.linspace(0.1, 0.9, 7))
    return prior.eval()


def images(n, seed=0):
    return torch.randint(0, 256, (n, 3, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module", params=[("paper", "flow"), ("fast", "flow"), ("fast", "history")])
def prior(request):
    return shaken(preset(*request.param).model)


@given(action=BOX)
@settings(max_examples=50, deadline=None)
def test_every_action_in_the_box_comes_back(prior, action):
    action = torch.tensor([action])
    features = prior.encode_image(images(1))
    back = prior.decode(prior.encode(action, features=features), features=features)
    assert (back - action).abs().max() < 1e-4


@given(z=LATENT)
@settings(max_examples=50, deadline=None)
def test_every_latent_comes_back(prior, z):
    z, features = torch.tensor([z]), prior.encode_image(images(1))
    assert (prior.encode(prior.decode(z, features=features), features=features) - z).abs().max() < 1e-4


def test_a_latent_where_the_map_is_flat_comes_back(prior):
    test_every_latent_comes_back.hypothesis.inner_test(prior, [1.0, 1.0, 1.75, 0.0, 0.0, 3.0, 1.0])


def test_all_corners_of_the_box_come_back(prior):
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 7)
    features = prior.encode_image(images(1)).expand(len(corners), -1)
    back = prior.decode(prior.encode(corners, features=features), features=features)
    assert (back - corners).abs().max() < 1e-4


def test_log_prob_agrees_with_the_jacobian_by_autograd(prior):
    image, action = images(3), torch.rand(3, 7, generator=torch.Generator().manual_seed(1)) * 2 - 1
    features = prior.encode_image(image)
    for i in range(3):
        jacobian = torch.autograd.functional.jacobian(
            lambda a, i=i: prior.encode(a, features=features[i : i + 1])[0], action[i : i + 1]
        )[:, 0]
        z = prior.encode(action[i : i + 1], features=features[i : i + 1])[0]
        expected = -0.5 * (z.square().sum() + 7 * math.log(2 * math.pi)) + torch.linalg.slogdet(jacobian)[1]
        got = prior.log_prob(action[i : i + 1], image[i : i + 1])[0]
        assert got.item() == pytest.approx(expected.item(), abs=1e-3)


def test_coupling_reports_its_log_determinant_both_ways(prior):
    z, features = torch.randn(4, 7), torch.randn(4, prior.feature_dim)
    for coupling in prior.couplings:
        out, forward = coupling(z, features)
        _, backward = coupling.inverse(out, features)
        jacobian = torch.autograd.functional.jacobian(lambda x, c=coupling: c(x, features[:1])[0][0], z[:1])[:, 0]
        assert forward[0].item() == pytest.approx(torch.linalg.slogdet(jacobian)[1].item(), abs=1e-4)
        assert torch.allclose(forward, -backward, atol=1e-5)


@pytest.mark.parametrize("name", ["paper", "fast"])
def test_gradients_reach_every_parameter(name):
    torch.manual_seed(0)
    prior = FlowPrior(preset(name).model)
    prior.log_prob(torch.rand(8, 7), images(8)).mean().backward()
    for parameter_name, parameter in prior.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("coupling", ["affine", "spline"])
def test_density_integrates_to_one(coupling):
    """In two dimensions it can be summed over a grid."""
    torch.manual_seed(3)
    prior = FlowPrior(PriorConfig(features=8, hidden=16, coupling=coupling), dim=2).eval()
    axis = torch.linspace(-8, 8, 401)
    grid = torch.cartesian_prod(axis, axis)
    features = prior.encode_image(images(1)).expand(len(grid), -1)
    with torch.no_grad():
        mass = prior.log_prob(grid, features=features).exp().sum() * (16 / 400) ** 2
    assert mass.item() == pytest.approx(1.0, abs=1e-2)


def test_every_component_is_changed_and_kept():
    for dim in (2, 7, 8):
        kept = splits(dim, 4)
        for i in range(dim):
            assert 0 < sum(i in k for k in kept) < 4


def test_displacements_and_gripper_are_separated_from_one_another():
    """Or else a flow cannot tie them together: which object to go to is a choice of x and y at once."""
    for a, b in itertools.combinations((0, 1, 2, 6), 2):
        assert any((a in kept) != (b in kept) for kept in splits(7, 4)), (a, b)


def test_a_spline_is_the_identity_at_zero_and_outside():
    x, zeros = torch.linspace(-6, 6, 49), torch.zeros(49, 23)
    for inverse in (False, True):
        y, log_slope = rational_quadratic_spline(x, zeros, 4.0, inverse)
        assert torch.allclose(y, x, atol=1e-5)
        assert torch.allclose(log_slope, torch.zeros(49), atol=1e-5)
    numbers = torch.randn(49, 23, generator=torch.Generator().manual_seed(0)) * 3
    y, _ = rational_quadratic_spline(x, numbers, 4.0, inverse=False)
    assert torch.equal(y[x.abs() >= 4], x[x.abs() >= 4])


def test_a_spline_rises_and_reports_its_slope():
    numbers = torch.randn(23, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    x = torch.linspace(-4.5, 4.5, 2001, dtype=torch.float64, requires_grad=True)
    y, log_slope = rational_quadratic_spline(x, numbers.expand(2001, -1), 4.0, inverse=False)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert (y.diff() > 0).all()
    assert torch.allclose(slope.log(), log_slope, atol=1e-6)


@pytest.mark.parametrize("inverse", [False, True])
def test_the_derivatives_of_a_spline_are_those_of_its_values(inverse):
    """Against differences, inside of its interval and out; in every bin, for all of its numbers."""
    generator = torch.Generator().manual_seed(1)
    x = torch.linspace(-5, 5, 60, dtype=torch.float64, requires_grad=True)
    numbers = torch.randn(60, 23, generator=generator, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, n: rational_quadratic_spline(x, n, 4.0, inverse), (x, numbers))


def test_the_image_matters():
    prior = shaken(preset("fast").model)
    z = torch.zeros(2, 7)
    a = prior.decode(z, images(2))
    assert (a[0] - a[1]).abs().max() > 1e-3


def test_images_of_another_size_are_refused():
    prior = FlowPrior(PriorConfig())
    with pytest.raises(SpaceError, match=r"\(1, 3, 64, 64\)"):
        prior.decode(torch.zeros(1, 7), torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    with pytest.raises(SpaceError, match="either"):
        prior.decode(torch.zeros(1, 7))


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ConfigError, match="paper, fast"):
        preset("slow")
    with pytest.raises(ConfigError, match="paper, fast"):
        FlowPrior(PriorConfig(encoder="huge"))


def test_sampled_latents_repeat_with_their_generator():
    prior = FlowPrior(PriorConfig())
    a, b = (prior.sample_latent(5, torch.Generator().manual_seed(4)) for _ in range(2))
    assert a.shape == (5, 7)
    assert torch.equal(a, b)
