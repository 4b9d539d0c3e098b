"""An arm that follows its set point with a lag, a safety core before it, and an audit of every command between them."""

import math

import numpy as np
from scipy.spatial.transform import Rotation

from parrot.arm.limits import Limits
from parrot.arm.safety import SafetyCore
from parrot.kinematics import Kinematics
from parrot.rotations import DOWN
from parrot.sim.config import load_robot

ROBOT = load_robot("xarm6")
LIMITS = Limits.of(ROBOT)
TICK = 0.01


def home(kinematics, robot=ROBOT):
    return kinematics.inverse(np.array(robot.home.position), DOWN, np.array(robot.home.joints))


class Plant:
    """Joints behind a trajectory controller: the set point runs straight to the target, the joints follow it."""

    def __init__(self, joints, lag=0.02):
        self.joints, self.setpoint, self.lag = joints.copy(), joints.copy(), lag
        self.speed = np.zeros(len(joints))
        self.path = (joints.copy(), joints.copy(), 0.0, 1.0)

    def send(self, command):
        self.path = (self.setpoint.copy(), command.joints.copy(), 0.0, command.seconds)

    def run(self, seconds):
        for _ in range(round(seconds / TICK)):
            start, end, passed, whole = self.path
            passed = min(passed + TICK, whole)
            self.path, self.setpoint = (start, end, passed, whole), start + (end - start) * passed / whole
            before = self.joints
            self.joints = before + (self.setpoint - before) * -math.expm1(-TICK / self.lag)
            self.speed = (self.joints - before) / TICK


def beyond_box(limits, pose, rotation):
    """How far a tool is out of the workspace: (6,), not positive inside."""
    angles = Rotation.from_matrix(rotation @ DOWN.T).as_euler("xyz")
    place = np.concatenate([pose, angles])
    return np.maximum(np.array(limits.lower) - place, place - np.array(limits.upper))


def audit(command, limits, kinematics, lower, upper, share=1.0):
    """The limits that a command breaks, worked out afresh; beyond a limit already, it may not go further."""
    broken = []
    q, here = command.joints, command.measured
    if q.shape != here.shape or not np.isfinite(q).all():
        return ["finite"]
    if not 0 < command.seconds <= limits.period * (1 + 1e-9):
        broken.append("seconds")
    if command.gripper is not None and not limits.gripper[0] <= command.gripper <= limits.gripper[1]:
        broken.append("gripper")
    time = limits.period * share + 1e-9
    if (np.abs(q - here) > np.minimum(limits.joint_speed, np.pi) * time).any():
        broken.append("joint speed")
    (p0, r0), (p1, r1) = kinematics.forward(here), kinematics.forward(q)
    if np.linalg.norm(p1 - p0) > limits.linear_speed * time + 1e-6:
        broken.append("linear speed")
    if Rotation.from_matrix(r0.T @ r1).magnitude() > limits.angular_speed * time + 1e-6:
        broken.append("angular speed")
    out = beyond_box(limits, p1, r1) > np.maximum(beyond_box(limits, p0, r0), 1.01e-4)
    broken += ["position"] * bool(out[:3].any()) + ["orientation"] * bool(out[3:].any())
    lowest, highest = np.array(limits.joints).T
    lowest = np.maximum(lowest, lower + limits.joint_margin)
    highest = np.minimum(highest, upper - limits.joint_margin)

    def over(joints):
        return np.maximum(lowest - joints, joints - highest)

    if (over(q) > np.maximum(over(here), 0) + 1e-9).any():
        broken.append("joint margin")
    least = np.linalg.svd(kinematics.jacobian(q), compute_uv=False)[-1]
    if least < min(limits.singularity, np.linalg.svd(kinematics.jacobian(here), compute_uv=False)[-1]) - 1e-9:
        broken.append("singularity")
    return broken


class Rig:
    """Plant, core and time; `broken` gathers what the audit finds. Healthy: 100 Hz of joints, a picture each step."""

    def __init__(self, limits=None, kinematics=None, joints=None, mutate=None, ready=True, robot=ROBOT):
        self.limits, self.kinematics = limits or Limits.of(robot), kinematics or Kinematics.of(robot)
        self.home = home(self.kinematics, robot)
        self.core = SafetyCore(self.limits, self.kinematics)
        self.lower, self.upper = self.kinematics.lower.copy(), self.kinematics.upper.copy()
        if mutate is not None:
            mutate(self.core)
        self.plant = Plant(self.home if joints is None else joints)
        self.now, self.pictures, self.broken, self.commands = 100.0, 0, [], []
        self.measured = set()
        if ready:  # joints and pictures for as long as the ramp takes
            for _ in range(math.ceil(self.limits.ramp / self.limits.period) + 2):
                self.pass_time()

    def pass_time(self, seconds=None, joints=True, pictures=True):
        for _ in range(round((seconds or self.limits.period) / TICK)):
            self.plant.run(TICK)
            self.now += TICK
            if joints:
                self.observe(self.plant.joints)
        if pictures:
            self.pictures += 1
            self.core.camera(self.pictures, self.pictures, self.now)

    def observe(self, joints, now=None):
        self.measured.add(joints.tobytes())
        self.core.observe(joints, self.now if now is None else now)

    def take(self, command, share=1.0):
        if command is not None:
            self.commands.append(command)
            self.broken += audit(command, self.limits, self.kinematics, self.lower, self.upper, share)
            self.plant.send(command)
        return command

    def act(self, action, share=1.0):
        return self.take(self.core.act(np.array(action, float), self.now), share)

    def push(self, action, steps):
        """The same action for so many steps, in health."""
        for _ in range(steps):
            command = self.act(action)
            self.pass_time()
        return command

    def pose(self):
        return self.kinematics.forward(self.plant.joints)


def moved(command):
    """Radians that the command asks of the joint that has to move most."""
    return float(np.abs(command.joints - command.measured).max())
