"""The loop of parrot's graph, and conversions that are stopped, repeated, or given something else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from bag_makers import ABOUT, SECOND, START, Lab, loop_episodes, number_of, numbered

from parrot.data import Dataset
from parrot.data.rosbag.mapping import Mapping
from parrot.errors import DatasetError
from parrot.spaces import ACTION_NAMES, OUTCOME_NAMES

ROOT = Path(__file__).resolve().parents[3]
PERIOD = SECOND // 10


def steps_of(dataset):
    return [[number_of(image) for image in episode.images] for episode in dataset]


@pytest.mark.parametrize("lost", ["/camera/image", "/action", "/outcome"])
@pytest.mark.parametrize("step", [0, 2, 4])
def test_an_episode_with_a_missing_member_is_dropped_and_counted(tmp_path, from_bags, lost, step):
    lab = Lab()
    loop_episodes(lab, [5, 5, 5])
    del lab.rows[3 * (5 + step) + ["/camera/image", "/action", "/outcome"].index(lost)]
    dataset, report = from_bags(lab.write(tmp_path / "bag", about=ABOUT))
    # Without its last outcome the second episode has no end of its own.
    assert steps_of(dataset) == [list(range(5)), list(range(10, 15))]
    assert sum(report.dropped.values()) == 1 and "is missing in it" in next(iter(report.dropped))


def test_episodes_without_beginning_or_end_are_dropped(tmp_path, from_bags):
    lab = Lab()
    loop_episodes(lab, [5, 5, 5])
    lab.rows = lab.rows[4:-3]
    dataset, report = from_bags(lab.write(tmp_path / "bag", about=ABOUT))
    assert steps_of(dataset) == [list(range(5, 10))]
    assert sum(report.dropped.values()) == 2
    assert report.dropped["it has no end in the bag"] == 1


def test_topics_of_a_step_may_come_in_any_order_and_twice(tmp_path, from_bags):
    lab = Lab()
    truth = loop_episodes(lab, [5] * 6)
    rng = np.random.default_rng(0)
    rows = [lab.rows[3 * k + i] for k in range(30) for i in rng.permutation(3)]
    lab.rows = [row for row in rows for _ in range(int(rng.integers(1, 3)))]  # sent again for those who join late
    dataset, report = from_bags(lab.write(tmp_path / "bag", about=ABOUT))
    assert report.dropped == {}
    assert steps_of(dataset) == [images for images, *_ in truth]
    for episode, (_, _, actions, _, _) in zip(dataset, truth, strict=True):
        np.testing.assert_array_equal(episode.actions, actions)


def test_a_simulation_that_was_started_again_begins_its_stamps_anew(tmp_path, from_bags):
    lab = Lab()
    first = loop_episodes(lab, [5, 5], start=PERIOD)
    cut_off = lab.rows[: 3 * 8]  # killed within the second episode
    lab.rows = []
    second = loop_episodes(lab, [4, 4], start=PERIOD, seed=1)
    lab.rows = [(topic, START + n * 10**6, data) for n, (topic, _, data) in enumerate(cut_off + lab.rows)]
    dataset, report = from_bags(lab.write(tmp_path / "bag", about=ABOUT))
    assert steps_of(dataset) == [first[0][0], second[0][0], second[1][0]]
    for episode, truth in zip(dataset, (first[0], *second), strict=True):
        np.testing.assert_array_equal(episode.actions, truth[2])
    assert report.dropped == {"a clock jumped": 1}


def test_discard_drops_the_episode_under_way_or_the_last_one(tmp_path, from_bags):
    lab = Lab()
    loop_episodes(lab, [4] * 5)
    lab.marker("discard", START + 5 * PERIOD + 1)  # in the second
    lab.marker("discard", START + 11 * PERIOD + 1)  # after the third, before the fourth
    lab.rows.sort(key=lambda row: row[1])
    dataset, report = from_bags(lab.write(tmp_path / "bag", about=ABOUT))
    assert [steps[0] for steps in steps_of(dataset)] == [0, 12, 16]
    assert report.dropped == {"it was discarded by a marker": 2}


def test_failures_are_left_out_unless_asked_for(tmp_path, from_bags):
    lab = Lab()
    loop_episodes(lab, [4, 4, 4], success=[True, False, True])
    bag = lab.write(tmp_path / "bag", about=ABOUT)
    dataset, report = from_bags(bag)
    assert (len(dataset), report.found, report.succeeded) == (2, 3, 2)
    assert dataset.manifest.tasks == {"tea": {"tried": 3, "kept": 2, "succeeded": 2}}
    everything, _ = from_bags(bag, keep_failures=True, out="all")
    assert everything.success.tolist() == [True, False, True]
    assert everything.episode(1).rewards.sum() == 0


def test_pictures_of_any_size_are_cropped_and_resized(tmp_path, from_bags):
    lab = Lab()
    picture = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    lab.step(0, START, np.zeros(7), [0, 0, 0, 0, 0], picture=picture)
    lab.step(1, START + PERIOD, np.zeros(7), [1, 1, 1, 0, 1], picture=numbered(1, 128, 96))
    dataset, _ = from_bags(lab.write(tmp_path / "bag", about=ABOUT))
    expected = picture[:, 16:112].reshape(48, 2, 48, 2, 3).mean(axis=(1, 3))
    assert np.abs(dataset.episode(0).images[0] - expected).max() <= 0.5
    assert dataset.manifest.camera == {"about": None, "crop": None}


def test_the_same_command_again_leaves_the_dataset_as_it_is(tmp_path, from_bags):
    lab = Lab()
    loop_episodes(lab, [4, 4])
    bag = lab.write(tmp_path / "bag", about=ABOUT)
    _, first = from_bags(bag)
    before = {p: p.read_bytes() for p in (tmp_path / "data").rglob("*") if p.is_file()}
    _, again = from_bags(bag)
    assert again == first
    assert {p: p.read_bytes() for p in (tmp_path / "data").rglob("*") if p.is_file()} == before
    moved = bag.rename(tmp_path / "elsewhere")
    from_bags(moved)


def test_other_bags_or_another_mapping_do_not_go_into_the_same_dataset(tmp_path, from_bags):
    bags = []
    for seed in range(2):
        lab = Lab()
        loop_episodes(lab, [4, 4], seed=seed)
        bags.append(lab.write(tmp_path / f"bag{seed}", about=ABOUT))
    from_bags(bags[0])
    for given, changes, words in (
        (bags, {}, "was made from other bags"),
        (bags[:1], {"tolerance": 0.3}, "was made from another mapping"),
        (bags[:1], {"keep_failures": True}, "with other options"),
    ):
        with pytest.raises(DatasetError, match=words):
            from_bags(*given, **changes)


def test_a_folder_with_something_else_is_refused(tmp_path, from_bags):
    lab = Lab()
    loop_episodes(lab, [4])
    bag = lab.write(tmp_path / "bag", about=ABOUT)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.tex").write_text("x")
    with pytest.raises(DatasetError, match="holds something else than a dataset"):
        from_bags(bag)


KILLED = """
import sys
from pathlib import Path
from parrot.data import EpisodeWriter
from parrot.data.rosbag.convert import Conversion, convert
from parrot.data.rosbag.mapping import Mapping
from parrot.sim.config import load_robot
append = EpisodeWriter.append
def telling(self, episode, attempt=None):
    append(self, episode, attempt)
    print(attempt, flush=True)
