"""arm_node with a classifier for a judge, on the emulated arm."""

import numpy as np
import pytest
import torch
from arm_tools import ArmSpy, start_arm
from graph_tools import World, one_line_error

from parrot.rl.reward.classifier import CONFIRMATIONS, ClassifierConfig, RewardClassifier

pytestmark = pytest.mark.timeout(120)


def always_sure(path, robot):
    """A classifier that takes every picture for a success."""
    classifier = RewardClassifier(ClassifierConfig("fast", 16, 8))
    with torch.no_grad():
        classifier.head.weight.zero_()
        classifier.head.bias.fill_(5.0)
    classifier.card = {"robot": robot}
    classifier.save(path)
    return path


def test_pictures_of_success_end_the_episode_with_a_reward_once_enough_agree(world: World):
    classifier = always_sure(world.folder / "reward.safetensors", "emulated")
    start_arm(world, reward="classifier", classifier=classifier)
    spy = ArmSpy(world.domain)
    try:
        spy.run(lambda: sum(outcome.done for _, outcome in spy.outcomes()) >= 2, "two episodes", timeout=60)
        ends = [outcome for _, outcome in spy.outcomes() if outcome.done]
        for end in ends[:2]:
            assert (end.terminated, end.success, end.reward) == (True, True, 1.0)
            assert end.step == CONFIRMATIONS - 1
        early = [outcome for _, outcome in spy.outcomes() if not outcome.done]
        assert np.all([outcome.reward == 0 for outcome in early])
    finally:
        spy.close()


@pytest.mark.parametrize(
    ("robot", "says"), [(None, "reward:=classifier needs classifier:=PATH"), ("wx250s", "reward.safetensors")]
)
def test_a_judge_that_is_missing_or_for_another_robot_is_one_line(world: World, robot, says):
    given = {"classifier": always_sure(world.folder / "reward.safetensors", robot)} if robot else {}
    running = world.node("arm_node", robot="emulated", reward="classifier", **given)
    assert running.wait(30) != 0
    assert says in one_line_error(running.output)
