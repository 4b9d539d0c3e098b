"""A trained policy in the graph: an image in, an action out, with the same stamp. It learns nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from sensor_msgs.msg import Image, JointState

from parrot.errors import ConfigError, SpaceError
from parrot.nodes import topics
from parrot.nodes.base import GraphNode, run
from parrot.nodes.episodes import EpisodeEar
from parrot.nodes.messages import image_from, nanoseconds, vector_message
from parrot.nodes.parameters import Range
from parrot.rl.policy import load_policy
from parrot.spaces import ACTION_NAMES, IMAGE_SHAPE

__all__ = ["POLICY_FACT", "TASK_FACT", "PolicyNode", "PolicyNodeConfig", "main"]

POLICY_FACT, TASK_FACT = "policy sha256", "policy task"
"""What the node's diagnostics say of the policy."""

LATENCY = "image to action"
"""Name of the duration from an image's arrival to its action."""


@dataclass(frozen=True)
class PolicyNodeConfig:
    """Parameters of policy_node."""

    policy: str = ""
    """A file made by `parrot export`."""
    robot: str = "xarm6"
    """The robot, which the policy must have been made for: a name in config/robots or the path of a YAML file."""
    renderer: str = ""
    """What makes the images, `camera` or `pybullet-tiny`; empty: what made them for the policy, unchecked."""
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0
    """Seed of the policy's noise: same seed and images, same actions."""
    threads: Annotated[int, Range(1, 64)] = 1
    """Threads that the networks may use; more than one does not pay for one image at a time."""


class PolicyNode(GraphNode[PolicyNodeConfig]):
    """Answers each image at once; a repeated one with what it has said."""

    NAME = "policy_node"
    CONFIG = PolicyNodeConfig

    def __init__(self) -> None:
        super().__init__()
        config = self.config
        torch.set_num_threads(config.threads)
        if not config.policy:
            raise ConfigError("parameter policy is empty; give policy:=PATH, a file made by `parrot export`")
        path = Path(config.policy).expanduser()
        self.policy = load_policy(path, config.robot, renderer=config.renderer or None, seed=config.seed)
        # The first pass through the networks takes far longer than all later ones.
        self.policy.act(np.zeros(IMAGE_SHAPE, np.uint8))
        self.policy.reset(config.seed)
        self.ear = EpisodeEar(self, self.policy.begin, self.on_executed) if self.policy.remembers else None
        self.newest = 0
        self.said: JointState | None = None
        self.actions = self.create_publisher(JointState, topics.ACTION, topics.LOOP)
        self.listen(Image, topics.IMAGE, self.on_image)
        self.every(0.5, self.summarise)
        card = self.policy.card
        self.health.facts.update({POLICY_FACT: self.policy.sha256, TASK_FACT: card.task})
        rate = card.success.after
        after = "not evaluated" if rate is None else f"success {rate:.0%} of {card.success.after_episodes} episodes"
        self.get_logger().info(f"{path}: {card.algo} for {card.task} on {card.embodiment.robot}, {after}")
        if card.note:
            self.warn(f"{path}: {card.note}")

    def on_image(self, message: Image) -> None:
        """Acts on a new image; on a repeated one says again what was said, for somebody missed it."""
        begin = time.monotonic()
        stamp = nanoseconds(message.header.stamp)
        if stamp == self.newest:
            if self.said is not None:
                self.health.count("actions repeated")
                self.actions.publish(self.said)
            return
        if stamp < self.newest:
            self.warn("time went back: the simulator or the arm has started again")
            self.policy.reset(self.config.seed)
            if self.ear is not None:
                self.ear.restart()
        self.newest, self.said = stamp, None
        try:
            action = self.policy.act(image_from(message))
        except SpaceError as error:
            self.refuse("image", error)
            return
        self.said = vector_message(ACTION_NAMES, action, stamp)
        self.actions.publish(self.said)
        self.health.took(LATENCY, time.monotonic() - begin)
        self.health.count("actions")

    def on_executed(self, stamp: int, action: NDArray[np.floating]) -> None:
        """Remembers what the arm made of the last action."""
        if stamp == self.newest and self.said is not None:
            self.policy.executed(action)

    def summarise(self) -> None:
        """Puts the latency's percentiles into the diagnostics."""
        if recent := self.health.durations.get(LATENCY):
            for name, value in zip(("p50", "p99"), np.percentile(np.array(recent), (50, 99)), strict=True):
                self.health.facts[f"{LATENCY}, {name} in ms"] = f"{1000 * value:.2f}"


def main() -> None:
    """Runs the node."""
    run(PolicyNode)


if __name__ == "__main__":
    main()
