"""Saving and loading a prior, and the files that are none."""

import pytest
import torch
from safetensors.torch import save_file
from test_flow_is_invertible import images, shaken

from parrot.errors import WeightsError
from parrot.prior import load_prior, preset, save_prior


@pytest.fixture
def saved(tmp_path):
    prior = shaken(preset("fast").model)
    prior.card = {"robot": "toy-arm", "camera": {"fov": 40}, "action_scale": {"translation": 0.04}}
    save_prior(prior, tmp_path / "prior.safetensors")
    return prior, tmp_path / "prior.safetensors"


def test_a_loaded_prior_is_the_saved_one(saved):
    prior, path = saved
    loaded = load_prior(path)
    assert loaded.card == prior.card
    assert loaded.config == prior.config
    assert not loaded.training
    z = loaded.sample_latent(4, torch.Generator().manual_seed(0))
    assert torch.equal(loaded.decode(z, images(4)), prior.decode(z, images(4)))


def test_another_robot_is_refused(saved):
    _, path = saved
    assert load_prior(path, robot="toy-arm").card["robot"] == "toy-arm"
    with pytest.raises(WeightsError, match="'toy-arm', not 'xarm6'"):
        load_prior(path, robot="xarm6")


def one_line(error):
    return "\n" not in str(error.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(WeightsError, match="no such prior") as error:
        load_prior(tmp_path / "nothing.safetensors")
    assert one_line(error)


@pytest.mark.parametrize("keep", [0, 5, 100, 5000, -1])
def test_a_truncated_file(saved, keep):
    _, path = saved
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match="not a whole safetensors file") as error:
        load_prior(path)
    assert one_line(error)


def test_another_kind_of_file(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("These are not weights. " * 20)
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        load_prior(path)


def test_weights_of_something_else(tmp_path):
    path = tmp_path / "actor.safetensors"
    save_file({"actor.weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="holds no prior") as error:
        load_prior(path)
    assert one_line(error)


def test_weights_that_do_not_fit_their_configuration(saved, tmp_path):
    prior, path = saved
    del prior.couplings[3]
    save_prior(prior, path)
    with pytest.raises(WeightsError, match="do not fit") as error:
        load_prior(path)
    assert one_line(error)
