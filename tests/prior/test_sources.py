"""Several datasets as one prior's data: how often each is drawn, what is refused, what is reported."""

import csv
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prior_blobs import MANIFEST, SMALL, episode

from parrot.cli import main
from parrot.data import Dataset, EpisodeWriter, Manifest, seal
from parrot.data.reshape import subsample
from parrot.errors import ConfigError, DatasetError, RunError
from parrot.prior import load_prior
from parrot.prior.batches import split_episodes
from parrot.prior.epochs import Epochs
from parrot.prior.sources import Mix, Sources
from parrot.prior.start import moments
from parrot.prior.train import Trainer

SCALED = replace(MANIFEST, action_scale={"translation": 0.04, "rotation": 0.2}, control_hz=10.0)


def write(path, episodes, manifest=SCALED, seed=0):
    rng = np.random.default_rng(seed)
    with EpisodeWriter(path, manifest, sync=False) as writer:
        for i in range(episodes):
            writer.append(episode(rng, 1000 * seed + i))
    seal(path)
    return path


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    return write(folder / "collect", 20), write(folder / "bags", 8, replace(SCALED, kind="bags"), seed=1)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    seed=st.integers(0, 99),
    weights=st.lists(st.floats(0.1, 10), min_size=4, max_size=4),
)
def test_within_a_dataset_no_step_is_drawn_again_before_all_others_have_been(sizes, seed, weights):
    ends = np.cumsum([0, *sizes])
    groups = [np.arange(a, b) for a, b in itertools.pairwise(ends)]
    epochs = Epochs(groups, weights[: len(sizes)], seed)
    count = np.zeros(ends[-1], int)
    for number in range(6):
        drawn = epochs.steps(number)
        assert len(drawn) == len(epochs)
        count += np.bincount(drawn, minlength=ends[-1])
        for k, group in enumerate(groups):
            assert count[group].sum() == (number + 1) * epochs.drawn[k]
            assert np.ptp(count[group]) <= 1
    np.testing.assert_array_equal(Epochs(groups, weights[: len(sizes)], seed).steps(4), epochs.steps(4))


def test_a_weight_multiplies_how_often_a_step_is_drawn():
    groups = [np.arange(100), np.arange(100, 400)]
    epochs = Epochs(groups, [3, 1], 0)
    count = sum(np.bincount(epochs.steps(number), minlength=400) for number in range(60))
    assert count[:100].mean() / count[100:].mean() == pytest.approx(3, rel=0.02)


def test_without_weights_each_epoch_is_a_permutation_of_everything():
    groups = [np.arange(7), np.arange(7, 30)]
    for weights in (None, [1, 1], [0.1, 0.1]):
        drawn = Epochs(groups, weights, 3).steps(2)
        np.testing.assert_array_equal(drawn, np.random.default_rng([3, 1, 2]).permutation(30))


def test_a_dataset_holds_out_the_same_episodes_alone_and_in_a_mixture(two):
    both = Dataset.open(two)
    for k, path in enumerate(two):
        alone = split_episodes(Dataset.open(path), 0.2, 0)
        mixed = split_episodes(both, 0.2, 0, k)
        start = both.offsets[both.bounds[k]]
        for a, b in zip(alone, mixed, strict=True):
            np.testing.assert_array_equal(a + start, b)
    train, held_out = split_episodes(both, 0.2, 0)
    assert sorted([*train, *held_out]) == list(range(both.steps))


def test_the_likelihood_is_reported_by_dataset(two, tmp_path, capsys):
    out = tmp_path / "run"
    options = ["--weights", "1", "3", "--steps", "3", "--batch", "16", "--device", "cpu", "--threads", "1"]
    assert main(["prior", "train", *map(str, two), "--out", str(out), *options]) == 0
    text = capsys.readouterr().out
    assert "collect" in text and "bags" in text and "held-out log-likelihood" in text
    (row,) = csv.DictReader((out / "metrics.csv").open())
    by_source = [float(row["held_out_nats collect"]), float(row["held_out_nats bags"])]
    assert float(row["held_out_nats"]) == pytest.approx((20 * by_source[0] + 8 * by_source[1]) / 28)
    prior = load_prior(out / "prior.safetensors")
    card = prior.card
    assert [source["held_out_nats"] for source in card["sources"]] == pytest.approx(by_source)
    assert [source["checksum"] for source in card["sources"]] == [Manifest.load(path).checksum for path in two]
    assert [source["weight"] for source in card["sources"]] == [1, 3]
    assert [source["share"] for source in card["sources"]] == pytest.approx([20 / 44, 24 / 44], abs=1e-4)
    assert card["kind"] == "collect, bags"
    assert card["mix"] == {"datasets": 2, "weights": [1, 3], "convert": False, "allow": []}
    assert "## Data by source" in (out / "prior.md").read_text()
    # The held-out pairs of a dataset are those that a training on it alone measures on.
    alone = Trainer(Dataset.open(two[1]), SMALL, tmp_path / "alone", device="cpu")
    mixed = Trainer(Sources.open(two), SMALL, tmp_path / "mixed", device="cpu")
    assert torch.equal(alone.held_out[0].image, mixed.held_out[1].image)
    assert torch.equal(alone.held_out[0].action, mixed.held_out[1].action)


