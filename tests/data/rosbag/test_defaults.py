"""Bags that `ros2 bag record` made of parrot's topics are read without a mapping, whatever of them there is."""

from __future__ import annotations

import numpy as np
import pytest
from bag_makers import ABOUT, SECOND, START, Lab, loop_episodes, number_of, numbered

from parrot.data.rosbag.mapping import Mapping, Topics
from parrot.errors import ConfigError
from parrot.spaces import ACTION_NAMES

PERIOD = SECOND // 10


def marked(lab: Lab, topic: str = "/marker") -> list[list[int]]:
    """An arm without outcomes: a camera at 10 Hz that never stops, actions, and what a human says of it."""
    for k in range(60):
        stamp = START + k * PERIOD
        lab.image("/camera/image", numbered(k), stamp)
        lab.vector("/action", ACTION_NAMES, np.full(7, k / 100), stamp, stamp + PERIOD // 10)
    for k, word in ((3, "start"), (12, "success"), (20, "start"), (30, "discard"), (40, "start"), (50, "failure")):
        text = lab.make("std_msgs/msg/String", word)
        lab.add(topic, "std_msgs/msg/String", text, START + k * PERIOD - PERIOD // 2)
    lab.rows.sort(key=lambda row: row[1])
    return [list(range(3, 11)), list(range(40, 49))]


def steps_of(dataset):
    return [[number_of(image) for image in episode.images] for episode in dataset]


@pytest.mark.parametrize("listed", [False, True])
def test_markers_alone_say_what_the_episodes_are(tmp_path, from_bags, listed):
    lab = Lab()
    steps = marked(lab)
    if listed:  # recorder_node names all its topics, though no message of them has come
        lab.kinds["/outcome"] = "sensor_msgs/msg/JointState"
    bag = lab.write(tmp_path / "bag", about=ABOUT)
    dataset, report = from_bags(bag, mapping=Mapping(), keep_failures=True)
    assert steps_of(dataset) == steps
    assert dataset.success.tolist() == [True, False]
    assert report.dropped == {"it was discarded by a marker": 1}
    assert {t.name: t.use for t in report.topics}["/marker"] == "marker"


def test_markers_on_the_topic_of_episodes_are_understood_where_there_is_no_other(tmp_path, from_bags):
    lab = Lab()
    steps = marked(lab, "/episode")
    dataset, report = from_bags(lab.write(tmp_path / "bag", about=ABOUT), mapping=Mapping(), keep_failures=True)
    assert steps_of(dataset) == steps
    assert dataset.success.tolist() == [True, False]
    assert {t.name: t.use for t in report.topics}["/episode"] == "marker"


@pytest.mark.parametrize(
    ("said", "tasks"),
    [
        (('{"task": "pour", "seed": 5}', '{"task": "stir"}', '{"task": "stir"}'), ["pour", "stir", "stir"]),
        (("hello", '{"task": 5}', "[]"), ["tea", "tea", "tea"]),
    ],
)
def test_each_episode_has_the_task_that_is_named_before_it(tmp_path, from_bags, said, tasks):
    lab = Lab()
    truth = loop_episodes(lab, [3, 4, 5])
    for text, (_, stamps, *_) in zip(said, truth, strict=True):
        lab.add("/episode", "std_msgs/msg/String", lab.make("std_msgs/msg/String", text), stamps[0] - 1)
    lab.rows.sort(key=lambda row: row[1])
    bag = lab.write(tmp_path / "bag", about=ABOUT)
    dataset, report = from_bags(bag, mapping=Mapping())
    assert dataset.tasks.tolist() == tasks
    assert {t.name: t.use for t in report.topics}["/episode"] == "task"
    given, _ = from_bags(bag, mapping=Mapping(task="wipe"), out="given")
    assert given.tasks.tolist() == ["wipe"] * 3


def test_a_bag_without_outcomes_and_markers_says_what_to_do(tmp_path, from_bags):
    lab = Lab()
    marked(lab, "/elsewhere")
    with pytest.raises(
        ConfigError, match=r"outcome is mapped to /outcome, which is not there.*say episodes: {by: gaps"
    ):
        from_bags(lab.write(tmp_path / "bag", about=ABOUT), mapping=Mapping())


def asked_and_executed(lab: Lab):
    """A loop in which actions are asked for beyond what the arm does."""
    truth = loop_episodes(lab, [4, 5])
    for topic, receive, data in [row for row in lab.rows if row[0] == "/action"]:
        message = lab.store.deserialize_cdr(data, lab.kinds[topic])
        stamp = message.header.stamp.sec * SECOND + message.header.stamp.nanosec
        lab.vector("/action_executed", ACTION_NAMES, 0.5 * message.position, stamp, receive + 1)
    lab.rows.sort(key=lambda row: row[1])
    return truth


def test_what_the_arm_was_told_after_its_limits_is_used_where_it_is_there(tmp_path, from_bags):
    lab = Lab()
    truth = asked_and_executed(lab)
    bag = lab.write(tmp_path / "bag", about=ABOUT)
    dataset, report = from_bags(bag, mapping=Mapping())
    for episode, (_, _, actions, _, _) in zip(dataset, truth, strict=True):
        np.testing.assert_array_equal(episode.actions, np.float32(0.5 * actions.astype(np.float64)))
    use = {t.name: t.use for t in report.topics}
    assert (use["/action_executed"], use["/action"]) == ("action", "")
    assert report.notes == [
        "actions are those of /action_executed, what the arm was told after its limits; /action, what was asked of it, "
        "is not used"
    ]
    asked, report = from_bags(bag, mapping=Mapping(topics=Topics(executed="")), out="asked")
    for episode, (_, _, actions, _, _) in zip(asked, truth, strict=True):
        np.testing.assert_array_equal(episode.actions, actions)
    assert report.notes == []


def test_an_action_that_was_not_executed_is_no_step(tmp_path, from_bags):
    lab = Lab()
    asked_and_executed(lab)
    lost = next(i for i, row in enumerate(lab.rows) if row[0] == "/action_executed")
    del lab.rows[lost + 4]
    dataset, report = from_bags(lab.write(tmp_path / "bag", about=ABOUT), mapping=Mapping())
    assert len(dataset) == 1
    assert report.dropped == {"an action is missing in it": 1}


def test_a_topic_of_executed_actions_that_fell_silent_changes_nothing(tmp_path, from_bags):
    lab = Lab()
    truth = loop_episodes(lab, [4])
    lab.kinds["/action_executed"] = "sensor_msgs/msg/JointState"
    dataset, report = from_bags(lab.write(tmp_path / "bag", about=ABOUT), mapping=Mapping())
    np.testing.assert_array_equal(dataset.episode(0).actions, truth[0][2])
    assert {t.name: t.use for t in report.topics}["/action"] == "action"


def test_names_of_the_asked_actions_are_not_those_of_the_executed_ones(tmp_path, from_bags):
    lab = Lab()
    asked_and_executed(lab)
    mapping = Mapping(action={"from": "recorded", "names": {"dx": "vx"}})
    dataset, report = from_bags(lab.write(tmp_path / "bag", about=ABOUT), mapping=mapping)
    assert len(dataset) == 2
    assert report.dropped == {}
    assert len(report.notes) == 1  # nothing is said of what is not used
