"""The ablation: each variant undoes what it names, and the table says what came of every run."""

import csv

import pytest

from parrot.errors import ConfigError
from parrot.experiments.ablation import VARIANTS, ablate
from parrot.rl.loop import fine_tune
from parrot.rl.settings import FineTuneConfig, sac_config


@pytest.mark.parametrize("preset", VARIANTS)
def test_every_variant_but_the_preset_itself_differs_from_it(preset):
    configs = {name: sac_config(preset, changes) for name, changes in VARIANTS[preset].items()}
    assert all((config == configs[preset]) is (name == preset) for name, config in configs.items())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of seconds with the prior that ships, of which some episodes succeed."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    fine_tune(FineTuneConfig(task="grasp_cap", eval_before=25, eval_after=0, minutes=0.01), folder)
    return folder


def test_an_unknown_variant_is_named_with_the_known_ones(run, tmp_path):
    with pytest.raises(ConfigError, match=r"'none' is unknown; choose from 'fast'"):
        ablate(run, tmp_path / "table.csv", variants=("none",))


def test_a_preset_without_variants_is_named_with_those_that_have_some(run, tmp_path):
    with pytest.raises(ConfigError, match=r"'paper' has no variants; choose from 'fast', 'flow'"):
        ablate(run, tmp_path / "table.csv", preset="paper")


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="not the folder of a run"):
        ablate(tmp_path, tmp_path / "table.csv")


@pytest.mark.timeout(180)
def test_every_variant_learns_from_the_same_episodes(run, tmp_path):
    names = ("fast", "one-step returns")
    ablate(run, tmp_path / "table.csv", variants=names, updates=3, episodes=2)
    rows = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert [(row["variant"], row["changes"]) for row in rows] == [("fast", ""), ("one-step returns", "n_step=1")]
    assert {(row["updates"], row["replay_episodes"], row["episodes"]) for row in rows} == {("3", "25", "2")}
    assert all(0 <= float(row["success_mean_latent"]) <= 1 for row in rows)


@pytest.mark.timeout(180)
def test_a_flow_learns_from_the_first_episodes_of_any_run(run, tmp_path):
    ablate(run, tmp_path / "table.csv", preset="flow", variants=("flow",), first=20, updates=10, episodes=2)
    (row,) = csv.DictReader((tmp_path / "table.csv").open())
    assert (row["preset"], row["variant"], row["replay_episodes"]) == ("flow", "flow", "20")
