"""collect.launch.py and record.launch.py through `parrot launch`: bags that any rosbag2 reader opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from graph_tools import Spy, World, wait_for
from rosbags.highlevel import AnyReader

from parrot.cli import main
from parrot.data.dataset import Dataset
from parrot.data.worker import attempt_seed
from parrot.nodes import topics
from parrot.sim.env import ManipulationEnv
from parrot.spaces import EPISODE_STEPS


def read(bag: Path) -> dict[str, dict[int, object]]:
    """Topic -> stamp -> message; a stamp may stand only once."""
    found: dict[str, dict[int, object]] = {}
    with AnyReader([bag]) as reader:
        for connection, _, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            messages = found.setdefault(connection.topic, {})
            assert stamp not in messages
            messages[stamp] = message
    return found


def test_demonstrations_are_recorded_and_replay_to_the_very_same_images(world: World):
    bag = world.folder / "demos"
    running = world.launch("collect.launch.py", "task:=collect", "episodes:=3", "seed:=5", f"bag:={bag}")
    assert running.wait(90) == 0, running.output
    found = read(bag)
    images, actions, outcomes = found["/camera/image"], found["/action"], found["/outcome"]
    assert list(images) == list(actions) == list(outcomes)
    assert len(images) == 3 * EPISODE_STEPS
    env = ManipulationEnv("collect")
    for index, stamp in enumerate(images):
        if index % EPISODE_STEPS == 0:
            image, _ = env.reset(seed=attempt_seed(5, index // EPISODE_STEPS))
        assert np.array_equal(images[stamp].data.reshape(48, 48, 3), image)
        image, reward, _, truncated, info = env.step(np.asarray(actions[stamp].position))
        assert outcomes[stamp].position.tolist() == [
            reward, info["success"], False, truncated, index % EPISODE_STEPS,
        ]  # fmt: skip
    env.close()


def test_a_bag_of_demonstrations_becomes_the_very_dataset_that_collecting_makes(world: World, tmp_path):
    running = world.launch("collect.launch.py", "successes:=4", "seed:=2", f"bag:={world.folder / 'demos'}")
    assert running.wait(90) == 0, running.output
    assert main(["data", "from-bags", str(world.folder / "demos"), "--out", str(tmp_path / "bags")]) == 0
    collecting = ["--trajectories", "4", "--workers", "1", "--seed", "2", "--out", str(tmp_path / "collected")]
    assert main(["data", "collect", *collecting]) == 0
    ours, theirs = (Dataset.open([tmp_path / name]) for name in ("bags", "collected"))
    ours.manifest.compatible_with(theirs.manifest)
    for recorded, collected in zip(ours, theirs, strict=True):
        assert recorded.success
        assert recorded.success == collected.success
        for name in ("images", "actions", "rewards"):
            np.testing.assert_array_equal(getattr(recorded, name), getattr(collected, name))


def test_so_many_successes_as_asked_for_are_recorded_and_failures_are_marked(world: World):
    bag = world.folder / "demos"
    running = world.launch("collect.launch.py", "successes:=4", "seed:=4", f"bag:={bag}")
    assert running.wait(90) == 0, running.output
    last = [o.position for o in read(bag)["/outcome"].values() if o.position[2] or o.position[3]]
    successes = sum(bool(success) for _, success, *_ in last)
    assert successes == 4
    assert last[-1][1]
    assert len(last) > 4  # with this seed some fail
    kept = f"episodes kept: {len(last)} (4 success, {len(last) - 4} failure)"
    assert kept in running.output
    about = yaml.safe_load((bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]["custom_data"]
    assert about == {"task": "collect", "robot": "xarm6", "renderer": "pybullet-tiny", "object_split": "train"}


def test_a_running_graph_is_recorded_and_ctrl_c_completes_the_bag(world: World, spy: Spy):
    bag = world.folder / "seen"
    running = world.launch("record.launch.py", f"bag:={bag}", "task:=tea")
    spy.wait(lambda: spy.matched(topics.IMAGE, topics.ACTION), what="recorder_node")
    image = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    for stamp in (10, 20, 30):
        spy.show(stamp, image)
        spy.act(stamp, np.zeros(7))
        spy.act(stamp, np.zeros(7))  # said twice, recorded once
    spy.spin(0.5)
    running.interrupt()
    assert running.wait(10) == 130, running.output
    found = read(bag)
    assert set(found) == {"/camera/image", "/action"}
    assert list(found["/camera/image"]) == list(found["/action"]) == [10, 20, 30]
    assert np.array_equal(found["/camera/image"][20].data.reshape(48, 48, 3), image)
    assert "task: tea" in (bag / "metadata.yaml").read_text()


def test_a_killed_recorder_loses_no_finished_episode_and_the_next_one_recovers_them(world: World, spy: Spy):
    bag = world.folder / "bag"
    sim = world.node("sim_node", policy="scripted", task="collect", recorded=True, terminate_on_success=False)
    first = world.node("recorder_node", bag=bag)
    spy.wait(lambda: len([v for v in spy.vectors[topics.OUTCOME] if v[2][3]]) >= 3, what="three episodes")
    spy.wait(lambda: int(spy.status.get("recorder_node", {}).get("episodes", 0)) >= 2, what="two recorded episodes")
    episodes = int(spy.status["recorder_node"]["episodes"])
    assert "no recorder has come" not in sim.output
    first.process.kill()
    sim.end()
    second = world.node("recorder_node", bag=bag)
    wait_for(lambda: "recording to" in second.output, what="the next recorder")
    second.interrupt()
    assert second.wait(10) == 0, second.output
    assert not bag.with_name("bag_2").exists()  # nothing came, so nothing is left
    done = [o for o in read(bag)["/outcome"].values() if o.position[2] or o.position[3]]
    assert len(done) >= episodes
