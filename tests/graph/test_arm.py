"""The arm's nodes on real DDS against the emulated arm: the loop keeps its rate; whatever fails, the arm is still."""

from __future__ import annotations

import signal
import time

import numpy as np
import pytest
from arm_tools import ACTOR, PERIOD, STILL, ArmSpy, start_arm
from graph_tools import World, one_line_error
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from parrot.nodes import topics
from parrot.spaces import ACTION_NAMES, EPISODE_STEPS, OUTCOME_NAMES

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def arm(shared_world: World):
    return start_arm(shared_world)


@pytest.fixture(scope="module")
def listener(shared_world: World):
    found = ArmSpy(shared_world.domain)
    yield found
    found.close()


@pytest.fixture
def spy(arm, listener: ArmSpy) -> ArmSpy:
    """The listener, in an episode that is under way, with an arm in order."""
    listener.forget()
    listener.fault("clear")
    listener.stepping()
    listener.forget()
    return listener


def test_an_episode_keeps_its_rate_and_has_the_simulators_messages(spy):
    spy.run(lambda: sum(outcome.done for _, outcome in spy.outcomes()) >= 2, "an episode")
    outcomes = spy.outcomes()
    ends = [index for index, (_, outcome) in enumerate(outcomes) if outcome.done]
    episode = outcomes[ends[0] + 1 : ends[1] + 1]
    assert [outcome.step for _, outcome in episode] == list(range(EPISODE_STEPS))
    assert episode[-1][1].truncated
    assert {tuple(names) for _, names, _ in spy.vectors[topics.OUTCOME]} == {OUTCOME_NAMES}
    stamps = [stamp for stamp, _ in episode]
    assert stamps == sorted(stamps)
    assert set(stamps) <= {stamp for stamp, _ in spy.images}
    assert set(stamps) <= set(spy.stamps(topics.JOINT_STATES))
    assert np.median(np.diff(stamps)) / 1e9 == pytest.approx(PERIOD, abs=0.035)  # the camera's pictures are 33 ms apart
    assert (stamps[-1] - stamps[0]) / 1e9 == pytest.approx(PERIOD * (EPISODE_STEPS - 1), rel=0.2)
    latencies = "image to command, p50, p99 and most in ms"
    spy.wait(lambda: spy.says(latencies), what="latencies")
    # What the arm was told, for the recorder: of small steps, all.
    told = dict((stamp, values) for stamp, _, values in spy.told)
    asked = dict((stamp, values) for stamp, _, values in spy.vectors[topics.ACTION])
    assert set(stamps) <= set(told)
    assert np.median([np.abs(np.subtract(told[s], asked[s])).max() for s in stamps]) < 1e-9
    median, *_ = map(float, spy.says(latencies).split())
    assert median < 30


def test_kinematics_come_from_the_urdf_that_the_driver_publishes(spy):
    spy.wait(lambda: spy.says("kinematics").startswith("robot_description"), what="robot_description")