def test_a_single_dataset_has_no_table_of_sources(two, tmp_path):
    Trainer(Dataset.open(two[0]), replace(SMALL, steps=1), tmp_path, device="cpu").run()
    header = (tmp_path / "metrics.csv").read_text().partition("\n")[0]
    assert header == "step,seconds,train_nats,held_out_nats,lr,steps_per_second"
    assert "Data by source" not in (tmp_path / "prior.md").read_text()


def test_a_training_goes_on_only_with_the_same_weights_and_datasets(two, tmp_path):
    mix = Mix(weights=(1, 3))
    whole = Trainer(Sources.open(two, mix), SMALL, tmp_path / "whole", device="cpu")
    whole.run()
    Trainer(Sources.open(two, mix), replace(SMALL, cosine=False, steps=7), tmp_path / "x", device="cpu").run()
    for other in (
        Mix(),
        Mix(weights=(3, 1)),
        Mix(weights=(1, 3), convert=True),
        Mix(weights=(1, 3), allow=("camera",)),
    ):
        with pytest.raises(RunError, match=r"holds a training with (weights|convert|allow) .*; choose another --out"):
            Trainer(Sources.open(two, other), SMALL, tmp_path / "whole", device="cpu")
    with pytest.raises(RunError, match="other data"):
        Trainer(Sources.open(two[::-1], mix), SMALL, tmp_path / "whole", device="cpu")
    with pytest.raises(RunError, match="holds a training with"):
        Trainer(Dataset.open(two[0]), SMALL, tmp_path / "whole", device="cpu")
    again = Trainer(Sources.open(two, Mix(weights=(2, 6))), SMALL, tmp_path / "whole", device="cpu")
    assert again.step == SMALL.steps
    assert again.rows == whole.rows


def test_a_weighed_training_in_two_parts_ends_as_an_unbroken_one(two, tmp_path):
    mix = Mix(weights=(1, 3))
    config = replace(SMALL, cosine=False)
    whole = Trainer(Sources.open(two, mix), config, tmp_path / "whole", device="cpu").run()
    Trainer(Sources.open(two, mix), replace(config, steps=7), tmp_path / "parts", device="cpu").run()
    parts = Trainer(Sources.open(two, mix), config, tmp_path / "parts", device="cpu").run()
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))


def test_batches_draw_by_weight_whatever_the_sizes(two, tmp_path):
    trainer = Trainer(Sources.open(two, Mix(weights=(1, 3))), SMALL, tmp_path, device="cpu")
    drawn = np.concatenate([trainer.batches.index(number) for number in range(200)])
    share = (drawn >= trainer.sources.bounds[1]).mean()
    assert share == pytest.approx(24 / 44, abs=0.03)


def test_actions_of_another_scale_are_converted_only_when_told(two, tmp_path):
    small = {"translation": 0.02, "rotation": 0.1}
    large = {"translation": 0.08, "rotation": 0.1}
    b = write(tmp_path / "b", 3, replace(SCALED, action_scale=small), seed=2)
    c = write(tmp_path / "c", 3, replace(SCALED, action_scale=large), seed=3)
    with pytest.raises(DatasetError, match=r"action_scale is .*--convert` rescales actions"):
        Sources.open([two[0], b])
    sources = Sources.open([two[0], b, c], Mix(convert=True))
    raw = [Dataset.open(path).actions for path in (two[0], b, c)]
    edges = sources.bounds
    np.testing.assert_array_equal(sources.actions[: edges[1]], raw[0])
    np.testing.assert_allclose(sources.actions[edges[1] : edges[2], :6], raw[1][:, :6] / 2)
    np.testing.assert_allclose(sources.actions[edges[2] :, :3], np.clip(raw[2][:, :3] * 2, -1, 1))
    np.testing.assert_array_equal(sources.actions[:, 6], np.concatenate(raw)[:, 6])
    beyond = (np.abs(raw[2][:, :3]) > 0.5).any(1).mean()
    assert 0 < beyond < 1
    assert sources.clipped == pytest.approx([0, 0, beyond])
    assert sources.conversions()[1].startswith("c: actions × 2 (translation), × 0.5 (rotation); ")
    assert sources.describe()[2]["action_factors"] == pytest.approx([2, 2, 2, 0.5, 0.5, 0.5, 1])
    assert sources.describe()[2]["differs"] == {"action_scale": large}
    # What is drawn, held out and standardised is converted, too.
    trainer = Trainer(sources, SMALL, tmp_path / "run", device="cpu")
    action = trainer.batches.at(0).action.numpy()
    wanted = sources.actions[trainer.batches.index(0)]
    assert np.abs(action - wanted)[np.abs(wanted) < 1].max() < 0.06


