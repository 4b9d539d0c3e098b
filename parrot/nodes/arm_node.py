"""The real arm in the graph, in the place of sim_node: the same topics, at a fixed rate, within limits.

At each control period it publishes the newest observation as `camera/image`; the action for it goes through the safety
core to the driver as soon as it comes; its outcome follows at the next period. Whatever fails, the arm holds.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from rclpy.duration import Duration
from sensor_msgs.msg import Image, JointState

from parrot.errors import RunError, SpaceError
from parrot.nodes import topics
from parrot.nodes.arm_reset import ArmReset
from parrot.nodes.base import run
from parrot.nodes.driver_link import DriverLink
from parrot.nodes.judge import Judge, make_judge
from parrot.nodes.latch import Latch, state_folder
from parrot.nodes.lifecycle import ManagedNode
from parrot.nodes.messages import image_from, nanoseconds, time_message, vector_from, vector_message
from parrot.nodes.operator import Operator
from parrot.nodes.parameters import Range
from parrot.nodes.timing import NO_ACTION, NO_PICTURE, Timing
from parrot.sim.config import load_robot
from parrot.spaces import ACTION_NAMES, EPISODE_STEPS, OUTCOME_NAMES, Outcome

__all__ = ["ArmNode", "ArmNodeConfig", "main"]

LET_GO = "let go by L in operator_node, or the service estop (std_srvs/SetBool) with false"

WATCHES = 5
"""Looks of the watchdogs in each control period, at least."""


@dataclass(frozen=True)
class ArmNodeConfig:
    """Parameters of arm_node."""

    robot: str = "xarm6"
    """The robot, a name in config/robots or the path of a YAML file: limits, driver, home and control rate."""
    task: str = ""
    """The task, for the log; the objects are on the table."""
    reward: Literal["operator", "topic", "classifier"] = "operator"
    """Who says that the task is done: the operator (key s of operator_node, service), the topic `success`, or an image
    classifier. The operator is heard in any case."""
    classifier: str = ""
    """With reward `classifier`: the file that `parrot reward train` wrote."""
    scene: Literal["operator", "service", "none"] = "operator"
    """Who sets the table between episodes: the operator (then key r, or service `scene_ready`); the service
    `reset_scene`; or nobody, and the next episode begins at once."""
    terminate_on_success: bool = True
    """End an episode on the first step that meets the task's objective, else always after 25 steps."""
    episodes: Annotated[int, Range(0, 2**31 - 1)] = 0
    """Episodes after which the node ends; 0: never."""
    successes: Annotated[int, Range(0, 2**31 - 1)] = 0
    """Episodes that end in success after which it ends, however many fail; 0: `episodes` says."""
    recorded: bool = False
    """Wait for recorder_node, `ros2 bag record` or deploy_node before the arm moves, so that they miss nothing."""
    action_timeout: Annotated[float, Range(0.05, 60.0)] = 2.0
    """Seconds after its image at which an action is too late: the arm stays, and the episode ends. The first one of an
    episode, before which learners save and sum up, may take ten times as long."""
    home_timeout: Annotated[float, Range(1.0, 600.0)] = 30.0
    """Seconds that coming home may take before the node gives up."""
    scene_timeout: Annotated[float, Range(1.0, 86400.0)] = 1800.0
    """Seconds to wait for the table to be set before the node gives up."""
    description_timeout: Annotated[float, Range(0.0, 60.0)] = 1.0
    """Seconds that the driver's `robot_description` may come after its joint states, before its YAML's URDF counts."""
    republish_period: Annotated[float, Range(0.05, 60.0)] = 0.5
    """Seconds without an answer after which the image is published again, for those who joined late."""
    timing: str = ""
    """CSV file to which it is written when each control period began and how long each command took; empty: none."""
    state: str = ""
    """Folder in which an e-stop is remembered; empty: $XDG_STATE_HOME/parrot, or ~/.local/state/parrot."""
    autostart: bool = True
    """Configure and activate the node at once, rather than wait for `ros2 lifecycle`."""


