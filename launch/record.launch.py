"""Record the loop's topics of a graph that runs already, in simulation or on an arm, into an MCAP bag."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable, Shutdown
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

PARAMETERS = str(Path(__file__).resolve().parent.parent / "config" / "nodes.yaml")


ARGUMENTS = [
    # name, default, description; the defaults are those of recorder_node, which a test holds
    ("bag", "data/bag", "Folder of the bag; if it exists, BAG_2, BAG_3 and so on."),
    ("topics", "", "Further topics to record: TOPIC TYPE, separated by commas."),
    ("expected", "camera/image", "Topics that must not fall silent: TOPIC or TOPIC RATE, separated by commas."),
    ("silence", "5.0", "Seconds without a message after which an expected topic is called silent."),
    ("min_free_gb", "2.0", "Gigabytes left on the disk below which the recorder warns."),
    ("task", "", "Noted in the bag's metadata."),
    ("robot", "", "Noted in the bag's metadata."),
    ("renderer", "", "Noted in the bag's metadata: what draws the images, if no real camera takes them."),
    ("object_split", "", "Noted in the bag's metadata: train or test."),
]

NUMBERS = ("silence", "min_free_gb")


def generate_launch_description() -> LaunchDescription:
    """recorder_node alone; Ctrl-C completes the bag."""
    values = {
        name: ParameterValue(LaunchConfiguration(name), value_type=float if name in NUMBERS else str)
        for name, _, _ in ARGUMENTS
    }
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS
            ),
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
