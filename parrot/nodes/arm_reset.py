"""Between two episodes on a real arm: home within the limits, gripper open, table set; each bounded in time."""

from __future__ import annotations

import time
from typing import Any

from rclpy.client import Client
from rclpy.task import Future
from std_srvs.srv import Trigger

from parrot.errors import GraphError
from parrot.nodes import topics
from parrot.nodes.base import GraphNode
from parrot.nodes.driver_link import DriverLink
from parrot.nodes.operator import Operator

__all__ = ["ArmReset"]

ARRIVED = 0.03
"""Radians by which each joint may be off home."""

OPENING = 0.6
"""Seconds that a gripper takes to open."""

ASK_AGAIN = 2.0
"""Seconds until a service that does not answer is asked again."""

REMIND = 10.0
"""Seconds between two reminders to the operator."""


class ArmReset:
    """A reset in phases: `home`, `open`, `scene`, and then `ready`."""

    def __init__(
        self, node: GraphNode[Any], link: DriverLink, operator: Operator, scene: str, timeout: float, patience: float
    ) -> None:
        """`scene`: operator, service or none. `timeout`: seconds for coming home. `patience`: for the table."""
        self._node, self._link, self._operator = node, link, operator
        self._scene, self._timeout, self._patience = scene, timeout, patience
        self._client: Client | None = node.create_client(Trigger, topics.RESET_SCENE) if scene == "service" else None
        self._asked: Future | None = None
        self._asked_at = self._reminded_at = 0.0
        self.phase = "ready"
        self._spent = 0.0
        self._last = time.monotonic()

    def begin(self) -> None:
        """Begins anew."""
        self._operator.forget()
        self._enter("home")
        self._node.health.count("resets")

    def _enter(self, phase: str) -> None:
        self.phase, self._spent, self._last = phase, 0.0, time.monotonic()
        self._asked, self._asked_at, self._reminded_at = None, 0.0, 0.0

    def wait(self) -> None:
        """Lets time pass that does not count: the arm is stopped."""
        self._last = time.monotonic()

    def step(self) -> bool:
        """What is to be done in this control period; whether all is done.

        Raises:
            GraphError: the arm does not come home, or nobody sets the table.
        """
        now = time.monotonic()
        self._spent, self._last = self._spent + now - self._last, now
        if self.phase == "home":
            self._home(now)
        elif self.phase == "open":
            self._link.send(self._link.core.goto(self._link.home, now, opening=1.0))
            if self._spent > OPENING:
                self._enter("scene" if self._scene != "none" else "ready")
        elif self.phase == "scene":
            self._link.send(self._link.core.goto(self._link.home, now, opening=1.0))
            if self._set(now):
                self._enter("ready")
        if self.phase == "ready":
            self._operator.forget()
        return self.phase == "ready"

    def _home(self, now: float) -> None:
        self._link.send(self._link.core.goto(self._link.home, now))
        if self._link.at_home(ARRIVED):
            self._enter("open")
        elif self._spent > self._timeout:
            assert self._link.joints is not None
            off = abs(self._link.joints - self._link.home)
            joint = self._link.robot.arm_joints[int(off.argmax())]
            raise GraphError(
                f"the arm has not come home within {self._timeout:g} s: {joint} is {off.max():.2f} rad away; "
                "look for what holds it, or move it near home by hand, and start again: the run goes on"
            )

    def _set(self, now: float) -> bool:
        """Whether the table is set; asks for it now and again."""
        if self._operator.ready():
            return True
        if self._asked is not None and self._asked.done():
            answer, self._asked = self._asked.result(), None
            if answer is not None and answer.success:
                return True
            self._node.warn(f"{topics.RESET_SCENE} has failed: {answer.message if answer else 'no answer'}")
        if self._spent > self._patience:
            raise GraphError(
                f"nobody has set the table within {self._patience:g} s; "
                "start again when somebody is there: the run goes on"
            )
        if self._client is not None and now - self._asked_at > ASK_AGAIN and self._client.service_is_ready():
            self._asked_at = now
            self._asked = self._client.call_async(Trigger.Request())
        if now - self._reminded_at > REMIND and (self._client is None or self._spent > REMIND):
            self._reminded_at = now
            self._node.get_logger().warning(
                "set the table for the next episode, then press r, or call the service scene_ready (std_srvs/Trigger)"
                if self._client is None
                else f"nobody answers on the service {topics.RESET_SCENE}"
            )
        return False
