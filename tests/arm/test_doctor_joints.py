"""The doctor's checks of joint states and of the robot's YAML."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from doctor_rig import HOME, NAMES, PATIENT, ROBOT, STATES, URDF, Seen, found, healthy, joints_at, troubles
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot.arm.doctor.joints import check_place, check_presence, check_rest, check_stamps, way_home
from parrot.arm.doctor.robot_file import patient_of
from parrot.arm.doctor.seen import JointSample
from parrot.errors import SpaceError
from parrot.rotations import DOWN
from parrot.sim.config import load_robot

AT_REST = np.tile(HOME, (200, 1))


def moved(joint: int, by: float) -> np.ndarray:
    """The arm at rest, away from home."""
    path = AT_REST.copy()
    path[:, joint] += by
    return path


def test_silence_of_a_driver_that_is_there_is_a_failure():
    assert "nothing came" in found(healthy(joints=()), "joint states", "topic").value


def test_joints_of_other_names_are_a_failure_that_lists_both():
    names = ("waist", *NAMES[1:])
    finding = found(healthy(joints=joints_at(AT_REST, names=names)), "joint states", "names")
    assert finding.level == "failure"
    assert "joint1 missing among" in finding.value and "waist" in finding.value


def test_a_gripper_that_is_told_apart_is_no_fault():
    arm = joints_at(AT_REST)
    apart = tuple(replace(sample, names=("finger",), positions=(0.0,)) for sample in arm[::4])
    both = tuple(sorted((*arm, *apart), key=lambda sample: sample.heard))
    assert {t for t in troubles(healthy(joints=both)) if t[1] == "joint states"} == set()


@pytest.mark.parametrize(("hz", "level"), [(100.0, "ok"), (10.5, "ok"), (9.0, "failure"), (3.0, "failure")])
def test_the_rate_must_serve_control_and_watchdog(hz: float, level: str):
    seen = healthy(joints=joints_at(AT_REST[:40], hz=hz))
    assert found(seen, "joint states", "rate").level == level


def test_a_gap_in_which_the_arm_would_stop_is_a_warning():
    joints = joints_at(AT_REST)
    seen = healthy(joints=joints[:100] + joints[140:])
    assert troubles(seen) == {("warning", "joint states", "rate")}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 100), min_size=2, max_size=20))
def test_stamps_may_stand_still_and_never_run_backwards(steps: list[int]):
    joints = joints_at(AT_REST[: len(steps)])
    stamped = tuple(replace(j, stamp=j.stamp + step * 10**8) for j, step in zip(joints, steps, strict=True))
    expected = "ok" if (np.diff([sample.stamp for sample in stamped]) >= 0).all() else "failure"
    (finding,) = check_stamps(PATIENT, healthy(joints=stamped))
    assert finding.level == expected


def test_an_arm_that_moves_is_a_failure_and_noise_is_not():
    moving = AT_REST + np.linspace(0, 0.05, 200)[:, None] * [0, 0, 1, 0, 0, 0]
    assert troubles(healthy(joints=joints_at(moving))) == {("failure", "joint states", "rest")}
    noise = np.random.default_rng(0).normal(0, 0.0005, AT_REST.shape)
    assert troubles(healthy(joints=joints_at(AT_REST + noise))) == set()


def test_joints_where_they_cannot_be_are_a_failure():
    assert found(healthy(joints=joints_at(moved(2, 7.0))), "joint states", "positions").level == "failure"
    assert "joint3" in found(healthy(joints=joints_at(moved(2, np.nan))), "joint states", "positions").value


def test_an_arm_out_of_its_ranges_that_cannot_come_home_says_so():
    turned = found(healthy(joints=joints_at(moved(3, 1.3))), "joint states", "positions")
    assert turned.level == "warning" and "joint4" in turned.value
    # The wrist turned over: no way leads from there to home without crossing a singularity.
    over = moved(3, np.pi) * [1, 1, 1, 1, -1, 1]
    finding = found(healthy(joints=joints_at(over)), "joint states", "way home")
    assert finding.level == "failure"
    assert "keep the arm" in finding.value


def test_a_stretched_arm_is_told_of_its_singularity():
    names = {thing for _, _, thing in troubles(healthy(joints=joints_at(np.zeros((50, 6)))))}
    assert {"singularity", "tool point"} <= names


@settings(max_examples=10, deadline=None)
@given(st.tuples(*[st.floats(0.1, 0.9)] * 3))
def test_from_wherever_in_the_workspace_the_arm_comes_home(share):
    lower, upper = np.array(ROBOT.workspace.lower), np.array(ROBOT.workspace.upper)
    try:
        joints = PATIENT.described.kinematics.inverse(lower + np.array(share) * (upper - lower), DOWN, HOME)
    except SpaceError:
        return
    if (joints < PATIENT.gate.joint_lower).any() or (joints > PATIENT.gate.joint_upper).any():
        return
    seconds, why = way_home(PATIENT, joints)
    assert why == ""
    assert seconds < 10


# The robot's YAML.


@pytest.mark.parametrize("name", ["xarm6", "wx250s", "emulated"])
def test_the_robots_that_ship_are_consistent(name: str):
    assert {t for t in troubles(healthy(description=""), load_robot(name)) if t[1] == "robot file"} == set()


def changed(section: str, **values: object):
    return replace(ROBOT, **{section: replace(getattr(ROBOT, section), **values)})


@pytest.mark.parametrize(
    ("robot", "level", "thing"),
    [
        (changed("home", position=(0.70, 0.0, 0.19)), "failure", "home"),
        (changed("home", position=(2.0, 0.0, 0.19)), "failure", "home"),
        (changed("home", position=(0.43, 0.0)), "failure", "home"),
        (changed("home", joints=(0.0, 0.0)), "failure", "home"),
        (changed("home", position=(0.43, 0.0, 0.296)), "warning", "home"),
        (changed("safety", singularity=0.4), "failure", "home"),
        (changed("safety", joints={"joint5": (9.0, 9.5)}), "failure", "joint ranges"),
        (changed("action_scale", translation=0.1), "failure", "translation scale"),
        (changed("action_scale", rotation=0.3), "warning", "rotation scale"),
        (changed("workspace", lower=(0.26, -1.2, 0.018), upper=(1.2, 1.2, 1.0)), "warning", "workspace"),
        (changed("camera", hz=5.0), "failure", "rates"),
        (changed("safety", camera_stale=0.05), "failure", "rates"),
        (changed("safety", watchdog=0), "failure", "limits, URDF and driver"),
        (changed("workspace", lower=(0.7, -0.24, 0.018)), "failure", "limits, URDF and driver"),
        (replace(ROBOT, driver=None), "failure", "limits, URDF and driver"),
        (replace(ROBOT, tool_link="flange"), "failure", "limits, URDF and driver"),
    ],
)
def test_a_yaml_that_contradicts_itself_is_named(robot, level: str, thing: str):
    assert (level, "robot file", thing) in troubles(healthy(), robot)


def test_a_published_urdf_that_does_not_fit_is_told_and_one_of_another_arm_refused():
    other = found(healthy(description=URDF.replace('"joint6"', '"wrist"')), "robot file", "kinematics")
    assert other.level == "warning" and "joint6" in other.value
    assert found(healthy(description=""), "robot file", "kinematics").level == "ok"
    elsewhere = load_robot("emulated")
    patient, findings = patient_of(replace(elsewhere, tool_link="link6"), "")
    assert patient is not None and findings == []


def test_without_a_usable_yaml_camera_and_clock_are_still_judged():
    things = {(subject, thing) for _, subject, thing in troubles(Seen(4.0), replace(ROBOT, driver=None, camera=None))}
    assert things == {("robot file", "limits, URDF and driver"), ("camera", "topic"), ("reward", "success")}


def test_relative_names_of_topics_are_found():
    relative = replace(ROBOT, driver=replace(ROBOT.driver, joint_states=STATES.lstrip("/")))
    assert troubles(healthy(), relative) == set()


NUMBER = st.floats(-10, 10) | st.sampled_from([np.nan, np.inf, -np.inf, 1e300, 0.0])
SAMPLE = st.builds(
    JointSample, st.floats(0, 10), st.integers(0, 2**62), st.integers(0, 2**62),
    st.lists(st.sampled_from([*NAMES, "", "other"]), max_size=9).map(tuple) | st.just(NAMES),
    st.lists(NUMBER, max_size=9).map(tuple) | st.tuples(*[NUMBER] * len(NAMES)),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(SAMPLE, max_size=4).map(tuple))
def test_whatever_a_driver_says_is_judged_and_no_exception(samples):
    seen = healthy(joints=samples)
    for check in (check_presence, check_stamps, check_rest, check_place):
        for finding in check(PATIENT, seen):
            assert finding.subject == "joint states"
            assert bool(finding.remedy) == (finding.level != "ok")
