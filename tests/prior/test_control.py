"""One action at a time, as nodes and wrappers ask for it, is the action that the prior's `decode` gives."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_flow_is_invertible import images, shaken

from parrot.errors import SpaceError
from parrot.prior import preset
from parrot.prior.control import Controller, FlowController, SharedController, controller_of

LATENT = st.lists(st.floats(-6, 6, width=32), min_size=7, max_size=7)


@pytest.fixture(scope="module", params=["paper", "fast"])
def prior(request):
    return shaken(preset(request.param).model)


@given(z=LATENT, scene=st.integers(0, 50))
@settings(max_examples=50, deadline=None)
def test_it_decodes_as_the_prior_does(prior, z, scene):
    image = images(1, scene)
    with torch.no_grad():
        expected = prior.decode(torch.tensor([z]), image)[0].clamp(-1, 1)
    controller = controller_of(prior)
    assert isinstance(controller, FlowController)
    action = controller.act(np.array(z), controller.look(image[0].permute(1, 2, 0).numpy()))
    assert action.dtype == np.float32
    assert np.abs(action - expected.numpy()).max() < 1e-4


@given(z=LATENT, scene=st.integers(0, 50))
@settings(max_examples=50, deadline=None)
def test_it_finds_the_latent_of_an_action_as_the_prior_does(prior, z, scene):
    image, controller = images(1, scene), controller_of(prior)
    with torch.no_grad():
        action = prior.decode(torch.tensor([z]), image)
        expected = prior.encode(action, image)[0]
    found = controller.latent(action[0].numpy(), controller.look(image[0].permute(1, 2, 0).numpy()))
    assert found.dtype == np.float32
    assert np.abs(found - expected.numpy()).max() < 2e-3 * (1 + np.abs(expected.numpy()).max())


@given(action=st.lists(st.floats(-1.25, 1.25, width=32), min_size=7, max_size=7), scene=st.integers(0, 50))
@settings(max_examples=50, deadline=None)
def test_the_latent_that_it_found_last_stands_for_its_action_at_that_image_alone(prior, action, scene):
    controller, fresh = SharedController(prior), controller_of(prior)
    image, other = (images(1, s)[0].permute(1, 2, 0).numpy() for s in (scene, scene + 100))
    z = controller.latent(np.array(action), controller.look(image))
    again = controller.act(z, controller.look(image.copy()))
    assert again.dtype == np.float32
    assert np.abs(again - np.clip(action, -1, 1)).max() == 0
    assert np.abs(again - fresh.act(z, fresh.look(image))).max() < 5e-3
    assert np.array_equal(controller.act(z, controller.look(other)), fresh.act(z, fresh.look(other)))
    assert np.array_equal(controller.act(-z, controller.look(image)), fresh.act(-z, fresh.look(image)))


def test_an_image_that_is_changed_in_place_is_looked_at_again(prior):
    controller, image = SharedController(prior), images(1)[0].permute(1, 2, 0).numpy().copy()
    before = controller.look(image)
    image[:] = 0
    assert not np.array_equal(controller.look(image), before)


def test_any_other_prior_is_decoded_by_its_own_means(prior):
    image, z = images(1)[0].permute(1, 2, 0).numpy(), np.linspace(-2, 2, 7)
    plain, fast = Controller(prior), controller_of(prior)
    assert np.allclose(plain.act(z, plain.look(image)), fast.act(z, fast.look(image)), atol=1e-4)


def test_the_latent_is_not_changed(prior):
    controller, z = controller_of(prior), np.ones(7, np.float32)
    controller.act(z, controller.look(np.zeros((48, 48, 3), np.uint8)))
    assert (z == 1).all()


def test_an_image_of_another_size_is_refused(prior):
    with pytest.raises(SpaceError, match=r"64, 64"):
        controller_of(prior).look(np.zeros((64, 64, 3), np.uint8))
