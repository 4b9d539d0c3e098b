"""The bag writer alone: splits, recovery, metadata."""

from __future__ import annotations

import random
import shutil
from functools import cache

import pytest
import yaml
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import Reader

from parrot.cli import main
from parrot.data.rosbag.definitions import definition
from parrot.data.rosbag.writer import BagWriter, free_path, recover, recover_all
from parrot.errors import ConfigError, DatasetError, RunError
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


def cut(file, size) -> None:
    with open(file, "r+b") as handle:
        handle.truncate(size)


def test_a_kill_at_any_byte_leaves_every_synced_episode_and_a_prefix_of_the_rest(tmp_path):
    whole = tmp_path / "whole"
    bag = BagWriter(whole, TOPICS, {"task": "tea"}, split=2)
    fill(bag, 0, 3)  # a complete file, and an episode in the next
    file = whole / "whole_1.mcap"
    kept = file.stat().st_size
    fill(bag, 3, 1)
    size = file.stat().st_size  # complete now: all is followed by the summary
    rng = random.Random(0)
    for at in sorted({kept, size, 0, 5, *(rng.randrange(size) for _ in range(60))}):
        torn = tmp_path / "torn"
        shutil.copytree(whole, torn)
        (torn / "whole_2.mcap").unlink()  # the next file, which has no message yet
        information = yaml.safe_load((torn / "metadata.yaml").read_text())
        keep = information["rosbag2_bagfile_information"]
        keep["relative_file_paths"], keep["files"] = keep["relative_file_paths"][:1], keep["files"][:1]
        keep["message_count"] = 4
        for topic in keep["topics_with_message_count"]:
            topic["message_count"] = 2
        (torn / "metadata.yaml").write_text(yaml.safe_dump(information))
        cut(torn / "whole_1.mcap", at)
        recover(torn)
        assert not recover(torn)
        found = contents(torn)
        assert found == expected(4)[: len(found)]
        assert len(found) == 8 if at == size else len(found) >= (6 if at >= kept else 4)
        shutil.rmtree(torn)
    bag.close()


def test_what_a_killed_writer_left_is_recovered_with_what_is_known_of_it(tmp_path):
    bag = BagWriter(tmp_path / "bag", TOPICS, {"task": "tea"})
    fill(bag, 0, 3)
    bag.write("/action", 5_000, message(99))
    bag._file.flush()
    bag.write("/action", 6_000, message(99))  # never leaves the process
    with pytest.raises(RunError, match="is being recorded; end its recorder first"):
        recover(bag.path)
    assert recover_all(bag.path) == []
    bag._file.close()  # as a kill does
    assert recover(bag.path)
    assert not recover(bag.path)
    assert contents(bag.path) == [*expected(3), ("/action", 5_000, message(99))]
    information = yaml.safe_load((bag.path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert information["custom_data"] == {"task": "tea"}
    assert information["topics_with_message_count"][0]["topic_metadata"]["type_description_hash"].startswith("RIHS01_")


def test_all_bags_of_one_name_are_recovered(tmp_path):
    wanted = tmp_path / "bag"
    for count in (1, 2, 3):
        bag = BagWriter(free_path(wanted), TOPICS)
        fill(bag, 0, count)
        bag._file.close()  # as a kill does
    assert [path.name for path in recover_all(wanted)] == ["bag", "bag_2", "bag_3"]
    assert recover_all(wanted) == []
    assert contents(tmp_path / "bag_3") == expected(3)


def test_a_recovery_that_is_killed_at_any_byte_is_done_again(tmp_path, monkeypatch):
    bag = BagWriter(tmp_path / "bag", TOPICS)
    fill(bag, 0, 3)
    bag._file.close()  # as a kill does
    file = bag.path / "bag_0.mcap"
    torn = file.stat().st_size
    assert recover(bag.path)
    whole, metadata = file.read_bytes(), (bag.path / "metadata.yaml").read_text()
    rng = random.Random(0)
    for at in sorted({torn, len(whole), *(rng.randrange(torn, len(whole)) for _ in range(30))}):
        (bag.path / "metadata.yaml").unlink(missing_ok=True)
        file.write_bytes(whole[:at])  # it writes nothing but the summary, and enters the file after that
        assert recover(bag.path)
        assert file.read_bytes() == whole
        assert (bag.path / "metadata.yaml").read_text() == metadata


def test_the_command_line_completes_a_torn_bag(tmp_path, capsys):
    bag = BagWriter(tmp_path / "bag", TOPICS)
    fill(bag, 0, 3)
    bag._file.close()  # as a kill does
    assert main(["data", "recover", str(bag.path)]) == 0
    assert "completed" in capsys.readouterr().out
    assert contents(bag.path) == expected(3)
    assert main(["data", "recover", str(tmp_path / "none")]) == 4
    assert "no such folder" in capsys.readouterr().err


def test_damage_ends_what_is_recovered_and_never_changes_it(tmp_path):
    bag = BagWriter(tmp_path / "bag", TOPICS)
    fill(bag, 0, 3)
    bag._file.close()  # as a kill does
    file = bag.path / "bag_0.mcap"
    data = bytearray(file.read_bytes())
    data[data.rindex(message(1)) + 20] ^= 1
    file.write_bytes(data)
    assert recover(bag.path)
    assert contents(bag.path) == expected(1)


def test_another_recorders_file_is_left_as_it_is(tmp_path):
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        kind = "sensor_msgs/msg/JointState"
        connection = writer.add_connection("/action", kind, typestore=get_typestore(Stores.ROS2_JAZZY))
        writer.write(connection, 1, message(1))
    file, metadata = tmp_path / "bag" / "bag.mcap", tmp_path / "bag" / "metadata.yaml"
    before = file.read_bytes()
    metadata.unlink()
    assert not recover(tmp_path / "bag")
    assert file.read_bytes() == before


def test_files_end_by_size_too_and_long_recordings_without_episodes_as_well(tmp_path):
    bag = BagWriter(tmp_path / "bag", TOPICS, split_bytes=1 << 20)
    data = message(0) + bytes(300_000)
    for index in range(20):
        bag.write("/action", index, data)
    bag.close()
    sizes = [file.stat().st_size for file in bag.path.glob("*.mcap")]
    assert len(sizes) == 3
    assert max(sizes) < 4 << 20
    assert [time for _, time, _ in contents(bag.path)] == list(range(20))


def test_a_type_that_is_not_installed_is_named(tmp_path):
    with pytest.raises(ConfigError, match="'lab_msgs/msg/Force' is not installed"):
        BagWriter(tmp_path / "bag", {"/force": "lab_msgs/msg/Force"})


def test_a_labs_own_type_is_read_from_its_installed_package(tmp_path, monkeypatch):
    folder = tmp_path / "install" / "share" / "lab_msgs" / "msg"
    folder.mkdir(parents=True)
    (folder / "Force.msg").write_text("std_msgs/Header header\nFinger[2] fingers\n")
    (folder / "Finger.msg").write_text("float64 newton\n")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "install"))
    text, digest = definition("lab_msgs/msg/Force")
    assert "float64 newton" in text and "MSG: std_msgs/Header" in text
    assert digest.startswith("RIHS01_")


def test_a_bag_without_a_message_vanishes(tmp_path):
    bag = BagWriter(tmp_path / "bag", TOPICS)
    bag.close()
    assert not bag.path.exists()


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "bag").mkdir()
    with pytest.raises(DatasetError, match="exists already"):
        BagWriter(tmp_path / "bag", TOPICS)
    assert free_path(tmp_path / "bag") == tmp_path / "bag_2"
    assert free_path(tmp_path / "other") == tmp_path / "other"
