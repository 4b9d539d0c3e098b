"""parrot doctor against the emulated arm on real DDS: an arm in order passes, faults are named, nothing is sent."""

from __future__ import annotations

import json
import time

import cv2
import pytest
from arm_tools import ROBOT, STILL, ArmSpy
from graph_tools import World
from trajectory_msgs.msg import JointTrajectory

from parrot.arm.doctor import Finding, examine
from parrot.nodes.doctor import NAME, Doctor, look

pytestmark = pytest.mark.timeout(240)

SECONDS = 1.5

TIMED = {("joint states", "rate"), ("camera", "rate"), ("clock", "age of joint states"), ("clock", "age of camera")}
"""What a machine that is busy with other things fails in, and rightly so."""

TRIES = 8
"""Looks, of which one must find just what there is."""


@pytest.fixture(scope="module")
def listener(shared_world: World):
    shared_world.node("emulated_arm_node", robot="emulated", task="grasp_can")
    found = ArmSpy(shared_world.domain)
    yield found
    found.close()


@pytest.fixture
def spy(listener: ArmSpy) -> ArmSpy:
    """The listener beside an arm in order, of which it has seen joints and pictures."""
    listener.fault("clear")
    listener.forget()
    listener.wait(
        lambda: len(listener.path) > 20 and listener.node.count_publishers(ROBOT.camera.topic), what="the arm"
    )
    listener.forget()
    return listener


@pytest.fixture
def still(spy: ArmSpy):
    """Whatever the test does, nobody commands the arm, and it does not move."""
    begin = time.monotonic()
    yield
    spy.wait(lambda: len(spy.path) > 3, what="joint states")
    assert spy.wire == []
    assert spy.moved(begin) < STILL


def findings(world: World, spy: ArmSpy) -> dict[tuple[str, str], Finding]:
    """What the doctor tells now, by subject and thing; its node has subscriptions and nothing else all the while."""

    def watch(node: Doctor) -> None:
        spy.executor.spin_once(timeout_sec=0)
        assert {publisher.topic_name for publisher in node.publishers} <= {"/parameter_events"}
        assert list(node.clients) == []
        assert {service.srv_type.__name__ for service in node.services} <= {"GetTypeDescription"}  # every node's

    return {(f.subject, f.thing): f for f in examine(ROBOT, look(ROBOT, SECONDS, world.domain, watch))}


def failures(found: dict[tuple[str, str], Finding]) -> set[tuple[str, str]]:
    return {name for name, finding in found.items() if finding.level == "failure"}


def look_until(world: World, spy: ArmSpy, expected: set[tuple[str, str]]) -> dict[tuple[str, str], Finding]:
    """Looks until there are just these failures: a busy machine's first pictures and answers take their time."""
    for _ in range(TRIES):
        found = findings(world, spy)
        if failures(found) - TIMED == expected - TIMED and failures(found) >= expected:
            break
    return found


def test_an_arm_in_order_passes_and_is_not_touched(shared_world, spy, still, tmp_path):
    picture = tmp_path / "crop.png"
    words = ["-m", "parrot.cli", "doctor", "robot:=emulated", "--json", "--seconds", "2", "--picture", str(picture)]
    running = shared_world.start(*words)

    def doctor_is_up() -> bool:
        return NAME in spy.node.get_node_names() and bool(spy.node.get_subscriber_names_and_types_by_node(NAME, "/"))

    spy.wait(doctor_is_up, what="the doctor")
    told = dict(spy.node.get_publisher_names_and_types_by_node(NAME, "/"))
    assert set(told) <= {"/parameter_events"}
    assert spy.node.get_client_names_and_types_by_node(NAME, "/") == []
    for _ in range(TRIES):
        spy.wait(lambda ended=running: ended.process.poll() is not None, what="the doctor's end")
        report = json.loads(running.output)
        found = {(f["subject"], f["thing"]): f for f in report["findings"]}
        failed = {name for name, finding in found.items() if finding["level"] == "failure"}
        assert failed <= TIMED, running.output
        assert running.wait() == int(bool(failed)) == int(report["failure"] > 0)
        if not failed:
            break
        running = shared_world.start(*words)
    assert running.wait() == 0, running.output
    assert {subject for subject, _ in found} >= {"robot file", "driver", "joint states", "camera", "clock", "safety"}
    assert found["robot file", "kinematics"]["value"].startswith("robot_description")
    assert found["driver", "commands"]["level"] == found["gripper", "commands"]["level"] == "ok"
    assert cv2.imread(str(picture)).shape == (480, 640 + 480, 3)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("no_camera", {("camera", "topic")}),
        ("freeze_camera", {("camera", "change")}),
        ("drop_joints", {("joint states", "topic")}),
        ("clock_jump -3600", {("clock", "age of joint states"), ("clock", "age of camera")}),
    ],
)
def test_each_fault_is_named(shared_world, spy, still, fault, expected):
    spy.fault(fault)
    name = fault.split()[0]
    spy.wait(lambda: name in spy.status.get("emulated_arm_node", {}).get("faults", ""), what=fault)
    found = failures(look_until(shared_world, spy, expected))
    assert found >= expected
    assert found - expected <= TIMED


def test_a_second_commander_is_named(shared_world, spy, still):
    other = spy.node.create_publisher(JointTrajectory, ROBOT.driver.command, 10)
    try:
        expected = {("driver", "commands")}
        assert failures(look_until(shared_world, spy, expected)) - TIMED == expected
    finally:
        spy.node.destroy_publisher(other)


def test_ctrl_c_ends_it_in_one_line(shared_world, spy, still):
    running = shared_world.start("-m", "parrot.cli", "doctor", "emulated", "--seconds", "60")
    spy.wait(lambda: NAME in spy.node.get_node_names(), what="the doctor")
    running.interrupt()
    assert running.wait() == 130
    assert running.output == "parrot: interrupted\n"


def test_an_arm_that_is_not_there_is_a_failure_with_what_to_do(shared_world, spy, still):
    running = shared_world.start("-m", "parrot.cli", "doctor", "robot:=wx250s", "--seconds", "1")
    spy.wait(lambda: running.process.poll() is not None, what="the doctor's end")
    assert running.wait() == 1
    assert "Traceback" not in running.output
    assert "/wx250s/joint_states: nobody publishes it" in running.output
    assert "interbotix_ros_core" in running.output


@pytest.fixture(scope="module")
def commanded(shared_world):
    """From now on arm_node commands the arm; one, however often its test is run."""
    shared_world.node("camera_node", robot="emulated")
    shared_world.node("arm_node", robot="emulated", reward="topic", scene="service")


def test_a_latched_estop_of_arm_node_is_told(shared_world, spy, commanded):
    """The last test here, for the others have no arm_node."""
    spy.estop(True)
    spy.wait(lambda: spy.says("stopped") == "estop", what="the e-stop")
    found = look_until(shared_world, spy, set())
    assert failures(found) - TIMED == set()
    assert found["safety", "e-stop"].value == "latched"
    assert found["driver", "commands"].level == "ok"
