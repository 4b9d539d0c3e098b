"""What the simulator's loop saw and did, and what the dataset made of its bag holds, are the same to the byte."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bag_makers import SECOND, Lab

from parrot.cli import main
from parrot.data import Dataset, Manifest
from parrot.data.rosbag.writer import BagWriter
from parrot.sim.collect import describe
from parrot.sim.env import ManipulationEnv
from parrot.spaces import ACTION_NAMES, EPISODE_STEPS, OUTCOME_NAMES

JOINTS = "sensor_msgs/msg/JointState"
TOPICS = {"/camera/image": "sensor_msgs/msg/Image", "/action": JOINTS, "/outcome": JOINTS}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A bag of two scripted episodes as recorder_node writes it, and what was live."""
    env, lab, live = ManipulationEnv("collect"), Lab(), []
    rng, stamp = np.random.default_rng(7), SECOND
    for seed in (3, 4):
        image, info = env.reset(seed=seed)
        steps = []
        for step in range(EPISODE_STEPS):
            action = env.scripted_action(rng)
            lab.image("/camera/image", image, stamp)
            lab.vector("/action", ACTION_NAMES, action, stamp)
            seen = image
            image, reward, _, _, info = env.step(action)
            outcome = [reward, float(info["success"]), 0.0, float(step == EPISODE_STEPS - 1), float(step)]
            lab.vector("/outcome", OUTCOME_NAMES, outcome, stamp)
            steps.append((seen, np.clip(np.float32(action), -1, 1), stamp, outcome))
            stamp += SECOND // 10
        live.append(steps)
        stamp += SECOND // 10
    env.close()
    path = tmp_path_factory.mktemp("bags") / "bag"
    writer = BagWriter(path, TOPICS, {"task": "collect", "robot": "xarm6", "renderer": "pybullet-tiny"})
    for number, (topic, receive, data) in enumerate(lab.rows):
        writer.write(topic, receive, data)
        if number % (3 * EPISODE_STEPS) == 3 * EPISODE_STEPS - 1:
            writer.end_episode()
    writer.close()
    return path, live


def test_an_episode_of_the_simulator_comes_back_to_the_byte(tmp_path, recorded):
    bag, live = recorded
    out = tmp_path / "data"
    assert main(["data", "from-bags", str(bag), "--out", str(out), "--keep-failures"]) == 0
    dataset = Dataset.open(out)
    assert len(dataset) == len(live)
    for episode, steps in zip(dataset, live, strict=True):
        images, actions, stamps, outcomes = (list(column) for column in zip(*steps, strict=True))
        assert episode.images.tobytes() == np.array(images).tobytes()
        assert episode.actions.tobytes() == np.array(actions).tobytes()
        assert episode.extra["stamps"].tolist() == stamps
        assert episode.rewards.tolist() == [outcome[0] for outcome in outcomes]
        assert episode.success == bool(outcomes[-1][1])


def test_a_bag_of_the_simulator_mixes_with_what_was_collected(tmp_path, recorded):
    bag, _ = recorded
    out = tmp_path / "data"
    assert main(["data", "from-bags", str(bag), "--out", str(out), "--keep-failures"]) == 0
    made = Manifest.load(out)
    collected = Manifest(kind="collect", task="collect", seed=0, **describe("xarm6", "collect"))
    made.compatible_with(collected)
    assert (made.kind, made.catalogue) == ("bags", collected.catalogue)


def test_a_control_rate_that_is_not_the_simulators_is_refused(tmp_path, recorded, capsys):
    bag, _ = recorded
    (tmp_path / "map.yaml").write_text("control_hz: 5\n")
    words = ["data", "from-bags", str(bag), "--out", str(tmp_path / "data"), "--map", str(tmp_path / "map.yaml")]
    assert main(words) == 2
    assert "control_hz: 5 is not that of the simulator, 10" in capsys.readouterr().err


def test_the_report_is_printed_and_kept(tmp_path, recorded, capsys):
    bag, _ = recorded
    out = tmp_path / "data"
    assert main(["data", "from-bags", str(bag), "--out", str(out), "--keep-failures"]) == 0
    printed = capsys.readouterr().out
    assert "/camera/image" in printed and "complete with 2 episodes" in printed
    (report,) = json.loads((out / "from_bags.json").read_text())["reports"]
    assert (report["kept"], report["steps"], report["dropped"]) == (2, 2 * EPISODE_STEPS, {})
    assert {t["name"]: (t["type"], t["messages"]) for t in report["topics"]} == {
        topic: (kind, 2 * EPISODE_STEPS) for topic, kind in TOPICS.items()
    }
