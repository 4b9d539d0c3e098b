"""sim_node on real DDS: it steps for the action that answers its latest image, and for nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from graph_tools import Spy, World
from std_srvs.srv import SetBool, Trigger

from parrot.nodes import topics
from parrot.sim.env import ManipulationEnv
from parrot.spaces import ACTION_NAMES, EPISODE_STEPS, OUTCOME_NAMES, Outcome

PERIOD = 100_000_000


@pytest.fixture(scope="module")
def sim(shared_world: World):
    return shared_world.node("sim_node", task="grasp_can", seed=3, republish_period=0.2, answer_timeout=1.0)


@pytest.fixture
def joined(sim, shared_spy: Spy) -> Spy:
    """A spy that knows only what is repeated, as one that has joined late."""
    shared_spy.forget()
    shared_spy.wait(lambda: shared_spy.matched(topics.ACTION), what="sim_node's subscription")
    shared_spy.wait(lambda: shared_spy.images and shared_spy.vectors[topics.JOINT_STATES], what="an image")
    return shared_spy


def step(spy: Spy, action) -> tuple[int, Outcome]:
    """Answers the latest image, again if it is repeated, and waits for the outcome and the next image."""
    stamp = spy.images[-1][0]
    spy.act(stamp, action)
    spy.wait(lambda: stamp in spy.stamps(topics.OUTCOME) and spy.images[-1][0] > stamp, what="an outcome")
    _, names, values = next(v for v in spy.vectors[topics.OUTCOME] if v[0] == stamp)
    assert tuple(names) == OUTCOME_NAMES
    return stamp, Outcome.from_vector(values)


def test_an_episode_in_lockstep_is_the_very_same_as_in_process(joined):
    # Runs first: the episode is the simulator's first.
    rng = np.random.default_rng(0)
    env = ManipulationEnv("grasp_can", terminate_on_success=True)
    expected, _ = env.reset(seed=3)
    assert np.array_equal(joined.images[-1][1], expected)
    for index in range(EPISODE_STEPS):
        action = rng.uniform(-1, 1, 7).astype(np.float32)
        stamp, outcome = step(joined, action)
        expected, reward, terminated, truncated, info = env.step(action)
        assert outcome == Outcome(reward, info["success"], terminated, truncated, index)
        if outcome.done:
            expected, _ = env.reset()
        assert joined.images[-1][0] == stamp + PERIOD
        assert np.array_equal(joined.images[-1][1], expected)
        joined.wait(lambda: joined.images[-1][0] in joined.clocks, what="the clock")
        joined.wait(lambda: joined.images[-1][0] in joined.stamps(topics.JOINT_STATES), what="the joints")
    env.close()
    assert outcome.done


@pytest.mark.parametrize(
    ("names", "values", "reason"),
    [
        (ACTION_NAMES, [0, 0, 1, 0, 0, np.nan, 0], "not finite in dyaw"),
        (ACTION_NAMES, [0, 0, np.inf, 0, 0, 0, 0], "not finite in dz"),
        (ACTION_NAMES[:6], [0, 0, 1, 0, 0, 0], "expected 7 named"),
        (tuple("abcdefg"), [0, 0, 1, 0, 0, 0, 0], "expected 7 named dx"),
        ((), [0, 0, 1, 0, 0, 0, 0], "named nothing"),
    ],
)
def test_a_bad_action_is_refused_and_the_arm_does_not_move(joined, sim, names, values, reason):
    stamp, image = joined.images[-1]
    joints = joined.vectors[topics.JOINT_STATES][-1][2]
    refused = int(joined.status.get("sim_node", {}).get("action refused", 0))
    joined.act(stamp, values, names)
    joined.wait(lambda: int(joined.status.get("sim_node", {}).get("action refused", 0)) > refused, what="a refusal")
    joined.spin(0.5)
    assert stamp not in joined.stamps(topics.OUTCOME)
    assert joined.images[-1][0] == stamp
    assert np.array_equal(joined.images[-1][1], image)
    assert joined.vectors[topics.JOINT_STATES][-1][2] == joints
    step(joined, np.zeros(7))


def test_a_refusal_is_logged_with_its_reason(joined, sim):
    for _ in range(10):  # a refusal that follows another within two seconds is only counted
        joined.act(joined.images[-1][0], [np.nan] * 7)
        joined.spin(0.5)
    assert "action is not finite in dx, dy" in sim.output


def test_names_in_another_order_are_put_in_order(joined):
    before = joined.vectors[topics.JOINT_STATES][-1][2]
    stamp = joined.images[-1][0]
    joined.act(stamp, [1.0, 0, 0, 0, 0, 0, 0], ACTION_NAMES[::-1])  # gripper 1: open, which it is; nothing moves
    joined.wait(lambda: joined.images[-1][0] > stamp, what="the next image")
    assert np.allclose(joined.vectors[topics.JOINT_STATES][-1][2], before, atol=0.01)


def test_an_action_for_an_old_image_is_ignored(joined):
    old, _ = step(joined, np.zeros(7))
    now = joined.images[-1][0]
    joined.act(old, np.ones(7))
    joined.act(now + PERIOD, np.ones(7))
    joined.spin(0.5)
    assert joined.images[-1][0] == now
    assert joined.stamps(topics.OUTCOME).count(now) == 0


def test_silence_is_complained_of_loudly(joined, sim):
    joined.wait(lambda: "is the prior node" in sim.output, timeout=15, what="the complaint")
    assert "no action for the image" in sim.output


def test_reset_ends_the_episode_and_shows_another_scene(joined):
    step(joined, np.zeros(7))
    stamp, image = joined.images[-1]
    answer = joined.call(Trigger, "reset", Trigger.Request())
    assert answer.success
    joined.wait(lambda: joined.images[-1][0] > stamp, what="a new image")
    outcome = Outcome.from_vector(next(v[2] for v in joined.vectors[topics.OUTCOME] if v[0] == stamp))
    assert outcome.truncated
    assert not outcome.terminated
    assert not np.array_equal(joined.images[-1][1], image)
    assert step(joined, np.zeros(7))[1].step == 0


def test_pause_holds_the_action_that_comes_meanwhile(joined):
    stamp = joined.images[-1][0]
    assert joined.call(SetBool, "pause", SetBool.Request(data=True)).success
    joined.act(stamp, np.zeros(7))
    joined.spin(0.7)
    assert joined.images[-1][0] == stamp
    assert joined.call(SetBool, "pause", SetBool.Request(data=False)).success
    joined.wait(lambda: joined.images[-1][0] > stamp, what="the step after the pause")


def test_parameters_explain_themselves(joined):
    from rcl_interfaces.srv import DescribeParameters

    names = ["task", "seed", "republish_period"]
    task, seed, period = joined.call(
        DescribeParameters, "sim_node/describe_parameters", DescribeParameters.Request(names=names)
    ).descriptors
    assert task.read_only
    assert "task" in task.description
    assert seed.integer_range[0].from_value == 0
    assert period.floating_point_range[0].to_value == 60.0
