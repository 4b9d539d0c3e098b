"""Maximum likelihood: what is learnt, how a training goes on, what its folder holds."""

import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from prior_blobs import SMALL, scenes, write_dataset

from parrot.cli import main
from parrot.data.dataset import Dataset
from parrot.errors import DatasetError, RunError, WeightsError
from parrot.prior import batches as batches_module
from parrot.prior import load_prior, save_prior, train
from parrot.prior.batches import Batches, dequantise, split_episodes
from parrot.prior.checkpoint import read_position
from parrot.prior.epochs import Epochs
from parrot.prior.sources import Mix, Sources
from parrot.prior.train import Trainer, learning_rate


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return write_dataset(tmp_path_factory.mktemp("blobs") / "data", episodes=30)


class StoppedError(Exception):
    pass


def stop_at(step):
    def report(trainer):
        if trainer.step == step:
            raise StoppedError

    return report


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("at", [1, 7, 13])
def test_a_resumed_training_ends_as_an_unbroken_one(dataset, tmp_path, at, monkeypatch):
    monkeypatch.setattr(train, "MEASURE_EVERY", 5)
    whole = Trainer(dataset, SMALL, tmp_path / "whole", device="cpu")
    whole.run()
    with pytest.raises(StoppedError):
        Trainer(dataset, SMALL, tmp_path / "parts", device="cpu").run(stop_at(at))
    parts = Trainer(dataset, SMALL, tmp_path / "parts", device="cpu")
    assert parts.step == at
    parts.run()
    for name in ("prior", "average"):
        expected, got = state(getattr(whole, name)), state(getattr(parts, name))
        assert all(torch.equal(expected[key], got[key]) for key in expected), name
    held_out = [[(row.step, row.held_out_nats) for row in trainer.rows] for trainer in (whole, parts)]
    assert held_out[0] == held_out[1]
    assert [step for step, _ in held_out[0]] == [5, 10, 15, 20]


def test_the_folder_holds_a_usable_prior_with_its_card(dataset, tmp_path):
    trained = Trainer(dataset, SMALL, tmp_path, device="cpu").run()
    loaded = load_prior(tmp_path / "prior.safetensors", robot="toy-arm")
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), trained.parameters(), strict=True))
    assert loaded.card["camera"] == {"fov": 40}
    assert loaded.card["action_scale"] == {"translation": 0.04}
    assert loaded.card["steps"] == SMALL.steps
    assert loaded.card["episodes"] == 30
    assert "toy-arm" in (tmp_path / "prior.md").read_text()
    assert list(tmp_path.glob("events.out.tfevents*"))


def test_a_prior_of_another_robot_is_a_start_only_if_that_is_allowed(dataset, tmp_path):
    prior = Trainer(dataset, SMALL, tmp_path / "first", device="cpu").run()
    prior.card = {**prior.card, "robot": "another-arm"}
    path = tmp_path / "another.safetensors"
    save_prior(prior, path)
    config = replace(SMALL, init=str(path))
    with pytest.raises(WeightsError, match="trained on robot 'another-arm', the dataset is of 'toy-arm'; give --allow"):
        Trainer(dataset, config, tmp_path / "second", device="cpu")
    trainer = Trainer(Sources(dataset, Mix(allow=("robot",))), config, tmp_path / "third", device="cpu")
    assert all(torch.equal(a, b) for a, b in zip(trainer.prior.parameters(), prior.parameters(), strict=True))
    trainer.run()
    assert load_prior(tmp_path / "third" / "prior.safetensors").card["robot"] == "toy-arm"


def test_a_training_starts_from_another_prior_and_needs_its_file_no_more_when_it_goes_on(dataset, tmp_path):
    first = Trainer(dataset, SMALL, tmp_path / "first", device="cpu").run()
    start = tmp_path / "first" / "prior.safetensors"
    config = replace(SMALL, init=str(start))
    trainer = Trainer(dataset, config, tmp_path / "second", device="cpu")
    assert all(torch.equal(value, state(first)[name]) for name, value in state(trainer.prior).items())
    with pytest.raises(StoppedError):
        trainer.run(stop_at(5))
    start.unlink()
    assert Trainer(dataset, config, tmp_path / "second", device="cpu").step == 5
    with pytest.raises(WeightsError, match="there is no such prior"):
        Trainer(dataset, config, tmp_path / "third", device="cpu")


