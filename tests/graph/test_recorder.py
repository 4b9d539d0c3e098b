"""recorder_node on real DDS: markers, what the arm executed, further topics, silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from geometry_msgs.msg import WrenchStamped
from graph_tools import Spy, World, one_line_error
from rclpy.qos import qos_profile_sensor_data
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

from parrot.data.rosbag.writer import recover
from parrot.nodes import topics
from parrot.nodes.recorder_config import RecorderNodeConfig
from parrot.spaces import ACTION_NAMES

IMAGE = np.zeros((48, 48, 3), np.uint8)


def messages(bag: Path, topic: str) -> list:
    with AnyReader([bag]) as reader:
        wanted = [c for c in reader.connections if c.topic == topic]
        return [reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages(wanted)] if wanted else []


def mark(spy: Spy, marker: str) -> tuple[bool, str]:
    answer = spy.call(Trigger, f"recorder_node/{marker}", Trigger.Request())
    return answer.success, answer.message


def record(world: World, spy: Spy, **parameters):
    running = world.node("recorder_node", bag=world.folder / "bag", **parameters)
    spy.wait(lambda: spy.matched(topics.IMAGE, topics.ACTION), what="recorder_node")
    return running, world.folder / "bag"


def finish(running) -> str:
    running.interrupt()
    assert running.wait(10) == 0, running.output
    return running.output


def test_episodes_are_marked_by_services_and_durable_when_they_answer(world: World, spy: Spy):
    running, bag = record(world, spy)
    heard: list[str] = []
    spy.node.create_subscription(String, topics.MARKER, lambda m: heard.append(m.data), topics.LOOP)
    assert mark(spy, "success") == (
        False,
        "no episode is under way: mark its start first; episodes kept: 0 (0 success, 0 failure)",
    )
    said = []
    for stamp, verdict in enumerate(("success", "failure", "discard", "success"), start=1):
        assert mark(spy, "start")[0]
        spy.show(stamp, IMAGE)
        spy.spin(0.3)
        kept, answer = mark(spy, verdict)
        assert kept
        said.append(answer)
    assert mark(spy, "discard")[0]  # the last one, after all
    assert said == [
        "episodes kept: 1 (1 success, 0 failure)",
        "episodes kept: 2 (1 success, 1 failure)",
        "episodes kept: 2 (1 success, 1 failure), 1 discarded",
        "episodes kept: 3 (2 success, 1 failure), 1 discarded",
    ]
    running.process.kill()  # the last answer has come, so nothing may be missing
    running.wait()
    assert recover(bag)
    expected = ["start", "success", "start", "failure", "start", "discard", "start", "success", "discard"]
    assert [message.data for message in messages(bag, "/marker")] == expected
    assert [message.header.stamp.nanosec for message in messages(bag, "/camera/image")] == [1, 2, 3, 4]
    assert heard == expected


def test_markers_that_others_publish_count_too_and_unknown_ones_are_refused(world: World, spy: Spy):
    running, bag = record(world, spy)
    publisher = spy.node.create_publisher(String, topics.MARKER, topics.LOOP)
    spy.wait(lambda: publisher.get_subscription_count() > 0, what="the marker's reader")
    for word in ("start", "hooray", "success"):
        publisher.publish(String(data=word))
    spy.wait(lambda: spy.status.get("recorder_node", {}).get("episodes kept") == "1", what="a kept episode")
    output = finish(running)
    assert "marker 'hooray' is not known; publish one of start, success, failure, discard" in output
    assert [message.data for message in messages(bag, "/marker")] == ["start", "success"]


def test_the_bag_has_what_the_arm_was_told_after_limits(world: World, spy: Spy):
    running, bag = record(world, spy)
    spy.act(1, [0.5, 0, 0, 0, 0, 0, 1])
    spy.act(2, [np.nan, 0, 0, 0, 0, 0, 1])  # refused, as every arm does
    spy.act(2, [3.0, -7.5, 0.25, 0, 0, 0, 1])
    spy.act(3, [1.0, 0, 0, 0, 0, 0, 2.0], ACTION_NAMES[::-1])
    spy.spin(0.5)
    output = finish(running)
    assert "action is not finite in dx" in output
    found = [dict(zip(m.name, m.position.tolist(), strict=True)) for m in messages(bag, "/action")]
    zero = dict.fromkeys(ACTION_NAMES, 0.0)
    assert found == [
        {**zero, "dx": 0.5, "gripper": 1.0},
        {**zero, "dx": 1.0, "dy": -1.0, "dz": 0.25, "gripper": 1.0},
        {**zero, "gripper": 1.0, "dx": 1.0},
    ]


def test_the_simulator_says_what_it_executed_and_that_is_what_is_recorded(world: World, spy: Spy):
    running, bag = record(world, spy)
    world.node("sim_node", task="grasp_can", recorded=True)
    spy.wait(lambda: spy.images and spy.matched(topics.ACTION), what="an image")
    first = spy.images[-1][0]
    spy.act(first + 7, [0.9] * 7)  # for no image: not executed
    spy.act(first, [np.nan] * 7)  # refused
    spy.act(first, [2.0, 0.1, 0, 0, 0, 0, 1])
    spy.wait(lambda: first in spy.stamps(topics.OUTCOME), what="an outcome")
    spy.spin(0.3)
    finish(running)
    (action,) = messages(bag, "/action")
    assert action.header.stamp.sec * 10**9 + action.header.stamp.nanosec == first
    assert action.position.tolist() == np.float32([1.0, 0.1, 0, 0, 0, 0, 1]).tolist()


def test_further_topics_are_recorded_however_they_are_offered(world: World, spy: Spy):
    kinds = "/lab/color sensor_msgs/msg/Image, wrench geometry_msgs/msg/WrenchStamped"
    running, bag = record(world, spy, topics=f"'{kinds}'", task="tea", renderer="pybullet-tiny", robot="xarm6")
    camera = spy.node.create_publisher(Image, "/lab/color", qos_profile_sensor_data)  # best effort, as drivers do
    force = spy.node.create_publisher(WrenchStamped, "wrench", 10)
    spy.wait(lambda: camera.get_subscription_count() and force.get_subscription_count(), what="the recorder's ears")
    image = Image(height=120, width=160, encoding="bgr8", step=480, data=bytes(160 * 120 * 3))
    for _ in range(3):  # without a stamp: none of them is a repetition
        camera.publish(image)
        force.publish(WrenchStamped())
        spy.spin(0.1)
    finish(running)
    assert [m.encoding for m in messages(bag, "/lab/color")] == ["bgr8"] * 3
    assert len(messages(bag, "/wrench")) == 3
    information = yaml.safe_load((bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert information["custom_data"] == {"task": "tea", "robot": "xarm6", "renderer": "pybullet-tiny"}


def test_the_objects_of_a_simulated_bag_are_those_of_its_task():
    about = [RecorderNodeConfig(task=task, renderer="pybullet-tiny").about() for task in ("grasp_cap", "collect")]
    assert [known["object_split"] for known in about] == ["test", "train"]
    assert RecorderNodeConfig(task="grasp_cap").about() == {"task": "grasp_cap"}  # by a real camera: who knows


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"topics": "'/x lab_msgs/msg/Force'"}, "message type 'lab_msgs/msg/Force' is not installed"),
        ({"topics": "/x"}, "topic '/x' to record: write TOPIC TYPE"),
        ({"expected": "/x"}, "/x is expected but not recorded"),
    ],
)
def test_what_cannot_be_recorded_is_an_error_of_one_line(world: World, parameters, reason):
    running = world.node("recorder_node", bag=world.folder / "bag", **parameters)
    assert running.wait() == 2
    assert reason in one_line_error(running.output)
    assert not (world.folder / "bag").exists()


def test_a_silent_topic_is_warned_of_once_and_again_when_it_is_back(world: World, spy: Spy):
    running, _ = record(world, spy, expected="'camera/image, joint_states'", silence=1.0, min_free_gb=1e6)
    for stamp in range(1, 5):
        spy.show(stamp, IMAGE)
        spy.spin(0.2)
    spy.wait(lambda: "camera/image is silent" in running.output, what="the warning")
    spy.spin(2.5)
    spy.show(9, IMAGE)
    spy.wait(lambda: "camera/image is back" in running.output, what="the end of the silence")
    output = finish(running)
    assert output.count("camera/image is silent: no message for") == 1
    assert output.count("joint_states is silent: no message yet (0 publish it)") == 1
    assert output.count("GB left on the disk; free some space") == 1
    assert spy.status["recorder_node"]["disk left"].endswith(" GB")
    assert "camera/image per second" in spy.status["recorder_node"]


def test_a_systems_clock_that_is_set_back_leaves_the_order_of_a_bags_messages(world: World, spy: Spy):
    bag, flag = world.folder / "bag", world.folder / "an hour back"
    # The process's own clock: the machine's is everybody's.
    code = (
        "import pathlib, time; clock = time.time_ns;"
        f"time.time_ns = lambda: clock() - 3600 * 10**9 * pathlib.Path({str(flag)!r}).exists();"
        "from parrot.nodes.recorder_node import main; main()"
    )
    running = world.start("-c", code, "--ros-args", "-p", f"bag:={bag}")
    spy.wait(lambda: spy.matched(topics.IMAGE, topics.ACTION), what="recorder_node")
    for stamp in (1, 2, 3):
        assert mark(spy, "start")[0]
        spy.show(stamp, IMAGE)
        spy.spin(0.3)
        flag.touch()
        assert mark(spy, "success")[0]
    finish(running)
    with AnyReader([bag]) as reader:
        found = [(reader.deserialize(raw, c.msgtype), c.topic) for c, _, raw in reader.messages()]
    said = [message.data if topic == "/marker" else message.header.stamp.nanosec for message, topic in found]
    assert said == ["start", 1, "success", "start", 2, "success", "start", 3, "success"]
