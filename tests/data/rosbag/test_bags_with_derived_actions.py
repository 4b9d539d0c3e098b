"""A lab's bag without actions becomes a dataset whose actions are the motion in it, gripper included."""

import numpy as np
import pytest
from bag_makers import Lab, numbered
from motion_messages import (
    PERIOD,
    ROBOT,
    START,
    Walk,
    borders,
    joint_state,
    pose_stamped,
    tf,
    trajectory,
    transform,
    twist_stamped,
)
from scipy.spatial.transform import Rotation

from parrot.data import Dataset
from parrot.data.rosbag.convert import Conversion, convert
from parrot.data.rosbag.mapping import Mapping
from parrot.errors import ConfigError
from parrot.fields import build
from parrot.kinematics import Kinematics
from parrot.sim.config import load_robot

STEPS = 20
FINE = PERIOD // 10
GRIPPER = {"topic": "/grip", "open": 0.0, "closed": 1.0}
CLOSED_AT = 8
HOW = Conversion(robot=load_robot, worlds={})


def poses(walk, times):
    positions, rotations = walk.at(times)
    return [("/pose", pose_stamped(*sample), sample[0]) for sample in zip(times, positions, rotations, strict=True)]


def transforms(walk, times):
    """The base hangs from the world by a transform that is said but once, long before."""
    moved = Rotation.from_euler("z", 1.0)
    said = [("/tf_static", tf(transform(START - 60 * 10**9, "world", "base", [1, 2, 3], moved)), START - 60 * 10**9)]
    positions, rotations = walk.at(times)
    for time, position, rotation in zip(times, positions, rotations, strict=True):
        inside = transform(time, "world", "tool", np.add(moved.apply(position), [1, 2, 3]), moved * rotation)
        said.append(("/tf", tf(inside), time))
    return said


def joints_of(walk, times):
    arm, q = Kinematics.of(ROBOT), np.array(ROBOT.home.joints)
    for time, position, rotation in zip(times, *walk.at(times), strict=True):
        q = arm.inverse(position, rotation.as_matrix(), q)
        yield time, q


def joints(walk, times):
    return [("/joint_states", joint_state(t, ROBOT.arm_joints, q), t) for t, q in joints_of(walk, times)]


def twists(walk, times):
    positions, rotations = walk.at(times)
    linear = np.diff(positions, axis=0) / (FINE / 1e9)
    angular = (rotations[1:] * rotations[:-1].inv()).as_rotvec() / (FINE / 1e9)
    return [("/twist", twist_stamped(t, v, w), t) for t, v, w in zip(times, linear, angular, strict=False)]


def trajectories(walk, times):
    path = list(joints_of(walk, times))
    return [("/goal", trajectory(path[0][0], ROBOT.arm_joints, [(t - path[0][0], q) for t, q in path]), path[0][0])]


GRIP = [(-10 * PERIOD, 0.0), (CLOSED_AT * PERIOD + FINE, 1.0)]
"""When, from the start, the gripper says what."""


def record(path, said, grip=GRIP):
    """A bag with pictures at 10 Hz, whatever else was said, and a gripper that closes in step 8."""
    lab = Lab()
    for i, time in enumerate(borders(STEPS)):
        said = [*said, ("/camera/image", numbered(i), int(time))]
    said = [*said, *(("/grip", joint_state(0, ["g"], [value]), START + after) for after, value in grip)]
    for topic, message, time in sorted(said, key=lambda row: row[2]):
        if topic == "/camera/image":
            lab.image(topic, message, time)
        else:
            lab.add(topic, message.__msgtype__, message, int(time))
    return lab.write(path, about={"robot": "xarm6", "task": "tea"})


@pytest.fixture(scope="module")
def walk():
    moves = np.random.default_rng(0).uniform(-0.6, 0.6, (STEPS, 6))
    moves[:, 3:5] *= 0.2
    return Walk(moves), moves


@pytest.mark.parametrize(
    ("action", "say"),
    [
        ({"from": "poses", "topic": "/pose"}, poses),
        ({"from": "tf", "base_frame": "base", "tip_frame": "tool"}, transforms),
        ({"from": "joint_states"}, joints),
        ({"from": "twist", "topic": "/twist"}, twists),
        ({"from": "trajectory", "topic": "/goal"}, trajectories),
    ],
    ids=lambda value: value["from"] if isinstance(value, dict) else "",
)
def test_the_motion_in_the_bag_is_the_actions_of_the_dataset(tmp_path, walk, action, say):
    path, moves = walk
    bag = record(tmp_path / "bag", say(path, START + FINE * np.arange(STEPS * 10 + 1)))
    asked = build(Mapping, {"action": {**action, "gripper": GRIPPER}, "episodes": {"by": "gaps"}}, "map")
    (report,) = convert([bag], tmp_path / "d", asked, HOW)
    assert report.kept == 1, report
    episode = Dataset.open(tmp_path / "d").episode(0)
    assert len(episode) >= STEPS - 1
    np.testing.assert_allclose(episode.actions[:, :6], moves[: len(episode)], atol=5e-3)
    closing = np.arange(len(episode)) >= CLOSED_AT
    np.testing.assert_array_equal(episode.actions[:, 6], np.where(closing, -1, 1))


def test_what_the_gripper_was_long_before_the_episode_counts(tmp_path, walk):
    # Closed on something; ever since its measured position stands between the thresholds.
    grip = [(-50 * PERIOD, 1.0), *((k * PERIOD, 0.3) for k in range(-40, STEPS))]
    bag = record(tmp_path / "bag", poses(walk[0], borders(STEPS)), grip)
    action = {"from": "poses", "topic": "/pose", "gripper": GRIPPER}
    convert([bag], tmp_path / "d", build(Mapping, {"action": action, "episodes": {"by": "gaps"}}, "map"), HOW)
    np.testing.assert_array_equal(Dataset.open(tmp_path / "d").actions[:, 6], -1)


@pytest.mark.parametrize(("topic", "grip"), [("/poses", "/grip"), ("/pose", "/gripper")])
def test_a_topic_that_is_not_in_the_bag_is_one_line(tmp_path, walk, topic, grip):
    bag = record(tmp_path / "bag", poses(walk[0], borders(STEPS)))
    action = {"from": "poses", "topic": topic, "gripper": {**GRIPPER, "topic": grip}}
    asked = build(Mapping, {"action": action, "episodes": {"by": "gaps"}}, "map")
    with pytest.raises(ConfigError, match="which is not there; its topics are /camera/image") as error:
        convert([bag], tmp_path / "d", asked, HOW)
    assert "\n" not in str(error.value)
