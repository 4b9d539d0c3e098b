import pickle
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from data_fakes import MANIFEST, assert_same, make_episode
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot.data import ArraySpec, Dataset, Episode, EpisodeWriter, seal
from parrot.errors import DatasetError, RunError, SpaceError

LATENTS = replace(MANIFEST, extra=(ArraySpec("latents", "float32", (8,)), ArraySpec("done", "uint8", ())))


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=12),
    shards=st.integers(1, 3),
    sync=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_what_is_written_is_read_whatever_the_lengths_and_shards(lengths, shards, sync, seed):
    rng = np.random.default_rng(seed)
    episodes = [
        make_episode(
            2**63 + i, length, task=f"tâche {i % 3}", success=bool(i % 2),
            extra={"latents": rng.normal(size=(length, 8)).astype(np.float32), "done": np.full(length, i, np.uint8)},
        )
        for i, length in enumerate(lengths)
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dataset"
        for attempt, episode in enumerate(episodes):
            with EpisodeWriter(path, LATENTS, str(rng.integers(shards)), sync=sync) as writer:
                writer.append(episode, attempt)
        dataset = Dataset.open(path)
        assert len(dataset) == len(lengths)
        np.testing.assert_array_equal(np.diff(dataset.offsets), lengths)
        for found, wanted in zip(dataset, episodes, strict=True):
            assert_same(found, wanted)
        images = np.concatenate([e.images for e in episodes])
        steps = rng.integers(dataset.steps, size=40)
        np.testing.assert_array_equal(dataset.images(steps), images[steps])
        np.testing.assert_array_equal(dataset.images(slice(1, None, 2)), images[1::2])
        np.testing.assert_array_equal(dataset.actions, np.concatenate([e.actions for e in episodes]))
        np.testing.assert_array_equal(dataset.rewards, np.concatenate([e.rewards for e in episodes]))
        latents = np.concatenate([e.extra["latents"] for e in episodes])
        np.testing.assert_array_equal(dataset.gather("latents", steps), latents[steps])
        assert dataset.verify() == []


def test_a_dataset_larger_than_memory_is_read_without_reading_ahead(tmp_path, monkeypatch):
    for attempt in range(7):
        with EpisodeWriter(tmp_path / "d", MANIFEST, str(attempt % 2)) as writer:
            writer.append(make_episode(attempt))
    steps = np.random.default_rng(0).integers(35, size=200)
    wanted = Dataset.open(tmp_path / "d").images(steps)
    monkeypatch.setattr("parrot.data.dataset.MEMORY_SHARE", 0.0)
    np.testing.assert_array_equal(Dataset.open(tmp_path / "d").images(steps), wanted)


def test_a_later_writer_goes_on_where_the_first_stopped(tmp_path):
    with EpisodeWriter(tmp_path / "d", MANIFEST) as writer:
        writer.append(make_episode(0, 3))
    with EpisodeWriter(tmp_path / "d", MANIFEST) as writer:
        assert (writer.episodes, writer.steps, writer.attempts) == (1, 3, 1)
        writer.append(make_episode(1, 4))
    assert [e.seed for e in Dataset.open(tmp_path / "d")] == [0, 1]


def test_a_growing_dataset_is_refreshed(tmp_path):
    with EpisodeWriter(tmp_path / "d", MANIFEST) as writer:
        dataset = Dataset.open(tmp_path / "d")
        assert (len(dataset), dataset.steps, dataset.actions.shape) == (0, 0, (0, 7))
        assert dataset.images([]).shape == (0, 48, 48, 3)
        for seed in range(3):
            writer.append(make_episode(seed))
            dataset.refresh()
            assert len(dataset) == seed + 1
            assert_same(dataset.episode(-1), make_episode(seed))
            assert len(dataset.actions) == dataset.steps


def test_a_rejected_attempt_counts_and_is_no_episode(tmp_path):
    with EpisodeWriter(tmp_path / "d", MANIFEST) as writer:
        writer.reject("collect_place", 5)
        writer.append(make_episode(6))
        writer.reject("collect_grasp", 7)
    assert [e.seed for e in Dataset.open(tmp_path / "d")] == [6]
    assert seal(tmp_path / "d").tasks == {
        "collect_grasp": {"tried": 2, "kept": 1, "succeeded": 1},
        "collect_place": {"tried": 1, "kept": 0, "succeeded": 0},
    }


def test_a_sealed_dataset_offers_its_first_attempts_whatever_order_they_were_written_in(tmp_path):
    for name, order in (("a", [4, 0, 2, 3, 1]), ("b", [0, 1, 2, 3, 4])):
        for attempt in order:
            with EpisodeWriter(tmp_path / name, MANIFEST, str(attempt % 2 if name == "a" else 0)) as writer:
                writer.append(make_episode(attempt), attempt)
        assert seal(tmp_path / name, 3).episodes == 3
    a, b = Dataset.open(tmp_path / "a"), Dataset.open(tmp_path / "b")
    assert [e.seed for e in a] == [0, 1, 2]
    assert a.checksum() == b.checksum() == a.manifest.checksum
    with pytest.raises(DatasetError, match="holds 5 episodes, not 6"):
        seal(tmp_path / "a", 6)


def test_one_writer_to_a_shard(tmp_path):
    with EpisodeWriter(tmp_path / "d", MANIFEST), pytest.raises(RunError, match="another process"):
        EpisodeWriter(tmp_path / "d", MANIFEST)
    EpisodeWriter(tmp_path / "d", MANIFEST).close()


def test_a_dataset_travels_to_another_process(tmp_path):
    with EpisodeWriter(tmp_path / "d", MANIFEST) as writer:
        writer.append(make_episode(0))
    assert_same(pickle.loads(pickle.dumps(Dataset.open(tmp_path / "d"))).episode(0), make_episode(0))


def test_opening_reads_no_images(tmp_path):
    """A dataset of 2 GB (sparse, so that the test writes little) opens at once and takes hardly any memory."""
    with EpisodeWriter(tmp_path / "d", MANIFEST, sync=False) as writer:
        blank = Episode(np.zeros((25, 48, 48, 3), np.uint8), np.zeros((25, 7)), np.zeros(25), "t", True, 0)
        writer.append(blank)
    from parrot.data.index import make_record

    shard = tmp_path / "d" / "shards" / "0"
    count = 12_000
    records = [
        make_record(start=25 * i, attempt=i, seed=i, length=25, data_crc=0, success=True, task="t")
        for i in range(count)
    ]
    (shard / "index.bin").write_bytes(b"".join(r.tobytes() for r in records))
    for file, size in (("images.u8", 25 * 6912), ("actions.f32", 25 * 28), ("rewards.f32", 25 * 4)):
        with open(shard / file, "r+b") as f:
            f.truncate(size * count)
    before, began = psutil.Process().memory_info().rss, time.perf_counter()
    dataset = Dataset.open(tmp_path / "d")
    images = dataset.images([0, dataset.steps // 2, dataset.steps - 1])
    assert time.perf_counter() - began < 2.0
    assert psutil.Process().memory_info().rss - before < 60e6
    assert len(dataset) == count
    assert (images[0] == 0).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": np.zeros((5, 48, 48, 3), np.float32)}, "images are float32"),
        ({"images": np.zeros((5, 64, 64, 3), np.uint8)}, "64, 64"),
        ({"images": np.zeros((0, 48, 48, 3), np.uint8)}, "T > 0"),
        ({"actions": np.zeros((4, 7))}, r"actions have shape \(4, 7\)"),
        ({"actions": np.full((5, 7), np.nan)}, "actions hold NaN"),
        ({"rewards": np.zeros((5, 1))}, "rewards have shape"),
        ({"extra": {"latents": np.zeros((6, 7))}}, "'latents'"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_an_episode_that_fits_nothing_is_refused(change, words):
    with pytest.raises(SpaceError, match=words):
        replace(make_episode(0), **change)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({}, "declares"),
        ({"latents": np.zeros((5, 7), np.float32), "done": np.zeros(5, np.uint8)}, r"rows of shape \(7,\)"),
        ({"latents": np.zeros((5, 8), np.float32), "other": np.zeros(5, np.uint8)}, "'other'"),
    ],
)
def test_extra_arrays_are_those_that_the_manifest_declares(tmp_path, extra, words):
    with EpisodeWriter(tmp_path / "d", LATENTS) as writer, pytest.raises(DatasetError, match=words):
        writer.append(make_episode(0, extra=extra))
    assert len(Dataset.open(tmp_path / "d")) == 0


def test_steps_outside_are_refused(tmp_path):
    with EpisodeWriter(tmp_path / "d", MANIFEST) as writer:
        writer.append(make_episode(0))
    dataset = Dataset.open(tmp_path / "d")
    for steps in ([5], [-1]):
        with pytest.raises(IndexError):
            dataset.images(steps)
    with pytest.raises(IndexError):
        dataset.episode(1)
    with pytest.raises(DatasetError, match="no array 'latents'; it has images, actions, rewards"):
        dataset.gather("latents", [0])
