import re

import numpy as np
import pytest
from data_fakes import MANIFEST, make_episode
from PIL import Image

from parrot.cli import main
from parrot.data import Dataset, EpisodeWriter, seal
from parrot.data.summary import histograms


@pytest.fixture
def dataset(tmp_path):
    path = tmp_path / "d"
    with EpisodeWriter(path, MANIFEST) as writer:
        for seed in range(5):
            writer.append(make_episode(seed, steps=4 + seed, task=f"collect_{'grasp' if seed % 2 else 'place'}"))
            writer.reject("collect_place", 100 + seed)
    seal(path)
    return path


def test_info_prints_a_summary_and_draws_a_contact_sheet(dataset, capsys):
    assert main(["data", "info", str(dataset), "--verify"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"episodes +│ 5 ", text)
    assert "30 (4 to 8 an episode)" in text
    assert re.search(r"collect_place +│ 3 +│ 100.0% +│ 8 +│ 37.5%", text)
    assert "all 5 episodes are intact" in text
    sheet = np.asarray(Image.open(dataset / "contact_sheet.png"))
    image = Dataset.open(dataset).images([0])[0]
    # The first image, magnified, lies at the sheet's upper left below its line of text.
    np.testing.assert_array_equal(sheet[18 : 18 + 144 : 3, 4 : 4 + 144 : 3], image)


def test_info_of_an_empty_dataset(tmp_path, capsys):
    EpisodeWriter(tmp_path / "d", MANIFEST).close()
    assert main(["data", "info", str(tmp_path / "d"), "--sheet", str(tmp_path / "s.png")]) == 0
    assert (tmp_path / "s.png").exists()


@pytest.mark.parametrize("command", ["info", "check"])
def test_a_missing_dataset_is_one_line(tmp_path, capsys, command):
    assert main(["data", command, str(tmp_path / "none")]) == 4
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "does not exist; give the folder" in error


def test_check_finds_damage(dataset, capsys):
    assert main(["data", "check", str(dataset)]) == 0
    with open(dataset / "shards" / "0" / "actions.f32", "r+b") as f:
        f.write(b"\xff")
    assert main(["data", "check", str(dataset)]) == 4
    assert "1 of 5 episodes are damaged (first: 0)" in capsys.readouterr().err


def test_a_sheet_of_an_unknown_format_is_refused(dataset, capsys):
    assert main(["data", "info", str(dataset), "--sheet", "sheet.xyz"]) == 2
    assert "choose such a name" in capsys.readouterr().err


def test_a_histogram_counts_every_action_once():
    actions = np.random.default_rng(0).uniform(-1, 1, (1000, 7)).astype(np.float32)
    actions[0], actions[1] = 1.0, -1.0
    counts = histograms(actions)
    assert counts.shape == (7, 20)
    for column, count in zip(actions.T, counts, strict=True):
        np.testing.assert_array_equal(count, np.histogram(column, np.linspace(-1, 1, 21))[0])
