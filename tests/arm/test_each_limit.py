"""Each limit of the safety core holds where it is needed, and a core without it breaks it: so these tests can fail."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
from arm_rig import LIMITS, ROBOT, Rig, moved

from parrot.arm import safety
from parrot.kinematics import Kinematics


def with_(**changes):
    return dataclasses.replace(LIMITS, **changes)


def without(**changes):
    """A change to a core that takes a limit away, as no YAML can: its numbers become others."""

    def mutate(core):
        gate = core._gate
        for name in [name for name in changes if name in vars(gate)]:
            setattr(gate, name, changes[name])
        core.limits = gate.limits = SimpleNamespace(**(vars(core.limits) | changes))

    return mutate


def pushed(action, steps, limits=LIMITS, kinematics=None):
    def scene(mutate):
        rig = Rig(limits, kinematics and kinematics(), mutate=mutate)
        rig.push(action, steps)
        return rig.broken

    return scene


def near_a_joints_limit():
    arm = Kinematics.of(ROBOT)
    arm.upper = arm.upper.copy()
    arm.upper[0] = 0.3  # of the base joint, in the middle of the workspace
    return arm


def jumping():
    """The inverse finds the same pose a turn of the last joint away, once the tool is a few centimetres ahead."""
    arm = Kinematics.of(ROBOT)
    inverse = arm.inverse

    def other(position, rotation, seed, *rest):
        joints = inverse(position, rotation, seed, *rest)
        if position[0] > ROBOT.home.position[0] + 0.05:
            joints[5] -= math.copysign(2 * math.pi, joints[5])
        return joints

    arm.inverse = other
    return arm


def far_ahead(mutate):
    """How far the commanded pose runs ahead of an arm that is stuck."""
    rig = Rig(mutate=mutate)
    stuck = rig.plant.joints.copy()
    for _ in range(6):
        rig.act([1, 0, 0, 0, 0, 0, 0])
        rig.plant.joints = stuck.copy()
        rig.pass_time()
        rig.plant.joints = stuck.copy()
        rig.core.observe(stuck, rig.now)
    return rig.broken


def step_of(action, index):
    """Whether one action moves the arm further than a step's cap."""

    def scene(mutate):
        rig = Rig(with_(step_translation=0.01, step_rotation=0.05), mutate=mutate)
        p0, r0 = rig.pose()
        rig.push(action, 3)
        p1, r1 = rig.pose()
        turned = math.acos(np.clip((np.trace(r0.T @ r1) - 1) / 2, -1, 1))
        size, cap = ((np.linalg.norm(p1 - p0), 0.01), (turned, 0.05))[index]
        return ["step"] * bool(size > 3 * cap * 1.02)

    return scene


def gripper(mutate):
    rig = Rig(with_(gripper=(0.2, 0.8)), mutate=mutate)
    rig.push([0, 0, 0, 0, 0, 0, 1], 1)
    rig.push([0, 0, 0, 0, 0, 0, -1], 1)
    rig.take(rig.core.goto(rig.plant.joints, rig.now, opening=7))
    return rig.broken


def after_release(mutate):
    """Commands in the ramp, by the caps that hold at their moment."""
    rig = Rig(mutate=mutate)
    rig.core.estop(rig.now)
    rig.core.release(rig.now)
    for step in range(10):
        rig.act([1, 0, 0, 0, 0, 0, 0], share=step * LIMITS.period / LIMITS.ramp)
        rig.pass_time()
    return rig.broken


def moves_with(joints=True, pictures=True, same=False, seconds=3.0, estop=False):
    """Whether anything moves once joint states or pictures fail, or after an e-stop."""

    def scene(mutate):
        rig = Rig(mutate=mutate)
        rig.push([0, 1, 0, 0, 0, 0, 0], 2)
        if estop:
            rig.core.estop(rig.now)
        for step in range(round(seconds / LIMITS.period)):
            rig.pass_time(joints=joints, pictures=pictures)
            if same:
                rig.core.camera(10**6 + len(rig.commands), "frozen", rig.now)
            command = rig.act([0, -0.3 * (-1) ** step, 0, 0, 0, 0, 0])
        return ["moves"] * (moved(command) > 1e-3)

    return scene


def backwards(mutate):
    rig = Rig(mutate=mutate)
    rig.push([0, 1, 0, 0, 0, 0, 0], 2)
    rig.now -= 3600
    return ["moves"] * (moved(rig.act([0, -1, 0, 0, 0, 0, 0])) > 1e-3)


def hour_ahead(mutate):
    rig = Rig(mutate=mutate)
    rig.push([0, 1, 0, 0, 0, 0, 0], 2)
    rig.now += 3600
    return ["moves"] * (moved(rig.act([0, -1, 0, 0, 0, 0, 0])) > 1e-3)


