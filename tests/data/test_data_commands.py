import re
from dataclasses import replace

import numpy as np
import pytest
from data_fakes import MANIFEST, make_episode
from PIL import Image

from parrot.cli import main
from parrot.data import ArraySpec, Dataset, EpisodeWriter, seal
from parrot.data.summary import histograms, remark
from parrot.spaces import ACTION_NAMES


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


def test_info_shows_rates_and_gaps_from_stamps(tmp_path, capsys):
    stamped = replace(MANIFEST, extra=(ArraySpec("stamps", "int64", ()),))
    start = 1_700_000_000_000_000_000
    with EpisodeWriter(tmp_path / "d", stamped) as writer:
        for seed in range(6):
            stamps = start + seed * 10**12 + 100_000_000 * np.arange(20)
            if seed == 4:
                stamps[7:] += 650_000_000
                stamps[12] = stamps[11]
            writer.append(make_episode(seed, 20, extra={"stamps": stamps}))
    assert main(["data", "info", str(tmp_path / "d"), "--sheet", str(tmp_path / "s.png")]) == 0
    text = capsys.readouterr().out
    assert "10.00 Hz (control rate 10 Hz)" in text
    assert "0.750 s before step 7 of episode 4" in text
    assert "0.200 s before step 13 of episode 4" in text
    assert re.search(r"not later than the step before │ 1 steps", text)


def test_info_shows_a_bad_mapping_at_a_glance(tmp_path, capsys):
    episode = make_episode(0, 100)
    actions = episode.actions.copy()
    actions[:, 0] = 0
    actions[:, 1] *= 0.01
    actions[:, 2] = np.clip(actions[:, 2] * 5, -1, 1)
    actions[:50, 3] = 0
    actions[:, 6] = np.abs(actions[:, 6])
    with EpisodeWriter(tmp_path / "d", MANIFEST) as writer:
        writer.append(replace(episode, actions=actions))
    assert main(["data", "info", str(tmp_path / "d"), "--sheet", str(tmp_path / "s.png")]) == 0
    text = capsys.readouterr().out
    table = text[text.index("Actions") :]
    rows = {line.split()[0]: line for line in table.splitlines() if line.strip()}
    assert rows["dx"].split()[5:7] == ["0.0%", "100.0%"]
    assert "50.0%" in rows["droll"]
    assert all(len(rows[name]) <= 80 for name in ACTION_NAMES)
    for words in ("dx: always 0", "dy: hardly moves", "dz: often at its limits", "gripper: never closes"):
        assert words in table
    assert "dpitch:" not in table


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [("gripper", [0, 0.4, -0.4], "never opens or closes"), ("gripper", [1, -1], ""), ("dz", [0.3, 0.3], "always 0.3")],
)
def test_a_component_that_a_wrong_mapping_makes_is_remarked_on(name, values, words):
    assert remark(name, np.array(values, np.float32)) == words
