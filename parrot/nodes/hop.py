"""One hop of the loop: an image goes to another process, its stamp comes back; prints p50 and p99 in milliseconds."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState

from parrot.nodes import topics
from parrot.nodes.base import fast_executor
from parrot.nodes.messages import image_message, nanoseconds, vector_message
from parrot.spaces import ACTION_NAMES, IMAGE_SHAPE

__all__ = ["main"]

TRIPS, WARM = 2000, 200
"""Round trips that are timed, and those before them."""

PATIENCE = 30.0
"""Seconds that the other process has to start."""

AGAIN = 0.2
"""Seconds until the first image is sent again."""


class Answering(Node):
    """Says an action for each image."""

    def __init__(self) -> None:
        super().__init__("answering")
        self.answers = self.create_publisher(JointState, topics.ACTION, topics.LOOP)
        self.create_subscription(Image, topics.IMAGE, self.answer, topics.LOOP)

    def answer(self, message: Image) -> None:
        """Answers at once."""
        self.answers.publish(vector_message(ACTION_NAMES, np.zeros(7), nanoseconds(message.header.stamp)))


class Asking(Node):
    """Sends an image when the last one was answered."""

    def __init__(self) -> None:
        super().__init__("asking")
        self.images = self.create_publisher(Image, topics.IMAGE, topics.LOOP)
        self.create_subscription(JointState, topics.ACTION, self.on_answer, topics.LOOP)
        self.trips: list[float] = []
        self.stamp, self.asked = 0, 0.0

    def ask(self) -> None:
        """Sends the next image."""
        self.stamp += 1
        self.say()

    def say(self) -> None:
        """Sends the image that is to be answered, or sends it again."""
        self.asked = time.perf_counter()
        self.images.publish(image_message(np.zeros(IMAGE_SHAPE, np.uint8), self.stamp))

    def on_answer(self, message: JointState) -> None:
        """Notes how long it took, once for each image."""
        if nanoseconds(message.header.stamp) == self.stamp and len(self.trips) < WARM + TRIPS:
            self.trips.append(time.perf_counter() - self.asked)
            self.ask()


def main() -> None:
    """Asks, with a process that answers; or answers, with the argument `answer`."""
    rclpy.init()
    executor = fast_executor()
    if sys.argv[1:] == ["answer"]:
        executor.add_node(Answering())
        parent = os.getppid()
        while rclpy.ok() and os.getppid() == parent:
            executor.spin_once(timeout_sec=1.0)
        return
    node = Asking()
    executor.add_node(node)
    with subprocess.Popen([sys.executable, "-m", "parrot.nodes.hop", "answer"]) as other:
        try:
            node.ask()
            said = began = time.monotonic()
            while len(node.trips) < WARM + TRIPS:
                executor.spin_once(timeout_sec=AGAIN)
                if not node.trips and time.monotonic() - said > AGAIN:  # the other may not be there yet
                    node.say()
                    said = time.monotonic()
                if not node.trips and said - began > PATIENCE:
                    sys.exit(f"no answer came within {PATIENCE:g} s")
        finally:
            other.kill()
    half, most = 1e3 / 2 * np.percentile(node.trips[WARM:], [50, 99])
    print(f"{half:.4f} {most:.4f}")


if __name__ == "__main__":
    main()