class ArmNode(ManagedNode[ArmNodeConfig]):
    """A control loop on the steady clock; stamps are the camera's and may jump."""

    NAME = "arm_node"
    CONFIG = ArmNodeConfig

    def __init__(self) -> None:
        super().__init__()
        self.link: DriverLink | None = None
        self.autostart()

    def configure(self) -> None:
        """Makes the loop; the arm may be stopped from here on, and does not move yet.

        Raises:
            ConfigError: the robot is not known, or lacks a driver, or its driver's messages are missing.
            WeightsError: there is no such classifier, or it is for another robot.
            RunError: the file `timing` cannot be written.
        """
        config, robot = self.config, load_robot(self.config.robot)
        self.judge: Judge | None = (
            make_judge(config.classifier, robot.name, self.health) if config.reward == "classifier" else None
        )
        self.period = 1 / robot.control_hz
        self.link = DriverLink(self, robot, config.description_timeout)
        self.operator = Operator(self, self, config.reward == "topic")
        self.reset = ArmReset(self, self.link, self.operator, config.scene, config.home_timeout, config.scene_timeout)
        self.newest: tuple[int, Image, float] | None = None
        self.shown: Image | None = None
        self.outcome: JointState | None = None
        self.held: JointState | None = None
        self.stamp = 0
        self.state: Literal["blank", "shown", "acted"] = "blank"
        """No image is out; the last one awaits its action; its action is being executed."""
        self.index = self.episodes = self.successes = 0
        self.paused = self.estopped = self.broken = False
        """`broken`: the episode cannot go on; its step ends as truncated."""
        folder = Path(config.state).expanduser() if config.state else state_folder()
        self.latch = Latch(robot.name, self.get_fully_qualified_name(), folder)
        if self.latch.held:
            self.estopped = True
            self.link.core.estop(time.monotonic())
            self.warn(f"the e-stop was never let go of ({self.latch.path}); {LET_GO}")
        self.timing = Timing(self.period, Path(config.timing).expanduser() if config.timing else None)
        self.shown_at = self.published_at = self.acted_at = time.monotonic()

        self.images = self.create_publisher(Image, topics.IMAGE, topics.LOOP)
        self.outcomes = self.create_publisher(JointState, topics.OUTCOME, topics.LOOP)
        # A driver that publishes under this very name is heard by all without us.
        own_states = self.resolve_topic_name(topics.JOINT_STATES) != self.link.topic
        self.states = self.create_publisher(JointState, topics.JOINT_STATES, topics.LOOP) if own_states else None
        self.executed = self.create_publisher(JointState, topics.ACTION_EXECUTED, topics.LOOP)
        self.listen(JointState, topics.ACTION, self.on_action)
        self.listen(Image, topics.OBSERVATION, self.on_observation, qos=topics.NEWEST)
        self.every(self.period, self.step)
        self.every(min(self.period / WATCHES, 1 / self.link.driver.hz), self.watch)
        self.every(1.0, self.summarise)
        self.get_logger().info(
            f"{config.task or 'arm'} on {robot.name} at {robot.control_hz:g} Hz, "
            f"reward by {config.reward}, scene by {config.scene}"
        )

    def activate(self) -> None:
        """Begins with a reset."""
        assert self.link is not None
        self.link.core.resume(time.monotonic())
        self.broken = self.state != "blank"
        self.reset.begin()

    def deactivate(self) -> None:
        """Holds; the episode, if there is one, ends when the node is active again."""
        if self.link is not None:
            self.link.tick()
            self.health.facts["paused"] = "True"

    # The loop.

    def step(self) -> None:
        """One control period."""
        now = time.monotonic()
        self.health.took("late", self.timing.began(now))
        assert self.link is not None
        if not self.active or self.paused or self.link.fault:
            self.reset.wait()
            self.repeat(now)
        elif self.broken and self.state != "blank":
            self.conclude(False, True)
        elif not self.recorder_hears(self.images, self.outcomes):
            self.health.count("periods without the recorder")
        elif self.reset.phase != "ready":
            if not self.reset.step():
                self.repeat(now)
        elif self.state == "acted":
            if now - self.acted_at >= self.period / 2:
                self.conclude(*self.verdict())
                if self.reset.phase == "ready":
                    self.show(now)
        elif self.state == "shown":
            self.timing.missed(NO_ACTION, now)
            self.repeat(now)
        else:
            # An episode that broke between two steps shows one more image, which is the step that then ends it.
            self.broken = self.broken and self.index > 0
            self.show(now)

    def show(self, now: float) -> None:
        """Publishes the newest observation, if there is a new one: the next step begins."""
        assert self.link is not None
        if self.newest is None or self.newest[0] == self.stamp:
            self.timing.missed(NO_PICTURE, now)
            self.repeat(now)
            return
        if self.newest[0] < self.stamp:
            self.warn("the camera's clock went back")
        self.stamp, self.shown, arrived = self.newest
        self.state = "shown"
        self.health.took("age of the picture", now - arrived)
        if self.states is not None and self.link.states is not None:
            states = self.link.states
            states.header.stamp = time_message(self.stamp)
            self.states.publish(states)
        self.shown_at = self.published_at = time.monotonic()
        self.images.publish(self.shown)

    def repeat(self, now: float) -> None:
        """Publishes again the image that awaits its action, and the outcome before it, for those who joined late.

        Never the image of a step that is over: who joined since would act on it, and take its outcome for theirs.
        """
        if self.state != "shown" or now - self.published_at < self.config.republish_period:
            return
        assert self.shown is not None
        self.published_at = now
        if self.outcome is not None:
            self.outcomes.publish(self.outcome)
        self.images.publish(self.shown)
        self.health.count("images repeated")

    def on_action(self, message: JointState) -> None:
        """Executes the action that answers the image, within the limits; any other is counted and nothing moves."""
        now = time.monotonic()
        if self.state != "shown" or nanoseconds(message.header.stamp) != self.stamp:
            self.health.count("stale actions")
            return
        assert self.link is not None
        if not self.active or self.paused or self.link.fault or self.broken:
            self.health.count("actions while stopped")
            self.held = message
            return
        try:
            action = vector_from(message, ACTION_NAMES, "action")
        except SpaceError as error:
            self.refuse("action", error)
            return
        if now - self.shown_at > self.config.action_timeout * (1 if self.index else 10):
            self.health.count("late actions")
            self.warn(f"an action came {now - self.shown_at:.1f} s after its image; the episode ends")
            self.broken = True
            return
        done = self.link.act(action)
        self.acted_at = time.monotonic()
        self.state = "acted"
        self.health.count("steps")
        self.timing.commanded(self.shown_at, self.acted_at)
        self.executed.publish(vector_message(ACTION_NAMES, done, self.stamp))

    def verdict(self) -> tuple[bool, bool]:
        """Whether the step has met the objective, and whether the episode is given up."""
        success, failed = self.operator.verdict()
        if self.judge is not None:
            fresh = self.newest is not None and self.newest[0] != self.stamp and self.newest[2] > self.acted_at
            success |= self.judge.sees_success(image_from(self.newest[1]) if self.newest and fresh else None)
        return success and not failed, failed

    def conclude(self, success: bool, failed: bool) -> None:
        """Publishes the outcome of the step; after an episode's last one the reset begins."""
        terminated = success and self.config.terminate_on_success
        truncated = not terminated and (failed or self.index + 1 >= EPISODE_STEPS)
        outcome = Outcome(float(success), success, terminated, truncated, self.index)
        self.outcome = vector_message(OUTCOME_NAMES, outcome.to_vector(), self.stamp)
        self.outcomes.publish(self.outcome)
        self.state, self.held, self.broken = "blank", None, False
        self.index += 1
        if outcome.done:
            self.index = 0
            self.episodes += 1
            self.successes += success
            self.health.count("episodes")
            self.timing.flush()
            self.reset.begin()
            if self.judge is not None:
                self.judge.forget()
            wanted, found = self.config.episodes, self.episodes
            if self.config.successes:
                wanted, found = self.config.successes, self.successes
            if 0 < wanted <= found:
                self.finish()

    def finish(self) -> None:
        """Ends once everybody has what was published."""
        for publisher in (self.images, self.executed, self.outcomes):
            publisher.wait_for_all_acked(Duration(seconds=5))
        self.get_logger().info(f"{self.episodes} episodes done, {self.successes} ended in success")
        self.finished = True

    def watch(self) -> None:
        """The safety core's watchdogs, several times in each period; notices when the arm stops and may go on."""
        if self.link is None or not (self.active or self.estopped):
            return
        before, fault = self.link.fault, self.link.tick()
        if fault and not before:
            self.broken = True
            self.warn(f"the arm is stopped: {fault}")
        elif before and not fault:
            self.get_logger().info("the arm may move again, slowly at first")
        self.health.facts["stopped"] = fault or "no"
        self.health.facts["paused"] = str(bool(self.paused or fault or self.reset.phase != "ready"))

    def summarise(self) -> None:
        """What diagnostics say beyond counts: interventions, latencies, where the loop stands."""
        assert self.link is not None
        facts = self.health.facts
        facts["phase"] = f"step {self.index}" if self.reset.phase == "ready" else f"reset: {self.reset.phase}"
        facts.update({f"safety: {name}": str(count) for name, count in sorted(self.link.core.counts.items())})
        facts.update({name: str(count) for name, count in sorted(self.timing.counts.items())})
        if took := self.timing.percentiles():
            facts["image to command, p50, p99 and most in ms"] = took

    # What comes from the camera and from people.

    def on_observation(self, message: Image) -> None:
        """Keeps the newest; the safety core sees each one, for a camera that stands still."""
        try:
            image: NDArray[np.uint8] = image_from(message)
        except SpaceError as error:
            self.refuse("observation", error)
            return
        now, stamp = time.monotonic(), nanoseconds(message.header.stamp)
        assert self.link is not None
        if self.link.core.camera(stamp, hash(image.tobytes()), now):
            self.newest = (stamp, message, now)

    def stop(self) -> None:
        """The e-stop: latches until `release`."""
        assert self.link is not None
        self.estopped = True
        self.link.core.estop(time.monotonic())
        self.link.tick()
        self.broken = True
        self.warn(f"e-stop; {LET_GO}")
        try:
            self.latch.set()  # after the arm was told: a disk may take its time
        except RunError as error:
            self.warn(f"the e-stop holds, but would not outlive this node: {error}")

    def release(self) -> None:
        """Lets go of the e-stop: the arm starts slowly, with a reset."""
        assert self.link is not None
        if self.estopped:
            try:
                self.latch.clear()
            except RunError as error:
                self.warn(f"the e-stop stays: {error}")
                return
            self.estopped = False
            self.link.core.release(time.monotonic())

    def pause(self, paused: bool) -> None:
        """Holds the arm, or lets it go on, slowly at first, with the action that came meanwhile, if not too late."""
        assert self.link is not None
        self.paused = paused
        held, self.held = self.held, None
        if not paused:
            self.link.core.resume(time.monotonic())
            if held is not None:
                self.on_action(held)

    def restart(self) -> None:
        """Ends the episode here and now, as if its time were up."""
        if self.reset.phase == "ready":
            self.broken = True
        else:
            self.reset.begin()

    def close(self) -> None:
        """The last command on the wire is to hold."""
        if self.link is not None:
            self.link.close()
            self.timing.flush()


def main() -> None:
    """Runs the node."""
    run(ArmNode)


if __name__ == "__main__":
    main()
