"""An arm, a gripper and a camera as their drivers show them, and the person beside them, emulated by the simulator.

Joint trajectories in; joint states and pictures out, in real time, with noise, latency and jitter, and with faults on
command. Nothing that a real driver lacks, except what a person would do: saying whether the task is done, setting the
table, and, with `operator` `scripted`, driving the arm.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal

import numpy as np
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from parrot.arm.description import description_topic
from parrot.errors import ConfigError, GraphError, SpaceError
from parrot.nodes import topics
from parrot.nodes.base import GraphNode, run
from parrot.nodes.description import LATCHED
from parrot.nodes.emulated_camera_node import CameraSettings
from parrot.nodes.faults import Faults
from parrot.nodes.messages import nanoseconds, vector_message
from parrot.nodes.parameters import Range
from parrot.sim.config import load_robot, load_scene
from parrot.sim.emulated import EmulatedArm
from parrot.sim.trajectory import Follower
from parrot.spaces import ACTION_NAMES

__all__ = ["EmulatedArmNode", "EmulatedArmNodeConfig", "main"]


@dataclass(frozen=True)
class EmulatedArmNodeConfig(CameraSettings):
    """Parameters of emulated_arm_node."""

    task: str = "grasp_cap"
    """The task whose objects stand on the table, a name that `parrot tasks` lists."""
    operator: Literal["none", "scripted"] = "none"
    """Who answers each `camera/image` with an `action`: nobody here, or a scripted policy that sees everything."""
    joint_hz: Annotated[float, Range(1.0, 1000.0)] = 100.0
    """Joint states per second."""
    joint_noise: Annotated[float, Range(0.0, 0.1)] = 0.0002
    """Standard deviation of the noise on joint positions, radians or metres."""
    latency: Annotated[float, Range(0.0, 1.0)] = 0.004
    """Seconds from a measurement to its message, and from a command to the motors."""
    jitter: Annotated[float, Range(0.0, 1.0)] = 0.003
    """Seconds by which both may be longer, evenly distributed."""
    camera_hz: Annotated[float, Range(1.0, 120.0)] = 30.0
    """Pictures per second."""


class EmulatedArmNode(GraphNode[EmulatedArmNodeConfig]):
    """Two threads beside the node's own: physics with the joint states, and the camera, which waits for its process."""

    NAME = "emulated_arm_node"
    CONFIG = EmulatedArmNodeConfig

    def __init__(self) -> None:
        super().__init__()
        config = self.config
        robot = load_robot(config.robot)
        driver, camera = robot.driver, robot.camera
        if driver is None or driver.kind != "joint_trajectory" or driver.gripper is None or camera is None:
            raise ConfigError(
                f"robot {robot.name}: only a joint_trajectory driver with a gripper, and a camera, can be emulated; "
                "use robot:=emulated, or give its YAML such sections `driver:` and `camera:`"
            )
        self.arm = EmulatedArm(config.task, robot, load_scene(), config.seed)
        self.camera = camera_process(config)
        self.rng = np.random.default_rng([config.seed, 2])
        self.faults = Faults()
        self.lock = threading.Lock()
        self.commands: deque[tuple[float, Follower, JointTrajectory]] = deque()
        self.said: tuple[int, JointState] | None = None
        self.fresh = True
        self.ending = threading.Event()

        self.description = self.create_publisher(String, description_topic(robot), LATCHED)
        self.description.publish(String(data=robot.urdf_path.read_text(encoding="utf-8")))
        self.joints = self.create_publisher(JointState, driver.joint_states, 10)
        self.successes = self.create_publisher(Bool, topics.SUCCESS, 10)
        self.listen(JointTrajectory, driver.command, self.receiver(self.arm.arm), qos=10)
        self.listen(JointTrajectory, driver.gripper.topic, self.receiver(self.arm.gripper), qos=10)
        self.listen(String, topics.FAULT, self.on_fault, qos=10)
        self.create_service(Trigger, topics.RESET_SCENE, self.guarded(self.on_reset_scene))
        if config.operator == "scripted":
            self.actions = self.create_publisher(JointState, topics.ACTION, topics.LOOP)
            self.listen(Image, topics.IMAGE, self.on_image)
        self.born = time.monotonic()
        self.threads = [
            threading.Thread(target=self.repeat, args=work, daemon=True)
            for work in ((self.move, config.joint_hz), (self.film, config.camera_hz))
        ]
        for thread in self.threads:
            thread.start()
        self.get_logger().info(
            f"{config.task} on {robot.name}: joint states at {config.joint_hz:g} Hz, {config.encoding} "
            f"{config.width}x{config.height} at {config.camera_hz:g} Hz"
        )

    # What drivers do.

    def receiver(self, follower: Follower) -> Callable[[JointTrajectory], None]:
        """What to do with a trajectory for these joints: it takes effect after a while."""

        def receive(message: JointTrajectory) -> None:
            self.health.count("trajectories")
            if self.faults.ignore_commands or self.faults.joint_fault:
                self.health.count("trajectories ignored by a fault")
                return
            with self.lock:
                self.commands.append((time.monotonic() + self.delay(), follower, message))

        return receive

    def delay(self) -> float:
        """Seconds, drawn anew."""
        return self.config.latency + float(self.rng.uniform(0, self.config.jitter))

    def obey(self) -> None:
        """Takes over the trajectories that are due."""
        while self.commands and self.commands[0][0] <= time.monotonic():
            _, follower, message = self.commands.popleft()
            points = [list(point.positions) for point in message.points]
            ends = [p.time_from_start.sec + p.time_from_start.nanosec / 1e9 for p in message.points]
            try:
                follower.take(list(message.joint_names), points, ends, self.now())
            except SpaceError as error:
                self.refuse("trajectory", error)

    def now(self) -> float:
        """Seconds since the node began, on a clock that does not jump."""
        return time.monotonic() - self.born

    def stamp(self) -> int:
        """Nanoseconds of the drivers' clock, which a fault makes jump."""
        return max(0, int(self.get_clock().now().nanoseconds + 1e9 * self.faults.clock_jump))

    def move(self) -> None:
        """One cycle of physics and its joint states; a third of the cycles say whether the task is done."""
        with self.lock:
            self.obey()
            if lost := self.arm.advance(self.now()):
                self.warn(f"physics was held up for {lost:.2f} s; is the machine overloaded?")
            positions, velocities, stamp = self.arm.positions(), self.arm.velocities(), self.stamp()
            done = self.arm.success() if self.health.counts["joint states"] % 3 == 0 else None
        noisy = positions + self.rng.normal(0, self.config.joint_noise, len(positions))
        message = vector_message(self.arm.names, noisy, stamp)
        message.velocity = array("d", velocities.tobytes())
        time.sleep(self.delay())
        if done is not None:
            self.successes.publish(Bool(data=done))
        if not self.faults.drop_joints:
            self.joints.publish(message)
        self.health.count("joint states")

    def film(self) -> None:
        """Asks the camera for a picture of this moment."""
        with self.lock:
            shown, stamp = self.arm.snapshot(), self.stamp()
        if self.faults.no_camera:
            return
        wanted = {"stamp": stamp, "frozen": self.faults.freeze_camera, "shown": asdict(shown)}
        assert self.camera.stdin is not None
        try:
            self.camera.stdin.write(json.dumps(wanted).encode() + b"\n")
            self.camera.stdin.flush()
        except OSError as error:
            raise GraphError(f"the emulated camera, process {self.camera.pid}, has died; start again") from error

    def repeat(self, work: Callable[[], None], rate: float) -> None:
        """Does it at this rate until the node ends; what it raises ends the node."""
        due = time.monotonic()
        while not self.ending.is_set() and self.failure is None:
            try:
                work()
            except Exception as error:
                if not self.ending.is_set():
                    self.failure = error
                return
            due = max(due + 1 / rate, time.monotonic() - 1 / rate)
            time.sleep(max(0.0, due - time.monotonic()))

    # What a person does.

    def on_fault(self, message: String) -> None:
        """Brings about a fault, or ends all of them: parrot.nodes.faults lists them."""
        try:
            self.faults.obey(message.data)
        except ConfigError as error:
            self.refuse("fault", error)
            return
        with self.lock:
            if self.faults.joint_fault:
                self.commands.clear()
                self.arm.stop()
        self.health.facts["faults"] = str(self.faults)
        self.warn(f"faults: {self.faults}")

    def on_reset_scene(self, request: Any, response: Any) -> Any:
        """Sets the table anew."""
        with self.lock:
            self.arm.reset_scene()
            self.fresh = True
        self.health.count("scenes")
        response.success, response.message = True, f"scene {self.arm.scenes}"
        return response

    def on_image(self, message: Image) -> None:
        """Answers an image with what the scripted policy does; a repeated one with the same again."""
        stamp = nanoseconds(message.header.stamp)
        if self.said is None or self.said[0] != stamp:
            with self.lock:
                action = self.arm.scripted_action(self.fresh)
                self.fresh = False
            self.said = (stamp, vector_message(ACTION_NAMES, action, stamp))
        self.actions.publish(self.said[1])

    def close(self) -> None:
        """Ends physics and camera."""
        self.ending.set()
        for thread in self.threads:
            thread.join()
        self.camera.communicate(timeout=5.0)
        self.arm.close()


def camera_process(config: EmulatedArmNodeConfig) -> subprocess.Popen[bytes]:
    """The camera's driver, which takes lines on its standard input."""
    words = [sys.executable, "-m", "parrot.nodes.emulated_camera_node", "--ros-args"]
    for field in fields(CameraSettings):
        words += ["-p", f"{field.name}:={json.dumps(getattr(config, field.name))}"]
    return subprocess.Popen(words, stdin=subprocess.PIPE)


def main() -> None:
    """Runs the node."""
    run(EmulatedArmNode)


if __name__ == "__main__":
    main()
