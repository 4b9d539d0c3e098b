"""Whether an arm's driver and its gripper's can be commanded, and by nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from parrot.arm.doctor.finding import Finding, failure, of_error, ok, warning
from parrot.arm.doctor.robot_file import Patient
from parrot.arm.doctor.seen import Seen, full
from parrot.arm.drivers import Message, make_driver
from parrot.arm.drivers.types import type_named
from parrot.arm.safety import Command
from parrot.errors import ConfigError

__all__ = ["START", "check_commands", "check_gripper", "check_types"]

OURS = ("arm_node",)
"""Nodes that may command the arm."""

START = "start its driver; if that runs elsewhere, set ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET and its ROS_DOMAIN_ID"
"""What to do where nobody answers."""


def _messages(patient: Patient) -> list[Message]:
    """One of all that is sent, for each topic or service: by a driver of its own, which remembers what it said."""
    joints = np.array(patient.robot.home.joints)
    probe = Command(joints, joints, patient.limits.gripper[1], patient.limits.period, "")
    driver = make_driver(patient.robot, patient.described.kinematics)
    found = [*driver.setup(), *driver.messages(probe)]
    return list({message.topic: message for message in found}.values())


def check_types(patient: Patient) -> Iterator[Finding]:
    """Whether the messages that the driver takes are installed."""
    types = sorted({message.type for message in _messages(patient)})
    try:
        for name in types:
            type_named(name)
    except ConfigError as error:
        yield of_error("driver", "message types", error)
    else:
        yield ok("driver", "message types", f"{patient.driver.config.kind}: {', '.join(types)}")


def check_commands(patient: Patient, seen: Seen) -> Iterator[Finding]:
    """Whether the arm's driver hears commands, offers its services, and has no other commander."""
    gripper = patient.driver.config.gripper
    for message in _messages(patient):
        if gripper is None or message.topic != gripper.topic or message.topic == patient.driver.config.command:
            yield from _outlet("driver", message, seen)


def check_gripper(patient: Patient, seen: Seen) -> Iterator[Finding]:
    """The same for the gripper; and whether its joint is among the joint states, where it has a name."""
    gripper = patient.driver.config.gripper
    if gripper is None:
        yield warning("gripper", "commands", "the YAML has none", "give driver: gripper:, if the arm has a gripper")
        return
    for message in _messages(patient):
        if message.topic == gripper.topic:
            yield from _outlet("gripper", message, seen)
    names = {name for sample in seen.joints for name in sample.names}
    if not gripper.joint or not names:
        return
    if gripper.joint in names:
        yield ok("gripper", "joint", f"{gripper.joint} is among the joint states")
    else:
        remedy = f"set driver: gripper: joint, if it is one of {', '.join(sorted(names))}"
        yield warning("gripper", "joint", f"{gripper.joint} is not among the joint states", remedy)


def _outlet(subject: str, message: Message, seen: Seen) -> Iterator[Finding]:
    """Whether somebody takes this message or request, as this type, from nobody else."""
    name = full(message.topic)
    if "/srv/" in message.type:
        types = seen.services.get(name, ())
        if not types:
            yield failure(subject, "service", f"{name}: nobody offers it", f"{START}; or enable it there")
        elif message.type not in types:
            yield failure(subject, "service", f"{name} is {', '.join(types)}, not {message.type}", "set driver: kind")
        else:
            yield ok(subject, "service", f"{name}, {message.type}")
        return
    topic = seen.topic(name)
    takers = [end.node for end in topic.subscribers if end.type == message.type]
    others = sorted({end.node for end in topic.publishers} - set(OURS))
    if not takers:
        wrong = sorted({end.type for end in topic.subscribers})
        value = f"{name} is heard as {', '.join(wrong)}, not {message.type}" if wrong else f"{name}: nobody hears it"
        remedy = "set driver: kind and command to what the driver takes" if wrong else START
        yield failure(subject, "commands", value, remedy)
    elif others:
        value = f"{', '.join(others)} publishes on {name}, too"
        yield failure(subject, "commands", value, "end every other commander: the limits are not theirs")
    else:
        yield ok(subject, "commands", f"{', '.join(takers)} hears {name}, {message.type}, and nobody else speaks")
