"""A policy deployed by the graphs of sim_deploy and real_deploy: real processes, real DDS, a run that was learnt."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from graph_tools import Spy, World, one_line_error, wait_for

from parrot.nodes import topics
from parrot.rl.export import export_policy
from parrot.rl.loop import fine_tune, run_trials
from parrot.rl.policy import FORMAT, load_policy
from parrot.rl.sealed import read_sealed, write_sealed
from parrot.rl.settings import FineTuneConfig, sac_config
from parrot.rl.trials import TrialAbout, TrialFolder
from parrot.spaces import ACTION_NAMES

pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="session")
def policy_file(tmp_path_factory: pytest.TempPathFactory, prior_file: Path) -> Path:
    """What `parrot train` has learnt in a few seconds, exported."""
    folder = tmp_path_factory.mktemp("policy")
    config = FineTuneConfig(
        task="grasp_can", prior=str(prior_file), episodes=2, eval_before=1, eval_after=1,
        sac=sac_config("fast", ["batch_size=8", "start_steps=10", "start_successes=0", "synchronous=true"]),
    )  # fmt: skip
    fine_tune(config, folder / "run")
    export_policy(folder / "run", folder / "policy.safetensors")
    return folder / "policy.safetensors"


@pytest.fixture(scope="session")
def emulated_file(tmp_path_factory: pytest.TempPathFactory, policy_file: Path) -> Path:
    """The same, as if it had been made on the emulated arm."""
    card, tensors, _ = read_sealed(policy_file, FORMAT, "")
    body = {**card["embodiment"], "robot": "emulated", "renderer": "camera", "camera": {"crop": None}}
    path = tmp_path_factory.mktemp("emulated") / "policy.safetensors"
    write_sealed(path, FORMAT, {**card, "embodiment": body}, tensors)
    return path


def trials_in(folder: Path) -> list[dict[str, str]]:
    path = folder / "episodes.csv"
    return list(csv.DictReader(path.read_text().splitlines())) if path.is_file() else []


def test_three_trials_in_simulation_are_those_of_the_same_policy_in_process(world: World, policy_file, tmp_path):
    out = tmp_path / "trials"
    words = (f"policy:={policy_file}", "task:=grasp_can", "seed:=5", f"out:={out}")
    running = world.launch("sim_deploy.launch.py", *words, "trials:=3")
    assert running.wait(100) == 0, running.output
    assert "Traceback" not in running.output, running.output
    assert "no recorder" not in running.output, running.output
    rows = trials_in(out)
    assert [row["trial"] for row in rows] == ["1", "2", "3"]
    assert "success in " in running.output and "of 3 trials" in running.output, running.output
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["trials"], summary["task"], summary["robot"]) == (3, "grasp_can", "xarm6")

    policy = load_policy(policy_file, "xarm6", seed=5)
    folder = TrialFolder(tmp_path / "in process", TrialAbout("grasp_can", "xarm6", policy.sha256), 3)
    same = list(run_trials(policy, folder, "xarm6", 5))
    folder.close()
    for row, trial in zip(rows, same, strict=True):
        assert (int(row["success"]), int(row["steps"])) == (trial.success, trial.steps)
        assert float(row["seconds"]) == pytest.approx(trial.steps * 0.1)

    # The same folder goes on with what is missing, and is complete after that.
    again = world.launch("sim_deploy.launch.py", *words, "trials:=4")
    assert again.wait(100) == 0, again.output
    assert "going on after 3 trials" in again.output
    assert trials_in(out)[:3] == rows and len(trials_in(out)) == 4
    more = world.launch("sim_deploy.launch.py", *words, "trials:=4")
    assert more.wait(100) == 0, more.output
    assert len(trials_in(out)) == 4


def test_a_policy_of_another_robot_is_refused_before_anything_moves(world: World, policy_file, emulated_file, spy: Spy):
    running = world.launch("sim_deploy.launch.py", f"policy:={emulated_file}", "task:=grasp_can")
    while running.process.poll() is None:
        spy.spin(0.2)
    assert running.wait(1) == 5, running.output
    assert 'made for robot "emulated", here it is "xarm6"' in one_line_error(running.output)
    assert not spy.stamps(topics.ACTION)
    assert not spy.stamps(topics.OUTCOME)
    assert not spy.images


def test_on_the_emulated_arm_one_of_another_robot_is_refused_before_the_arm_goes_home(world, policy_file, spy: Spy):
    from trajectory_msgs.msg import JointTrajectory

    commands = []
    spy.node.create_subscription(JointTrajectory, "/emulated/joint_trajectory", commands.append, 10)
    running = world.launch("real_deploy.launch.py", "robot:=emulated", f"policy:={policy_file}", "task:=grasp_can")
    while running.process.poll() is None:
        spy.spin(0.2)
    assert running.wait(1) == 5, running.output
    assert 'made for robot "xarm6", here it is "emulated"' in one_line_error(running.output)
    assert not spy.stamps(topics.ACTION)
    reached = [np.array(point.positions) for message in commands for point in message.points]
    assert all(np.allclose(positions, reached[0], atol=1e-3) for positions in reached)  # it may hold, no more


def test_trials_on_the_emulated_arm(world: World, emulated_file, tmp_path):
    out = tmp_path / "trials"
    running = world.launch(
        "real_deploy.launch.py", "robot:=emulated", f"policy:={emulated_file}", "task:=grasp_can", "trials:=2",
        f"out:={out}",
    )  # fmt: skip
    assert running.wait(150) == 0, running.output
    rows = trials_in(out)
    assert len(rows) == 2
    assert float(rows[1]["cycle"]) > float(rows[1]["seconds"]) > 0.09 * int(rows[1]["steps"])
    assert "of 2 trials" in running.output


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "policy is empty"),
        (("policy:=nowhere.safetensors",), 5, "nowhere.safetensors"),
        (("policy:={policy}", "task:=grasp_moon"), 2, "grasp_moon"),
        (("policy:={policy}", "task:=grasp_can", "out:={folder}/letters"), 6, "something else than trials"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line_and_an_exit_code(world: World, policy_file, words, code, said):
    (world.folder / "letters").mkdir()
    (world.folder / "letters" / "a.txt").write_text("dear")
    words = [word.format(policy=policy_file, folder=world.folder) for word in words]
    running = world.launch("sim_deploy.launch.py", *words)
    assert running.wait(100) == code, running.output
    assert said in one_line_error(running.output)


def test_the_nodes_action_is_that_of_the_policy_to_the_byte_and_carries_the_stamp(world: World, policy_file, spy: Spy):
    world.node("policy_node", policy=policy_file, seed=7)
    spy.wait(lambda: spy.matched(topics.IMAGE), what="policy_node")
    spy.wait(lambda: spy.node.count_publishers(topics.ACTION) > 1, what="its publisher")
    spy.spin(0.3)
    policy = load_policy(policy_file, "xarm6", seed=7)
    images = np.random.default_rng(0).integers(0, 256, (10, 48, 48, 3), np.uint8)
    for stamp, image in enumerate(images, start=1):
        spy.show(stamp * 10**8, image)
        spy.wait(lambda stamp=stamp: stamp * 10**8 in spy.stamps(topics.ACTION), what="an action")
        if stamp == 5:  # somebody joined late: the same is said again, and no noise is drawn for it
            spy.show(stamp * 10**8, image)
            spy.wait(lambda: spy.stamps(topics.ACTION).count(5 * 10**8) == 2, what="the second answer")
    said = {stamp: (names, values) for stamp, names, values in spy.vectors[topics.ACTION]}
    twice = [values for stamp, _, values in spy.vectors[topics.ACTION] if stamp == 5 * 10**8]
    assert twice[0] == twice[1]
    for stamp, image in enumerate(images, start=1):
        names, values = said[stamp * 10**8]
        assert tuple(names) == ACTION_NAMES
        assert np.array(values, np.float32).tobytes() == policy.act(image).tobytes()
    wait_for(
        lambda: "image to action, p99 in ms" in spy.status.get("policy_node", {}), 10, lambda: spy.spin(0.2),
        what="diagnostics",
    )  # fmt: skip
    status = spy.status["policy_node"]
    assert 0 < float(status["image to action, p50 in ms"]) <= float(status["image to action, p99 in ms"])
    assert status["policy sha256"] == policy.sha256
