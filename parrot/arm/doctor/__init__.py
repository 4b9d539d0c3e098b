"""`parrot doctor`: whether arm, camera, clocks and limits are in order, before anything moves.

Pure: what was seen of the graph (`Seen`) and the robot's YAML go in, findings come out. `parrot.nodes.doctor` looks.
"""

from __future__ import annotations

from parrot.arm.doctor import camera, clock, driver, graph, joints, robot_file
from parrot.arm.doctor.finding import SUBJECTS, Finding
from parrot.arm.doctor.seen import Seen
from parrot.sim.config import RobotConfig

__all__ = ["Finding", "Seen", "examine"]


def examine(robot: RobotConfig, seen: Seen) -> list[Finding]:
    """All findings about an arm in a graph, in the order of their subjects.

    Args:
        robot: The YAML.
        seen: What was seen of the graph.
    """
    patient, found = robot_file.patient_of(robot, seen.description)
    if patient is not None:
        found += robot_file.check_kinematics(patient, seen.description)
        for check in (
            robot_file.check_home, robot_file.check_workspace, robot_file.check_scales, robot_file.check_rates,
            driver.check_types, graph.check_limits,
        ):  # fmt: skip
            found += check(patient)
        for look in (
            driver.check_commands, joints.check_presence, joints.check_stamps, joints.check_rest, joints.check_place,
            driver.check_gripper,
        ):  # fmt: skip
            found += look(patient, seen)
    found += camera.check_camera(robot, seen)
    for judge in (
        clock.check_simulated_time, clock.check_clocks, graph.check_estop, graph.check_actors, graph.check_reward,
    ):  # fmt: skip
        found += judge(seen)
    return sorted(found, key=lambda finding: SUBJECTS.index(finding.subject))