def test_a_start_of_another_architecture_is_refused(dataset, tmp_path):
    Trainer(dataset, SMALL, tmp_path / "first", device="cpu").run()
    wider = replace(SMALL, model=replace(SMALL.model, hidden=24), init=str(tmp_path / "first" / "prior.safetensors"))
    with pytest.raises(WeightsError, match="another architecture"):
        Trainer(dataset, wider, tmp_path / "second", device="cpu")


def test_a_finished_training_does_nothing_more_but_can_be_extended(dataset, tmp_path):
    Trainer(dataset, SMALL, tmp_path, device="cpu").run()
    again = Trainer(dataset, SMALL, tmp_path, device="cpu")
    before = state(again.prior)
    again.run()
    assert all(torch.equal(before[key], value) for key, value in again.prior.state_dict().items())
    longer = Trainer(dataset, replace(SMALL, steps=30), tmp_path, device="cpu")
    longer.run()
    assert longer.step == 30


def test_other_settings_or_data_in_the_same_folder_are_refused(dataset, tmp_path):
    Trainer(dataset, SMALL, tmp_path / "run", device="cpu").run()
    with pytest.raises(RunError, match=r"lr 0\.001, not 0\.01"):
        Trainer(dataset, replace(SMALL, lr=0.01), tmp_path / "run", device="cpu")
    with pytest.raises(RunError, match="hidden 32, not 64"):
        Trainer(dataset, replace(SMALL, model=replace(SMALL.model, hidden=64)), tmp_path / "run", device="cpu")
    other = write_dataset(tmp_path / "other", episodes=5, seed=9)
    with pytest.raises(RunError, match="other data"):
        Trainer(other, SMALL, tmp_path / "run", device="cpu")


def test_a_damaged_checkpoint_is_one_clear_line(dataset, tmp_path):
    trainer = Trainer(dataset, SMALL, tmp_path, device="cpu")
    trainer.run()
    trainer.checkpoint.write_bytes(trainer.checkpoint.read_bytes()[:1000])
    with pytest.raises(RunError, match="is damaged") as error:
        Trainer(dataset, SMALL, tmp_path, device="cpu")
    assert "\n" not in str(error.value)


def test_minutes_end_a_training(dataset, tmp_path):
    trainer = Trainer(dataset, replace(SMALL, steps=10**6, minutes=0.02), tmp_path, device="cpu")
    trainer.run()
    assert 1.2 <= trainer.seconds < 10
    assert 0 < trainer.step < 10**6
    assert trainer.rows[-1].step == trainer.step


def test_saving_can_be_left_out(dataset, tmp_path):
    Trainer(dataset, SMALL, tmp_path / "none", device="cpu").run(save=False)
    assert not (tmp_path / "none").exists()


def test_a_single_episode_is_too_few(tmp_path):
    with pytest.raises(DatasetError, match="at least two"):
        Trainer(write_dataset(tmp_path / "one", episodes=1), SMALL, tmp_path / "out", device="cpu")


def test_no_episode_is_both_trained_on_and_held_out(dataset):
    train_steps, held_out = split_episodes(dataset, 0.2, seed=0)
    episode_of = np.searchsorted(dataset.offsets, np.arange(dataset.steps), side="right")
    assert not set(episode_of[train_steps]) & set(episode_of[held_out])
    assert len(train_steps) + len(held_out) == dataset.steps
    assert len(set(episode_of[held_out])) == 6


def test_an_epoch_visits_every_pair_once(dataset):
    steps = np.arange(100)
    batches = Batches(Sources(dataset), Epochs([steps]), replace(SMALL, batch=30))
    seen = np.concatenate([batches.index(i) for i in range(10)])
    for epoch in range(3):
        assert sorted(seen[100 * epoch : 100 * (epoch + 1)]) == list(range(100))


def test_streamed_batches_are_the_numbered_ones_whatever_the_start(dataset):
    steps, _ = split_episodes(dataset, 0.2, seed=0)
    batches = Batches(Sources(dataset), Epochs([steps]), SMALL)
    for number, batch in enumerate(batches.stream(3, 8), start=3):
        expected = Batches(Sources(dataset), Epochs([steps]), SMALL).at(number)
        assert torch.equal(batch.image, expected.image)
        assert torch.equal(batch.action, expected.action)
        assert torch.equal(batch.pixels(), expected.pixels())
    assert number == 7


def test_an_error_while_loading_reaches_the_trainer(dataset):
    batches = Batches(Sources(dataset), Epochs([np.array([dataset.steps + 5])]), SMALL)
    with pytest.raises(IndexError):
        list(batches.stream(0, 2))


