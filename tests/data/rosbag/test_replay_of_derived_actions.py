"""A path of the simulated arm, recorded as a lab would, becomes actions that bring the arm along the same path."""

from dataclasses import dataclass

import numpy as np
import pytest
from motion_messages import (
    PERIOD,
    ROBOT,
    START,
    joint_state,
    pose_stamped,
    tf,
    trajectory,
    transform,
    twist_stamped,
)
from scipy.spatial.transform import Rotation

from parrot.data.rosbag.actions import make_source
from parrot.kinematics import Kinematics
from parrot.sim.bullet import pybullet
from parrot.sim.config import load_scene
from parrot.sim.env import ManipulationEnv
from parrot.sim.world import World
from parrot.spaces import EPISODE_STEPS

CENTIMETRE = 0.01
SUBSTEPS = 12
JITTER = 2_000_000
"""By which stamps are off the moments of the physics, ns."""

ARM = Kinematics.of(ROBOT)


@pytest.fixture(scope="module")
def world():
    world = World(ROBOT, load_scene(), hide_unseen=False)
    yield world
    world.close()


@dataclass
class Recording:
    """What a lab's recorder saw of an arm at 120 Hz, and where the arm was at the borders of the control steps."""

    times: np.ndarray
    joints: np.ndarray
    positions: np.ndarray
    rotations: Rotation
    borders: np.ndarray
    closing: np.ndarray


