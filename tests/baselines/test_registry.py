"""Every comparison is one file, found by its name; what it starts from is asked for in one clear line."""

from pathlib import Path

import pytest

import parrot.baselines
from parrot.errors import ConfigError, WeightsError
from parrot.prior.base import Model
from parrot.prior.flow import FlowPrior
from parrot.prior.kinds import KINDS, kind
from parrot.prior.presets import PriorConfig, preset
from parrot.prior.weights import load_model, load_prior, save_prior
from parrot.rl.algorithms import ALGORITHMS, algorithm, weights_of


def test_every_file_of_a_comparison_is_an_algorithm():
    files = {path.stem for path in Path(parrot.baselines.__file__).parent.glob("[a-z]*.py")}
    assert set(ALGORITHMS) - {"parrot"} <= files
    described = {name: algorithm(name) for name in ALGORITHMS}
    assert all(about.name == name for name, about in described.items())
    for field in ("title", "label", "colour"):
        assert len({getattr(about, field) for about in described.values()}) == len(ALGORITHMS), field
    assert {about.kind for about in described.values()} - {None} <= set(KINDS)


def test_every_kind_of_model_can_be_made_from_its_presets():
    for name in KINDS:
        model = kind(name).model
        assert issubclass(model, Model)
        assert set(model.PRESETS) == {"paper", "fast"}
        for chosen in model.PRESETS:
            config = preset(chosen, name)
            assert type(config.model) is model.CONFIG
            assert config.model.kind == name


def test_what_is_unknown_is_named():
    with pytest.raises(ConfigError, match=r"algo 'ppo' is unknown; choose one of parrot, sac"):
        algorithm("ppo")
    with pytest.raises(ConfigError, match=r"kind 'gan' is unknown; choose one of flow"):
        preset("fast", "gan")


def test_an_algorithm_that_starts_from_nothing_looks_at_no_file():
    assert weights_of("sac", "/nowhere/prior.safetensors") is None
    assert weights_of("parrot", "some.safetensors") == Path("some.safetensors")
    assert weights_of("parrot").name == "prior.safetensors"


def test_a_file_of_an_unknown_kind_is_refused(tmp_path):
    prior = FlowPrior(PriorConfig(channels=2, features=4, hidden=4))
    prior.config = PriorConfig(kind="gan", channels=2, features=4, hidden=4)
    save_prior(prior, tmp_path / "prior.safetensors")
    with pytest.raises(WeightsError, match="kind 'gan' is unknown"):
        load_model(tmp_path / "prior.safetensors", Model)
    prior.config = PriorConfig(channels=2, features=4, hidden=4)
    save_prior(prior, tmp_path / "prior.safetensors")
    assert isinstance(load_prior(tmp_path / "prior.safetensors"), FlowPrior)
