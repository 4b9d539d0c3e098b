"""Counts the trials of a deployed policy by their outcomes, and ends the graph after the last one.

It listens to the loop only once the policy has loaded and the folder of the trials is open. A world that is told to
wait for it (`recorded`) therefore moves nothing for a policy that is refused.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image, JointState

from parrot.errors import GraphError, SpaceError
from parrot.nodes import topics
from parrot.nodes.base import GraphNode, run
from parrot.nodes.messages import nanoseconds, vector_from
from parrot.nodes.parameters import Range
from parrot.nodes.policy_node import POLICY_FACT, TASK_FACT
from parrot.rl.trials import TrialAbout, TrialFolder
from parrot.sim.config import load_robot
from parrot.spaces import OUTCOME_NAMES, Outcome

__all__ = ["DeployNode", "DeployNodeConfig", "main"]


@dataclass(frozen=True)
class DeployNodeConfig:
    """Parameters of deploy_node."""

    task: str = "grasp_cap"
    """The task, as the trials are recorded."""
    robot: str = "xarm6"
    """The robot, a name in config/robots or the path of a YAML file."""
    trials: Annotated[int, Range(1, 1_000_000)] = 20
    """Trials after which the graph ends, those in `out` included."""
    out: str = "runs/deploy"
    """Folder of the trials; the same folder goes on where it stopped."""
    start_timeout: Annotated[float, Range(1.0, 3600.0)] = 60.0
    """Seconds to wait for policy_node, and then for the first outcome, before the node gives up."""
    answer_timeout: Annotated[float, Range(1.0, 3600.0)] = 60.0
    """Seconds without an outcome, while the world is not paused, before the node gives up."""


class DeployNode(GraphNode[DeployNodeConfig]):
    """Counts trials; ends when there are enough."""

    NAME = "deploy_node"
    CONFIG = DeployNodeConfig

    def __init__(self) -> None:
        super().__init__()
        robot = load_robot(self.config.robot)
        self.robot, self.period = robot.name, 1.0 / robot.control_hz
        self.folder: TrialFolder | None = None
        self.newest = 0
        self.began: int | None = None
        """Stamp of the trial's first image; None while it is not counted, for its beginning was not seen."""
        self.ended: int | None = None
        """Stamp of the last outcome of the trial before."""
        self.steps = 0
        self.paused = False
        self.heard_at = time.monotonic()
        self.listen(DiagnosticArray, topics.DIAGNOSTICS, self.on_diagnostics, qos=10)
        self.every(0.25, self.watch)

    def on_diagnostics(self, message: DiagnosticArray) -> None:
        """Opens the folder when policy_node says which policy it has; notes whether the world is paused."""
        for status in message.status:
            values = {item.key: item.value for item in status.values}
            self.paused = values.get("paused", str(self.paused)) == "True"
            if self.folder is None and POLICY_FACT in values:
                self.open(values[POLICY_FACT], values.get(TASK_FACT, ""))

    def open(self, policy: str, task: str) -> None:
        """Opens the folder of the trials, and lets the world begin."""
        config = self.config
        if task != config.task:
            self.warn(f"the policy has learnt {task}, these are trials of {config.task}")
        about = TrialAbout(config.task, self.robot, policy)
        self.folder = TrialFolder(Path(config.out).expanduser(), about, config.trials)
        if self.folder.trials:
            print(f"{self.folder.path}: going on after {len(self.folder.trials)} trials", flush=True)
        self.heard_at = time.monotonic()
        self.finished = self.folder.done
        if not self.finished:
            # A world that was told to wait begins when all that it says is heard.
            self.listen(Image, topics.IMAGE, self.witness)
            self.listen(JointState, topics.ACTION_EXECUTED, self.witness)
            self.listen(JointState, topics.OUTCOME, self.on_outcome)

    def witness(self, message: Image | JointState) -> None:
        """What is not counted trial by trial."""
        self.health.count("messages")

    def on_outcome(self, message: JointState) -> None:
        """Counts a step, and at its last one the trial."""
        try:
            outcome = Outcome.from_vector(vector_from(message, OUTCOME_NAMES, "outcome"))
        except SpaceError as error:
            self.refuse("outcome", error)
            return
        stamp = nanoseconds(message.header.stamp)
        if stamp == self.newest:
            return
        if stamp < self.newest:
            self.warn("time went back: the simulator or the arm has started again; this trial is not counted")
            self.began = self.ended = None
        self.newest, self.heard_at = stamp, time.monotonic()
        if outcome.step == 0:
            self.began, self.steps = stamp, 0
        elif self.began is not None and outcome.step != self.steps:
            self.warn(f"step {outcome.step} came after step {self.steps - 1}; this trial is not counted")
            self.began = None
        self.steps += 1
        if outcome.done:
            self.conclude(stamp, outcome.success)

    def conclude(self, stamp: int, success: bool) -> None:
        """Records the trial that has ended, if all of it was seen."""
        assert self.folder is not None
        if self.began is None:
            self.warn("a trial of which not everything was seen has ended; it is not counted")
        else:
            seconds = (stamp - self.began) / 1e9 + self.period
            cycle = seconds if self.ended is None else (stamp - self.ended) / 1e9
            trial = self.folder.add(success, self.steps, seconds, cycle)
            word = "success" if success else "failure"
            shown = f"trial {trial.trial} of {self.config.trials}: {word} after {trial.steps} steps, {seconds:.1f} s"
            print(f"{shown}; {self.folder.report()['success']:.0%} so far", flush=True)
            self.health.count("trials")
        self.began, self.ended = None, stamp
        self.finished = self.folder.done

    def watch(self) -> None:
        """Gives up when somebody has stopped answering.

        Raises:
            GraphError: nothing came for too long.
        """
        quiet = time.monotonic() - self.heard_at
        if self.paused:
            self.heard_at = time.monotonic()
        elif self.folder is None and quiet > self.config.start_timeout:
            raise GraphError(f"no policy_node within {quiet:.0f} s; start it in the same ROS_DOMAIN_ID")
        elif self.newest == 0 and quiet > self.config.start_timeout:
            raise GraphError(
                f"no {topics.OUTCOME} within {quiet:.0f} s; start the simulator or the arm, and this again"
            )
        elif self.newest and quiet > self.config.answer_timeout:
            raise GraphError(
                f"no {topics.OUTCOME} for {quiet:.0f} s: has policy_node, the simulator or the arm died? The trials "
                f"are saved in {self.config.out}; start it again with the same out and they go on"
            )

    def close(self) -> None:
        """Says how it went."""
        if self.folder is not None:
            self.folder.close()
            print(f"{self.folder.sentence()}; {self.folder.path / 'episodes.csv'}", flush=True)
            if not self.folder.done:
                print(f"{self.folder.path}: the same out goes on", flush=True)


def main() -> None:
    """Runs the node."""
    run(DeployNode)


if __name__ == "__main__":
    main()
