"""An arm, a gripper and a camera as their drivers show them, and the person beside them, emulated by the simulator.

Joint trajectories in; joint states and pictures out, in real time, with noise, latency and jitter, and with faults on
command. Nothing that a real driver lacks, except what a person would do: saying whether the task is done, setting the
table, and, with `operator` `scripted`, driving the arm.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from parrot.errors import ConfigError, SpaceError
from parrot.nodes import topics
from parrot.nodes.base import GraphNode, run
from parrot.nodes.faults import Faults
from parrot.nodes.messages import nanoseconds, time_message, vector_message
from parrot.nodes.parameters import Range
from parrot.sim.config import load_robot, load_scene
from parrot.sim.emulated import EmulatedArm
from parrot.sim.emulated_camera import CameraProcess
from parrot.sim.trajectory import Follower
from parrot.spaces import ACTION_NAMES

__all__ = ["EmulatedArmNode", "EmulatedArmNodeConfig", "main"]

CONVERSIONS = {
    "bgr8": cv2.COLOR_RGB2BGR,
    "rgb8": None,
    "bgra8": cv2.COLOR_RGB2BGRA,
    "rgba8": cv2.COLOR_RGB2RGBA,
    "mono8": cv2.COLOR_RGB2GRAY,
    "jpeg": cv2.COLOR_RGB2BGR,
    "png": cv2.COLOR_RGB2BGR,
}
"""Encoding -> OpenCV's conversion from RGB."""

DRAWN = 4
"""The picture is drawn with so many times fewer pixels along each side and enlarged: 160x120 takes 5 ms, 640x480 60."""


@dataclass(frozen=True)
class EmulatedArmNodeConfig:
    """Parameters of emulated_arm_node."""

    task: str = "grasp_cap"
    """The task whose objects stand on the table, a name that `parrot tasks` lists."""
    robot: str = "emulated"
    """The robot, a name in config/robots or the path of a YAML file; its driver section names the topics."""
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0
    """Seed of the scenes, the noise, and the scripted operator."""
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
    camera_latency: Annotated[float, Range(0.0, 1.0)] = 0.015
    """Seconds from a picture's stamp to its message, besides the few that drawing it takes."""
    camera_noise: Annotated[float, Range(0.0, 50.0)] = 3.0
    """Of each value of the picture, evenly distributed either way, in levels of 255."""
    width: Annotated[int, Range(64, 1920)] = 640
    """Of the picture, pixels."""
    height: Annotated[int, Range(48, 1080)] = 480
    """Of the picture, pixels."""
    encoding: Literal["bgr8", "rgb8", "bgra8", "rgba8", "mono8", "jpeg", "png"] = "bgr8"
    """Of the picture; jpeg and png are published as CompressedImage on the image topic with /compressed added."""


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
                f"robot {robot.name}: only a driver of kind joint_trajectory with a gripper, and a camera, can be emulated; "
                "use robot:=emulated, or give the YAML such sections `driver:` and `camera:`"
            )
        self.arm = EmulatedArm(config.task, robot, load_scene(), config.seed)
        self.camera = CameraProcess(config.robot, "tabletop", config.width // DRAWN, config.height // DRAWN)
        self.rng = np.random.default_rng([config.seed, 2])
        self.grain = np.random.default_rng([config.seed, 3])
        self.picture: Image | CompressedImage | None = None
        self.faults = Faults()
        self.lock = threading.Lock()
        self.commands: deque[tuple[float, Follower, JointTrajectory]] = deque()
        self.said: tuple[int, JointState] | None = None
        self.fresh = True
        self.born = time.monotonic()
        self.ending = threading.Event()

        self.joints = self.create_publisher(JointState, driver.joint_states, 10)
        raw = camera.topic.removesuffix("/compressed")
        compressed = config.encoding in ("jpeg", "png")
        topic, kind = (f"{raw}/compressed", CompressedImage) if compressed else (raw, Image)
        self.images = self.create_publisher(kind, topic, topics.RELIABLE1)
        self.successes = self.create_publisher(Bool, topics.SUCCESS, 10)
        self.listen(JointTrajectory, driver.command, self.receiver(self.arm.arm), qos=10)
        self.listen(JointTrajectory, driver.gripper.topic, self.receiver(self.arm.gripper), qos=10)
        self.listen(String, topics.FAULT, self.on_fault, qos=10)
        self.create_service(Trigger, topics.RESET_SCENE, self.guarded(self.on_reset_scene))
        if config.operator == "scripted":
            self.actions = self.create_publisher(JointState, topics.ACTION, topics.LOOP)
            self.listen(Image, topics.IMAGE, self.on_image)
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
        """One picture."""
        with self.lock:
            snapshot, stamp = self.arm.snapshot(), self.stamp()
        begin = time.monotonic()
        if not self.faults.freeze_camera or self.picture is None:
            self.picture = self.encode(self.camera.picture(snapshot))
        self.health.took("draw", time.monotonic() - begin)
        time.sleep(self.config.camera_latency)
        if not self.faults.no_camera:
            self.picture.header.stamp = time_message(stamp)
            self.picture.header.frame_id = "camera_optical_frame"
            self.images.publish(self.picture)
            self.health.count("pictures")

    def encode(self, rgb: NDArray[np.uint8]) -> Image | CompressedImage:
        """The picture, enlarged, as a message."""
        config = self.config
        # Without noise a camera in front of an arm at rest would look frozen.
        level = config.camera_noise
        noisy = rgb + self.grain.uniform(-level, level, rgb.shape).astype(np.float32)
        rgb = np.clip(noisy, 0, 255).astype(np.uint8)
        large = cv2.resize(rgb, (config.width, config.height), interpolation=cv2.INTER_LINEAR)
        code = CONVERSIONS[config.encoding]
        pixels = large if code is None else cv2.cvtColor(large, code)
        if config.encoding in ("jpeg", "png"):
            data = cv2.imencode(f".{config.encoding}", pixels)[1]
            return CompressedImage(format=f"bgr8; {config.encoding} compressed bgr8", data=array("B", data.tobytes()))
        message = Image(width=config.width, height=config.height, encoding=config.encoding)
        message.step = pixels.nbytes // config.height
        message.data = array("B", pixels.tobytes())
        return message

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
        self.camera.close()
        for thread in self.threads:
            thread.join()
        self.arm.close()


def main() -> None:
    """Runs the node."""
    run(EmulatedArmNode)


if __name__ == "__main__":
    main()
