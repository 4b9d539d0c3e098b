"""Every storage, compression and distribution of rosbag2 gives the same dataset."""

from __future__ import annotations

import shutil
import sqlite3

import numpy as np
import pytest
from bag_makers import ABOUT, Lab, loop_episodes, number_of

from parrot.data.rosbag.reader import Bag
from parrot.errors import ConfigError, DatasetError

DISTRIBUTIONS = ("ros2_humble", "ros2_iron", "ros2_jazzy", "ros2_kilted", "ros2_lyrical", "latest")
STORAGES = [("mcap", "none"), ("mcap", "storage"), ("mcap", "message"), ("mcap", "file"),
            ("sqlite3", "none"), ("sqlite3", "message"), ("sqlite3", "file")]  # fmt: skip


def check(dataset, truth):
    assert len(dataset) == len(truth)
    for episode, (numbers, stamps, actions, rewards, won) in zip(dataset, truth, strict=True):
        assert [number_of(image) for image in episode.images] == numbers
        assert episode.extra["stamps"].tolist() == stamps
        np.testing.assert_array_equal(episode.actions, actions)
        assert episode.rewards.tolist() == rewards
        assert episode.success == won
        assert episode.task == "tea"


@pytest.mark.parametrize(
    ("distribution", "storage", "compression"),
    [("ros2_jazzy", *storage) for storage in STORAGES]
    + [(d, *STORAGES[i]) for d in DISTRIBUTIONS if d != "ros2_jazzy" for i in (1, 2, 4)],
)
def test_all_formats_and_distributions(tmp_path, from_bags, distribution, storage, compression):
    lab = Lab(distribution)
    truth = loop_episodes(lab, [3, 5])
    bag = lab.write(tmp_path / "bag", storage, compression, ABOUT, version=8 if distribution == "ros2_iron" else 9)
    dataset, report = from_bags(bag)
    check(dataset, truth)
    assert (report.found, report.kept, report.steps, report.clipped) == (2, 2, 8, 0)
    assert report.notes == []
    assert dataset.manifest.kind == "bags" and dataset.manifest.complete


@pytest.mark.parametrize(("storage", "compression"), STORAGES)
def test_a_single_file_without_metadata(tmp_path, from_bags, storage, compression):
    lab = Lab()
    truth = loop_episodes(lab, [4])
    bag = lab.write(tmp_path / "bag", storage, compression, ABOUT)
    (file,) = (p for p in bag.iterdir() if p.name != "metadata.yaml")
    dataset, _ = from_bags(file, task="tea")
    check(dataset, truth)
    (bag / "metadata.yaml").unlink()
    dataset, report = from_bags(bag, task="tea", out="other")
    check(dataset, truth)
    assert "no metadata.yaml" in report.notes[0]


def test_a_bag_of_several_files_is_read_in_order(tmp_path, from_bags):
    """As `ros2 bag record --max-bag-duration` leaves it; an episode goes on in the next file."""
    lab = Lab()
    truth = loop_episodes(lab, [4] * 12)
    rows, files = lab.rows, []
    for k in range(12):
        lab.rows = rows[k * 12 - 3 * (k > 0) : k * 12 + 9 + 3 * (k == 11)]
        files.append(lab.write(tmp_path / f"part_{k}"))
    whole = tmp_path / "whole"
    whole.mkdir()
    for k, part in enumerate(files):
        shutil.copy(part / f"part_{k}.mcap", whole / f"whole_{k}.mcap")
    dataset, _ = from_bags(whole, task="tea")  # sorted by number: whole_2 before whole_10
    check(dataset, truth)


def test_metadata_say_what_the_bag_is_about(tmp_path, from_bags):
    lab = Lab()
    loop_episodes(lab, [3])
    bag = lab.write(tmp_path / "bag", about={**ABOUT, "object_split": "test"})
    dataset, _ = from_bags(bag, robot=None)
    assert (dataset.manifest.robot, dataset.manifest.task, dataset.manifest.object_split) == ("xarm6", "tea", "test")
    assert dataset.manifest.renderer == "camera"
    assert dataset.manifest.control_hz == 10.0
    assert dataset.manifest.action_scale == {"translation": 0.04, "rotation": 0.25}
    given, _ = from_bags(bag, task="coffee", robot="xarm6", object_split="train", out="given")
    assert (given.manifest.task, given.manifest.object_split) == ("coffee", "train")


def test_bags_that_do_not_go_together_are_refused(tmp_path, from_bags):
    bags = []
    for split in ("train", "test"):
        lab = Lab()
        loop_episodes(lab, [3], seed=len(bags))
        bags.append(lab.write(tmp_path / split, about={"object_split": split}))
    with pytest.raises(ConfigError, match=r"object_split is test, in .*train it is train; convert them into"):
        from_bags(*bags)
    with pytest.raises(DatasetError, match="the same bag is given twice"):
        from_bags(bags[0], bags[0])
    with pytest.raises(ConfigError, match="says nothing of its robot; give --robot NAME"):
        from_bags(bags[0], robot=None)


def test_what_is_no_bag_is_one_line(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty.mcap").write_bytes(b"")
    (tmp_path / "other.db3").write_bytes(b"hello")
    (tmp_path / "folder").mkdir()
    for name, words in {
        "none": "there is no such bag", "notes.txt": "is no bag; give a folder", "folder": "holds no bag",
        "empty.mcap": "is no MCAP file", "other.db3": "is no SQLite file",
    }.items():  # fmt: skip
        with pytest.raises(DatasetError, match=words) as error:
            Bag(tmp_path / name)
        assert name in str(error.value) and "\n" not in str(error.value)


def test_what_the_recorder_wrote_last_may_stand_in_sqlites_log(tmp_path, from_bags):
    lab = Lab()
    truth = loop_episodes(lab, [4] * 3)
    bag = lab.write(tmp_path / "bag", "sqlite3", about=ABOUT)
    recording = sqlite3.connect(bag / "bag.db3", isolation_level=None)
    rows = list(recording.execute("SELECT * FROM messages WHERE id > 20"))
    recording.execute("DELETE FROM messages WHERE id > 20")
    recording.execute("PRAGMA journal_mode = WAL")
    recording.executemany("INSERT INTO messages VALUES (?, ?, ?, ?)", rows)
    killed = tmp_path / "killed"
    shutil.copytree(bag, killed)  # as a kill leaves it: the log is not yet in the file
    recording.close()
    assert (killed / "bag.db3-wal").stat().st_size > 0
    dataset, _ = from_bags(killed)
    check(dataset, truth)


def test_a_half_written_sqlite_file_says_how_to_repair_it(tmp_path):
    lab = Lab()
    loop_episodes(lab, [4])
    bag = lab.write(tmp_path / "bag", "sqlite3")
    (bag / "bag.db3-journal").write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"undo the half-written rest: sqlite3 bag\.db3 \.tables"):
        Bag(bag)
