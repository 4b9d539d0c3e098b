"""Run a trained policy on a real arm for some trials, and say how often and how fast it succeeds."""

from pathlib import Path
from typing import Any

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

FOLDER = Path(__file__).resolve().parent


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


def generate_launch_description() -> LaunchDescription:
    """The graph of arm.launch.py, policy_node, and deploy_node, for which the arm waits and which ends it all."""
    out = ["runs/deploy-", LaunchConfiguration("robot"), "-", LaunchConfiguration("task")]
    arm = PythonLaunchDescriptionSource(str(FOLDER / "arm.launch.py"))
    policy = {"policy": argument("policy"), "robot": argument("robot"), "seed": argument("seed", int)}
    policy.update(renderer="camera")
    trials: dict[str, Any] = {name: argument(name) for name in ("task", "robot", "out")}
    trials.update(trials=argument("trials", int))
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "policy", default_value="", description="The policy, a file made by `parrot export`; has to be given."
            ),
            DeclareLaunchArgument("robot", default_value="xarm6", description="The robot: a name in config/robots."),
            DeclareLaunchArgument("task", default_value="grasp_cap", description="The task; a word for what is tried."),
            DeclareLaunchArgument(
                "trials", default_value="20", description="Trials after which all ends, those in `out` included."
            ),
            DeclareLaunchArgument("seed", default_value="0", description="Seed of the policy's noise."),
            DeclareLaunchArgument(
                "out",
                default_value=out,
                description="Folder of the trials: episodes.csv, summary.json; the same folder goes on.",
            ),
            # The arm waits for deploy_node, which waits for the policy: nothing moves for one that is refused.
            IncludeLaunchDescription(arm, launch_arguments={"record": "true"}.items()),
            node("policy_node", policy),
            node("deploy_node", trials, output="screen"),
        ]
    )
