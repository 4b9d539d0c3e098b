"""The simulated arm in the graph: publishes what the camera sees, steps when the action for it comes, in lockstep."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import SetBool, Trigger

from parrot.data.worker import attempt_seed
from parrot.errors import SpaceError
from parrot.nodes import topics
from parrot.nodes.base import GraphNode, run
from parrot.nodes.messages import image_message, nanoseconds, time_message, vector_from, vector_message
from parrot.nodes.parameters import Range
from parrot.sim.env import ManipulationEnv
from parrot.spaces import ACTION_NAMES, OUTCOME_NAMES, Outcome, check_action

__all__ = ["SimNode", "SimNodeConfig", "main"]


@dataclass(frozen=True)
class SimNodeConfig:
    """Parameters of sim_node."""

    task: str = "grasp_cap"
    """The task to simulate, a name that `parrot tasks` lists."""
    robot: str = "xarm6"
    """The robot, a name in config/robots or the path of a YAML file."""
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0
    """Of the scenes, and of the scripted policy's noise: same seed, same episodes; those of the scripted policy are the
    attempts of `parrot data collect` with this seed."""
    run_dir: str = ""
    """A run's folder; when the run goes on, so do the scenes, after the episodes that it has seen."""
    policy: Literal["external", "scripted"] = "external"
    """Who acts: whoever publishes `action`, or the simulator's own scripted policy, which then publishes it."""
    terminate_on_success: bool = True
    """End an episode on the first step that meets the task's objective, else always after 25 steps."""
    episodes: Annotated[int, Range(0, 2**31 - 1)] = 0
    """Episodes after which the simulator ends; 0: never."""
    successes: Annotated[int, Range(0, 2**31 - 1)] = 0
    """Episodes that end in success after which the simulator ends, however many fail; 0: `episodes` says."""
    recorded: bool = False
    """Wait for recorder_node, or `ros2 bag record`, before the first image, so that the bag lacks nothing."""
    republish_period: Annotated[float, Range(0.05, 60.0)] = 0.5
    """Seconds without an answer after which the image is published again, for those who joined late."""
    answer_timeout: Annotated[float, Range(0.1, 3600.0)] = 5.0
    """Seconds without an answer after which the simulator complains, and goes on complaining."""


