"""Demonstrate in simulation by hand: simulator and recorder; the keyboard has a terminal of its own, `teleop_node`."""

from pathlib import Path
from typing import Any

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, SetEnvironmentVariable, Shutdown
from launch.conditions import IfCondition
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

PARAMETERS = str(Path(__file__).resolve().parent.parent / "config" / "nodes.yaml")

RENDERER = "pybullet-tiny"
"""Noted in the bag; a test holds it against the simulator."""

HOW = "keyboard: run `ros2 run parrot teleop_node` (without ROS 2: `teleop_node`) in another terminal"


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
        on_exit=Shutdown(reason=f"{name} has ended"),
        **options,
    )


def generate_launch_description() -> LaunchDescription:
    """The graph: sim_node, recorder_node, and teleop_node if input:=joy."""
    by = {
        word: IfCondition(PythonExpression(["'", LaunchConfiguration("input"), f"' == '{word}'"]))
        for word in ("keyboard", "joy")
    }
    bag: dict[str, Any] = {name: argument(name) for name in ("bag", "task", "robot")}
    return LaunchDescription(
        [
            DeclareLaunchArgument("task", default_value="collect", description="The task; `parrot tasks` lists all."),
            DeclareLaunchArgument(
                "input",
                default_value="keyboard",
                choices=["keyboard", "joy"],
                description="Who moves the arm: teleop_node in another terminal, or a gamepad on the topic joy.",
            ),
            DeclareLaunchArgument(
                "bag",
                default_value=["data/", LaunchConfiguration("task"), "_teleop_bag"],
                description="Folder of the bag; if it exists, BAG_2, BAG_3 and so on.",
            ),
            DeclareLaunchArgument("robot", default_value="xarm6", description="The robot, a name in config/robots."),
            DeclareLaunchArgument("seed", default_value="0", description="Seed of the scenes."),
            DeclareLaunchArgument("episodes", default_value="0", description="Episodes to record; 0: until Ctrl-C."),
            DeclareLaunchArgument("params", default_value=PARAMETERS, description="The nodes' parameter file."),
            DeclareLaunchArgument(
                "discovery_range",
                default_value=EnvironmentVariable("ROS_AUTOMATIC_DISCOVERY_RANGE", default_value="LOCALHOST"),
                description="Who may find the graph: LOCALHOST, or SUBNET for other machines too.",
            ),
            SetEnvironmentVariable("ROS_AUTOMATIC_DISCOVERY_RANGE", LaunchConfiguration("discovery_range")),
            LogInfo(msg=HOW, condition=by["keyboard"]),
            node("recorder_node", {"renderer": RENDERER, **bag}),
            node(
                "sim_node",
                {
                    "task": argument("task"),
                    "robot": argument("robot"),
                    "seed": argument("seed", int),
                    "episodes": argument("episodes", int),
                    "terminate_on_success": True,
                    "recorded": True,
                    # A human thinks; nothing is wrong with that.
                    "answer_timeout": 3600.0,
                },
            ),
            node("teleop_node", {"input": "joy"}, condition=by["joy"]),
        ]
    )
