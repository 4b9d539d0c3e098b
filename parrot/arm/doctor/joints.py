"""Whether joint states are those of this arm, come often enough, and tell of an arm at rest that can come home."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from parrot.arm.doctor.driver import START
from parrot.arm.doctor.finding import Finding, failure, ok, warning
from parrot.arm.doctor.robot_file import AXES, Patient
from parrot.arm.doctor.seen import JointSample, Seen, gap, rate
from parrot.arm.safety import SafetyCore

__all__ = ["check_place", "check_presence", "check_rest", "check_stamps", "complete", "way_home"]

SUBJECT = "joint states"

TYPE = "sensor_msgs/msg/JointState"

REST = 0.01
"""Radians by which a resting arm's joints may seem to move: noise, and brakes that settle."""

PATIENCE = 30.0
"""Seconds in which the arm must come home: arm_node gives up after as many."""

ARRIVED = 0.03
"""Radians by which each joint may then be off, as in a reset."""

JOG = "move the arm near home with its maker's tool, or by hand"


def complete(patient: Patient, seen: Seen) -> list[tuple[JointSample, NDArray[np.float64]]]:
    """The messages about all joints of the arm, with their positions (J,); some drivers send the gripper's apart."""
    found = []
    for sample in seen.joints:
        joints = patient.driver.joints(patient.driver.states, {"name": sample.names, "position": sample.positions})
        if joints is not None:
            found.append((sample, joints))
    return found


def check_presence(patient: Patient, seen: Seen) -> Iterator[Finding]:
    """Whether they are published, of all joints, and often enough for the control rate and the watchdog."""
    name, samples = patient.driver.states, complete(patient, seen)
    topic = seen.topic(name)
    if not topic.publishers:
        yield failure(SUBJECT, "topic", f"{name}: nobody publishes it", f"{START}; or set driver: joint_states")
        return
    if wrong := sorted({end.type for end in topic.publishers} - {TYPE}):
        yield failure(
            SUBJECT, "topic", f"{name} is {', '.join(wrong)}, not {TYPE}", "set driver: joint_states to another"
        )
        return
    if not seen.joints:
        who = ", ".join(sorted({end.node for end in topic.publishers}))
        value = f"{name}: nothing came in {seen.seconds:.1f} s from {who}"
        yield failure(SUBJECT, "topic", value, "is the arm on? restart its driver")
        return
    if not samples:
        names = sorted({name for sample in seen.joints for name in sample.names})
        missing = [joint for joint in patient.driver.names if joint not in names]
        value = f"{', '.join(missing) or 'all at once'} missing among {', '.join(names) or 'none'}"
        yield failure(SUBJECT, "names", value, "set driver: joints to the driver's names of arm_joints, in that order")
        return
    yield ok(SUBJECT, "names", f"{', '.join(patient.driver.names)} on {name}")
    heard = [sample.heard for sample, _ in samples]
    hz, longest, stale = rate(heard), gap(heard), patient.limits.joints_stale
    least = max(patient.robot.control_hz, 2 / stale)
    value = f"{hz:.1f} Hz, longest gap {longest * 1000:.0f} ms"
    if hz < least:
        remedy = f"let the driver publish at {least:g} Hz at least (control_hz, joints_stale); 50 or more is better"
        yield failure(SUBJECT, "rate", value, remedy)
    elif longest > stale:
        remedy = f"the arm stops after {stale:g} s (joints_stale): look for what holds driver or network up"
        yield warning(SUBJECT, "rate", value, remedy)
    else:
        yield ok(SUBJECT, "rate", value)


def check_stamps(patient: Patient, seen: Seen) -> Iterator[Finding]:
    """Whether stamps never run backwards."""
    stamps = [sample.stamp for sample, _ in complete(patient, seen)]
    if len(stamps) < 2:
        return
    back = sum(after < before for before, after in pairwise(stamps))
    if back:
        who = ", ".join(sorted({end.node for end in seen.topic(patient.driver.states).publishers}))
        value = f"run backwards {back} times in {len(stamps)} messages"
        yield failure(SUBJECT, "stamps", value, f"let one node alone publish; here {who} do, or their clock is set")
    else:
        yield ok(SUBJECT, "stamps", "never run backwards")


