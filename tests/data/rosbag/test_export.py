"""A dataset as a bag: every image, action and outcome to the byte, as any reader of rosbag2 finds them."""

import json

import numpy as np
import pytest
import yaml
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from parrot.cli import main
from parrot.data import Dataset, Episode, EpisodeWriter, Manifest, seal
from parrot.data.rosbag.export import export
from parrot.errors import ConfigError, DatasetError
from parrot.spaces import ACTION_NAMES, OUTCOME_NAMES

MANIFEST = Manifest(
    kind="collect", robot="xarm6", renderer="pybullet-tiny", camera={"fov": 36.0}, action_scale=[0.04, 0.25],
    control_hz=10.0, task="collect",
)  # fmt: skip


def make_episode(seed, steps, success=True, task="collect_grasp"):
    rng = np.random.default_rng(seed)
    rewards = np.zeros(steps)
    rewards[-1] = success
    return Episode(
        rng.integers(0, 256, (steps, 48, 48, 3), np.uint8), rng.uniform(-1, 1, (steps, 7)), rewards, task, success, seed
    )


def make_dataset(path, episodes, manifest=MANIFEST):
    with EpisodeWriter(path, manifest) as writer:
        for episode in episodes:
            writer.append(episode)
    seal(path)
    return Dataset.open(path)


@pytest.fixture
def dataset(tmp_path):
    return make_dataset(tmp_path / "d", [make_episode(1, 4), make_episode(2, 25, False), make_episode(3, 25)])


def read(bag):
    """Topic -> [(time of receipt, stamp, message)], and all times in the order of the file."""
    store, found, times = get_typestore(Stores.ROS2_HUMBLE), {}, []
    with Reader(bag) as reader:
        for connection, time, data in reader.messages():
            message = store.deserialize_cdr(data, connection.msgtype)
            header = getattr(message, "header", None)
            stamp = header and header.stamp.sec * 10**9 + header.stamp.nanosec
            found.setdefault(connection.topic, []).append((time, stamp, message))
            times.append(time)
    return found, times


def test_every_step_comes_back_to_the_byte_under_one_stamp(dataset, tmp_path):
    assert export(dataset, tmp_path / "bag") == 3
    found, times = read(tmp_path / "bag")
    assert (np.diff(times) > 0).all()
    images, actions, results = (found[topic] for topic in ("/camera/image", "/action", "/outcome"))
    np.testing.assert_array_equal([m.data.reshape(48, 48, 3) for *_, m in images], dataset.images(slice(None)))
    np.testing.assert_array_equal(np.float32([m.position for *_, m in actions]), dataset.actions)
    assert all(m.encoding == "rgb8" and m.step == 144 and m.header.frame_id == "camera" for *_, m in images)
    assert all(tuple(m.name) == ACTION_NAMES for *_, m in actions)
    assert all(tuple(m.name) == OUTCOME_NAMES for *_, m in results)
    stamps = [stamp for _, stamp, _ in images]
    assert stamps == [stamp for _, stamp, _ in actions] == [stamp for _, stamp, _ in results]
    # 10 Hz within an episode; from its end a second to the next.
    gaps = np.full(53, 100_000_000)
    gaps[[3, 28]] += 1_000_000_000
    np.testing.assert_array_equal(np.diff(stamps), gaps)


def test_outcomes_tell_how_each_episode_went(dataset, tmp_path):
    export(dataset, tmp_path / "bag")
    found, _ = read(tmp_path / "bag")
    rows = np.array([m.position for *_, m in found["/outcome"]])
    reward, success, terminated, truncated, step = rows.T
    np.testing.assert_array_equal(np.float32(reward), dataset.rewards)
    np.testing.assert_array_equal(step, [*range(4), *range(25), *range(25)])
    ends = np.flatnonzero(terminated + truncated)
    np.testing.assert_array_equal(ends, dataset.offsets[1:] - 1)
    np.testing.assert_array_equal(success[ends], dataset.success)
    # The first one ended early by its success, the others with their time.
    np.testing.assert_array_equal(rows[ends, 2:4], [[1, 0], [0, 1], [0, 1]])
    told = [json.loads(m.data) for *_, m in found["/episode"]]
    assert told[1] == {"task": "collect_grasp", "seed": 2, "success": False}
    for (time, _, _), first in zip(found["/episode"], dataset.offsets, strict=False):
        assert 0 < found["/camera/image"][first][0] - time <= 1000


