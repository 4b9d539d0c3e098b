"""Run a trained policy in simulation for some trials, and say how often and how fast it succeeds."""

from pathlib import Path
from typing import Any

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable, Shutdown
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

PARAMETERS = str(Path(__file__).resolve().parent.parent / "config" / "nodes.yaml")

ARGUMENTS = [
    # name, default, description
    ("policy", "", "The policy, a file made by `parrot export`; it has to be given."),
    ("task", "grasp_cap", "The task; `parrot tasks` lists all."),
    ("trials", "20", "Trials after which the graph ends, those in the folder `out` included."),
    ("robot", "xarm6", "The robot: a name in config/robots, or the path of a YAML file."),
    ("seed", "0", "Seed of the scenes and of the policy's noise."),
]


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
    """The graph: sim_node, policy_node, and deploy_node, for which the simulator waits and which ends it all."""
    declared = [DeclareLaunchArgument(name, default_value=default, description=d) for name, default, d in ARGUMENTS]
    declared += [
        DeclareLaunchArgument(
            "out",
            default_value=["runs/deploy-", LaunchConfiguration("task")],
            description="Folder of the trials: episodes.csv, summary.json; the same folder goes on.",
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
    world = {"task": argument("task"), "robot": argument("robot"), "seed": argument("seed", int)}
    # The scenes go on after those of the trials in the folder.
    world.update(run_dir=argument("out"), terminate_on_success=True, recorded=True)
    policy = {"policy": argument("policy"), "robot": argument("robot"), "seed": argument("seed", int)}
    policy.update(renderer="pybullet-tiny")
    trials = {name: argument(name) for name in ("task", "robot", "out")}
    trials.update(trials=argument("trials", int))
    return LaunchDescription(
        [
            *declared,
            SetEnvironmentVariable("ROS_AUTOMATIC_DISCOVERY_RANGE", LaunchConfiguration("discovery_range")),
            node("sim_node", world),
            node("policy_node", policy),
            node("deploy_node", trials, output="screen"),
        ]
    )
