"""A real arm and its camera as the graph's world, or the emulated ones: what sim_node is in simulation.

Alone, it moves the arm home and then waits for somebody who publishes `action`.
"""

from pathlib import Path
from typing import Any

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable, Shutdown
from launch.conditions import IfCondition
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

PARAMETERS = str(Path(__file__).resolve().parent.parent / "config" / "nodes.yaml")


def argument(name: str, kind: type = str) -> ParameterValue:
    """The launch argument as a parameter of this type."""
    return ParameterValue(LaunchConfiguration(name), value_type=kind)


def node(name: str, parameters: dict[str, Any], **options: Any) -> Node:
    """One of the graph's nodes; when it ends, the graph does."""
    return Node(
        package="parrot",
        executable=name,
        name=name,
        parameters=[LaunchConfiguration("params"), parameters],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        on_exit=Shutdown(reason=f"{name} has ended"),
        **options,
    )


def emulated(then: str, otherwise: str) -> PythonExpression:
    """One of two words: which, says the robot."""
    return PythonExpression([f"'{then}' if '", LaunchConfiguration("robot"), f"' == 'emulated' else '{otherwise}'"])


def generate_launch_description() -> LaunchDescription:
    """The graph: camera_node, arm_node, and emulated_arm_node if robot:=emulated."""
    declared = [
        DeclareLaunchArgument(
            "robot", default_value="xarm6", description="The robot, a name in config/robots or YAML."
        ),
        DeclareLaunchArgument("task", default_value="grasp_cap", description="The task; the emulated arm sets it up."),
        DeclareLaunchArgument("seed", default_value="0", description="Seed of the emulated arm's scenes."),
        DeclareLaunchArgument(
            "reward",
            default_value=emulated("topic", "operator"),
            choices=["operator", "topic", "classifier"],
            description="Who says that the task is done: the operator (operator_node, service), the topic success, "
            "or an image classifier.",
        ),
        DeclareLaunchArgument(
            "classifier", default_value="", description="File of `parrot reward train`, with reward:=classifier."
        ),
        DeclareLaunchArgument(
            "scene",
            default_value=emulated("service", "operator"),
            choices=["operator", "service", "none"],
            description="Who sets the table: the operator (operator_node, service), the service reset_scene, nobody.",
        ),
        DeclareLaunchArgument(
            "operator",
            default_value="none",
            choices=["none", "scripted"],
            description="Who drives the emulated arm, besides a policy: nobody, or a script that sees everything.",
        ),
        DeclareLaunchArgument("stop_after", default_value="0", description="Episodes after which all ends; 0: never."),
        DeclareLaunchArgument(
            "stop_after_successes", default_value="0", description="Successful episodes after which all ends."
        ),
        DeclareLaunchArgument(
            "terminate_on_success", default_value="true", description="End an episode on its first success."
        ),
        DeclareLaunchArgument(
            "timing", default_value="", description="CSV file that tells how well the loop keeps its time; empty: none."
        ),
        DeclareLaunchArgument(
            "record", default_value="false", choices=["true", "false"], description="Wait for a recorder."
        ),
        DeclareLaunchArgument("params", default_value=PARAMETERS, description="The nodes' parameter file."),
        DeclareLaunchArgument(
            "log_level", default_value="info", description="What the nodes log: debug, info, warn, error or fatal."
        ),
        DeclareLaunchArgument(
            "discovery_range",
            default_value=EnvironmentVariable("ROS_AUTOMATIC_DISCOVERY_RANGE", default_value="LOCALHOST"),
            description="Who may find the graph: LOCALHOST, or SUBNET for other machines too.",
        ),
    ]
    arm = {name: argument(name) for name in ("robot", "task", "reward", "classifier", "scene", "timing")}
    arm.update(terminate_on_success=argument("terminate_on_success", bool), recorded=argument("record", bool))
    arm.update(episodes=argument("stop_after", int), successes=argument("stop_after_successes", int))
    hardware = {name: argument(name) for name in ("robot", "task", "operator")} | {"seed": argument("seed", int)}
    is_emulated = IfCondition(PythonExpression(["'", LaunchConfiguration("robot"), "' == 'emulated'"]))
    return LaunchDescription(
        [
            *declared,
            SetEnvironmentVariable("ROS_AUTOMATIC_DISCOVERY_RANGE", LaunchConfiguration("discovery_range")),
            node("emulated_arm_node", hardware, condition=is_emulated),
            node("camera_node", {"robot": argument("robot")}),
            node("arm_node", arm),
        ]
    )
