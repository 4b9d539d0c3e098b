"""A classifier of success: what it learns from, how well it tells, and the files and data that it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reward_data import coloured, grasps
from safetensors.torch import save_file

from parrot import cli
from parrot.errors import DatasetError, SpaceError, WeightsError
from parrot.prior.weights import shipped_prior
from parrot.rl.reward import RewardClassifier
from parrot.rl.reward.evaluate import evaluate
from parrot.rl.reward.figures import choose_threshold, measure
from parrot.rl.reward.labels import Labels, label, open_dataset
from parrot.rl.reward.train import RewardConfig, train_classifier

QUICK = RewardConfig(steps=40)


@pytest.fixture(scope="module")
def lamp(tmp_path_factory):
    return coloured(tmp_path_factory.mktemp("lamp") / "data", 6, 6)


@pytest.fixture(scope="module")
def trained(lamp):
    return train_classifier(lamp, QUICK)


@pytest.fixture
def saved(trained, tmp_path):
    path = tmp_path / "reward.safetensors"
    trained[0].save(path)
    return path


def test_grasps_in_the_simulator_are_told_from_misses_on_fresh_scenes(tmp_path):
    classifier, held_out = train_classifier(grasps(tmp_path / "train", range(60)), RewardConfig(steps=300))
    assert held_out.episodes.precision == 1
    fresh = evaluate(classifier, grasps(tmp_path / "fresh", range(1000, 1030)))
    assert fresh.episodes.precision == 1, fresh
    assert fresh.episodes.recall > 0.5, fresh
    assert fresh.images.precision > 0.9, fresh


def test_the_image_after_a_rewarded_action_is_success_and_those_just_before_are_nothing(lamp):
    labels = label(lamp)
    first, failed = labels.image[labels.of(np.array([0]))], labels.image[labels.of(np.array([7]))]
    # Action 5 was rewarded first, so image 6 is the first to show success.
    assert first.tolist() == [0, 0, 0, -1, -1, -1, 1, 1, 1, 1]
    assert not failed.any()
    assert labels.succeeded.tolist() == [True] * 6 + [False] * 6


def test_without_rewards_the_last_image_of_a_successful_episode_is_success(tmp_path):
    labels = label(coloured(tmp_path / "data", 1, 0, reward=False))
    assert labels.image.tolist() == [0] * 6 + [-1] * 3 + [1]


def test_an_unmistakable_success_is_found_every_time(lamp, trained):
    classifier, held_out = trained
    assert (held_out.images.precision, held_out.images.recall) == (1, 1)
    images = lamp.images([0, 9, 119])
    assert [classifier.success(image) for image in images] == [False, True, False]
    assert np.array_equal(classifier.probability(images) > 0.5, [False, True, False])
    with pytest.raises(SpaceError, match="48"):
        classifier.success(np.zeros((64, 64, 3), np.uint8))


def test_the_same_seed_gives_the_same_classifier(lamp, trained):
    again, other = (train_classifier(lamp, RewardConfig(steps=40, seed=seed))[0] for seed in (0, 1))
    mine = trained[0].state_dict()
    assert all(torch.equal(value, mine[name]) for name, value in again.state_dict().items())
    assert again.threshold == trained[0].threshold
    assert not torch.equal(other.head.weight, mine["head.weight"])


def test_a_loaded_classifier_is_the_saved_one(lamp, trained, saved):
    loaded = RewardClassifier.load(saved, robot="toy-arm")
    images = lamp.images(slice(0, 30))
    assert np.array_equal(loaded.logits(images), trained[0].logits(images))
    assert loaded.threshold == trained[0].threshold
    assert loaded.card["datasets"] == [lamp.checksum()]
    assert loaded.card["episodes"] == {"success": 6, "failure": 6}


def test_no_held_out_failure_reaches_the_threshold():
    classes = np.array([0, 0, 0, 1, 1, 1, -1])
    assert choose_threshold(np.array([-5.0, -1, 2, 4, 6, 9, 100]), classes) == 4.0
    assert choose_threshold(np.array([-9.0, -8, -7, -1, 0, 1, 100]), classes) == 0.0
    assert choose_threshold(np.array([-9.0, 5, -7, 1, 2, 3, 100]), classes) == 5.0


def test_an_episode_is_called_a_success_on_two_images_in_a_row():
    flicker, early, right = [9, -9, 9, -9], [9, 9, 9, 9], [-9, -9, 9, 9]
    classes, kind = np.array([0, 0, 1, 1]), np.repeat(np.arange(3), 4)
    labels = Labels(np.tile(classes, 3).astype(np.int8), kind, np.ones(3, bool))
    found = measure(np.array([*flicker, *early, *right], float), labels, np.arange(3), 0.0).episodes
    assert (found.right, found.wrong, found.missed) == (1, 1, 2)


@pytest.mark.parametrize(("good", "bad"), [(4, 9), (9, 4)])
def test_too_few_episodes_are_one_line(tmp_path, capsys, good, bad):
    coloured(tmp_path / "data", good, bad)
    out = tmp_path / "reward.safetensors"
    assert cli.main(["reward", "train", str(tmp_path / "data"), "--out", str(out)]) == 4
    error = capsys.readouterr().err
    assert f"{good} successful and {bad} failed episodes: at least 5" in error
    assert error.strip().count("\n") == 0
    assert not out.exists()


def test_a_bag_is_one_line_that_says_how_to_convert_it(tmp_path):
    (tmp_path / "metadata.yaml").write_text("rosbag2_bagfile_information:\n")
    with pytest.raises(DatasetError, match="is a bag; make a dataset of it: `parrot data from-bags") as error:
        open_dataset([tmp_path])
    assert "\n" not in str(error.value)


def test_success_that_looks_like_failure_is_refused(tmp_path):
    dataset = coloured(tmp_path / "data", 0, 12)
    dataset.success[:6] = True
    with pytest.raises(DatasetError, match="stands out"):
        train_classifier(dataset, QUICK)


def test_the_commands_report_precision_and_recall(tmp_path, capsys, lamp):
    out = tmp_path / "reward.safetensors"
    assert cli.main(["reward", "train", str(lamp.paths[0]), "--out", str(out), "--steps", "40"]) == 0
    assert "held out" in capsys.readouterr().out
    assert cli.main(["reward", "eval", str(out), str(lamp.paths[0])]) == 0
    text = capsys.readouterr().out
    assert "100.0%" in text
    assert "6 of 6" in text


def test_pictures_of_another_camera_are_refused(tmp_path, trained):
    dataset = grasps(tmp_path / "data", range(1))
    with pytest.raises(DatasetError, match='robot is "xarm6", the classifier was fitted on "toy-arm"'):
        evaluate(trained[0], dataset)


def test_another_robot_is_refused(saved):
    with pytest.raises(WeightsError, match="'toy-arm', not 'xarm6'"):
        RewardClassifier.load(saved, robot="xarm6")


@pytest.mark.parametrize("keep", [0, 5, 100, 5000, -1])
def test_a_truncated_file(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(WeightsError, match="not a whole safetensors file") as error:
        RewardClassifier.load(saved)
    assert "\n" not in str(error.value)


def test_a_missing_file_and_those_of_something_else(tmp_path, trained):
    with pytest.raises(WeightsError, match="no such classifier"):
        RewardClassifier.load(tmp_path / "nothing.safetensors")
    with pytest.raises(WeightsError, match="holds no classifier"):
        RewardClassifier.load(shipped_prior())
    save_file({"w": torch.zeros(3)}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="holds no classifier"):
        RewardClassifier.load(tmp_path / "w.safetensors")


def test_weights_that_do_not_fit_or_are_not_finite(tmp_path, saved):
    classifier, path = RewardClassifier.load(saved), tmp_path / "bad.safetensors"
    classifier.threshold = float("nan")  # with which every comparison is false: silent for ever
    classifier.save(path)
    with pytest.raises(WeightsError, match="not finite"):
        RewardClassifier.load(path)
    classifier.head = torch.nn.Linear(3, 1)
    classifier.save(path)
    with pytest.raises(WeightsError, match="do not fit") as error:
        RewardClassifier.load(path)
    assert "\n" not in str(error.value)