class SimNode(GraphNode[SimNodeConfig]):
    """The simulator. Simulated time passes by one control period with each step and each reset."""

    NAME = "sim_node"
    CONFIG = SimNodeConfig

    def __init__(self) -> None:
        super().__init__()
        config = self.config
        self.env = ManipulationEnv(config.task, config.robot, terminate_on_success=config.terminate_on_success)
        self.arm = self.env.world.arm
        self.period = round(1e9 / self.arm.config.control_hz)
        self.stamp = 0
        self.step = 0
        self.episodes = self.successes = 0
        self.rng = np.random.default_rng()
        self.image = self.new_scene()
        self.paused = False
        self.held: JointState | None = None
        self.outcome: JointState | None = None
        self.started = False
        self.born = self.shown_at = self.published_at = self.complained_at = time.monotonic()

        self.images = self.create_publisher(Image, topics.IMAGE, topics.LOOP)
        self.outcomes = self.create_publisher(JointState, topics.OUTCOME, topics.LOOP)
        self.joints = self.create_publisher(JointState, topics.JOINT_STATES, topics.LOOP)
        self.clock_messages = self.create_publisher(Clock, topics.CLOCK, topics.LOOP)
        self.actions: Publisher | None = None
        self.executed: Publisher | None = None
        if config.policy == "external":
            self.executed = self.create_publisher(JointState, topics.ACTION_EXECUTED, topics.LOOP)
            self.listen(JointState, topics.ACTION, self.on_action)
        else:
            self.actions = self.create_publisher(JointState, topics.ACTION, topics.LOOP)
        self.create_service(Trigger, "reset", self.guarded(self.on_reset))
        self.create_service(SetBool, "pause", self.guarded(self.on_pause))
        self.health.facts["paused"] = "False"
        self.every(0.05, self.tick)
        self.get_logger().info(f"{config.task} on {config.robot}, seed {config.seed}, {config.policy} policy")

    def new_scene(self) -> NDArray[np.uint8]:
        """Resets the world; returns what the camera sees."""
        config, seed = self.config, None
        if config.policy == "scripted":
            seed = attempt_seed(config.seed, self.episodes)
            self.rng = np.random.default_rng([seed, 1])
        elif self.episodes == 0:
            seen = episodes_in(Path(config.run_dir).expanduser()) if config.run_dir else 0
            seed = int(np.random.SeedSequence([config.seed, seen]).generate_state(1)[0]) if seen else config.seed
        return self.env.reset(seed=seed)[0]

    # The loop.

    def on_action(self, message: JointState) -> None:
        """Steps, if the action answers the image that was sent last; else the arm does not move."""
        if nanoseconds(message.header.stamp) != self.stamp:
            self.health.count("stale actions")
            return
        if self.paused:
            self.held = message
            return
        try:
            action = check_action(vector_from(message, ACTION_NAMES, "action"))
        except SpaceError as error:
            self.refuse("action", error)
            return
        self.health.took("answer", time.monotonic() - self.shown_at)
        if self.executed is not None and self.executed.get_subscription_count():
            self.executed.publish(vector_message(ACTION_NAMES, action, self.stamp))
        self.advance(action)

    def advance(self, action: NDArray[np.floating]) -> None:
        """One control step: its outcome, and then the next image."""
        begin = time.monotonic()
        image, reward, terminated, truncated, info = self.env.step(action)
        outcome = Outcome(reward, bool(info["success"]), terminated, truncated, self.step)
        self.health.count("steps")
        self.conclude(outcome, image, begin)

    def conclude(self, outcome: Outcome, image: NDArray[np.uint8], begin: float) -> None:
        """Publishes the outcome; after an episode's last step the next image is the first of the next episode."""
        self.outcome = vector_message(OUTCOME_NAMES, outcome.to_vector(), self.stamp)
        self.outcomes.publish(self.outcome)
        self.step += 1
        if outcome.done:
            self.step = 0
            self.episodes += 1
            self.successes += outcome.success
            self.health.count("episodes")
            wanted, found = self.config.episodes, self.episodes
            if self.config.successes:
                wanted, found = self.config.successes, self.successes
            if 0 < wanted <= found:
                self.finish()
                return
            image = self.new_scene()
        self.image = image
        self.health.took("step", time.monotonic() - begin)
        self.show()

    def show(self) -> None:
        """Publishes the observation of the next moment."""
        self.stamp += self.period
        self.complained_at = self.shown_at = time.monotonic()
        self.publish()

    def publish(self) -> None:
        """Publishes the current observation."""
        self.published_at = time.monotonic()
        self.clock_messages.publish(Clock(clock=time_message(self.stamp)))
        self.joints.publish(vector_message(self.arm.joint_names, self.arm.joints(), self.stamp))
        self.images.publish(image_message(self.image, self.stamp))

    def finish(self) -> None:
        """Ends once everybody has what was published."""
        for publisher in (self.images, self.actions, self.executed, self.outcomes):
            if publisher is not None:
                publisher.wait_for_all_acked(Duration(seconds=5))
        self.get_logger().info(f"{self.episodes} episodes done, {self.successes} ended in success")
        self.finished = True

    def work(self) -> bool:
        """With the scripted policy: one step."""
        if self.actions is None or not self.started or self.paused or self.finished:
            return False
        action = self.env.scripted_action(self.rng)
        self.actions.publish(vector_message(ACTION_NAMES, action, self.stamp))
        self.advance(action)
        return True

    # Time that passes without an answer.

    def tick(self) -> None:
        """Starts once the recorder is there; repeats the image, and complains, while nothing answers."""
        now = time.monotonic()
        if not self.started:
            self.started = self.recorder_hears(*filter(None, (self.images, self.outcomes, self.actions, self.executed)))
            if self.started:
                self.show()
        elif self.actions is None and now - self.published_at >= self.config.republish_period:
            # The outcome too: who missed it would wait for it forever.
            if self.outcome is not None:
                self.outcomes.publish(self.outcome)
            self.publish()
            self.health.count("images repeated")
            # Networks take a while to load before the first answer.
            patience = self.config.answer_timeout * (1 if self.health.counts["steps"] else 4)
            if not self.paused and now - self.complained_at >= patience:
                self.complained_at = now
                self.warn(
                    f"no action for the image of {self.stamp / 1e9:.1f} s since {now - self.shown_at:.0f} s "
                    f"({self.count_publishers(topics.ACTION)} publish {topics.ACTION}); "
                    "is the prior node, or whoever else publishes actions, running?"
                )

    # Services.

    def on_reset(self, request: Any, response: Any) -> Any:
        """Ends the episode here and now, as if its time were up."""
        if self.started:
            self.held = None
            self.conclude(Outcome(0.0, False, False, True, self.step), self.image, time.monotonic())
        response.success, response.message = True, f"episode {self.episodes} begins"
        return response

    def on_pause(self, request: Any, response: Any) -> Any:
        """Holds the simulation, or lets it go on with the action that came meanwhile."""
        self.paused = bool(request.data)
        self.health.facts["paused"] = str(self.paused)
        response.success, response.message = True, "paused" if self.paused else "running"
        held, self.held = self.held, None
        if held is not None and not self.paused:
            self.on_action(held)
        self.shown_at = self.complained_at = time.monotonic()
        return response

    def close(self) -> None:
        """Ends the physics."""
        self.env.close()


def episodes_in(run_dir: Path) -> int:
    """Episodes that a run has recorded: the lines of its `episodes.csv`, without the head."""
    path = run_dir / "episodes.csv"
    return max(0, path.read_bytes().count(b"\n") - 1) if path.is_file() else 0


def main() -> None:
    """Runs the node."""
    run(SimNode)


if __name__ == "__main__":
    main()
