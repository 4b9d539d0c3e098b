"""`parrot prior compare`: kinds and presets on the same data for the same time, in one table."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from prior_blobs import MANIFEST, episode

from parrot.cli import main
from parrot.data.writer import EpisodeWriter


@pytest.fixture
def dataset(tmp_path):
    with EpisodeWriter(tmp_path / "data", replace(MANIFEST, robot="xarm6"), sync=False) as writer:
        for seed in range(4):
            writer.append(episode(np.random.default_rng(seed), seed))
    return tmp_path / "data"


def compare(tmp_path, dataset, *models):
    folders = ("--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "table.csv"))
    amount = ("--minutes", "0.001", "--episodes", "2", "--task", "grasp_can", "--workers", "1")
    return main(["prior", "compare", str(dataset), "--models", *models, *amount, *folders])


def test_a_table_has_a_row_for_each(tmp_path, dataset):
    assert compare(tmp_path, dataset, "fast", "history/fast", "matching/fast") == 0
    with (tmp_path / "table.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["preset"] for row in rows] == ["fast", "history/fast", "matching/fast"]
    for row in rows:
        assert int(row["steps"]) >= 1
        assert np.isfinite(float(row["held_out_nats"]))
        assert 0 <= float(row["lifted"]) <= 1


@pytest.mark.parametrize(("name", "words"), [("nothing/fast", "kind 'nothing'"), ("slow", "preset 'slow'")])
def test_a_name_that_is_none_is_refused_before_anything_is_trained(tmp_path, dataset, name, words, capsys):
    assert compare(tmp_path, dataset, "fast", name) != 0
    assert words in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