def check_rest(patient: Patient, seen: Seen) -> Iterator[Finding]:
    """Whether the arm is at rest."""
    samples = complete(patient, seen)
    path = np.array([joints for _, joints in samples])
    if len(path) < 2 or not np.isfinite(path).all():
        return
    moved = np.ptp(path, axis=0)
    worst = int(moved.argmax())
    value = f"{patient.driver.names[worst]} moved {moved[worst]:.4f} rad in {seen.seconds:.1f} s"
    if moved[worst] > REST:
        yield failure(SUBJECT, "rest", value, "who moves the arm? end it, and let the arm come to rest")
    else:
        yield ok(SUBJECT, "rest", value)


def check_place(patient: Patient, seen: Seen) -> Iterator[Finding]:
    """Whether the arm is within its joints' limits and its workspace, and comes home from there within the limits."""
    samples = complete(patient, seen)
    if not samples:
        return
    joints, arm, names = samples[-1][1], patient.described.kinematics, patient.driver.names
    if not np.isfinite(joints).all():
        bad = [name for name, value in zip(names, joints, strict=True) if not math.isfinite(value)]
        yield failure(SUBJECT, "positions", f"{', '.join(bad)} is not finite", "restart the driver")
        return
    beyond = np.maximum(arm.lower - joints, joints - arm.upper)
    inside = np.minimum(joints - patient.gate.joint_lower, patient.gate.joint_upper - joints)
    worst, least = int(beyond.argmax()), int(inside.argmin())
    value = f"{names[worst]} is at {joints[worst]:.3f}"
    if beyond[worst] > 0:
        value += f", {beyond[worst]:.3f} beyond the URDF's limits"
        yield failure(SUBJECT, "positions", value, "are units, names and URDF those of this arm? else calibrate it")
        return
    if inside[least] < 0:
        value = f"{names[least]} is at {joints[least]:.3f}, {-inside[least]:.3f} beyond its range"
        yield warning(SUBJECT, "positions", value, f"it may only come back; {JOG}, or widen safety: joints")
    else:
        yield ok(SUBJECT, "positions", f"all within their ranges, {names[least]} by {inside[least]:.2f} rad")
    yield from _pose(patient, joints)


def _pose(patient: Patient, joints: NDArray[np.float64]) -> Iterator[Finding]:
    place, gate = patient.gate.place(joints), patient.gate
    beyond = np.maximum(gate.lower - place.pose, place.pose - gate.upper)
    worst = int(beyond.argmax())
    where = f"{place.pose[:3].round(3).tolist()} m"
    if beyond[worst] > 0:
        unit = "m" if worst < 3 else "rad"
        value = f"{where}: {AXES[worst]} is {beyond[worst]:.3f} {unit} out of the workspace"
        yield warning(SUBJECT, "tool point", value, JOG)
    else:
        yield ok(SUBJECT, "tool point", f"{where}, in the workspace")
    value = f"smallest singular value {place.singular:.3f}, the limit is {patient.limits.singularity:g}"
    if place.singular < patient.limits.singularity:
        yield warning(SUBJECT, "singularity", value, JOG)
    else:
        yield ok(SUBJECT, "singularity", value)
    if patient.home is None:
        return
    seconds, why = way_home(patient, joints)
    if why:
        value = f"the limits keep the arm from coming home from here: {why}"
        yield failure(SUBJECT, "way home", value, f"{JOG}, within the workspace")
    else:
        yield ok(SUBJECT, "way home", f"{seconds:.1f} s within the limits")


def way_home(patient: Patient, joints: NDArray[np.float64]) -> tuple[float, str]:
    """Seconds that an arm which does as it is told takes home, and the limit that keeps it from there; empty: none.

    The safety core itself says it, as in a reset.
    """
    assert patient.home is not None
    core, period = SafetyCore(patient.limits, patient.described.kinematics), patient.limits.period
    now, reason = 0.0, ""
    looks = max(2, math.ceil(2 * period / min(patient.limits.joints_stale, patient.limits.camera_stale)))
    for step in range(math.ceil(PATIENCE / period)):
        if (np.abs(joints - patient.home.joints) <= ARRIVED).all():
            return step * period, ""
        for look in range(looks * step, looks * (step + 1)):  # as often as the watchdogs ask for
            now = look * period / looks
            core.camera(look, look, now)
            core.observe(joints, now)
        command = core.goto(patient.home.joints, now)
        if command is not None:
            joints, reason = command.joints, command.reason or reason
    return PATIENCE, reason or "it takes too long"
