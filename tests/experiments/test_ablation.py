"""The ablation: each variant undoes what it names, and the table says what came of every run."""

import csv

import pytest

from parrot.errors import ConfigError
from parrot.experiments.ablation import VARIANTS, ablate
from parrot.rl.settings import sac_config


def test_every_variant_but_the_preset_itself_differs_from_it():
    configs = {name: sac_config("fast", changes) for name, changes in VARIANTS.items()}
    assert all((config == configs["fast"]) is (name == "fast") for name, config in configs.items())


def test_an_unknown_variant_is_named_with_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match=r"'none' is unknown; choose from 'fast'"):
        ablate("grasp_cap", tmp_path / "table.csv", tmp_path / "runs", variants=("none",))


def test_a_finished_run_counts_as_it_is(tmp_path):
    def table():
        ablate(
            "grasp_cap", tmp_path / "table.csv", tmp_path / "runs", variants=("one-step returns",), minutes=0.01,
            eval_after=2,
        )  # fmt: skip
        return list(csv.DictReader((tmp_path / "table.csv").open()))

    first = table()
    assert [(row["variant"], row["changes"], row["seed"]) for row in first] == [("one-step returns", "n_step=1", "0")]
    assert float(first[0]["success_before"]) > 0
    assert table() == first
