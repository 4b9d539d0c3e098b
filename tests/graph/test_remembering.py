"""A prior that remembers, in the graph: what it says is what follows from its own episode, in every episode."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from graph_tools import Spy, World
from sensor_msgs.msg import JointState

from parrot.data.dataset import Dataset
from parrot.nodes import topics
from parrot.nodes.messages import vector_message
from parrot.prior import load_prior, save_prior
from parrot.prior.control import controller_of
from parrot.prior.history import HistoryConfig, HistoryPrior
from parrot.rl.export import export_policy
from parrot.rl.loop import run_trials
from parrot.rl.policy import load_policy
from parrot.rl.trials import TrialAbout, TrialFolder
from parrot.spaces import ACTION_NAMES, OUTCOME_NAMES, Outcome

pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="module")
def remembering(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prior that has learnt nothing, and whose actions depend on its past nevertheless."""
    path = tmp_path_factory.mktemp("remembering") / "prior.safetensors"
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        prior = HistoryPrior(HistoryConfig(encoder="fast", channels=8, features=32, hidden=32))
        for coupling in prior.couplings:
            coupling.net[-1].weight.mul_(20)
    prior.card = {"robot": "xarm6"}
    save_prior(prior, path)
    return path


def test_runs_and_trials_remember_their_own_episode(world: World, remembering, tmp_path):
    run = tmp_path / "run"
    words = ("task:=grasp_can", f"prior:={remembering}", f"run_dir:={run}", "seed:=3")
    running = world.launch("sim_finetune.launch.py", *words, "eval_before:=2", "episodes:=1", "eval_after:=1")
    assert running.wait(150) == 0, running.output
    replay, controller = Dataset.open(run / "replay"), controller_of(load_prior(remembering))
    assert len(replay) == 3  # what is evaluated after learning is not learnt from
    unlike = 0.0
    for n in range(len(replay)):
        episode = replay.episode(n)
        controller.begin()
        for step, (image, z) in enumerate(zip(episode.images, episode.extra["latents"], strict=True)):
            action = controller.act(z, controller.look(image))
            assert np.allclose(action, episode.actions[step], atol=1e-4), (n, step)
            alone = controller_of(controller.prior)
            unlike = max(unlike, float(np.abs(action - alone.act(z, alone.look(image))).max()))
    assert unlike > 0.01  # the past does matter

    policy_file, out = tmp_path / "policy.safetensors", tmp_path / "trials"
    export_policy(run, policy_file)
    trials = world.launch(
        "sim_deploy.launch.py", f"policy:={policy_file}", "task:=grasp_can", "seed:=5", f"out:={out}", "trials:=3"
    )
    assert trials.wait(100) == 0, trials.output
    policy = load_policy(policy_file, "xarm6", seed=5)
    assert policy.remembers
    folder = TrialFolder(tmp_path / "in process", TrialAbout("grasp_can", "xarm6", policy.sha256), 3)
    same = [(str(int(trial.success)), str(trial.steps)) for trial in run_trials(policy, folder, "xarm6", 5)]
    folder.close()
    with (out / "episodes.csv").open() as lines:
        assert [(row["success"], row["steps"]) for row in csv.DictReader(lines)] == same


def test_what_the_arm_made_of_an_action_is_what_is_remembered(world: World, spy: Spy, remembering):
    world.node("prior_node", prior=remembering)
    outcomes = spy.node.create_publisher(JointState, topics.OUTCOME, topics.LOOP)
    executed = spy.node.create_publisher(JointState, topics.ACTION_EXECUTED, topics.LOOP)
    spy.wait(lambda: spy.matched(topics.IMAGE, topics.LATENT), what="prior_node")
    spy.wait(lambda: spy.node.count_publishers(topics.ACTION) > 1, what="its publisher")
    spy.wait(lambda: outcomes.get_subscription_count() > 1 and executed.get_subscription_count(), what="its ear")
    spy.spin(0.3)
    rng, controller, z = np.random.default_rng(0), controller_of(load_prior(remembering)), np.linspace(-1, 1, 7)

    def step(stamp: int, begins: bool) -> None:
        image = rng.integers(0, 256, (48, 48, 3), np.uint8)
        spy.show(stamp, image)
        spy.say_latent(stamp, z)
        spy.wait(lambda: stamp in spy.stamps(topics.ACTION), timeout=10, what="an action")
        said = next(values for at, _, values in spy.vectors[topics.ACTION] if at == stamp)
        if begins:
            controller.begin()
        seen = controller.look(image)
        assert np.allclose(said, controller.act(z, seen), atol=1e-5), stamp
        less = 0.3 * np.array(said)
        executed.publish(vector_message(ACTION_NAMES, less, stamp))
        controller.executed(less, seen)

    def end(stamp: int) -> None:
        last = Outcome(0.0, success=False, terminated=False, truncated=True, step=24)
        outcomes.publish(vector_message(OUTCOME_NAMES, last.to_vector(), stamp))
        spy.spin(0.2)

    for number in range(1, 9):
        step(1_000 * number, begins=number in (1, 5))
        spy.spin(0.2)
        if number == 4:
            end(4_000)
        if number == 5:
            end(4_000)  # said again: the new episode goes on