def drive(world, actions, record=None):
    """Moves the arm from home; where its tool point is at each border, (T + 1, 3), and whether it was told to close."""
    world.place([])
    path, closing = [world.arm.tool()], []
    for step, action in enumerate(actions):
        world.arm.command(action)
        closing.append(world.arm.closing)
        for sub in range(SUBSTEPS):
            if record is not None:
                record(step * PERIOD + sub * PERIOD // SUBSTEPS)
            pybullet.stepSimulation(world.client)
        path.append(world.arm.tool())
    if record is not None:
        for sub in range(2):
            record(len(actions) * PERIOD + sub * PERIOD // SUBSTEPS)
    return np.array(path), np.array(closing)


@pytest.fixture(scope="module", params=[0, 1])
def recording(request, world):
    rng = np.random.default_rng(request.param)
    # Smooth, as a hand or a script moves: a target that wanders, all the axes and the gripper in use.
    actions = np.repeat(rng.uniform(-0.8, 0.8, (EPISODE_STEPS // 5, 7)), 5, axis=0)
    actions[:, 3:5] *= 0.2
    actions += rng.normal(0, 0.1, actions.shape)
    seen = []
    borders, closing = drive(world, actions, lambda time: seen.append((time, world.arm.joints()[:6])))
    joints = np.array([q for _, q in seen])
    poses = [ARM.forward(q) for q in joints]
    return Recording(
        START + np.array([time for time, _ in seen]), joints, np.array([p for p, _ in poses]),
        Rotation.from_matrix(np.array([r for _, r in poses])), borders, closing,
    )  # fmt: skip


def poses(recording):
    for time, position, rotation in zip(recording.times, recording.positions, recording.rotations, strict=True):
        yield "/pose", pose_stamped(time, position, rotation), time


def transforms(recording):
    """The lab's base looks the other way, 0.5 m off; its tool is known by a flange 15 cm above."""
    base, offset = Rotation.from_euler("z", np.pi), np.array([0.0, 0.0, 0.15])
    yield "/tf_static", tf(transform(0, "flange", "tool", offset, Rotation.identity())), START
    for time, position, rotation in zip(recording.times, recording.positions, recording.rotations, strict=True):
        place, turn = base.inv().apply(position - [0.5, 0, 0]), base.inv() * rotation
        message = tf(transform(time, "lab", "flange", place - turn.apply(offset), turn))
        yield "/tf", message, time


def joints(recording):
    for time, q in zip(recording.times, recording.joints, strict=True):
        yield "/joint_states", joint_state(time, ROBOT.arm_joints, q), time


def velocities(recording):
    """What a servoing teleoperator would have sent: each velocity until the next."""
    seconds = np.diff(recording.times)[:, None] / 1e9
    linear = np.diff(recording.positions, axis=0) / seconds
    angular = (recording.rotations[1:] * recording.rotations[:-1].inv()).as_rotvec() / seconds
    for time, v, w in zip(recording.times, linear, angular, strict=False):
        yield "/twist", twist_stamped(time, v, w), time


def trajectories(recording):
    """A planner that plans half a second ahead, five times a second."""
    for i in range(0, len(recording.times) - 1, 24):
        ahead = range(i, min(i + 60, len(recording.times)), 3)
        points = [(recording.times[k] - recording.times[i], recording.joints[k]) for k in ahead]
        yield "/goal", trajectory(recording.times[i], ROBOT.arm_joints, points), recording.times[i]


TURNED = {"translation": [0.5, 0.0, 0.0], "rpy": [0.0, 0.0, np.pi]}


@pytest.mark.parametrize(
    ("options", "record"),
    [
        ({"from": "poses", "topic": "/pose"}, poses),
        ({"from": "tf", "base_frame": "lab", "tip_frame": "tool", "base": TURNED}, transforms),
        ({"from": "joint_states"}, joints),
        ({"from": "twist", "topic": "/twist"}, velocities),
        ({"from": "trajectory", "topic": "/goal"}, trajectories),
    ],
    ids=lambda value: value["from"] if isinstance(value, dict) else "",
)
def test_the_arm_comes_within_a_centimetre_of_the_recorded_path(world, recording, options, record):
    gripper = {"topic": "/grip", "open": 0.0, "closed": 1.0, "initial": "open"}
    source = make_source({**options, "gripper": gripper}, ROBOT)
    rng = np.random.default_rng(0)
    for topic, message, time in record(recording):
        # Late by up to 2 ms, as stamps from a real driver are.
        source.feed(topic, message, int(time + rng.integers(0, JITTER)))
    for step, closed in enumerate(recording.closing):
        source.feed("/grip", joint_state(0, ["finger"], [float(closed)]), START + step * PERIOD + PERIOD // 2)
    derived = source.actions(START + PERIOD * np.arange(EPISODE_STEPS + 1))
    path, closing = drive(world, derived.actions)
    off = np.linalg.norm(path - recording.borders, axis=1)
    assert off.max() < CENTIMETRE, f"{off.max() * 1000:.1f} mm"
    np.testing.assert_array_equal(closing, recording.closing)
    moved = np.linalg.norm(np.diff(recording.borders, axis=0), axis=1).sum()
    assert moved > 0.3, "the recorded path goes somewhere"


def test_a_recorded_grasp_is_a_grasp_again():
    """From nothing but joint states, the gripper's measured, and stamps that are off."""
    env, rng = ManipulationEnv("collect_grasp"), np.random.default_rng(0)
    gripper = {
        "topic": "/joint_states", "joint": "left_finger_slide", "open": ROBOT.gripper.open,
        "closed": ROBOT.gripper.closed, "open_above": 0.95, "closed_below": 0.9, "initial": "open",
    }  # fmt: skip
    lifted = 0
    for seed in range(4):
        source = make_source({"from": "joint_states", "gripper": gripper}, ROBOT)
        env.reset(seed=seed)
        arm = env.world.arm
        for step in range(EPISODE_STEPS):
            arm.command(env.scripted_action(rng))
            for sub in range(SUBSTEPS):
                time = START + step * PERIOD + sub * PERIOD // SUBSTEPS
                message = joint_state(time, arm.joint_names, arm.joints())
                source.feed("/joint_states", message, int(time + rng.integers(0, JITTER)))
                pybullet.stepSimulation(env.world.client)
        end = START + EPISODE_STEPS * PERIOD
        source.feed("/joint_states", joint_state(end, arm.joint_names, arm.joints()), end)
        *_, held = env.step(np.zeros(7))
        env.reset(seed=seed)
        for action in source.actions(START + PERIOD * np.arange(EPISODE_STEPS + 1)).actions:
            *_, again = env.step(action)
        assert again["success"] == held["success"]
        lifted += again["success"]
    env.close()
    assert lifted >= 3