def test_the_bag_says_what_it_is_about_and_carries_its_types(dataset, tmp_path):
    export(dataset, tmp_path / "bag", episodes=1)
    metadata = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    about = metadata["custom_data"]
    assert {key: about[key] for key in ("task", "robot", "renderer", "object_split", "control_hz")} == {
        "task": "collect_grasp", "robot": "xarm6", "renderer": "pybullet-tiny", "object_split": "train",
        "control_hz": "10",
    }  # fmt: skip
    assert json.loads(about["camera"]) == {"fov": 36.0}
    assert json.loads(about["action_scale"]) == [0.04, 0.25]
    assert metadata["message_count"] == 1 + 3 * 4
    # Without a typestore of its own a reader finds the types in the bag.
    with AnyReader([tmp_path / "bag"]) as reader:
        (connection,) = [c for c in reader.connections if c.topic == "/camera/image"]
        _, _, data = next(reader.messages([connection]))
        assert reader.deserialize(data, connection.msgtype).width == 48


def test_a_dataset_of_several_tasks_names_the_one_that_was_asked_for(tmp_path):
    dataset = make_dataset(tmp_path / "d", [make_episode(1, 2), make_episode(2, 2, task="collect_place")])
    export(dataset, tmp_path / "bag")
    metadata = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())
    assert metadata["rosbag2_bagfile_information"]["custom_data"]["task"] == "collect"


def test_the_same_dataset_makes_the_same_bag(dataset, tmp_path):
    for name in ("a", "b"):
        export(dataset, tmp_path / name / "bag")
    files = [next((tmp_path / name / "bag").glob("*.mcap")).read_bytes() for name in ("a", "b")]
    assert files[0] == files[1]


def test_nothing_is_overwritten_and_an_interruption_leaves_nothing(dataset, tmp_path):
    (tmp_path / "bag").mkdir()
    with pytest.raises(DatasetError, match="exists already"):
        export(dataset, tmp_path / "bag")

    def interrupt(done):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(dataset, tmp_path / "other", report=interrupt)
    assert not (tmp_path / "other").exists()


def test_what_cannot_be_exported_is_one_line(tmp_path):
    with pytest.raises(DatasetError, match="has no episodes"):
        export(make_dataset(tmp_path / "empty", []), tmp_path / "bag")
    timeless = make_dataset(tmp_path / "d", [make_episode(1, 2)], Manifest(kind="bags", robot="a", renderer="camera"))
    with pytest.raises(ConfigError, match="does not say how long a step takes; give --hz"):
        export(timeless, tmp_path / "bag")
    with pytest.raises(ConfigError, match="--episodes 0"):
        export(timeless, tmp_path / "bag", episodes=0, control_hz=5.0)
    assert export(timeless, tmp_path / "bag", control_hz=5.0) == 1


def test_the_command_says_what_it_wrote(dataset, tmp_path, capsys):
    bag = tmp_path / "bag"
    assert main(["data", "to-bags", str(dataset.paths[0]), "--out", str(bag), "--episodes", "2"]) == 0
    assert f"{bag}: 2 episodes; play them with: ros2 bag play {bag}" in capsys.readouterr().out
    found, _ = read(bag)
    assert len(found["/camera/image"]) == 29
    assert main(["data", "to-bags", str(dataset.paths[0]), "--out", str(bag)]) == 4
    assert capsys.readouterr().err.count("\n") == 1


def test_a_dataset_comes_back_from_its_bag(dataset, tmp_path, capsys):
    bag, back = tmp_path / "bag", tmp_path / "back"
    assert main(["data", "to-bags", str(dataset.paths[0]), "--out", str(bag)]) == 0
    assert main(["data", "from-bags", str(bag), "--out", str(back), "--keep-failures"]) == 0
    capsys.readouterr()
    again = Dataset.open(back)
    np.testing.assert_array_equal(again.offsets, dataset.offsets)
    np.testing.assert_array_equal(again.images(slice(None)), dataset.images(slice(None)))
    for name in ("actions", "rewards", "success", "tasks"):
        np.testing.assert_array_equal(getattr(again, name), getattr(dataset, name))
    for name in ("robot", "renderer", "control_hz", "object_split"):
        assert getattr(again.manifest, name) == getattr(dataset.manifest, name)