EpisodeWriter.append = telling
convert([Path(p) for p in sys.argv[2:]], Path(sys.argv[1]), Mapping(), Conversion(load_robot, {}))
"""


def test_killed_at_any_moment_the_same_command_ends_with_the_same_dataset(tmp_path):
    bags = []
    for seed in range(2):
        lab = Lab()
        loop_episodes(lab, [3 + k % 4 for k in range(20)], seed=seed, success=[k % 5 != 3 for k in range(20)])
        bags.append(str(lab.write(tmp_path / f"bag{seed}", about=ABOUT)))
    command = [sys.executable, "-c", KILLED]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, str(tmp_path / "whole"), *bags], check=True, capture_output=True, env=environment)
    rng, told = np.random.default_rng(0), []
    for lines in (1, 4, 3, 5):
        process = subprocess.Popen(
            [*command, str(tmp_path / "killed"), *bags], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert process.stdout is not None
        told += [process.stdout.readline().strip() for _ in range(lines)]
        time.sleep(rng.uniform(0, 0.01))
        os.kill(process.pid, signal.SIGKILL)
        told += process.stdout.read().split()
        process.wait()
        assert Dataset.open(tmp_path / "killed").verify() == []
    last = subprocess.run(
        [*command, str(tmp_path / "killed"), *bags], check=True, capture_output=True, text=True, env=environment
    )
    told += last.stdout.split()
    whole, killed = Dataset.open(tmp_path / "whole"), Dataset.open(tmp_path / "killed")
    assert len(whole) == 32
    # Nothing was written twice; what was written last before a kill may not have been told.
    assert 32 - 4 <= len(told) == len(set(told)) <= 32
    assert killed.verify() == []
    assert killed.checksum() == whole.checksum()
    assert killed.manifest.complete and killed.manifest.tasks == whole.manifest.tasks
    reports = [json.loads((tmp_path / n / "from_bags.json").read_text()) for n in ("whole", "killed")]
    assert reports[0] == reports[1]


def test_outcomes_in_another_order_of_names_are_understood(tmp_path, from_bags):
    lab = Lab()
    for k in range(3):
        stamp = START + k * PERIOD
        lab.image("/camera/image", numbered(k, 48), stamp)
        lab.vector("/action", ACTION_NAMES[::-1], np.arange(7)[::-1] / 10, stamp)
        lab.vector("/outcome", OUTCOME_NAMES[::-1], [k, k == 2, 0, 1, k == 2], stamp)
    dataset, _ = from_bags(lab.write(tmp_path / "bag", about=ABOUT), mapping=Mapping())
    np.testing.assert_allclose(dataset.actions[0], np.arange(7) / 10, atol=1e-7)
    assert dataset.episode(0).rewards.tolist() == [0, 0, 1]
