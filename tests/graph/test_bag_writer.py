"""The bag writer alone: splits, recovery, metadata."""

from __future__ import annotations

from functools import cache

import pytest
import yaml
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import Reader

from parrot.data.rosbag.writer import JOURNAL, BagWriter, free_path, recover
from parrot.errors import DatasetError
from parrot.nodes.messages import vector_message

TOPICS = {"/action": "sensor_msgs/msg/JointState", "/outcome": "sensor_msgs/msg/JointState"}


@cache
def message(stamp: int) -> bytes:
    """Serialised once: the padding between its fields is whatever the memory held."""
    return serialize_message(vector_message(["a"], [float(stamp)], stamp))


def fill(bag: BagWriter, begin: int, episodes: int) -> None:
    for episode in range(begin, begin + episodes):
        for topic in TOPICS:
            bag.write(topic, 1_000 + episode, message(episode))
        bag.end_episode()


def contents(path) -> list[tuple[str, int, bytes]]:
    with Reader(path) as reader:
        assert reader.message_count == sum(c.msgcount for c in reader.connections)
        return [(c.topic, t, bytes(d)) for c, t, d in reader.messages()]


def expected(episodes: int) -> list[tuple[str, int, bytes]]:
    return [(topic, 1_000 + e, message(e)) for e in range(episodes) for topic in TOPICS]


@pytest.mark.parametrize("split", [1, 2, 100])
def test_what_goes_in_comes_out_in_order(tmp_path, split):
    bag = BagWriter(tmp_path / "bag", TOPICS, {"task": "tea"}, split)
    fill(bag, 0, 5)
    bag.close()
    assert contents(bag.path) == expected(5)
    files = sorted(p.name for p in bag.path.iterdir())
    assert len(files) == 1 + -(-5 // split)
    information = yaml.safe_load((bag.path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert information["storage_identifier"] == "mcap"
    assert information["custom_data"] == {"task": "tea"}
    assert information["starting_time"] == {"nanoseconds_since_epoch": 1_000}
    assert information["duration"] == {"nanoseconds": 4}
    assert information["message_count"] == sum(f["message_count"] for f in information["files"]) == 10


@pytest.mark.parametrize("torn", [0, 1, 20])
def test_what_a_kill_leaves_is_recovered_up_to_a_torn_tail(tmp_path, torn):
    bag = BagWriter(tmp_path / "bag", TOPICS, split=2)
    fill(bag, 0, 3)  # one file, and an episode in the journal
    bag.write("/action", 5_000, message(99))
    bag._journal.flush()
    journal = bag.path / JOURNAL
    if torn:
        journal.write_bytes(journal.read_bytes()[:-torn])
    assert recover(bag.path)
    assert not recover(bag.path)
    tail = [] if torn else [("/action", 5_000, message(99))]
    assert contents(bag.path) == expected(3) + tail


def test_a_bag_without_a_message_vanishes(tmp_path):
    bag = BagWriter(tmp_path / "bag", TOPICS)
    bag.close()
    assert not bag.path.exists()


def test_a_journal_without_a_head_is_cleared_away(tmp_path):
    folder = tmp_path / "bag"
    folder.mkdir()
    (folder / JOURNAL).write_bytes(b"\x10\x00")
    assert recover(folder)
    assert list(folder.iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "bag").mkdir()
    with pytest.raises(DatasetError, match="exists already"):
        BagWriter(tmp_path / "bag", TOPICS)
    assert free_path(tmp_path / "bag") == tmp_path / "bag_2"
    assert free_path(tmp_path / "other") == tmp_path / "other"
