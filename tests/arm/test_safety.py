"""How an arm behaves behind the safety core, as its operator sees it."""

import ast
import dataclasses
import inspect
import math

import numpy as np
import pytest
from arm_rig import LIMITS, ROBOT, Plant, Rig, beyond_box, home, moved

from parrot.arm import gate, inputs, safety
from parrot.arm.safety import SafetyCore
from parrot.kinematics import Kinematics


def test_a_healthy_loop_follows_every_action_that_the_simulator_would_follow():
    rig = Rig()
    actions = [[0.5, -0.3, 0, 0.2, 0, -0.5, 1], [1, 0, 0, 0, 0, 0, 0], [-1, 0.5, -0.5, 0, 0.2, 1, -1]]
    place, _ = rig.pose()
    for action in actions:
        place = place + 0.04 * np.array(action[:3])
        assert rig.act(action).reason == ""
        rig.pass_time()
        assert np.abs(rig.pose()[0] - place).max() < 0.009  # the arm's lag of 20 ms
    rig.pass_time()
    assert np.abs(rig.pose()[0] - place).max() < 1e-3
    assert rig.broken == []
    assert sum(rig.core.counts.values()) == 0


def test_what_the_speed_caps_leave_of_an_action_is_made_good_in_the_next_step():
    rig = Rig(limits=dataclasses.replace(LIMITS, linear_speed=0.3))
    start = rig.pose()[0]
    assert rig.act([1, 0, 0, 0, 0, 0, 0]).reason == "speed"
    rig.pass_time()
    assert rig.pose()[0][0] - start[0] < 0.031
    rig.push(np.zeros(7), 2)
    assert rig.pose()[0][0] - start[0] == pytest.approx(0.04, abs=1e-3)
    assert rig.broken == []


def test_what_the_limits_left_of_an_action_is_told():
    rig = Rig(limits=dataclasses.replace(LIMITS, linear_speed=0.3))
    rig.act([0.5, 0, 0, 0, 0, -0.1, 0])
    np.testing.assert_allclose(rig.core.advanced, [0.02, 0, 0, 0, 0, -0.025], atol=1e-9)
    rig.pass_time()
    rig.act([1, 0, 0, 0, 0, 0, 0])  # slowed, and made good in the next step
    np.testing.assert_allclose(rig.core.advanced, [0.04, 0, 0, 0, 0, 0], atol=1e-9)
    rig.pass_time()
    rig.core.act("nothing", rig.now)
    np.testing.assert_array_equal(rig.core.advanced, np.zeros(6))
    rig.push([0, 0, -1, 0, 0, 0, 0], 10)
    assert rig.commands[-1].reason == "workspace"
    np.testing.assert_allclose(rig.core.advanced, np.zeros(6), atol=1e-9)


def test_a_sagging_arm_does_not_sink_with_every_step():
    rig = Rig()
    start = rig.pose()[0]
    for _ in range(40):
        rig.act(np.zeros(7))
        rig.pass_time()
        rig.plant.joints[1] += 0.005  # gravity, which no set point corrects
        rig.core.observe(rig.plant.joints, rig.now)
    assert start[2] - rig.pose()[0][2] < 0.004


def test_nothing_is_commanded_before_joints_are_known():
    core = SafetyCore(LIMITS, Kinematics.of(ROBOT))
    assert core.tick(0.0) is core.act(np.zeros(7), 0.0) is core.goto(np.zeros(6), 0.0) is None


def test_the_first_command_after_start_is_a_stop_until_a_picture_has_come():
    rig = Rig(ready=False)
    rig.pass_time(pictures=False)
    assert rig.act([1, 0, 0, 0, 0, 0, 0]).reason == "camera stale"
    rig.pass_time()
    assert rig.act([1, 0, 0, 0, 0, 0, 0]).reason == "ramp"


def test_the_e_stop_latches_until_it_is_released():
    rig = Rig()
    rig.act([1, 0, 0, 0, 0, 0, 0])
    rig.pass_time(0.05)
    rig.core.estop(rig.now)
    held = rig.take(rig.core.tick(rig.now)).joints
    for _ in range(30):
        rig.pass_time()
        rig.core.resume(rig.now)
        assert rig.act([1, 1, 1, 1, 1, 1, 1]).reason == "estop"
        rig.take(rig.core.goto(rig.home, rig.now))
    np.testing.assert_array_equal(rig.commands[-1].joints, held)
    rig.core.release(rig.now)
    assert rig.act([1, 0, 0, 0, 0, 0, 0]).reason == "ramp"
    assert rig.core.counts["estop"] == 1
    assert rig.core.counts["inverse kinematics"] == 0


def test_the_gripper_keeps_what_it_holds_when_the_arm_stops():
    rig = Rig()
    assert rig.act([0, 0, 0, 0, 0, 0, 0]).gripper is None
    assert rig.act([0, 0, 0, 0, 0, 0, -1]).gripper == 0.0
    rig.core.estop(rig.now)
    assert rig.act([0, 0, 0, 0, 0, 0, 1]).gripper == 0.0


def test_a_reset_brings_the_arm_home_within_the_limits():
    rig = Rig()
    rig.push([-1, 1, -1, 0.5, 0, 1, -1], 8)
    target = rig.home
    for _ in range(60):
        rig.take(rig.core.goto(target, rig.now, opening=1.0))
        rig.pass_time()
        if np.abs(rig.plant.joints - target).max() < 1e-3:
            break
    assert np.abs(rig.plant.joints - target).max() < 1e-3
    assert rig.commands[-1].gripper == 1.0
    assert rig.broken == []
    assert rig.core.counts["step"] == 0  # a reset asks for no more than steps


