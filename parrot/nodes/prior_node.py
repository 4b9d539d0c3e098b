"""The behavioral prior in the graph: the image and the latent of a moment become its action (paper, section 4.2)."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from sensor_msgs.msg import Image, JointState

from parrot.errors import SpaceError
from parrot.nodes import topics
from parrot.nodes.base import GraphNode, run
from parrot.nodes.episodes import EpisodeEar
from parrot.nodes.messages import image_from, nanoseconds, vector_from, vector_message
from parrot.nodes.parameters import Range
from parrot.prior import load_decoder
from parrot.prior.control import controller_of
from parrot.sim.config import load_robot
from parrot.spaces import ACTION_NAMES, IMAGE_SHAPE, latent_names

__all__ = ["PriorNode", "PriorNodeConfig", "main"]

REMEMBERED = 4
"""Moments whose image or latent is kept until the other comes; lockstep needs one."""


@dataclass(frozen=True)
class PriorNodeConfig:
    """Parameters of prior_node."""

    prior: str = ""
    """A file made by `parrot prior train`; empty: the prior that comes with parrot."""
    robot: str = "xarm6"
    """The robot, a name in config/robots or the path of a YAML file, which the prior must have been trained on."""
    threads: Annotated[int, Range(1, 64)] = 1
    """Threads that the network may use; more than one does not pay for one image at a time."""
    recorded: bool = False
    """Wait for a recorder before the first action, so that the bag lacks nothing; the latent is repeated until then."""
    image_timeout: Annotated[float, Range(0.1, 3600.0)] = 2.0
    """Seconds that a latent waits for its image before the node complains, and goes on waiting."""


class PriorNode(GraphNode[PriorNodeConfig]):
    """Encodes each image as it comes, while the learner is still choosing the latent."""

    NAME = "prior_node"
    CONFIG = PriorNodeConfig

    def __init__(self) -> None:
        super().__init__()
        torch.set_num_threads(self.config.threads)
        self.prior = load_decoder(self.config.prior or None, load_robot(self.config.robot).name)
        self.latent_names = latent_names(self.prior.latent_dim)
        self.controller = controller_of(self.prior)
        self.seen: OrderedDict[int, NDArray[np.float32]] = OrderedDict()
        self.waiting: OrderedDict[int, tuple[NDArray[np.float64], float]] = OrderedDict()
        # The first pass through the network takes far longer than all later ones.
        self.controller.act(np.zeros(len(self.latent_names)), self.controller.look(np.zeros(IMAGE_SHAPE, np.uint8)))
        self.controller.begin()
        self.answered = 0
        self.ear = EpisodeEar(self, self.controller.begin, self.on_executed) if self.controller.remembers else None
        self.actions = self.create_publisher(JointState, topics.ACTION, topics.LOOP)
        self.listen(Image, topics.IMAGE, self.on_image)
        self.listen(JointState, topics.LATENT, self.on_latent)
        self.every(0.25, self.complain)
        self.get_logger().info(f"prior {self.config.prior or 'shipped'}, {len(self.latent_names)} latents")

    def on_image(self, message: Image) -> None:
        """Encodes a new image, and answers the latent that has been waiting for it."""
        stamp = nanoseconds(message.header.stamp)
        newest = next(reversed(self.seen), 0)
        if stamp == newest:
            return
        if stamp < newest:
            self.warn("time went back: the simulator has started again")
            self.seen.clear()
            self.waiting.clear()
            if self.ear is not None:
                self.ear.restart()
        for late in [other for other in self.waiting if other < stamp]:
            del self.waiting[late]  # images come in order: its own was missed, and the world has gone on
        begin = time.monotonic()
        try:
            self.seen[stamp] = self.controller.look(image_from(message))
        except SpaceError as error:
            self.refuse("image", error)
            return
        self.health.took("encode", time.monotonic() - begin)
        if len(self.seen) > REMEMBERED:
            self.seen.popitem(last=False)
        if stamp in self.waiting:
            latent, since = self.waiting.pop(stamp)
            self.health.took("waited for image", time.monotonic() - since)
            self.answer(stamp, latent)

    def on_latent(self, message: JointState) -> None:
        """Answers a latent, now or as soon as its image is here."""
        if not self.recorder_hears(self.actions):
            return
        stamp = nanoseconds(message.header.stamp)
        try:
            latent = vector_from(message, self.latent_names, "latent")
        except SpaceError as error:
            self.refuse("latent", error)
            return
        if stamp in self.seen:
            self.answer(stamp, latent)
            return
        self.health.count("latents before their image")
        self.waiting[stamp] = (latent, time.monotonic())
        if len(self.waiting) > REMEMBERED:
            self.waiting.popitem(last=False)

    def answer(self, stamp: int, latent: NDArray[np.float64]) -> None:
        """Publishes the action of a moment."""
        begin = time.monotonic()
        action = self.controller.act(latent, self.seen[stamp])
        self.answered = stamp
        self.actions.publish(vector_message(ACTION_NAMES, action, stamp))
        self.health.took("decode", time.monotonic() - begin)
        self.health.count("actions")

    def on_executed(self, stamp: int, action: NDArray[np.floating]) -> None:
        """Remembers what the arm made of the last action."""
        if stamp == self.answered and stamp in self.seen:
            self.controller.executed(action, self.seen[stamp])

    def complain(self) -> None:
        """Says so if a latent waits in vain for its image."""
        now = time.monotonic()
        for stamp, (latent, since) in list(self.waiting.items()):
            if now - since > self.config.image_timeout:
                self.waiting[stamp] = (latent, now)
                self.warn(f"a latent of {stamp / 1e9:.1f} s waits for its image; is {topics.IMAGE} being published?")


def main() -> None:
    """Runs the node."""
    run(PriorNode)


if __name__ == "__main__":
    main()
