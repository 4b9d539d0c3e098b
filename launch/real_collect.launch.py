"""Record demonstrations on an arm into an MCAP bag: by hand through teleop_node, or scripted on the emulated arm."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PythonExpression

FOLDER = Path(__file__).resolve().parent


def included(name: str, **arguments: object) -> IncludeLaunchDescription:
    """Another launch file of ours with these arguments, and all of this one's."""
    source = PythonLaunchDescriptionSource(str(FOLDER / name))
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())


def generate_launch_description() -> LaunchDescription:
    """The graph: recorder_node and the arm's nodes; a person's teleop_node runs in a terminal of its own."""
    scripted = PythonExpression(["'scripted' if '", LaunchConfiguration("robot"), "' == 'emulated' else 'none'"])
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "robot", default_value="xarm6", description="The robot, a name in config/robots or YAML."
            ),
            DeclareLaunchArgument("task", default_value="collect", description="The task; a word for what is shown."),
            DeclareLaunchArgument(
                "episodes", default_value="100", description="Episodes to record, failures included."
            ),
            DeclareLaunchArgument(
                "successes", default_value="0", description="Successful episodes to record, however many; 0: episodes."
            ),
            DeclareLaunchArgument(
                "bag",
                default_value=["data/", LaunchConfiguration("robot"), "_", LaunchConfiguration("task"), "_bag"],
                description="Folder of the bag; if it exists, BAG_2, BAG_3 and so on.",
            ),
            DeclareLaunchArgument(
                "operator",
                default_value=scripted,
                choices=["none", "scripted"],
                description="Who drives the emulated arm: a script that sees everything, or nobody, for teleop_node.",
            ),
            included("record.launch.py"),
            included(
                "arm.launch.py",
                record="true",
                terminate_on_success="false",
                stop_after=LaunchConfiguration("episodes"),
                stop_after_successes=LaunchConfiguration("successes"),
            ),
        ]
    )
