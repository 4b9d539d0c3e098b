"""Record scripted demonstrations in simulation into an MCAP bag."""

from pathlib import Path
from typing import Any

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable, Shutdown
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

PARAMETERS = str(Path(__file__).resolve().parent.parent / "config" / "nodes.yaml")

RENDERER = "pybullet-tiny"
"""Noted in the bag; a test holds it against the simulator."""


def argument(name: str, kind: type = str) -> ParameterValue:
    """The launch argument as a parameter of this type."""
    return ParameterValue(LaunchConfiguration(name), value_type=kind)


def node(name: str, parameters: dict[str, Any]) -> Node:
    """One of the graph's nodes; when it ends, the graph does."""
    return Node(
        package="parrot",
        executable=name,
        name=name,
        parameters=[LaunchConfiguration("params"), parameters],
        on_exit=Shutdown(reason=f"{name} has ended"),
    )


def generate_launch_description() -> LaunchDescription:
    """The graph: sim_node, which acts by its own scripted policy, and recorder_node."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("task", default_value="collect", description="The task; `parrot tasks` lists all."),
            DeclareLaunchArgument(
                "episodes", default_value="100", description="Episodes to record, failures included."
            ),
            DeclareLaunchArgument(
                "successes", default_value="0", description="Successful episodes to record, however many; 0: episodes."
            ),
            DeclareLaunchArgument(
                "bag",
                default_value=["data/", LaunchConfiguration("task"), "_bag"],
                description="Folder of the bag; if it exists, BAG_2, BAG_3 and so on.",
            ),
            DeclareLaunchArgument("robot", default_value="xarm6", description="The robot, a name in config/robots."),
            DeclareLaunchArgument("seed", default_value="0", description="Seed of the scenes and of the noise."),
            DeclareLaunchArgument("params", default_value=PARAMETERS, description="The nodes' parameter file."),
            DeclareLaunchArgument(
                "discovery_range",
                default_value=EnvironmentVariable("ROS_AUTOMATIC_DISCOVERY_RANGE", default_value="LOCALHOST"),
                description="Who may find the graph: LOCALHOST, or SUBNET for other machines too.",
            ),
            SetEnvironmentVariable("ROS_AUTOMATIC_DISCOVERY_RANGE", LaunchConfiguration("discovery_range")),
            node(
                "recorder_node", {**{name: argument(name) for name in ("bag", "task", "robot")}, "renderer": RENDERER}
            ),
            node(
                "sim_node",
                {
                    "task": argument("task"),
                    "robot": argument("robot"),
                    "seed": argument("seed", int),
                    "episodes": argument("episodes", int),
                    "successes": argument("successes", int),
                    "policy": "scripted",
                    "terminate_on_success": False,
                    "recorded": True,
                },
            ),
        ]
    )