def forget_time(core):
    watch = core._watch

    def forgetful(now):
        core._now = core._ramp_from = -math.inf
        return watch(now)

    core._watch = forgetful


def idle(mutate):
    rig = Rig(mutate=mutate)
    rig.push([0, 1, 0, 0, 0, 0, 0], 2)
    rig.pass_time(LIMITS.watchdog * LIMITS.period + 0.05)
    command = rig.take(rig.core.tick(rig.now))
    return ["goes on"] * (command.reason != "watchdog" or rig.core.counts["watchdog"] != 1)


def glitch(mutate):
    """One wrong reading of the encoders: is it where the arm then "holds"?"""
    rig = Rig(mutate=mutate)
    rig.core.observe(rig.plant.joints + 1.0, rig.now)
    rig.core.estop(rig.now)
    command = rig.take(rig.core.tick(rig.now))
    return ["glitch"] * bool(np.abs(command.joints - rig.plant.joints).max() > 0.1)


INFINITE = np.full(6, np.inf)

CASES = {
    "position": (pushed([1, 1, -1, 0, 0, 0, 0], 15), without(upper=INFINITE, lower=-INFINITE)),
    "orientation": (pushed([0, 0, 0, 1, 0, 1, 0], 15), without(upper=INFINITE, lower=-INFINITE)),
    "step": (step_of([1, 0, 0, 0, 0, 0, 0], 0), without(step_translation=9)),
    "turn of a step": (step_of([0, 0, 0, 0, 0, 1, 0], 1), without(step_rotation=9)),
    "linear speed": (pushed([1, 0, 0, 0, 0, 0, 0], 4, with_(linear_speed=0.2)), without(linear_speed=9)),
    "angular speed": (pushed([0, 0, 0, 0, 0, 1, 0], 4, with_(angular_speed=0.5)), without(angular_speed=99)),
    "joint speed": (pushed([0, 0, -1, 0, 0, 0, 0], 3, with_(joint_speed=0.5)), without(joint_speed=INFINITE)),
    "lead": (far_ahead, without(linear_speed=99, joint_speed=INFINITE)),
    "joint margin": (
        pushed([0, 1, 0, 0, 0, 0, 0], 12, kinematics=near_a_joints_limit),
        without(joint_upper=INFINITE),
    ),
    "range of a joint": (
        pushed([0, 0, 0, 0, 1, 0, 0], 6, with_(joints=((-9, 9),) * 4 + ((0.9, 1.1), (-9, 9)))),
        without(joint_upper=INFINITE, joint_lower=-INFINITE),
    ),
    "singularity": (pushed([1, 0, 1, 0, 0, 0, 0], 10, with_(singularity=0.1)), without(singularity=0)),
    "inverse kinematics that jumps": (
        pushed([1, 0, 0, 0, 0, 1, 0], 4, kinematics=jumping),
        lambda core: setattr(core._gate, "needed", lambda here, there: 0.0),
    ),
    "gripper": (gripper, without(gripper=(0.0, 1.0))),
    "ramp": (after_release, without(ramp=1e-9)),
    "joint states stale": (moves_with(joints=False, seconds=0.3), without(joints_stale=99)),
    "camera stale": (moves_with(pictures=False, seconds=1.0), without(camera_stale=99, camera_frozen=99)),
    "camera frozen": (moves_with(pictures=False, same=True), without(camera_frozen=99)),
    "e-stop": (moves_with(estop=True, seconds=0.3), lambda core: setattr(core, "estop", lambda now: None)),
    "clock backwards": (backwards, forget_time),
    "clock an hour ahead": (hour_ahead, without(joints_stale=1e9, camera_stale=1e9, camera_frozen=1e9)),
    "watchdog": (idle, without(watchdog=10**9)),
    "glitch of the encoders": (glitch, without(joint_speed=INFINITE)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_limit_holds(name):
    scene, _ = CASES[name]
    assert scene(None) == []


@pytest.mark.parametrize("name", CASES)
def test_without_it_the_same_scene_breaks_it(name):
    scene, mutation = CASES[name]
    assert scene(mutation)


@pytest.mark.parametrize(
    "bad", [[math.nan] * 7, [math.inf] * 7, [0.0] * 6, ["1"] * 7, [None] * 7, [[0.0] * 7], "0000000", None, [1j] * 7]
)
def test_a_malformed_action_moves_nothing_and_is_counted(bad):
    rig = Rig()
    command = rig.take(rig.core.act(bad, rig.now))
    assert rig.broken == []
    assert moved(command) < 1e-6
    assert command.reason == "malformed action"
    assert rig.core.counts["malformed action"] == 1


def test_without_the_check_of_actions_a_short_one_is_a_crash(monkeypatch):
    monkeypatch.setattr(safety, "vector", lambda values, length: np.asarray(values, float))
    with pytest.raises(IndexError):
        Rig().act([0.0] * 6)
