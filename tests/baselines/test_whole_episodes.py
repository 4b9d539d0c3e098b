"""A kind of model that learns from whole episodes gets all their actions, each episode from its beginning."""

import sys
from dataclasses import dataclass

import numpy as np
import torch
from baseline_toys import write_dataset
from torch import nn

from parrot.prior.base import Model, ModelConfig
from parrot.prior.batches import windows
from parrot.prior.kinds import KINDS, Kind
from parrot.prior.presets import TrainConfig
from parrot.prior.sources import Sources
from parrot.prior.train import Trainer
from parrot.prior.weights import load_model

STEPS, HORIZON = 4, 6


@dataclass(frozen=True)
class MeanConfig(ModelConfig):
    kind: str = "mean"


class MeanOfEpisodes(Model):
    """The mean trajectory; its running count tells whether buffers reach what is saved."""

    CONFIG = MeanConfig
    HORIZON = HORIZON

    def __init__(self, config):
        super().__init__()
        self.config, self.feature_dim = config, 0
        self.encoder = nn.Identity()
        self.trajectory = nn.Parameter(torch.zeros(HORIZON, 7))
        self.register_buffer("seen", torch.zeros(()))

    def encode_image(self, image):
        return image.new_zeros(len(image), 0, dtype=torch.float32)

    def score(self, batch, features, step, generator):
        if self.training:
            self.seen += len(batch.action)
        assert batch.action.shape[1:] == (HORIZON, 7)
        return -(batch.action - self.trajectory).square().sum((1, 2))

    def measures(self, batch, features, generator):
        return {"last": batch.action[:, STEPS:].abs().amax((1, 2))}


def test_windows_end_with_their_episode(tmp_path):
    sources = Sources(write_dataset(tmp_path, episodes=3, steps=STEPS))
    found = windows(sources, np.array([0, STEPS, STEPS + 1]), HORIZON)
    assert found.shape == (3, HORIZON, 7)
    np.testing.assert_array_equal(found[1, :STEPS], sources.actions[STEPS : 2 * STEPS])
    np.testing.assert_array_equal(found[2, : STEPS - 1], sources.actions[STEPS + 1 : 2 * STEPS])
    assert not found[:2, STEPS:].any()
    assert not found[2, STEPS - 1 :].any()
    np.testing.assert_array_equal(windows(sources, np.array([5]), 1), sources.actions[[5]])


def test_whole_episodes_are_learnt_from_their_beginnings(tmp_path, monkeypatch):
    monkeypatch.setitem(KINDS, "mean", Kind("mean trajectory", "mean_kind", "MeanOfEpisodes"))
    monkeypatch.setitem(sys.modules, "mean_kind", sys.modules[__name__])
    dataset = write_dataset(tmp_path / "data", episodes=40, steps=STEPS)
    config = TrainConfig(model=MeanConfig(), steps=400, batch=16, lr=0.05, held_out=0.2)
    trainer = Trainer(dataset, config, tmp_path / "out", device="cpu")
    assert set(trainer.batches.epochs.all) <= set(dataset.offsets[:-1])
    assert len(trainer.batches.epochs) == 32
    assert trainer.held_out[0].action.shape == (8, HORIZON, 7)
    trainer.run()
    model = load_model(tmp_path / "out" / "prior.safetensors", MeanOfEpisodes)
    assert float(model.seen) == 400 * 16
    trajectory = model.trajectory.detach().numpy()
    assert trajectory[:STEPS, 6].min() > 0.85
    assert np.abs(trajectory[STEPS:]).max() < 0.1
    assert trainer.rows[-1].measures["last"] < 0.1
