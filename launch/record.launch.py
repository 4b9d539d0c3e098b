"""Record the loop's topics of a graph that runs already, in simulation or on an arm, into an MCAP bag."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable, Shutdown
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

PARAMETERS = str(Path(__file__).resolve().parent.parent / "config" / "nodes.yaml")


def generate_launch_description() -> LaunchDescription:
    """recorder_node alone; Ctrl-C completes the bag."""
    names = ("bag", "task", "robot")
    values = {name: ParameterValue(LaunchConfiguration(name), value_type=str) for name in names}
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "bag", default_value="data/bag", description="Folder of the bag; if it exists, BAG_2 and so on."
            ),
            DeclareLaunchArgument("task", default_value="", description="Noted in the bag's metadata."),
            DeclareLaunchArgument("robot", default_value="", description="Noted in the bag's metadata."),
            DeclareLaunchArgument("params", default_value=PARAMETERS, description="The node's parameter file."),
            DeclareLaunchArgument(
                "discovery_range",
                default_value=EnvironmentVariable("ROS_AUTOMATIC_DISCOVERY_RANGE", default_value="LOCALHOST"),
                description="Where the graph is: LOCALHOST, or SUBNET for other machines too.",
            ),
            SetEnvironmentVariable("ROS_AUTOMATIC_DISCOVERY_RANGE", LaunchConfiguration("discovery_range")),
            Node(
                package="parrot",
                executable="recorder_node",
                name="recorder_node",
                parameters=[LaunchConfiguration("params"), values],
                on_exit=Shutdown(reason="recorder_node has ended"),
            ),
        ]
    )
