"""Looking on from the wire: what an arm's driver is told, where its joints are, and somebody who acts."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from graph_tools import START, Spy, World
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from parrot.nodes import topics
from parrot.nodes.messages import nanoseconds, vector_message
from parrot.sim.config import load_robot
from parrot.spaces import ACTION_NAMES, EPISODE_STEPS, Outcome

ROBOT = load_robot("emulated")
PERIOD = 1 / ROBOT.control_hz
STILL = 0.004
"""Radians that a joint at rest seems to move by noise and by sagging."""

ACTOR = """
import sys, numpy as np, rclpy
from sensor_msgs.msg import Image, JointState
from parrot.nodes import topics
from parrot.nodes.messages import nanoseconds, vector_message
from parrot.spaces import ACTION_NAMES
rclpy.init()
node = rclpy.create_node("actor")
out = node.create_publisher(JointState, topics.ACTION, topics.LOOP)
rng = np.random.default_rng(0)
def act(message):
    action = np.clip(rng.normal([0, 0.8, 0, 0, 0, 0, 0], 0.2), -1, 1)
    out.publish(vector_message(ACTION_NAMES, action, nanoseconds(message.header.stamp)))
node.create_subscription(Image, topics.IMAGE, act, topics.LOOP)
rclpy.spin(node)
"""
"""A policy of its own process: random, with a drift to one side so that the arm moves."""


class ArmSpy(Spy):
    """Hears the wire, too, and answers images while it listens, if it is told how."""

    def __init__(self, domain: int) -> None:
        super().__init__(domain)
        self.wire: list[tuple[float, np.ndarray, float]] = []
        """When a command was heard, its joints, and its seconds."""
        self.path: list[tuple[float, np.ndarray]] = []
        """When joint states were heard, and the arm's joints."""
        self.policy: Callable[[int], np.ndarray] | None = None
        self.answered = 0
        self.action = np.zeros(len(ACTION_NAMES))
        driver = ROBOT.driver
        self.node.create_subscription(JointTrajectory, driver.command, self._command, 1000)
        self.node.create_subscription(JointState, driver.joint_states, self._joints, 1000)
        self.node.create_subscription(Image, topics.IMAGE, self._answer, topics.LOOP)
        self.told: list[tuple[int, list[str], list[float]]] = []
        """What arm_node says of each action: its stamp, names and values."""
        self.node.create_subscription(JointState, topics.ACTION_EXECUTED, self._keep(self.told), topics.LOOP)
        self.words = self.node.create_publisher(String, topics.OPERATOR, 10)
        self.faults = self.node.create_publisher(String, topics.FAULT, 10)
        self.stops = self.node.create_publisher(Bool, topics.ESTOP, 10)

    def _command(self, message: JointTrajectory) -> None:
        point = message.points[-1]
        seconds = point.time_from_start.sec + point.time_from_start.nanosec / 1e9
        self.wire.append((time.monotonic(), np.array(point.positions), seconds))

    def _joints(self, message: JointState) -> None:
        self.path.append((time.monotonic(), np.array(message.position[: len(ROBOT.arm_joints)])))

    def _answer(self, message: Image) -> None:
        stamp = nanoseconds(message.header.stamp)
        if self.policy is None:
            return
        if stamp != self.answered:
            self.answered, self.action = stamp, self.policy(stamp)
        # An image that comes again has not been answered: the first action may go out before arm_node can hear it.
        self.publishers[topics.ACTION].publish(vector_message(ACTION_NAMES, self.action, stamp))

    def forget(self) -> None:
        super().forget()
        self.wire.clear()
        self.told.clear()
        self.path.clear()

    def says(self, name: str) -> str:
        """What arm_node's diagnostics say of this; empty if nothing."""
        return self.status.get("arm_node", {}).get(name, "")

    def counted(self, name: str) -> int:
        return int(self.says(name) or 0)

    def outcomes(self) -> list[tuple[int, Outcome]]:
        found = {stamp: Outcome.from_vector(values) for stamp, _, values in self.vectors[topics.OUTCOME]}
        return list(found.items())

    def fault(self, words: str) -> None:
        self.wait(lambda: self.faults.get_subscription_count() > 0, what="the emulated arm")
        self.faults.publish(String(data=words))

    def say(self, word: str) -> None:
        self.wait(lambda: self.words.get_subscription_count() > 0, what="arm_node")
        self.words.publish(String(data=word))

    def estop(self, latched: bool) -> None:
        assert self.call(SetBool, "estop", SetBool.Request(data=latched)).success

    def moved(self, begin: float, end: float = np.inf) -> float:
        """How far any joint went between two moments, radians."""
        there = np.array([q for when, q in self.path if begin <= when <= end])
        assert len(there) > 3, "no joint states were heard"
        return float(np.ptp(there, axis=0).max())

    def moving(self) -> bool:
        """Whether the arm has gone some way in the last half second."""
        recent = [q for when, q in self.path if when > time.monotonic() - 0.5]
        return len(recent) > 3 and float(np.ptp(np.array(recent), axis=0).max()) > 0.05

    def followed(self) -> bool:
        """Whether an episode is in its midst, with actions that the arm followed."""
        steps = self.outcomes()
        return bool(self.told and steps) and not steps[-1][1].done and 2 <= steps[-1][1].step < EPISODE_STEPS - 5

    def run(self, condition: Callable[[], object], what: str, side: float = 0.0, timeout: float = START) -> None:
        """Acts at random, with a drift to one side, until the condition holds."""
        rng = np.random.default_rng(1)
        self.policy = lambda stamp: np.clip(rng.normal([0, side, 0, 0, 0, 0, 0], 0.2), -1, 1)
        try:
            self.wait(condition, timeout, what)
        finally:
            self.policy = None

    def stepping(self) -> None:
        """Waits until an episode is under way, and acts in it."""
        begun = len(self.outcomes())
        self.run(lambda: len(self.outcomes()) > begun + 1 and not self.outcomes()[-1][1].done, "steps")


def start_arm(world: World, **parameters: object) -> dict[str, object]:
    """The arm's three nodes; the table is set by the service."""
    return {
        "emulated": world.node("emulated_arm_node", robot="emulated", task="grasp_can"),
        "camera": world.node("camera_node", robot="emulated"),
        "arm": world.node("arm_node", robot="emulated", **{"reward": "topic", "scene": "service", **parameters}),
    }
