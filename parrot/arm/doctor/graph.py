"""What else is in the graph: whether the e-stop is there and open, who acts already, and who will say it is done."""

from __future__ import annotations

from collections.abc import Iterator

from parrot.arm.doctor.finding import Finding, failure, ok, warning
from parrot.arm.doctor.robot_file import Patient
from parrot.arm.doctor.seen import Seen

__all__ = ["check_actors", "check_estop", "check_limits", "check_reward"]

SAFETY, REWARD = "safety", "reward"

ARM = "arm_node"

SET, TRIGGER = "std_srvs/srv/SetBool", "std_srvs/srv/Trigger"


def check_limits(patient: Patient) -> Iterator[Finding]:
    """What the limits are."""
    limits = patient.limits
    value = f"{limits.linear_speed:g} m/s, {limits.angular_speed:g} rad/s, joints {limits.joint_speed:g} rad/s"
    yield ok(SAFETY, "speed caps", f"{value}; after {limits.watchdog} periods without an action: hold")


def check_estop(seen: Seen) -> Iterator[Finding]:
    """Whether arm_node, if it is up, is one, has its e-stop, and is not stopped by it."""
    count = seen.nodes.count(ARM)
    if count == 0:
        yield ok(SAFETY, "e-stop", f"{ARM} is not up; service and topic estop come with it")
        return
    if count > 1:
        yield failure(SAFETY, ARM, f"{count} of them are up", "end all but one: two would command the arm")
        return
    types, topic = seen.services.get("/estop", ()), seen.topic("estop")
    if SET not in types or not any(end.node == ARM for end in topic.subscribers):
        remedy = f"restart {ARM}; if it waits to be configured: ros2 lifecycle set /{ARM} configure"
        yield failure(SAFETY, "e-stop", f"{ARM} is up without it", remedy)
        return
    stopped = seen.status.get(ARM, {}).get("stopped", "not told yet")
    if stopped == "estop":
        remedy = "let go when it is safe: L in operator_node, or service estop with false"
        yield warning(SAFETY, "e-stop", "latched", remedy)
    elif stopped == "no":
        yield ok(SAFETY, "e-stop", f"service and topic are heard by {ARM}, not latched")
    else:
        yield warning(SAFETY, "e-stop", f"heard; {ARM} is stopped: {stopped}", "see joint states and camera")


def check_actors(seen: Seen) -> Iterator[Finding]:
    """Whether somebody already says what the arm is to do next."""
    actors = sorted({end.node for end in seen.topic("action").publishers})
    if actors and ARM not in seen.nodes:
        value = f"{', '.join(actors)} is up: the arm follows as soon as {ARM} is"
        yield warning(SAFETY, "action", value, "end it until the arm has gone home once")
    else:
        yield ok(SAFETY, "action", f"published by {', '.join(actors)}" if actors else "nobody acts yet")


def check_reward(seen: Seen) -> Iterator[Finding]:
    """Whether somebody can say that the task is done."""
    success = seen.topic("success")
    wrong = sorted({end.type for end in success.publishers} - {"std_msgs/msg/Bool"})
    if wrong:
        value = f"topic success is {', '.join(wrong)}, not std_msgs/msg/Bool"
        yield failure(REWARD, "success", value, "let it say true or false as std_msgs/Bool")
    elif success.publishers:
        who = ", ".join(sorted({end.node for end in success.publishers}))
        yield ok(REWARD, "success", f"topic of {who}: reward:=topic")
    elif "operator_node" in seen.nodes:
        yield ok(REWARD, "success", "operator_node is up: reward:=operator")
    else:
        remedy = "start operator_node in a terminal, or use reward:=topic or reward:=classifier"
        yield warning(REWARD, "success", "nobody is there yet who says that the task is done", remedy)
    if TRIGGER in seen.services.get("/reset_scene", ()):
        yield ok(REWARD, "scene", "service reset_scene: scene:=service")
    else:
        yield ok(REWARD, "scene", "no service reset_scene: scene:=operator or none")
