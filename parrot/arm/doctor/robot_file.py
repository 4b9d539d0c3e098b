"""Whether a robot's YAML is consistent: home within the limits, actions within the caps, rates that fit each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parrot.arm.description import Described, describe
from parrot.arm.doctor.finding import Finding, failure, of_error, ok, warning
from parrot.arm.drivers import Driver, make_driver
from parrot.arm.gate import Gate, Place
from parrot.arm.limits import Limits
from parrot.errors import ConfigError, SpaceError
from parrot.rotations import DOWN
from parrot.sim.config import RobotConfig

__all__ = ["Patient", "check_home", "check_kinematics", "check_rates", "check_scales", "check_workspace", "patient_of"]

SUBJECT = "robot file"

NEAR = 0.01
"""Metres and radians from a limit at which home is too near: the controller swings over by as much."""

AXES = ("x", "y", "z", "roll", "pitch", "yaw")


@dataclass(frozen=True, eq=False)
class Patient:
    """All that follows from a robot's YAML and the URDF that its driver publishes."""

    robot: RobotConfig
    """The YAML."""
    limits: Limits
    """What no command ever leaves."""
    described: Described
    """Kinematics, and where they are from."""
    gate: Gate
    """The limits, applied."""
    driver: Driver
    """Commands as messages."""
    home: Place | None
    """Where an episode starts; None: the arm does not reach it."""


def patient_of(robot: RobotConfig, description: str) -> tuple[Patient | None, list[Finding]]:
    """What follows from the YAML; None, and why, if nothing does.

    Args:
        robot: The YAML.
        description: The URDF that is published; empty if none is.
    """
    found = len(robot.home.joints), len(robot.home.position)
    if found != (len(robot.arm_joints), 3):
        value = f"{found[0]} joints and {found[1]} numbers of position"
        return None, [failure(SUBJECT, "home", value, f"give {len(robot.arm_joints)} joints (rad) and x, y, z")]
    try:
        limits, described = Limits.of(robot), describe(robot, description)
        driver = make_driver(robot, described.kinematics)
    except ConfigError as error:
        return None, [of_error(SUBJECT, "limits, URDF and driver", error)]
    gate, home, why = Gate(limits, described.kinematics), None, []
    try:
        goal = np.array(robot.home.position)
        home = gate.place(described.kinematics.inverse(goal, DOWN, np.array(robot.home.joints)))
    except SpaceError as error:
        why = [failure(SUBJECT, "home", str(error).partition("; ")[0], "set home: position and joints in the YAML")]
    return Patient(robot, limits, described, gate, driver, home), why


def check_kinematics(patient: Patient, description: str) -> Iterator[Finding]:
    """Whether the URDF that is published, if any is, could be used."""
    note = patient.described.note
    if patient.described.published or not description:
        yield ok(SUBJECT, "kinematics", note)
    else:
        yield warning(
            SUBJECT, "kinematics", note, "let joints, tool_link and driver: joints in the YAML be the driver's names"
        )


def check_home(patient: Patient) -> Iterator[Finding]:
    """Whether home is inside the workspace, the joints' ranges and away from singularities, with room to spare."""
    gate, home = patient.gate, patient.home
    if home is None:
        return
    empty = [
        f"{name} from {low:.2f} to {high:.2f}"
        for name, low, high in zip(patient.robot.arm_joints, gate.joint_lower, gate.joint_upper, strict=True)
        if low >= high
    ]
    if empty:
        yield failure(SUBJECT, "joint ranges", ", ".join(empty), "widen safety: joints, or lower joint_margin")
        return
    spare: list[tuple[float, str]] = [
        (min(value - low, high - value), name)
        for name, value, low, high in (
            *zip(AXES, home.pose, gate.lower, gate.upper, strict=True),
            *zip(patient.robot.arm_joints, home.joints, gate.joint_lower, gate.joint_upper, strict=True),
        )
    ]
    least, name = min(spare)
    unit = "m" if name in AXES[:3] else "rad"
    remedy = "move home further inside workspace: and safety: joints, or widen those"
    if least < 0:
        yield failure(SUBJECT, "home", f"{name} is {-least:.3f} {unit} beyond its limit", remedy)
    elif home.singular < patient.limits.singularity:
        value = f"smallest singular value {home.singular:.3f}, the limit is {patient.limits.singularity:g}"
        yield failure(SUBJECT, "home", value, "move home to where the arm is bent, or lower safety: singularity")
    elif least < NEAR:
        yield warning(SUBJECT, "home", f"{name} is {least:.3f} {unit} from its limit", remedy)
    else:
        yield ok(SUBJECT, "home", f"{_shown(home)} m, {least:.2f} {unit} inside its limits")