def test_an_arm_found_outside_its_workspace_comes_back_and_goes_no_further():
    start = home(Kinematics.of(ROBOT)) + np.array([0.7, 0, 0, 0, 0, 0])
    rig = Rig(joints=start)
    before = beyond_box(LIMITS, *rig.pose())
    assert before.max() > 0.03
    rig.push([0, 1, 0, 0, 0, 0, 0], 5)
    assert (beyond_box(LIMITS, *rig.pose()) < np.maximum(before, 0) + 1e-3).all()
    rig.push([0, -1, 0, 0, 0, -0.5, 0], 8)
    assert beyond_box(LIMITS, *rig.pose()).max() < 1e-3
    assert rig.broken == []


def test_a_pose_out_of_reach_is_a_hold_that_is_counted():
    rig = Rig()
    rig.push([1, 1, 1, 0, 0, 0, 0], 15)
    assert rig.core.counts["inverse kinematics"] > 0
    assert rig.commands[-1].reason == "inverse kinematics"
    assert rig.broken == []


def test_an_arm_that_is_blocked_is_not_pulled_further_with_each_action():
    rig = Rig()
    stuck = rig.plant.joints.copy()
    for _ in range(20):
        command = rig.act([1, 0, 0, 0, 0, 0, 0])
        rig.pass_time()
        rig.plant.joints = stuck.copy()
        rig.core.observe(stuck, rig.now)
    ahead = rig.kinematics.forward(command.joints)[0] - rig.kinematics.forward(stuck)[0]
    assert np.linalg.norm(ahead) <= LIMITS.linear_speed * LIMITS.period + 1e-6
    start = rig.pose()[0]
    rig.push(np.zeros(7), 5)  # let go of, it makes up for what it was told, not for all that it was told
    assert rig.pose()[0][0] - start[0] <= LIMITS.linear_speed * LIMITS.period + LIMITS.step_translation


def test_a_leap_of_the_joint_states_is_believed_once_it_lasts():
    rig = Rig()
    elsewhere = rig.plant.joints + np.array([1.5, 0, 0, 0, 0, 0])
    rig.core.observe(elsewhere, rig.now)
    assert rig.core.counts["joints leapt"] == 1
    np.testing.assert_array_equal(rig.core.tick(rig.now).measured, rig.plant.joints)
    rig.plant = Plant(elsewhere)
    rig.pass_time(LIMITS.joints_stale + 0.05)
    assert rig.core.counts["joints stale"] == 1
    assert moved(rig.act([0, 0, -1, 0, 0, 0, 0])) < 0.1 * LIMITS.joint_speed * LIMITS.period  # the ramp has begun
    np.testing.assert_array_equal(rig.core.tick(rig.now).measured, rig.plant.joints)


def test_joint_states_that_no_arm_can_have_are_not_believed():
    rig = Rig()
    for _ in range(100):
        rig.now += 0.01
        rig.core.observe(np.full(6, 1e6), rig.now)
    assert rig.core.tick(rig.now).reason == "joints stale"
    np.testing.assert_array_equal(rig.core.tick(rig.now).measured, rig.plant.joints)


def test_a_camera_whose_clock_ran_backwards_stops_the_arm_once_and_then_serves_again():
    rig = Rig()
    rig.pictures = 0
    for _ in range(20):
        rig.pass_time()
        command = rig.act([0, 0, 0.1, 0, 0, 0, 0])
    assert command.reason == ""
    assert rig.core.counts["camera stale"] == 1
    assert rig.core.counts["old picture"] >= 4


def test_time_that_is_none_stops_the_arm_until_all_is_known_again():
    rig = Rig()
    for now in (math.nan, None, "now", math.inf, 10**400, rig.now - 1e-3):
        assert rig.core.act([1, 0, 0, 0, 0, 0, 0], now).reason == "clock"
        rig.pass_time()
        rig.pass_time()
        assert rig.core.tick(rig.now).reason not in safety.FAULTS


def test_what_was_commanded_cannot_be_changed_by_who_got_it():
    rig = Rig()
    command = rig.core.act([1, 0, 0, 0, 0, 0, 0], rig.now)
    command.joints[:] = np.nan
    command.measured[:] = np.nan
    assert np.isfinite(rig.core.tick(rig.now).joints).all()
    with pytest.raises(dataclasses.FrozenInstanceError):
        command.seconds = 9.0


def test_commands_are_made_in_one_place_and_nothing_reads_a_clock_or_dice():
    for module in (safety, gate, inputs):
        tree = ast.parse(inspect.getsource(module))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert imported <= {"math", "numbers", "numpy"}
        assert "np.random" not in inspect.getsource(module)
    makers = [
        function.name
        for function in ast.walk(ast.parse(inspect.getsource(SafetyCore)))
        if isinstance(function, ast.FunctionDef)
        and any(isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Command" for node in ast.walk(function))
    ]
    assert makers == ["_emit"]


def test_an_hour_of_nothing_ends_in_a_stop_not_in_a_jump():
    rig = Rig()
    rig.push([0, 1, 0, 0, 0, 0, 0], 2)
    rig.now += 3600
    rig.core.observe(rig.plant.joints, rig.now)
    command = rig.act([0, -1, 0, 0, 0, 0, 0])
    assert command.reason == "joints stale"
    assert moved(command) < 1e-3
