"""A dataset as a rosbag2 bag of the graph's own topics: to look at in Foxglove or PlotJuggler, or to play back.

The inverse of `parrot data from-bags` for parrot's own layout: images, actions and outcomes come back to the byte.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from parrot.data.dataset import Dataset
from parrot.data.episode import Episode
from parrot.data.rosbag.serialize import image_bytes, string_bytes, vector_bytes
from parrot.data.rosbag.writer import BagWriter
from parrot.errors import ConfigError, DatasetError
from parrot.spaces import ACTION_NAMES, EPISODE_STEPS, OUTCOME_NAMES, Outcome

__all__ = ["TOPICS", "export"]

IMAGE, ACTION, OUTCOME, EPISODE = "/camera/image", "/action", "/outcome", "/episode"

TOPICS = {
    IMAGE: "sensor_msgs/msg/Image",
    ACTION: "sensor_msgs/msg/JointState",
    OUTCOME: "sensor_msgs/msg/JointState",
    EPISODE: "std_msgs/msg/String",
}
"""Topics of the bag and their types; `/episode` tells task and seed, as JSON, before an episode's first image."""

FIRST_STAMP = 1_000_000_000
"""When the first image was taken, ns: not zero, which means no stamp. Datasets do not know the date."""

BETWEEN_EPISODES = 1_000_000_000
"""From an episode's end to the next one's first image, ns."""

APART = 1_000
"""Between the receipts of messages of one moment, ns, so that every reader keeps their order."""

_FRAME = "camera"
"""Frame of the images, as the graph's nodes set it."""


def export(
    dataset: Dataset,
    out: Path,
    episodes: int | None = None,
    control_hz: float | None = None,
    report: Callable[[int], None] = lambda done: None,
) -> int:
    """Writes episodes to a new bag, in their order; an export that is interrupted leaves nothing.

    Args:
        dataset: Where they are from.
        out: The bag's folder.
        episodes: How many, from the first one; None: all.
        control_hz: Steps per second, if the dataset does not say.
        report: Told how many are done.

    Returns:
        The number of episodes written.

    Raises:
        DatasetError: the dataset is empty, or the bag exists.
        ConfigError: the time of a step is not known, or a number makes no sense.
        RunError: the disk is full.
    """
    rate = control_hz or dataset.manifest.control_hz
    if not rate or rate < 0:
        raise ConfigError(f"{dataset.paths[0]} does not say how long a step takes; give --hz, e.g. 10")
    if episodes is not None and episodes < 1:
        raise ConfigError(f"--episodes {episodes}: give at least 1, or leave it out for all")
    count = min(len(dataset), episodes or len(dataset))
    if not count:
        raise DatasetError(f"{dataset.paths[0]} has no episodes; there is nothing to write")
    writer = BagWriter(out, TOPICS, _about(dataset, rate))
    try:
        start = FIRST_STAMP
        for i in range(count):
            episode = dataset.episode(i)
            for topic, time, data in _messages(episode, start, rate):
                writer.write(topic, time, data)
            writer.end_episode()
            start += round(len(episode) * 1e9 / rate) + BETWEEN_EPISODES
            report(i + 1)
        writer.close()
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    return count


def _outcomes(episode: Episode) -> list[Outcome]:
    """What each step led to. An episode cut short by its success is terminated, any other truncated."""
    last, found = len(episode) - 1, []
    for step, reward in enumerate(episode.rewards.tolist()):
        ended = step == last
        success = episode.success if ended else reward > 0
        terminated = ended and success and len(episode) < EPISODE_STEPS
        found.append(Outcome(reward, success, terminated, ended and not terminated, step))
    return found


def _about(dataset: Dataset, rate: float) -> dict[str, str]:
    """The bag's metadata. camera and action scale, which may be of any form, stand there as JSON."""
    manifest, tasks = dataset.manifest, sorted(set(dataset.tasks.tolist()))
    task = tasks[0] if len(tasks) == 1 else manifest.task
    about = {
        "task": task, "robot": manifest.robot, "renderer": manifest.renderer, "object_split": manifest.object_split,
        "control_hz": f"{rate:g}", "camera": json.dumps(manifest.camera),
        "action_scale": json.dumps(manifest.action_scale),
    }  # fmt: skip
    return {key: value for key, value in about.items() if value and value != "null"}


def _messages(episode: Episode, start: int, rate: float) -> Iterator[tuple[str, int, bytes]]:
    """Topic, time of receipt and bytes of each message of an episode that begins at `start`, ns."""
    about = {"task": episode.task, "seed": episode.seed, "success": episode.success}
    yield EPISODE, start - APART, string_bytes(json.dumps(about))
    for outcome, image, action in zip(_outcomes(episode), episode.images, episode.actions, strict=True):
        stamp = start + round(outcome.step * 1e9 / rate)
        yield IMAGE, stamp, image_bytes(image, stamp, _FRAME)
        yield ACTION, stamp + APART, vector_bytes(ACTION_NAMES, action, stamp)
        yield OUTCOME, stamp + 2 * APART, vector_bytes(OUTCOME_NAMES, outcome.to_vector(), stamp)