def check_workspace(patient: Patient) -> Iterator[Finding]:
    """Whether the arm, pointing down, reaches the corners of its box within the limits of its joints."""
    if patient.home is None:
        return
    space, far = patient.robot.workspace, []
    corners = list(itertools.product(*zip(space.lower, space.upper, strict=True)))
    for corner in corners:
        place = _reached(patient, np.array(corner))
        if place is None or patient.gate.violation(place, place, 1.0) or _outside(patient, place):
            far.append(str(list(corner)))
    size = " x ".join(f"{high - low:.2f}" for low, high in zip(space.lower, space.upper, strict=True))
    value = f"{size} m, {len(corners) - len(far)} of {len(corners)} corners in reach"
    if len(far) > len(corners) / 2:
        value += f", not {', '.join(far[:3])}"
        yield warning(SUBJECT, "workspace", value, "make workspace: smaller; where the arm cannot reach, it only holds")
    else:
        yield ok(SUBJECT, "workspace", value)


def _reached(patient: Patient, corner: NDArray[np.float64]) -> Place | None:
    """The arm with its tool point there, pointing down, come from home on a straight line."""
    assert patient.home is not None
    joints, start = patient.home.joints, patient.home.pose[:3]
    try:
        for part in np.linspace(0, 1, 5)[1:]:
            joints = patient.described.kinematics.inverse(start + part * (corner - start), DOWN, joints)
    except SpaceError:
        return None
    return patient.gate.place(joints)


def _shown(place: Place) -> list[float]:
    return [round(float(value), 3) + 0.0 for value in place.pose[:3]]  # no -0.0


def _outside(patient: Patient, place: Place) -> bool:
    gate = patient.gate
    beyond = (place.joints < gate.joint_lower) | (place.joints > gate.joint_upper)
    return bool(beyond.any()) or place.singular < patient.limits.singularity


def check_scales(patient: Patient) -> Iterator[Finding]:
    """Whether an action of 1 fits into one step and its speed, along one axis and along all three at once."""
    limits, hz = patient.limits, patient.robot.control_hz
    for what, unit, scale, step, speed in (
        ("translation", "m", limits.translation, limits.step_translation, limits.linear_speed),
        ("rotation", "rad", limits.rotation, limits.step_rotation, limits.angular_speed),
    ):
        value = f"{scale:g} {unit} at {hz:g} Hz is {scale * hz:.2g} {unit}/s; caps {step:g} {unit}, {speed:g} {unit}/s"
        word = "linear" if unit == "m" else "angular"
        remedy = f"lower action_scale: {what}, or raise safety: step: {what} and speed: {word}"
        room = min(step / scale, speed / (scale * hz))
        if room < 1 - 1e-9:
            yield failure(SUBJECT, f"{what} scale", f"{value}: whole actions are never executed", remedy)
        elif room < np.sqrt(3) * (1 - 1e-2):
            yield warning(SUBJECT, f"{what} scale", f"{value}: three axes at once are cut", remedy)
        else:
            yield ok(SUBJECT, f"{what} scale", value)


def check_rates(patient: Patient) -> Iterator[Finding]:
    """Whether camera, driver, control rate and the watchdogs' patience fit each other."""
    robot, limits = patient.robot, patient.limits
    wrong = []
    if robot.camera is not None and robot.camera.hz < robot.control_hz:
        wrong.append(f"camera: hz {robot.camera.hz:g} is below control_hz {robot.control_hz:g}")
    if robot.camera is not None and limits.camera_stale < 2 / robot.camera.hz:
        wrong.append(f"camera_stale {limits.camera_stale:g} s is less than two pictures at {robot.camera.hz:g} Hz")
    if limits.camera_frozen < limits.camera_stale:
        wrong.append(f"camera_frozen {limits.camera_frozen:g} s is less than camera_stale {limits.camera_stale:g} s")
    if wrong:
        yield failure(SUBJECT, "rates", "; ".join(wrong), "correct control_hz, camera: hz and safety: in the YAML")
    else:
        yield ok(SUBJECT, "rates", f"control {robot.control_hz:g} Hz, commands {patient.driver.hz:g} Hz")
