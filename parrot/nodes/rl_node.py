"""The learner in the graph: an image in, a latent out, and what came of it (paper, Algorithm 1).

Where `algo` acts by no decoder, or by one for a whole episode, there is no prior_node: the node publishes the action
itself.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import Trigger

from parrot.errors import GraphError, ParrotError, SpaceError
from parrot.nodes import topics
from parrot.nodes.base import GraphNode, run
from parrot.nodes.exchange import Exchange
from parrot.nodes.live import LiveTable
from parrot.nodes.messages import image_from, nanoseconds, vector_from, vector_message
from parrot.nodes.parameters import Range, declare
from parrot.rl.algorithms import algorithm
from parrot.rl.finetune import FineTuning
from parrot.rl.settings import FineTuneConfig, sac_config
from parrot.spaces import ACTION_NAMES, OUTCOME_NAMES, Outcome, latent_names

__all__ = ["RLNode", "RLNodeConfig", "main"]

BELIEVED = 5.0
"""Seconds for which the world is believed to be paused; it says so once a second, unless it has died meanwhile."""


@dataclass(frozen=True)
class RLNodeConfig:
    """Parameters of rl_node, besides those of the run (parrot.rl.settings.FineTuneConfig)."""

    run_dir: str = "runs/finetune"
    """Folder that the run leaves; the same folder goes on where it stopped."""
    preset: str = "fast"
    """Hyper-parameters: `fast` for two CPU cores, `paper` for Table 1 and Figure 9."""
    changes: str = ""
    """Changes to the preset, FIELD=VALUE separated by semicolons, e.g. "n_step=1; shift=0"."""
    recorded: bool = False
    """Wait for a recorder before the first latent, so that the bag lacks nothing; the image is repeated until then."""
    start_timeout: Annotated[float, Range(1.0, 3600.0)] = 60.0
    """Seconds to wait for the first image before the node gives up."""
    answer_timeout: Annotated[float, Range(1.0, 3600.0)] = 10.0
    """Seconds without an image, an action or an outcome before the node gives up and saves the run; four times as long
    until the first step is complete, for the other nodes are still starting then."""
    display_period: Annotated[float, Range(0.05, 60.0)] = 0.5
    """Seconds between two refreshes of the live table."""


class RLNode(GraphNode[RLNodeConfig]):
    """Drives a FineTuning by the graph's messages; ends when the run is done."""

    NAME = "rl_node"
    CONFIG = RLNodeConfig

    def __init__(self) -> None:
        super().__init__()
        torch.set_num_threads(1)
        changes = [change.strip() for change in self.config.changes.split(";") if change.strip()]
        settings = declare(self, FineTuneConfig, leave_out=("sac",))
        self.run_config = FineTuneConfig(**settings, sac=sac_config(self.config.preset, changes))
        self.tuning = FineTuning(self.run_config, Path(self.config.run_dir).expanduser())
        self.table = LiveTable(f"{self.run_config.algo} on {self.run_config.task}: {self.tuning.run_dir}")
        self.exchange: Exchange[NDArray[np.uint8], Outcome, NDArray[np.floating]] = Exchange()
        self.said: JointState | None = None
        self.paused_until = -math.inf
        self.partial = False
        """Whether the episode under way began without us, so that it does not count."""
        self.heard_at = self.progress_at = self.born = time.monotonic()

        self.acts = algorithm(self.run_config.algo).decoding != "step"
        self.names = ACTION_NAMES if self.acts else latent_names(self.tuning.latent_dim)
        self.answers = self.create_publisher(JointState, topics.ACTION if self.acts else topics.LATENT, topics.LOOP)
        self.listen(Image, topics.IMAGE, self.on_image)
        self.listen(JointState, topics.OUTCOME, self.on_outcome)
        if not self.acts:
            self.listen(JointState, topics.ACTION, self.on_action)
        self.listen(DiagnosticArray, topics.DIAGNOSTICS, self.on_diagnostics, qos=10)
        self.create_service(Trigger, "save", self.guarded(self.on_save))
        self.every(0.25, self.watch)
        self.every(self.config.display_period, self.show)
        self.get_logger().info(f"{self.run_config.algo} on {self.run_config.task}, run in {self.tuning.run_dir}")
        self.finished = self.tuning.done

    # What comes.

    def on_image(self, message: Image) -> None:
        """Acts on a new image; on a repeated one says again what was said, for somebody missed it."""
        self.heard_at = time.monotonic()
        if not self.recorder_hears(self.answers):
            return
        try:
            image = image_from(message)
        except SpaceError as error:
            self.refuse("image", error)
            return
        if self.exchange.image(nanoseconds(message.header.stamp), image):
            self.go_on()
        elif missing := self.exchange.skip():
            self.health.count("steps skipped")
            self.warn(f"the {missing} of a step never came, and the world went on without; its episode is not counted")
            self.go_on()
        elif self.said is not None and self.exchange.awaiting is not None:
            self.health.count("latents repeated")
            self.answers.publish(self.said)

    def on_outcome(self, message: JointState) -> None:
        """Notes what a step led to."""
        try:
            outcome = Outcome.from_vector(vector_from(message, OUTCOME_NAMES, "outcome"))
        except SpaceError as error:
            self.refuse("outcome", error)
            return
        self.exchange.outcome(nanoseconds(message.header.stamp), outcome)
        self.go_on()

    def on_action(self, message: JointState) -> None:
        """Notes what was executed."""
        try:
            action = vector_from(message, ACTION_NAMES, "action")
        except SpaceError as error:
            self.refuse("action", error)
            return
        self.exchange.action(nanoseconds(message.header.stamp), action)
        self.go_on()

    def on_diagnostics(self, message: DiagnosticArray) -> None:
        """Notes whether the simulator or the arm is paused, or resets, when silence is no alarm."""
        for status in message.status:
            for item in status.values:
                if item.key == "paused":
                    self.paused_until = time.monotonic() + BELIEVED if item.value == "True" else -math.inf

    # What follows from it.

    def go_on(self) -> None:
        """Does whatever has become possible: complete a step, act on the next image."""
        if (step := self.exchange.complete()) is not None:
            begin = time.monotonic()
            self.health.count("steps")
            self.note(*step)
            # Where the actor waits for the learner that takes long, and is nobody else's silence.
            self.progress_at = self.heard_at = time.monotonic()
            self.health.took("observe", self.progress_at - begin)
            if self.tuning.done:
                self.finished = True
                return
        if (seen := self.exchange.act()) is not None:
            begin = time.monotonic()
            stamp, image = seen
            answer = self.tuning.act(image)
            if self.acts:
                self.exchange.action(stamp, answer)
            self.said = vector_message(self.names, answer, stamp)
            self.answers.publish(self.said)
            self.health.took("act", time.monotonic() - begin)

    def note(self, outcome: Outcome, action: NDArray[np.floating]) -> None:
        """Hands a step to the run. An episode counts from its first step on, or not at all."""
        if outcome.step == 0:
            if self.tuning.steps:
                self.warn(f"an episode's end was not heard; its {self.tuning.steps} steps are not counted")
            self.partial = not self.tuning.begin()
        elif not self.partial and outcome.step != self.tuning.steps:
            self.partial = True
            self.warn(f"step {outcome.step} came after {self.tuning.steps} of its episode, which is not counted")
        if self.partial:
            self.tuning.discard()
        else:
            self.tuning.observe(outcome, action)

    def watch(self) -> None:
        """Looks after the learner; gives up when somebody has stopped answering.

        Raises:
            GraphError: nothing came for too long.
            RunError: the learner has died, as `FineTuning.tend` says.
        """
        now = time.monotonic()
        limit = self.config.answer_timeout * (1 if self.health.counts["steps"] else 4)
        self.tuning.tend()
        if now < self.paused_until:  # somebody sets the table in front of the arm, say
            self.born = self.heard_at = self.progress_at = now
        if self.exchange.newest == 0:
            if now - self.born > self.config.start_timeout:
                raise GraphError(
                    f"no {topics.IMAGE} came within {self.config.start_timeout:g} s; start sim_node or the camera "
                    "in the same ROS_DOMAIN_ID, and this again: the run goes on"
                )
        elif now - self.heard_at > limit:
            raise GraphError(
                f"no {topics.IMAGE} for {limit:g} s: has sim_node or the camera died? The run is saved in "
                f"{self.tuning.run_dir}; start it again with the same run_dir and it goes on"
            )
        elif self.exchange.awaiting is not None and now - self.progress_at > limit:
            missing = self.exchange.missing()
            suspect = "prior_node" if missing == "action" else "sim_node or the arm"
            raise GraphError(
                f"no {missing} for {limit:g} s: has {suspect} died? The run is saved in {self.tuning.run_dir}; "
                "start it again with the same run_dir and it goes on"
            )

    def show(self) -> None:
        """Refreshes the live table."""
        self.table.update(self.tuning.status())

    def on_save(self, request: Any, response: Any) -> Any:
        """Saves the run now."""
        try:
            self.tuning.save()
            response.success, response.message = True, f"saved in {self.tuning.run_dir}"
        except ParrotError as error:
            response.success, response.message = False, str(error)
        return response

    def close(self) -> None:
        """Saves the run."""
        self.table.close(self.tuning.status())
        self.tuning.close()
        state = "done" if self.tuning.done else "saved; the same run_dir goes on"
        self.get_logger().info(f"{self.tuning.run_dir}: {state}")


def main() -> None:
    """Runs the node."""
    run(RLNode)


if __name__ == "__main__":
    main()