def test_a_scale_that_cannot_be_converted_is_one_line(two, tmp_path):
    other = write(tmp_path / "b", 2, replace(SCALED, action_scale=[0.1]), seed=2)
    with pytest.raises(DatasetError, match="names no translation and rotation above 0") as error:
        Sources.open([two[0], other], Mix(convert=True))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "value"), [("camera", {"fov": 41}), ("renderer", "camera"), ("robot", "ur5"), ("control_hz", 5.0)]
)
def test_what_differs_is_allowed_by_name_and_stands_in_the_card(two, tmp_path, field, value):
    other = write(tmp_path / "b", 3, replace(SCALED, **{field: value}), seed=2)
    with pytest.raises(DatasetError, match=rf"{field} is .*--allow {field}` takes both"):
        Sources.open([two[0], other])
    sources = Sources.open([two[0], other], Mix(allow=(field,)))
    Trainer(sources, replace(SMALL, steps=1), tmp_path / "run", device="cpu").run()
    card = load_prior(tmp_path / "run" / "prior.safetensors").card
    assert card["sources"][1]["differs"] == {field: value}
    assert card[field] == getattr(SCALED, field)
    assert f"{field} {value}" in (tmp_path / "run" / "prior.md").read_text()


def test_test_objects_never_mix_with_training_objects(two, tmp_path):
    other = write(tmp_path / "b", 2, replace(SCALED, object_split="test"), seed=2)
    with pytest.raises(ConfigError, match="choose of camera, renderer, robot, control_hz"):
        Mix(allow=("object_split",))
    with pytest.raises(DatasetError, match="object_split"):
        Sources.open([two[0], other], Mix(convert=True, allow=("camera", "renderer", "robot", "control_hz")))


@pytest.mark.parametrize(
    ("weights", "words"),
    [((1,), "give 2, one for each dataset"), ((1, 0), "must be above 0"), ((1, np.nan), "above 0")],
)
def test_weights_that_make_no_sense_are_refused(two, weights, words):
    with pytest.raises(ConfigError, match=words):
        Sources.open(two, Mix(weights=weights))


def test_a_dataset_of_one_episode_is_all_trained_on_and_reported_as_not_measured(two, tmp_path):
    one = write(tmp_path / "one", 1, seed=5)
    trainer = Trainer(Sources.open([two[1], one]), replace(SMALL, steps=2), tmp_path / "run", device="cpu")
    trainer.run()
    assert np.isnan(trainer.rows[-1].by_source[1]) and np.isfinite(trainer.rows[-1].held_out_nats)
    assert load_prior(tmp_path / "run" / "prior.safetensors").card["sources"][1]["held_out_nats"] is None


def test_datasets_that_share_episodes_are_warned_of(two, tmp_path, caplog):
    subsample(two[0], tmp_path / "part", count=3)
    Sources.open(two)
    assert not caplog.records
    Sources.open([*two, tmp_path / "part"])
    assert "collect and part share 3 episodes" in caplog.text


def test_the_actions_are_standardised_as_they_are_drawn(two, tmp_path):
    trainer = Trainer(Sources.open(two, Mix(weights=(1, 3))), SMALL, tmp_path, device="cpu")
    epochs = trainer.batches.epochs
    drawn = trainer.sources.actions[np.concatenate([epochs.steps(number) for number in range(200)])]
    mean, deviation = moments(trainer.sources, epochs.groups)
    np.testing.assert_allclose(mean, drawn.mean(0), atol=2e-3)
    np.testing.assert_allclose(deviation, drawn.std(0), atol=2e-3)
    unweighed, _ = moments(Sources.open(two), epochs.groups)
    assert not np.allclose(unweighed, drawn.mean(0), atol=2e-3)


def test_folders_of_one_name_are_told_apart(tmp_path):
    paths = [write(tmp_path / name / "data", 1, seed=k) for k, name in enumerate("abc")]
    assert Sources.open(paths).names == ["data", "data#2", "data#3"]
