"""The whole graph of real_finetune.launch.py on the emulated arm: a prior, a learner, a recorder, and an arm."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from graph_tools import World
from rosbags.highlevel import AnyReader

from parrot.data.dataset import Dataset
from parrot.nodes import topics
from parrot.prior import load_prior, save_prior
from parrot.rl.policy import load_policy
from parrot.spaces import EPISODE_STEPS

pytestmark = pytest.mark.timeout(200)


def stamps_in(bag: Path) -> dict[str, set[int]]:
    """Topic -> the stamps of its messages."""
    said: dict[str, set[int]] = {}
    with AnyReader([bag]) as reader:
        for connection, _, raw in reader.messages():
            stamp = reader.deserialize(raw, connection.msgtype).header.stamp
            said.setdefault(connection.topic, set()).add(stamp.sec * 10**9 + stamp.nanosec)
    return said


@pytest.fixture(scope="module")
def finished(shared_world: World, prior_file: Path) -> Path:
    """The folder of a run on the emulated arm, to its end and recorded."""
    world, prior = shared_world, load_prior(prior_file)
    prior.card = {"robot": "emulated"}
    save_prior(prior, world.folder / "prior.safetensors")
    run = world.folder / "run"
    running = world.launch(
        "real_finetune.launch.py", "robot:=emulated", "task:=grasp_can", f"prior:={world.folder / 'prior.safetensors'}",
        f"run_dir:={run}", "eval_before:=1", "episodes:=1", "eval_after:=1", "record:=true",
    )  # fmt: skip
    assert running.wait(120) == 0, running.output
    assert "Traceback" not in running.output, running.output
    return run


def test_a_run_on_the_emulated_arm_to_its_end_and_recorded(finished: Path):
    run = finished
    rows = list(csv.reader((run / "episodes.csv").read_text().splitlines()))[1:]
    assert [row[1] for row in rows] == ["before", "train", "after"]
    steps = sum(int(row[6]) for row in rows)

    said = stamps_in(run.with_name("run_bag"))
    # When the run is done the arm has begun another episode, which a busy machine may end before it is told.
    outcomes = said[f"/{topics.OUTCOME}"] & said[f"/{topics.LATENT}"]
    assert len(outcomes) == steps
    for topic in (topics.IMAGE, topics.JOINT_STATES):
        assert outcomes <= said[f"/{topic}"], topic
    unexecuted = outcomes - said[f"/{topics.ACTION}"]  # the arm stops where such a machine starves its drivers
    assert len(unexecuted) <= sum(int(row[6]) < EPISODE_STEPS and row[4] == "0" for row in rows)


def test_what_the_arm_has_learnt_is_exported_and_deployed_on_it(shared_world: World, finished: Path):
    world, policy, out = shared_world, finished.with_name("policy.safetensors"), finished.with_name("trials")
    exported = world.start("-m", "parrot.cli", "export", str(finished), "--out", str(policy))
    assert exported.wait(60) == 0, exported.output
    running = world.launch(
        "real_deploy.launch.py", "robot:=emulated", f"policy:={policy}", "task:=grasp_can", "trials:=2", f"out:={out}"
    )
    assert running.wait(120) == 0, running.output
    assert "Traceback" not in running.output, running.output
    assert [row["trial"] for row in csv.DictReader((out / "episodes.csv").read_text().splitlines())] == ["1", "2"]
    config = json.loads((out / "config.json").read_text())
    assert load_policy(policy, "emulated", renderer="camera").sha256 in json.dumps(config)


def test_scripted_demonstrations_through_the_driver_become_a_dataset(world: World):
    bag, data = world.folder / "bag", world.folder / "data"
    running = world.launch("real_collect.launch.py", "robot:=emulated", "task:=grasp_can", "episodes:=2", f"bag:={bag}")
    assert running.wait(90) == 0, running.output
    said = stamps_in(bag)
    assert len(said[f"/{topics.OUTCOME}"]) == 2 * EPISODE_STEPS
    assert said[f"/{topics.OUTCOME}"] <= said[f"/{topics.IMAGE}"] & said[f"/{topics.ACTION}"]
    converted = world.start("-m", "parrot.cli", "data", "from-bags", str(bag), "--out", str(data), "--keep-failures")
    assert converted.wait(60) == 0, converted.output
    dataset = Dataset.open(data)
    assert len(dataset) == 2
    assert dataset.manifest.robot == "emulated"