def test_images_are_the_same_from_memory_and_from_disk(dataset, monkeypatch):
    steps = np.random.default_rng(0).integers(dataset.steps, size=64)
    from_memory = batches_module.images_at_hand(dataset)(steps)
    monkeypatch.setattr(batches_module, "MEMORY_SHARE", 0.0)
    on_disk = batches_module.images_at_hand(dataset)
    assert on_disk == dataset.images
    assert np.array_equal(from_memory, on_disk(steps))


def test_dequantised_actions_clip_back_to_what_was_recorded():
    rng = np.random.default_rng(0)
    action = np.clip(rng.normal(0, 1, (2000, 7)), -1, 1).astype(np.float32)
    noisy = dequantise(action, 0.01, 0.1, rng)
    bound = np.abs(action) == 1
    assert bound.any()
    assert np.array_equal(np.clip(noisy, -1, 1)[bound], action[bound])
    assert np.abs(noisy - action)[~bound].max() < 0.06
    assert len(np.unique(noisy[bound])) > 0.99 * bound.sum()


def test_the_learning_rate_rises_then_falls():
    rates = [learning_rate(replace(SMALL, warmup=10), step, step / 100) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == pytest.approx(1e-3, rel=0.05)
    assert rates[100] == pytest.approx(1e-5)
    assert learning_rate(replace(SMALL, warmup=0, cosine=False), 99, 1.0) == SMALL.lr


@pytest.mark.timeout(300)
def test_it_learns_to_reach_for_any_of_three_blobs(tmp_path):
    """Random z must go to a blob, to each of the three by turns, where the image shows them."""
    data = write_dataset(tmp_path / "data", episodes=1000)
    config = replace(
        SMALL,
        model=replace(SMALL.model, channels=32, features=64, hidden=128),
        steps=1500, batch=128, lr=2e-3, warmup=50, ema=0.99, shift=0, jitter=0.0, held_out=0.05,
    )  # fmt: skip
    prior = Trainer(data, config, tmp_path / "run", device="cpu").run(save=False)
    images, directions = scenes(300, np.random.default_rng(77))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        features = prior.encode_image(torch.from_numpy(images.transpose(0, 3, 1, 2)))
        actions = np.stack([prior.decode(prior.sample_latent(300, generator), features=features) for _ in range(20)])
    distance = np.linalg.norm(actions[:, :, None, :2] - directions[None], axis=-1)
    nearest = distance.argmin(-1)
    uniform = np.random.default_rng(0).uniform(-1, 1, (20, 300, 1, 2))
    by_chance = np.linalg.norm(uniform - directions[None], axis=-1).min(-1)
    assert np.median(distance.min(-1)) < 0.25 * np.median(by_chance)
    assert all((nearest == blob).mean() > 0.2 for blob in range(3))
    visited = [len(set(nearest[:, scene])) for scene in range(300)]
    assert np.mean(visited) > 2.5
    gripper = actions[..., 6].ravel()
    assert (np.abs(np.abs(gripper) - 1.0) < 0.4).mean() > 0.8
    assert 0.35 < (gripper > 0).mean() < 0.65


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_that_is_told_to_end_keeps_what_it_learnt(dataset, tmp_path, number):
    options = {"--out": str(tmp_path / "out"), "--minutes": "5", "--batch": "16", "--threads": "1"}
    command = ["prior", "train", str(dataset.paths[0]), *(word for pair in options.items() for word in pair)]
    process = subprocess.Popen(
        [sys.executable, "-m", "parrot.cli", *command],
        stdout=subprocess.PIPE,
        # A shell's background jobs, and so their children, ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        while not list(tmp_path.glob("out/events.*")):  # it has begun
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(2.0)
        process.send_signal(number)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert read_position(tmp_path / "out" / "checkpoint.safetensors").step > 0
    assert load_prior(tmp_path / "out" / "prior.safetensors", robot="toy-arm").card["steps"] > 0


@pytest.mark.parametrize(("steps", "remembers"), [(20, False), (200, True)])
def test_a_training_that_went_on_for_too_long_is_told_of(tmp_path, capsys, monkeypatch, steps, remembers):
    monkeypatch.setattr(train, "MEASURE_EVERY", 20)
    data = write_dataset(tmp_path / "data", episodes=3)
    options = ["--steps", str(steps), "--batch", "16", "--device", "cpu", "--threads", "1", "--lr", "0.003"]
    assert main(["prior", "train", str(data.paths[0]), "--out", str(tmp_path / "out"), *options]) == 0
    assert ("fell since: the model remembers" in " ".join(capsys.readouterr().out.split())) == remembers
