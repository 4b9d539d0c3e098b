"""The driver of the emulated arm's camera: a process and a participant of its own, as a real camera's driver is.

emulated_arm_node starts it and writes a line of JSON for each picture to its standard input; it ends when that does.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import sys
import threading
import time
from array import array
from dataclasses import dataclass
from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from parrot.errors import ConfigError
from parrot.nodes import topics
from parrot.nodes.base import GraphNode, run
from parrot.nodes.messages import time_message
from parrot.nodes.parameters import Range
from parrot.sim.config import load_robot, load_scene
from parrot.sim.emulated import Snapshot
from parrot.sim.emulated_camera import EmulatedCamera

__all__ = ["CameraSettings", "EmulatedCameraNode", "main"]

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

COMPRESSED = ("jpeg", "png")


@dataclass(frozen=True)
class CameraSettings:
    """Parameters of the emulated camera, which emulated_arm_node has, too, and passes on."""

    robot: str = "emulated"
    """The robot, a name in config/robots or the path of a YAML file; its driver and camera sections name the topics."""
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0
    """Seed of the scenes, the noise, and the scripted operator."""
    camera_latency: Annotated[float, Range(0.0, 1.0)] = 0.015
    """Seconds from a picture's stamp to its message, besides the few milliseconds that drawing it takes."""
    camera_noise: Annotated[float, Range(0.0, 50.0)] = 3.0
    """Of each value of the picture, evenly distributed either way, in levels of 255."""
    width: Annotated[int, Range(64, 1920)] = 640
    """Of the picture, pixels."""
    height: Annotated[int, Range(48, 1080)] = 480
    """Of the picture, pixels."""
    encoding: Literal["bgr8", "rgb8", "bgra8", "rgba8", "mono8", "jpeg", "png"] = "bgr8"
    """Of the picture; jpeg and png are published as CompressedImage on the image topic with /compressed added."""


class EmulatedCameraNode(GraphNode[CameraSettings]):
    """Reads in one thread, draws and publishes in another, which waits for the next line."""

    NAME = "emulated_camera_node"
    CONFIG = CameraSettings

    def __init__(self) -> None:
        super().__init__()
        config = self.config
        robot = load_robot(config.robot)
        if robot.camera is None:
            raise ConfigError(f"robot {robot.name} names no camera; give its YAML a section `camera:`")
        self.camera = EmulatedCamera(
            robot, load_scene(), (config.width, config.height), config.camera_noise, config.seed
        )
        raw, compressed = robot.camera.topic.removesuffix("/compressed"), config.encoding in COMPRESSED
        topic, kind = (f"{raw}/compressed", CompressedImage) if compressed else (raw, Image)
        self.images = self.create_publisher(kind, topic, topics.SENSOR)
        self.picture: Image | CompressedImage | None = None
        self.wanted: queue.Queue[bytes] = queue.Queue(maxsize=1)
        """The newest line that nothing was drawn for yet; empty bytes: there will be no more."""
        for work in (self.read, self.film):
            threading.Thread(target=work, daemon=True).start()

    def read(self) -> None:
        """Keeps the newest line: a camera that falls behind leaves pictures out, it does not show the past."""
        for line in itertools.chain(sys.stdin.buffer, [b""]):
            with contextlib.suppress(queue.Empty):
                self.wanted.get_nowait()
                self.health.count("pictures dropped")
            self.wanted.put(line)

    def film(self) -> None:
        """A picture of the newest line, again and again, until there are no more."""
        try:
            while line := self.wanted.get():
                begin = time.monotonic()
                wanted = json.loads(line)
                if self.picture is None or not wanted["frozen"]:
                    self.picture = self.encode(self.camera.picture(Snapshot(**wanted["shown"])))
                self.health.took("draw", time.monotonic() - begin)
                time.sleep(self.config.camera_latency)
                self.picture.header.stamp = time_message(wanted["stamp"])
                self.picture.header.frame_id = "camera_optical_frame"
                self.images.publish(self.picture)
                self.health.count("pictures")
        except Exception as error:
            self.failure = self.failure or (None if self.finished else error)
        self.finished = True

    def encode(self, rgb: NDArray[np.uint8]) -> Image | CompressedImage:
        """The picture as a message."""
        encoding = self.config.encoding
        code = CONVERSIONS[encoding]
        pixels = rgb if code is None else cv2.cvtColor(rgb, code)
        if encoding in COMPRESSED:
            data = cv2.imencode(f".{encoding}", pixels)[1]
            return CompressedImage(format=f"bgr8; {encoding} compressed bgr8", data=array("B", data.tobytes()))
        height, width = pixels.shape[:2]
        message = Image(width=width, height=height, encoding=encoding, step=pixels.nbytes // height)
        message.data = array("B", pixels.tobytes())
        return message


def main() -> None:
    """Runs the node."""
    run(EmulatedCameraNode)


if __name__ == "__main__":
    main()