def test_what_the_limits_leave_of_an_action_is_said(spy):
    spy.policy = lambda stamp: np.array([0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    spy.wait(lambda: spy.counted("safety: workspace"), what="the workspace's edge")  # 0.24 m away: seven steps
    spy.spin(1.0)
    spy.policy = None
    sideways = [values[1] for _, _, values in spy.told]
    assert max(sideways) > 0.9
    assert abs(sideways[-1]) < 0.1


def test_the_operators_words_are_heard(spy):
    spy.say("success")
    spy.run(lambda: any(outcome.terminated and outcome.success for _, outcome in spy.outcomes()), "the end")
    spy.say("nonsense")
    spy.wait(lambda: spy.counted("word refused"), what="the refusal")
    spy.say("estop")
    spy.wait(lambda: spy.says("stopped") == "estop", what="the stop")
    spy.estop(False)


def test_no_command_reaches_further_than_one_control_step(spy):
    spy.run(lambda: len(spy.wire) > 20, "commands", side=0.8)
    assert all(0 < seconds <= PERIOD + 1e-6 for _, _, seconds in spy.wire)


def test_the_arm_is_still_two_periods_after_its_policy_is_killed(spy, shared_world):
    spy.wait(lambda: not spy.says("phase").startswith("reset"), what="an episode")
    actor = shared_world.start("-c", ACTOR)
    # While the actor starts, an episode may end for want of actions, and its way home is not for the watchdog to stop.
    spy.wait(lambda: spy.moving() and spy.followed(), what="an arm that follows the actor")
    actor.process.send_signal(signal.SIGKILL)
    actor.wait()
    killed = time.monotonic()
    spy.spin(1.2)
    assert spy.moved(killed + 2 * PERIOD) < STILL
    spy.wait(lambda: spy.counted("safety: watchdog"), what="the watchdog")


@pytest.mark.parametrize(
    ("names", "values"),
    [(ACTION_NAMES, [np.nan] * 7), (ACTION_NAMES[:6], [1.0] * 6), (ACTION_NAMES, [np.inf] + [0.0] * 6)],
)
def test_a_malformed_action_is_counted_and_nothing_moves(spy, names, values):
    spy.wait(lambda: "action refused" in spy.status.get("arm_node", {}) or spy.says("phase"), what="diagnostics")
    before = spy.counted("action refused")
    spy.spin(2 * PERIOD)
    quiet = time.monotonic()
    spy.act(spy.images[-1][0] if spy.images else spy.answered, values, names)
    spy.wait(lambda: spy.counted("action refused") > before, what="a refusal")
    assert spy.moved(quiet) < STILL


def test_a_stale_action_is_counted_and_nothing_moves(spy):
    spy.spin(2 * PERIOD)
    quiet = time.monotonic()
    spy.act(12345, np.ones(7))
    spy.wait(lambda: spy.counted("stale actions"), what="the count")
    assert spy.moved(quiet) < STILL


@pytest.mark.parametrize(
    ("fault", "reason", "limit"),
    [("drop_joints", "joints stale", 0.2), ("freeze_camera", "camera frozen", 2.0), ("no_camera", "camera stale", 0.5)],
)
def test_the_arm_stops_for_a_fault_and_goes_on_after_it(spy, arm, fault, reason, limit):
    spy.fault(fault)
    spy.run(lambda: spy.says("stopped") == reason, f"a stop for {reason}", side=0.3, timeout=limit + 10)
    begin = time.monotonic()
    heard = len(spy.outcomes())
    spy.policy = lambda stamp: np.ones(7)
    spy.spin(1.0)
    spy.policy = None
    assert len(spy.outcomes()) == heard
    targets = np.array([joints for when, joints, _ in spy.wire if when > begin])
    assert len(targets)
    assert np.ptp(targets, axis=0).max() < STILL
    spy.fault("clear")
    spy.stepping()
    assert any(outcome.truncated and outcome.step < EPISODE_STEPS - 1 for _, outcome in spy.outcomes())


def test_an_e_stop_latches_and_lets_go_slowly(spy):
    spy.run(lambda: len(spy.outcomes()) > 3, "steps", side=0.8)
    spy.stops.publish(Bool(data=True))
    spy.wait(lambda: spy.says("stopped") == "estop", what="the stop")
    stopped = time.monotonic()
    spy.stops.publish(Bool(data=False))
    spy.policy = lambda stamp: np.ones(7)
    spy.spin(1.0)
    assert spy.says("stopped") == "estop"
    assert spy.moved(stopped) < STILL
    spy.policy = None
    released = time.monotonic()
    spy.estop(False)
    spy.stepping()
    # Homewards first; in the first fifth of a second the caps are a fifth of what they are later.
    assert spy.moved(released, released + 0.2) < 0.2 * 0.2 * 3.0 + STILL


def test_a_pause_holds_and_goes_on(spy):
    assert spy.call(SetBool, "pause", SetBool.Request(data=True)).success
    spy.spin(2 * PERIOD)
    quiet = time.monotonic()
    spy.policy = lambda stamp: np.ones(7)
    spy.spin(0.6)
    spy.policy = None
    assert spy.moved(quiet) < STILL
    spy.wait(lambda: spy.says("paused") == "True", what="the diagnostics")
    assert spy.call(SetBool, "pause", SetBool.Request(data=False)).success
    spy.stepping()


def test_the_operator_ends_episodes_with_and_without_success(spy):
    def next_end(service: str):
        spy.run(lambda: spy.outcomes() and not spy.outcomes()[-1][1].done, "a step")
        spy.forget()
        assert spy.call(Trigger, service, Trigger.Request()).success
        spy.run(lambda: any(outcome.done for _, outcome in spy.outcomes()), "the end")
        return next(outcome for _, outcome in spy.outcomes() if outcome.done)

    won, lost = next_end("success"), next_end("failure")
    assert (won.reward, won.success, won.terminated) == (1.0, True, True)
    assert (lost.reward, lost.success, lost.terminated, lost.truncated) == (0.0, False, False, True)


def test_reset_ends_the_episode_and_sets_the_table(spy):
    scenes = int(spy.status.get("emulated_arm_node", {}).get("scenes", 0))
    assert spy.call(Trigger, "reset", Trigger.Request()).success
    spy.run(lambda: any(outcome.truncated for _, outcome in spy.outcomes()), "the end")
    spy.wait(lambda: int(spy.status.get("emulated_arm_node", {}).get("scenes", 0)) > scenes, what="another scene")


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_the_loop_goes_on_when_the_drivers_clock_jumps(spy, seconds):
    before = spy.answered
    spy.fault(f"clock_jump {seconds}")
    spy.run(lambda: abs(spy.answered - before) > 3000e9, "the jump", timeout=10)
    spy.stepping()


def test_a_node_that_is_deactivated_does_not_act_until_it_is_active_again(spy):
    def change(transition: int) -> None:
        request = ChangeState.Request(transition=Transition(id=transition))
        assert spy.call(ChangeState, "arm_node/change_state", request).success

    change(Transition.TRANSITION_DEACTIVATE)
    spy.spin(2 * PERIOD)
    spy.wire.clear()
    quiet = time.monotonic()
    spy.policy = lambda stamp: np.ones(7)
    spy.spin(0.6)
    spy.policy = None
    assert not spy.wire
    assert spy.moved(quiet) < STILL
    change(Transition.TRANSITION_CLEANUP)
    change(Transition.TRANSITION_CONFIGURE)
    spy.spin(0.5)
    assert not spy.wire
    change(Transition.TRANSITION_ACTIVATE)
    spy.stepping()


def test_the_last_command_of_a_node_that_is_told_to_end_is_to_hold(spy, arm, shared_world):
    spy.run(lambda: len(spy.outcomes()) > 3 and spy.moving(), "a moving arm", side=0.8)
    told = time.monotonic()
    arm["arm"].process.send_signal(signal.SIGTERM)
    assert arm["arm"].wait(10) == 0
    ended = time.monotonic()
    spy.spin(0.5)
    when, last, _ = spy.wire[-1]
    assert when > told
    # A hold is where the arm was measured, noise and all; no other command is.
    assert any(np.array_equal(last, measured) for _, measured in spy.path)
    assert spy.moved(ended + 2 * PERIOD) < STILL
    arm["arm"] = shared_world.node("arm_node", robot="emulated", reward="topic", scene="service")
    spy.stepping()


def test_an_action_that_comes_too_late_ends_the_episode(spy):
    stamp = spy.images[-1][0] if spy.images else 0
    spy.wait(lambda: spy.images and spy.images[-1][0] > stamp, what="an image")
    stamp = spy.images[-1][0]
    before = spy.counted("late actions")
    spy.spin(2.3)
    spy.act(stamp, np.ones(7))
    spy.wait(lambda: stamp in dict(spy.outcomes()), what="its outcome")
    assert dict(spy.outcomes())[stamp].truncated
    assert stamp not in [told for told, _, _ in spy.told]
    spy.wait(lambda: spy.counted("late actions") > before, what="the count")


def test_an_e_stop_outlives_the_node_that_was_killed(spy, arm, shared_world):
    def node():
        return shared_world.node("arm_node", robot="emulated", reward="topic", scene="service")

    spy.estop(True)
    arm["arm"].kill()
    spy.forget()
    second = node()
    spy.wait(lambda: spy.says("stopped") == "estop", what="the stop, remembered")
    assert "the e-stop was never let go of" in second.output
    spy.path.clear()
    began = time.monotonic()
    spy.policy = lambda stamp: np.ones(7)
    spy.spin(1.0)
    spy.policy = None
    assert spy.moved(began) < STILL
    spy.estop(False)
    spy.stepping()
    second.kill()
    spy.forget()
    arm["arm"] = node()
    spy.wait(lambda: spy.says("stopped") == "no", what="an arm that may move again")


def test_the_arm_is_still_two_periods_after_its_own_node_is_killed(spy, arm, shared_world):
    spy.run(spy.moving, "a moving arm", side=0.8)
    arm["arm"].process.send_signal(signal.SIGKILL)
    arm["arm"].wait()
    killed = time.monotonic()
    spy.spin(0.8)
    assert spy.moved(killed + 2 * PERIOD) < STILL
    arm["arm"] = shared_world.node("arm_node", robot="emulated", reward="topic", scene="service")


def test_an_arm_that_does_not_come_home_is_given_up_in_one_line(spy, arm, shared_world):
    spy.run(spy.moving, "an arm away from home", side=0.8)
    spy.fault("ignore_commands")
    arm["arm"].kill()
    node = shared_world.node("arm_node", robot="emulated", reward="topic", scene="service", home_timeout=2.0)
    assert node.wait(30) == 7
    assert "the arm has not come home within 2 s" in one_line_error(node.output)


def test_a_driver_whose_messages_are_not_installed_is_one_line_before_anything_moves(world):
    node = world.node("arm_node", robot="xarm6")
    assert node.wait(30) == 2
    assert "xarm_msgs/srv/GripperMove is not installed" in one_line_error(node.output)
