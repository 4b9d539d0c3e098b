"""The prior that remembers: what it is trained on, what it learns of the past, and the memory that acts for it."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prior_blobs import MANIFEST, SMALL, write_dataset
from test_flow_is_invertible import shaken

from parrot.data.dataset import Dataset
from parrot.data.episode import Episode
from parrot.data.writer import EpisodeWriter
from parrot.prior import load_prior, save_prior
from parrot.prior.batches import Batches, held_out_batch
from parrot.prior.control import HistoryController, controller_of
from parrot.prior.epochs import Epochs
from parrot.prior.history import HistoryConfig
from parrot.prior.sources import Sources
from parrot.prior.train import Trainer
from parrot.rl.wrapper import LatentActionWrapper

PAST = 3
MODEL = HistoryConfig(
    encoder="fast", coupling="spline", channels=8, features=16, hidden=32, standardise=True, past=PAST, forget=0.0
)
PLAIN = replace(SMALL, model=MODEL, shift=0, jitter=0.0, dequantise=0.0, dequantise_bound=0.0)


@pytest.fixture(scope="module")
def prior():
    return shaken(MODEL)


def pictures(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 48, 48, 3), np.uint8)


def chw(images):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, -3)))


@torch.no_grad()
def spelt_out(prior, z, images, actions, step):
    """The action of a step of an episode, by the definition: features of it and of the steps before."""
    now = prior.encode_now(chw(images))
    before, acted, known = torch.zeros(1, PAST, 16), torch.zeros(1, PAST, 7), torch.zeros(1, PAST)
    for k in range(min(step, PAST)):
        before[0, k], acted[0, k], known[0, k] = now[step - 1 - k], torch.from_numpy(actions[step - 1 - k]), 1.0
    features = prior.with_past(now[step : step + 1], before, acted, known)
    return prior.decode(torch.from_numpy(z[None]), features=features)[0].clamp(-1, 1).numpy()


@given(seed=st.integers(0, 1000), lengths=st.lists(st.integers(1, 6), min_size=1, max_size=3), meddled=st.booleans())
@settings(max_examples=15, deadline=None)
def test_the_memory_gives_what_the_definition_says(prior, seed, lengths, meddled):
    rng, controller = np.random.default_rng(seed), controller_of(prior)
    assert isinstance(controller, HistoryController)
    for n, length in enumerate(lengths):
        controller.begin()
        images, actions = pictures(length, seed + n), np.zeros((length, 7), np.float32)
        for step in range(length):
            z = rng.standard_normal(7).astype(np.float32)
            seen = controller.look(images[step])
            if rng.random() < 0.3:  # a latent is said twice
                controller.act(rng.standard_normal(7), seen)
            actions[step] = controller.act(z, seen)
            assert np.allclose(actions[step], spelt_out(prior, z, images, actions, step), atol=1e-4)
            if meddled:  # an arm's limits had the last word
                actions[step] *= 0.5
                controller.executed(actions[step], seen)


def test_the_past_matters_and_an_episode_begins_without(prior):
    controller, (first, second), z = controller_of(prior), pictures(2), np.zeros(7)
    alone = controller.act(z, controller.look(second))
    controller.begin()
    controller.act(z, controller.look(first))
    after = controller.act(z, controller.look(second))
    assert np.abs(after - alone).max() > 1e-3
    controller.begin()
    assert np.array_equal(controller.act(z, controller.look(second)), alone)


def test_an_image_alone_is_the_beginning_of_an_episode(prior):
    image, z = pictures(1)[0], np.ones(7, np.float32)
    with torch.no_grad():
        expected = prior.decode(torch.from_numpy(z[None]), chw(image[None]))[0].clamp(-1, 1)
    controller = controller_of(prior)
    assert np.allclose(controller.act(z, controller.look(image)), expected, atol=1e-4)


def test_actions_come_back_whatever_the_past(prior):
    generator = torch.Generator().manual_seed(0)
    features = prior.with_past(
        torch.randn(50, 16, generator=generator),
        torch.randn(50, PAST, 16, generator=generator),
        torch.rand(50, PAST, 7, generator=generator) * 2 - 1,
        torch.randint(0, 2, (50, PAST), generator=generator).float(),
    )
    action = torch.rand(50, 7, generator=generator) * 2 - 1
    assert (prior.decode(prior.encode(action, features=features), features=features) - action).abs().max() < 1e-4


def test_it_comes_back_from_a_file(prior, tmp_path):
    save_prior(prior, tmp_path / "prior.safetensors")
    again = load_prior(tmp_path / "prior.safetensors")
    assert again.config == MODEL
    mine, other = controller_of(prior), controller_of(again)
    for image in pictures(4):
        z = np.linspace(-1, 1, 7)
        assert np.array_equal(mine.act(z, mine.look(image)), other.act(z, other.look(image)))


def batches(dataset, **changes):
    config = replace(PLAIN, **changes)
    return Batches(Sources(dataset), Epochs([np.arange(dataset.steps)], np.ones(1), 0), config)


def test_an_example_is_seen_with_the_steps_before_it_in_its_episode(tmp_path):
    dataset = write_dataset(tmp_path / "data", episodes=4)
    source = batches(dataset)
    batch, index = source.at(0), source.index(0)
    starts = dataset.offsets[np.searchsorted(dataset.offsets, index, side="right") - 1]
    assert batch.past is not None
    for row, (step, start) in enumerate(zip(index, starts, strict=True)):
        assert torch.equal(batch.image[row], chw(dataset.images(np.array([step])))[0])
        for k in range(PAST):
            there = step - 1 - k >= start
            assert batch.past.known[row, k] == there
            if there:
                assert torch.equal(batch.past.image[row, k], chw(dataset.images(np.array([step - 1 - k])))[0])
                assert np.array_equal(batch.past.action[row, k], dataset.actions[step - 1 - k])
    held = held_out_batch(Sources(dataset), np.arange(10), PLAIN)
    assert held.past is not None
    assert held.past.known.sum(1).tolist() == [0, 1, 2, *[PAST] * 7]


def test_an_examples_images_are_changed_alike(tmp_path):
    """As if the camera stood elsewhere and the light were another one, in the whole window."""
    picture = pictures(1)[0]
    with EpisodeWriter(tmp_path / "still", MANIFEST, sync=False) as writer:
        for seed in range(2):
            images = np.repeat(picture[None], 6, 0)
            writer.append(Episode(images, np.zeros((6, 7), np.float32), np.zeros(6), "blobs", True, seed))
    batch = batches(Dataset.open(tmp_path / "still"), shift=3, jitter=0.3).at(0)
    assert batch.past is not None
    assert len({row.numpy().tobytes() for row in batch.image}) > 3
    now, before = batch.pixels(), batch.changed(batch.past.image)
    assert torch.equal(before, now[:, None].expand_as(before))


def test_a_share_of_the_examples_is_seen_without_a_past(tmp_path):
    dataset = write_dataset(tmp_path / "data", episodes=10)
    known = torch.cat(
        [batches(dataset, model=replace(MODEL, forget=0.5), batch=100).at(n).past.known for n in range(5)]
    )
    everything = torch.cat([batches(dataset, batch=100).at(n).past.known for n in range(5)])
    share = known.sum() / everything.sum()
    assert 0.4 < share < 0.6
    assert set(known.sum(1).tolist()) <= {0.0, 1.0, 2.0, 3.0}


def resolute(rng, seed, steps=8):
    """A demonstrator who sets out either way, sees nothing of which, and keeps to it."""
    actions = rng.normal(0.0, 0.05, (steps, 7)).astype(np.float32)
    actions[:, 0] += rng.choice([-0.6, 0.6])
    return Episode(np.full((steps, 48, 48, 3), 128, np.uint8), actions, np.zeros(steps), "blobs", True, seed)


def test_it_keeps_to_what_it_set_out_to_do_which_no_image_tells(tmp_path):
    rng = np.random.default_rng(0)
    with EpisodeWriter(tmp_path / "data", MANIFEST, sync=False) as writer:
        for seed in range(200):
            writer.append(resolute(rng, seed))
    dataset = Dataset.open(tmp_path / "data")
    config = replace(
        PLAIN, model=replace(MODEL, forget=0.2), steps=500, batch=64, lr=3e-3, warmup=20, ema=0.98, dequantise=0.01
    )
    trainer = Trainer(dataset, config, tmp_path / "run", device="cpu")
    prior = trainer.run(save=False)
    rng, ways = np.random.default_rng(1), []
    for _ in range(40):
        controller = controller_of(prior)
        way = [controller.act(rng.standard_normal(7), controller.look(np.full((48, 48, 3), 128, np.uint8)))[0]]
        for _ in range(5):
            way.append(controller.act(rng.standard_normal(7), controller.look(np.full((48, 48, 3), 128, np.uint8)))[0])
        ways.append(np.sign(way))
    ways = np.array(ways)
    kept = (ways == ways[:, :1]).all(1).mean()
    assert kept > 0.9  # by chance, 1 of 32
    assert 0.2 < (ways[:, 0] > 0).mean() < 0.8


class Still(gymnasium.Env):
    """Shows the same picture, whatever is done."""

    def reset(self, *, seed=None, options=None):
        return pictures(1)[0], {}

    def step(self, action):
        return pictures(1)[0], 0.0, False, False, {}


def test_an_environment_that_is_reset_forgets(prior):
    env = LatentActionWrapper(Still(), prior)

    def episode():
        env.reset()
        return [env.step(np.zeros(7))[4]["action"] for _ in range(3)]

    first, second = episode(), episode()
    assert np.array_equal(first, second)
    assert not np.array_equal(first[0], first[1])
