"""Training with the data on the device: the same examples, the same learning; on a GPU as one graph."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from prior_blobs import SMALL, write_dataset

from parrot.data.dataset import Dataset
from parrot.prior import load_prior, train
from parrot.prior.augment import random_shift
from parrot.prior.graphed import GraphedStep, graphable
from parrot.prior.sources import Sources
from parrot.prior.train import Trainer

CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return write_dataset(tmp_path_factory.mktemp("blobs") / "data", episodes=30)


def ungraphed(trainer):
    """The step that a GPU would replay, on the processor."""
    trainer.optimizer = torch.optim.AdamW(
        trainer.prior.parameters(), lr=torch.tensor(trainer.config.lr), weight_decay=0.0, fused=True
    )
    return GraphedStep(trainer.sources, trainer.config, trainer.prior, trainer.average, trainer.optimizer, CPU)


def drawn_by(step):
    """The batch at the step's index, with noise."""
    return step._batch(*step._draws())


class Offsets:
    """A generator that draws one given offset, as `random_shift` asks for it."""

    def __init__(self, pixels):
        self.pixels = pixels

    def integers(self, low, high, size):
        return np.full(size, self.pixels)


def test_images_are_shifted_as_they_are_elsewhere(dataset, tmp_path):
    config = replace(SMALL, shift=2, jitter=0.0)
    step = ungraphed(Trainer(dataset, config, tmp_path, device="cpu"))
    step.index.copy_(torch.arange(16))
    step.generator.manual_seed(3)
    drawn = drawn_by(step).image.permute(0, 2, 3, 1).numpy()
    found = set()
    for image, moved in zip(dataset.images(np.arange(16)), drawn, strict=True):
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="edge")
        windows = {(y, x): padded[y : y + 48, x : x + 48] for y in range(5) for x in range(5)}
        assert np.array_equal(windows[3, 3], random_shift(image[None], 2, Offsets(3))[0])
        found |= {place for place, window in windows.items() if np.array_equal(window, moved)}
    assert len(found) > 5


def test_actions_are_dequantised_as_they_are_elsewhere(dataset, tmp_path):
    config = replace(SMALL, batch=64, dequantise=0.01, dequantise_bound=0.1)
    step = ungraphed(Trainer(dataset, config, tmp_path, device="cpu"))
    step.index.copy_(torch.arange(64))
    recorded, drawn = dataset.actions[:64], drawn_by(step).action.numpy()
    clipped = np.abs(recorded) >= 1
    assert clipped.any() and not clipped.all()
    assert np.array_equal(np.clip(drawn, -1, 1)[clipped], recorded[clipped])
    assert np.std(drawn[clipped] - recorded[clipped]) > 0.03
    assert 0.005 < np.std(drawn[~clipped] - recorded[~clipped]) < 0.02


def test_brightness_and_contrast_change_within_their_bounds(dataset, tmp_path):
    batch = drawn_by(ungraphed(Trainer(dataset, replace(SMALL, jitter=0.1), tmp_path, device="cpu")))
    assert 0.01 < (batch.contrast - 1).abs().max() <= 0.1
    assert 1 < batch.brightness.abs().max() <= 12.75
    assert batch.pixels().shape == (16, 3, 48, 48)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_same_examples_move_the_weights_alike(dataset, tmp_path, ema):
    config = replace(SMALL, ema=ema, cosine=False, warmup=0, clip=1.0)
    mine = Trainer(dataset, config, tmp_path / "mine", device="cpu")
    step = ungraphed(mine)
    other = Trainer(dataset, config, tmp_path / "other", device="cpu")
    for number in range(5):
        batch = other.batches.at(number)
        step._batch = lambda *_, batch=batch: batch
        got = step(other.batches.index(number), seed=0, rate=config.lr, decay=other._decay())
        expected = other.update(batch)
        other.step += 1
        assert float(got) == pytest.approx(float(expected), abs=1e-5)
    for name in ("prior", "average"):
        for a, b in zip(getattr(mine, name).parameters(), getattr(other, name).parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-5), name


def test_what_cannot_be_one_graph_is_not(dataset):
    sources, cuda = Sources(dataset), torch.device("cuda")
    from parrot.baselines.bc_sac import ClonedPolicy
    from parrot.prior.flow import FlowPrior
    from parrot.prior.history import HistoryConfig, HistoryPrior

    assert not graphable(FlowPrior, SMALL, sources, CPU, 1)
    assert not graphable(FlowPrior, SMALL, sources, cuda, 2)
    assert not graphable(ClonedPolicy, SMALL, sources, cuda, 1)
    assert not graphable(HistoryPrior, replace(SMALL, model=HistoryConfig()), sources, cuda, 1)


@needs_gpu
def test_a_graph_learns_what_single_kernels_learn(dataset, tmp_path):
    config = replace(SMALL, steps=300)
    trainer = Trainer(dataset, config, tmp_path / "graph", device="cuda")
    assert trainer._graphed
    first = trainer.held_out_nats()
    trainer.run()
    eager = Trainer(dataset, config, tmp_path / "eager", device="cpu")
    assert first == pytest.approx(eager.held_out_nats(), abs=0.02), "capturing left traces in the weights"
    eager.run()
    assert trainer.held_out_nats() > first + 1
    assert trainer.held_out_nats() == pytest.approx(eager.held_out_nats(), abs=0.4)
    assert load_prior(tmp_path / "graph" / "prior.safetensors", robot="toy-arm").card["steps"] == 300


@needs_gpu
def test_every_replay_draws_noise_of_its_own_seed(dataset, tmp_path):
    trainer = Trainer(dataset, replace(SMALL, lr=0.0), tmp_path, device="cuda")
    step, index = trainer._graphed, trainer.batches.index(0)
    found = [float(step(index, seed, 0.0, 1.0)) for seed in (1, 2, 1, 3)]
    assert found[0] == pytest.approx(found[2], abs=1e-5)
    assert len({round(value, 4) for value in found}) == 3


@needs_gpu
@pytest.mark.parametrize("at", [1, 7, 13])
def test_a_resumed_graph_ends_as_an_unbroken_one(dataset, tmp_path, at, monkeypatch):
    monkeypatch.setattr(train, "MEASURE_EVERY", 5)
    whole = Trainer(dataset, SMALL, tmp_path / "whole", device="cuda")
    whole.run()

    def stop(trainer):
        if trainer.step == at:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        Trainer(dataset, SMALL, tmp_path / "parts", device="cuda").run(stop)
    parts = Trainer(dataset, SMALL, tmp_path / "parts", device="cuda")
    assert parts.step == at
    parts.run()
    for a, b in zip(whole.prior.parameters(), parts.prior.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-4)
