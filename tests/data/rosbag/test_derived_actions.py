"""Actions derived from a known motion are that motion, whatever stamps, frames and signs it was recorded with."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from motion_messages import (
    PERIOD,
    ROBOT,
    SCALE,
    START,
    STORE,
    T,
    Walk,
    borders,
    joint_state,
    pose,
    pose_stamped,
    stamp_of,
    tf,
    trajectory,
    transform,
    twist_stamped,
    vector,
)  # fmt: skip
from scipy.spatial.transform import Rotation

from parrot.data.rosbag.actions import NO_SAMPLE, make_source
from parrot.errors import ConfigError
from parrot.kinematics import Kinematics

POSES = {"from": "poses", "topic": "/pose"}
TF = {"from": "tf", "base_frame": "base", "tip_frame": "tool"}
JOINTS = ROBOT.arm_joints

seeds = st.integers(0, 2**32 - 1)


def random_moves(rng, steps=12):
    """Kept small enough that the tool never lies flat."""
    moves = rng.uniform(-1, 1, (steps, 6))
    moves[:, 3:5] *= 0.3
    return moves


def feed_poses(source, walk, times, signs=None, topic="/pose"):
    positions, rotations = walk.at(times)
    for i, time in enumerate(times):
        message = pose_stamped(time, positions[i], rotations[i], 1 if signs is None else signs[i])
        source.feed(topic, message, stamp_of(message))


def stamps_around(walk, rng, extra=200):
    """Irregular stamps, the borders among them: between samples a rotation may turn otherwise than its angles do."""
    return np.concatenate([walk.times, rng.integers(walk.times[0] - PERIOD, walk.times[-1] + PERIOD, extra)])


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_moves_are_recovered_from_poses_in_any_order_with_any_sign(seed):
    rng = np.random.default_rng(seed)
    moves = random_moves(rng)
    walk, source = Walk(moves, rpy=rng.uniform(-0.5, 0.5, 3)), make_source(POSES, ROBOT)
    times = stamps_around(walk, rng)
    times = np.concatenate([times, times[:20]])
    feed_poses(source, walk, rng.permutation(times), rng.choice([-1, 1], len(times)))
    derived = source.actions(walk.times)
    np.testing.assert_allclose(derived.actions[:, :6], moves, atol=1e-5)
    np.testing.assert_array_equal(derived.actions[:, 6], 0)
    assert derived.actions.dtype == np.float32
    assert derived.clipped == 0
    assert not derived.gap.any()
    assert source.dropped["/pose: repeated stamp"] >= 20


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_borders_between_samples_are_interpolated(seed):
    rng = np.random.default_rng(seed)
    moves = np.repeat(random_moves(rng, 1), 10, axis=0) * 0.2  # at one speed, so that interpolation is exact
    moves[:, 3:5] = 0
    walk, source = Walk(moves), make_source(POSES, ROBOT)
    times = np.sort(walk.times[0] - PERIOD + np.cumsum(rng.integers(1_000_000, 90_000_000, 60)))
    times = times[times < walk.times[-1] + PERIOD]
    inside = times[(times >= walk.times[0]) & (times <= walk.times[-1])]
    feed_poses(source, walk, inside)
    asked = walk.times[1:-1]
    derived = source.actions(asked)
    np.testing.assert_allclose(derived.actions[:, :6], moves[1:-1], atol=1e-5)
    nearest = np.abs(asked[:, None] - inside).min(axis=1)
    np.testing.assert_array_equal(derived.gap, np.maximum(nearest[:-1], nearest[1:]))


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_turned_bases_and_tools_are_turned_back(seed):
    rng = np.random.default_rng(seed)
    moves, (base_rpy, tool_rpy), (base_at, tool_at) = (
        random_moves(rng),
        rng.uniform(-3, 3, (2, 3)),
        rng.normal(size=(2, 3)),
    )
    walk = Walk(moves)
    base, tool = Rotation.from_euler("xyz", base_rpy), Rotation.from_euler("xyz", tool_rpy)
    options = {
        "base": {"translation": base_at.tolist(), "rpy": base_rpy.tolist()},
        "tool": {"translation": tool_at.tolist(), "rpy": tool_rpy.tolist()},
    }
    source = make_source({**POSES, **options}, ROBOT)
    for time, position, rotation in zip(walk.times, walk.positions, walk.rotations, strict=True):
        # parrot's pose is base * recorded * tool.
        recorded = base.inv() * rotation * tool.inv()
        place = base.inv().apply(position - base_at) - recorded.apply(tool_at)
        source.feed("/pose", pose_stamped(time, place, recorded), time)
    np.testing.assert_allclose(source.actions(walk.times).actions[:, :6], moves, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_moves_are_recovered_from_a_tree_of_transforms(seed):
    rng = np.random.default_rng(seed)
    moves = random_moves(rng)
    walk, source = Walk(moves), make_source(TF, ROBOT)
    # world -> base (moving, too) and world -> shoulder (fixed) -> wrist (moving) -> tool (fixed)
    shoulder, tool = rng.normal(size=3), rng.normal(size=3)
    turned, mounted = Rotation.random(random_state=seed % 1000), Rotation.random(random_state=seed % 999)
    static = tf(transform(0, "world", "shoulder", shoulder, turned), transform(0, "/wrist", "/tool", tool, mounted))
    source.feed("/tf_static", static, START - 10**9)
    for i, time in enumerate(walk.times):
        at, facing = np.array([0.1 * i, 0.0, 0.0]), Rotation.from_euler("z", 0.05 * i)
        there, pointing = at + facing.apply(walk.positions[i]), facing * walk.rotations[i]
        wrist = pointing * mounted.inv()
        in_shoulder = turned.inv().apply(there - wrist.apply(tool) - shoulder)
        # Both in one message whose transforms differ in time; the message is known by its first one.
        later = transform(time + 5, "shoulder", "wrist", in_shoulder, turned.inv() * wrist)
        message = tf(transform(time, "world", "base", at, facing), later)
        source.feed("/tf", message, stamp_of(message))
    derived = source.actions(walk.times)
    np.testing.assert_allclose(derived.actions[:, :6], moves, atol=1e-4)
    assert derived.gap.max() == 5


def test_moves_are_recovered_from_joints_in_another_order_with_other_names():
    arm, rng = Kinematics.of(ROBOT), np.random.default_rng(1)
    moves = random_moves(rng, 8) * 0.5
    walk, q = Walk(moves), np.array(ROBOT.home.joints)
    names = [f"lab_{name}" for name in JOINTS]
    source = make_source({"from": "joint_states", "joints": names}, ROBOT)
    for time, position, rotation in zip(walk.times, walk.positions, walk.rotations, strict=True):
        q = arm.inverse(position, rotation.as_matrix(), q)
        source.feed("/joint_states", joint_state(time, ["lab_finger"], [0.02]), time)
        # An encoder that wraps is the same angle.
        wrapped = np.where(rng.random(6) < 0.5, q + 2 * np.pi, q)
        source.feed("/joint_states", joint_state(time, ["lab_finger", *names[::-1]], [0.02, *wrapped[::-1]]), time)
    np.testing.assert_allclose(source.actions(walk.times).actions[:, :6], moves, atol=1e-3)
    # Half-way between two samples of which one is wrapped lies half-way.
    between = source.actions(walk.times[:-1] + PERIOD // 2).actions[:, :3]
    np.testing.assert_allclose(between, (moves[:-1, :3] + moves[1:, :3]) / 2, atol=0.05)


@pytest.mark.parametrize("frame", ["base", "tool"])
def test_velocities_are_integrated_until_their_time_is_up(frame):
    velocity, spin = np.array([0.1, 0.2, -0.1]), np.array([0.0, 0.0, 0.5])
    source = make_source({"from": "twist", "topic": "/twist", "frame": frame, "linear": 0.5, "timeout": 0.05}, ROBOT)
    # Renewed within the first step, given up 10 ms into the second.
    for after in (0, 30, 60):
        source.feed("/twist", twist_stamped(0, velocity / 0.5, spin), START + after * 1_000_000)
    derived = source.actions(borders(3))
    axes = np.array([1, 1, 1]) if frame == "base" else np.array([1, -1, -1])  # the tool's z points down
    yaw = axes[2] * 0.05 / SCALE.rotation
    np.testing.assert_allclose(derived.actions[:, 5], [yaw, yaw / 10, 0], atol=1e-6)
    np.testing.assert_allclose(derived.actions[1:, 2], [-0.1 * axes[2] * 0.01 / SCALE.translation, 0], atol=1e-6)
    if frame == "base":
        np.testing.assert_allclose(derived.actions[0, :3], velocity * 0.1 / SCALE.translation, atol=1e-6)
    else:
        # Along the tool's own axes it moves on a circle.
        turned = Rotation.from_euler("z", axes[2] * 0.05 * np.linspace(0, 1, 1001)[:, None]).apply(axes * velocity)
        np.testing.assert_allclose(derived.actions[0, :3], turned.mean(0) * 0.1 / SCALE.translation, atol=1e-4)
    assert not derived.gap.any()


def test_velocities_before_the_first_command_are_zero_and_say_so():
    source = make_source({"from": "twist", "topic": "/twist"}, ROBOT)
    source.feed("/twist", twist_stamped(0, [0.1, 0, 0], [0, 0, 0]), START + PERIOD)
    derived = source.actions(borders(3))
    np.testing.assert_allclose(derived.actions[:, 0], [0, 0.01 / SCALE.translation, 0], atol=1e-6)
    np.testing.assert_array_equal(derived.gap, [PERIOD, 0, 0])


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_moves_are_recovered_from_trajectories_that_replace_one_another(seed):
    arm, rng = Kinematics.of(ROBOT), np.random.default_rng(seed)
    moves = random_moves(rng, 8) * 0.5
    walk, q, path = Walk(moves), np.array(ROBOT.home.joints), []
    for position, rotation in zip(walk.positions, walk.rotations, strict=True):
        path.append(q := arm.inverse(position, rotation.as_matrix(), q))
    source = make_source({"from": "trajectory", "topic": "/goal"}, ROBOT)
    # Each trajectory plans on to the end, and wrongly beyond the third point; the next one replaces it before that.
    messages = []
    for i in range(0, len(path) - 1, 2):
        wrong = [(k * PERIOD, path[i + k] + (0.3 if k > 2 else 0.0)) for k in range(1, len(path) - i)]
        messages.append(
            (START + i * PERIOD, trajectory(START + i * PERIOD, JOINTS, wrong if i else [(0, path[0]), *wrong]))
        )
    for k in rng.permutation(len(messages)):
        time, message = messages[k]
        source.feed("/goal", message, time)
    derived = source.actions(walk.times)
    # At the very start the arm is not there yet, a nanosecond later it is.
    np.testing.assert_allclose(derived.actions[:, :6], moves, atol=1e-3)
    assert derived.gap.max() <= 1


def test_a_point_that_is_due_at_once_is_held_until_then():
    source = make_source({"from": "trajectory", "topic": "/goal"}, ROBOT)
    home = np.array(ROBOT.home.joints)
    for after, turn in ((0, 0.0), (10 * PERIOD, 0.1)):
        source.feed("/goal", trajectory(0, JOINTS, [(0, home + turn * np.eye(6)[0])]), START + after)
    yaw = source.actions(borders(12)).actions[:, 5]
    np.testing.assert_allclose(yaw, np.eye(12)[10] * 0.1 / SCALE.rotation, atol=1e-6)


def test_what_is_beyond_the_scale_is_clipped_and_counted():
    moves = np.zeros((4, 6))
    moves[1, 0], moves[2, 5], moves[3, 1] = 1.5, -2.0, 1.0
    walk, source = Walk(moves), make_source(POSES, ROBOT)
    feed_poses(source, walk, walk.times)
    derived = source.actions(walk.times)
    np.testing.assert_allclose(derived.actions[:, :6], np.clip(moves, -1, 1), atol=1e-5)
    assert derived.clipped == 0.5


def test_angles_beyond_half_a_turn_go_on():
    moves = np.zeros((40, 6))
    moves[:, 5] = 1.0
    walk, source = Walk(moves), make_source(POSES, ROBOT)
    feed_poses(source, walk, walk.times)
    np.testing.assert_allclose(source.actions(walk.times).actions[:, 5], 1.0, atol=1e-5)


def test_what_is_not_finite_or_no_rotation_is_dropped_and_counted():
    walk, source = Walk(np.full((3, 6), 0.1)), make_source(POSES, ROBOT)
    feed_poses(source, walk, walk.times)
    down = walk.rotations[0]
    source.feed("/pose", pose_stamped(0, [np.nan, 0, 0], down), START + 1)
    broken = pose_stamped(0, [0, 0, 0], down)
    broken.pose.orientation.x = np.inf
    source.feed("/pose", broken, START + 2)
    unset = T["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 0.0)
    empty = T["geometry_msgs/msg/Pose"](position=broken.pose.position, orientation=unset)
    source.feed("/pose", T["geometry_msgs/msg/PoseStamped"](header=broken.header, pose=empty), START + 3)
    np.testing.assert_allclose(source.actions(walk.times).actions[:, :6], 0.1, atol=1e-5)
    assert source.dropped == {"/pose: not finite": 2, "/pose: not a rotation": 1}


def test_without_a_sample_the_arm_rests_and_the_gap_says_why():
    for options in (
        POSES,
        {"from": "twist", "topic": "/t"},
        {"from": "joint_states"},
        {"from": "trajectory", "topic": "/t"},
    ):
        derived = make_source(options, ROBOT).actions(borders(3))
        np.testing.assert_array_equal(derived.actions, np.zeros((3, 7)))
        np.testing.assert_array_equal(derived.gap, [NO_SAMPLE] * 3)


def test_a_pose_stands_in_messages_of_many_types():
    down = Rotation.from_euler("x", np.pi)
    for make in (
        lambda t, p: pose(p, down),
        lambda t, p: transform(t, "a", "b", p, down),
        lambda t, p: T["geometry_msgs/msg/PoseWithCovarianceStamped"](
            header=pose_stamped(t, p, down).header,
            pose=T["geometry_msgs/msg/PoseWithCovariance"](pose=pose(p, down), covariance=np.zeros(36)),
        ),
        lambda t, p: T["nav_msgs/msg/Odometry"](
            header=pose_stamped(t, p, down).header, child_frame_id="b",
            pose=T["geometry_msgs/msg/PoseWithCovariance"](pose=pose(p, down), covariance=np.zeros(36)),
            twist=T["geometry_msgs/msg/TwistWithCovariance"](
                twist=T["geometry_msgs/msg/Twist"](linear=vector([0, 0, 0]), angular=vector([0, 0, 0])),
                covariance=np.zeros(36),
            ),
        ),
    ):  # fmt: skip
        source = make_source(POSES, ROBOT)
        for i, time in enumerate(borders(2)):
            message = make(time, [0.01 * i, 0.0, 0.2])
            # As it comes out of a bag.
            kind = message.__msgtype__
            source.feed("/pose", STORE.deserialize_cdr(STORE.serialize_cdr(message, kind), kind), time)
        np.testing.assert_allclose(source.actions(borders(2)).actions[:, 0], 0.01 / SCALE.translation, atol=1e-6)


def test_forgetting_what_is_past_changes_nothing_to_come():
    rng, whole = np.random.default_rng(3), []
    moves = random_moves(rng, 20)
    walk = Walk(moves)
    for forget in (False, True):
        source = make_source({**POSES, "gripper": {"topic": "/g", "open": 1, "closed": 0}}, ROBOT)
        number = T["std_msgs/msg/Float64"]
        source.feed("/g", number(data=0.0), START - 1)
        feed_poses(source, walk, walk.times)
        parts = []
        for k in range(0, 20, 5):
            parts.append(source.actions(walk.times[k : k + 6]).actions)
            if forget:
                source.forget(int(walk.times[k + 5]))
        whole.append(np.concatenate(parts))
    np.testing.assert_array_equal(*whole)
    source.forget()
    assert source.actions(borders(2)).gap[0] == NO_SAMPLE


def test_what_lasts_is_said():
    grip = {"topic": "/grip", "open": 1, "closed": 0}
    assert make_source(POSES, ROBOT).lasting == ()
    assert make_source({**TF, "gripper": grip}, ROBOT).lasting == ("/tf", "/tf_static", "/grip")
    assert make_source({"from": "trajectory", "topic": "/goal"}, ROBOT).lasting == ("/goal",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "from is None; choose poses, tf"),
        ({"from": "pose"}, "from is 'pose'; choose poses, tf"),
        ({"from": "poses"}, "missing topic; the fields are topic, tool, base"),
        ({**POSES, "frame": "x"}, "unknown frame"),
        ({**POSES, "tool": {"translation": [0, 1]}}, r"translation: expected a list of 3, found \[0, 1\]"),
        ({**POSES, "tool": {"rpy": [0, 1, "x"]}}, "rpy: expected float, found 'x'"),
        ({**POSES, "tool": 5}, "tool: expected fields, found 5"),
        ({"from": "twist", "topic": "/t", "frame": "world"}, "frame: expected one of base, tool, found 'world'"),
        ({"from": "twist", "topic": "/t", "timeout": 0}, "give more than 0"),
        ({"from": "joint_states", "joints": ["a"]}, "joints has 1 names; give 6"),
    ],
)
def test_a_wrong_setting_is_one_line(options, message):
    with pytest.raises(ConfigError, match=message) as error:
        make_source(options, ROBOT)
    assert "\n" not in str(error.value)


def test_a_wrong_name_or_type_is_one_line_with_those_that_are_there():
    source = make_source(TF, ROBOT)
    source.feed("/tf", tf(transform(START, "world", "flange", [0, 0, 0], Rotation.identity())), START)
    with pytest.raises(ConfigError, match="no frame base on /tf and /tf_static; the frames are flange, world"):
        source.actions(borders(1))
    source.feed("/tf", tf(transform(START, "base", "tool2", [0, 0, 0], Rotation.identity())), START)
    source.feed("/tf", tf(transform(START, "flange", "tool", [0, 0, 0], Rotation.identity())), START)
    with pytest.raises(ConfigError, match="one hangs from base, the other from world"):
        source.actions(borders(1))
    source = make_source({"from": "joint_states"}, ROBOT)
    source.feed("/joint_states", joint_state(START, ["joint1", "elbow"], [0, 0]), START)
    with pytest.raises(ConfigError, match=r"has no joint joint2, .*; it names elbow, joint1"):
        source.actions(borders(1))
    wrong = joint_state(START, ["a"], [0])
    for options in (
        POSES,
        {**TF, "topic": "/pose"},
        {"from": "twist", "topic": "/pose"},
        {"from": "trajectory", "topic": "/pose"},
    ):
        with pytest.raises(ConfigError, match="topic /pose holds sensor_msgs/msg/JointState, not"):
            make_source(options, ROBOT).feed("/pose", wrong, START)


def test_a_tool_frame_that_lies_flat_is_refused_with_the_remedy():
    source, down = make_source(POSES, ROBOT), Rotation.from_euler("x", np.pi)
    forward = down * Rotation.from_euler("y", -np.pi / 2)  # x out of the gripper instead of z
    for time in borders(3):
        source.feed("/pose", pose_stamped(time, [0, 0, 0], forward), time)
    with pytest.raises(ConfigError, match="give the transform tool"):
        source.actions(borders(3))
    source = make_source({**POSES, "tool": {"rpy": [0, np.pi / 2, 0]}}, ROBOT)
    for i, time in enumerate(borders(3)):
        source.feed("/pose", pose_stamped(time, [0, 0, 0], Rotation.from_euler("z", 0.1 * i) * forward), time)
    np.testing.assert_allclose(source.actions(borders(3)).actions[:, 5], 0.1 / SCALE.rotation, atol=1e-6)


def test_the_kinematics_extra_is_asked_for_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "pinocchio", None)
    with pytest.raises(ConfigError, match=r"pip install 'parrot\[arm\]'"):
        make_source({"from": "joint_states"}, ROBOT)
    make_source(POSES, ROBOT)
